"""Scenarios out of rows that people have typed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perezvon.ivr.scenario import Button, Scenario, plain, scenario, target_of

DOCUMENT = ("scenario", "scenarioMsg", "keyNum", "msgMp3", "transferTo")


def of(*rows: tuple[Any, ...], columns: tuple[str, ...] = DOCUMENT) -> Scenario:
    return scenario("70000000002", columns, rows)


def told(found: Scenario) -> str:
    return "\n".join(map(str, found.troubles))


def test_document_004() -> None:
    found = of(
        ("shop", "welcome.mp3", "1", "msg.mp3", "79160000011"), ("shop", "welcome.mp3", "2", "pref.mp3", "79160000012")
    )
    assert found == Scenario(
        "70000000002",
        "welcome.mp3",
        (Button("1", "msg.mp3", "79160000011"), Button("2", "pref.mp3", "79160000012")),
    )
    assert found.alone is None


def test_one_button_is_rung_at_once() -> None:
    found = of(("one", "hello.mp3", "1", "msg.mp3", "79160000001"))
    assert found.alone == Button("1", "msg.mp3", "79160000001")
    assert not found.troubles
    keyless = of(("one", None, None, None, "79160000001"))
    assert keyless.alone == Button("", "", "79160000001")
    assert not keyless.troubles


def test_one_button_that_is_left_of_several_is_asked_for() -> None:
    """A damaged table must not send everybody to one number."""
    found = of((None, "i", "1", "a", "79160000001"), (None, "i", "2", "b", None))
    assert found.buttons == (Button("1", "a", "79160000001"),)
    assert found.alone is None
    assert "row 2: key 2 has no number (transferTo)" in told(found)
    assert "only one of 2 buttons can be used" in told(found)


def test_a_hundred_buttons_are_enough() -> None:
    found = of(*((None, "i", str(n), "a", f"7916{n:07}") for n in range(1000, 1102)))
    assert len(found.buttons) == 100
    assert "row 102: a menu has no more than 100 buttons; key 1101 is left out" in told(found)


def test_no_button() -> None:
    """LEFT JOIN gives one row of NULL."""
    found = of(("empty", "welcome.mp3", None, None, None))
    assert (found.intro, found.buttons, found.alone) == ("welcome.mp3", (), None)
    assert told(found) == "there is no button that can be used: callers go on to Bitrix24"


def test_values_as_databases_give_them() -> None:
    found = of(
        (None, "  hello.mp3\n", 1, b"\xd0\xb0.mp3", 79160000001),
        (None, None, 2.0, b"\xe0.mp3", Decimal("79160000002")),
        (None, None, " * ", memoryview(b"c.mp3"), " +7 (916) 000-00-03 "),
        (None, None, "1 0", "d\u00a0e.mp3", "8 916 000\u201300\u201304"),
        (None, None, "#", "f", "sales-1"),
        (None, None, "a", "g", "*55#"),
    )
    assert [(button.key, button.prompt, button.to) for button in found.buttons] == [
        ("1", "а.mp3", "79160000001"),
        ("2", "а.mp3", "79160000002"),
        ("*", "c.mp3", "+79160000003"),
        ("10", "d e.mp3", "89160000004"),
        ("#", "f", "sales-1"),
        ("A", "g", "*55#"),
    ]
    assert found.longest_key == 2
    assert found.intro == "hello.mp3"
    assert not found.troubles


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ((None, "i", None, "a", "79"), "row 1: there is no key (keyNum); the button is left out"),
        ((None, "i", "один", "a", "79"), "row 1: один is no key that a phone has; the button is left out"),
        ((None, "i", "123456789", "a", "79"), "row 1: 123456789 is no key that a phone has"),
        ((None, "i", "9", "a", None), "row 1: key 9 has no number (transferTo); the button is left out"),
        ((None, "i", "9", "a", "7916…"), "row 1: 7916… is no number that can be rung; key 9 is left out"),
        ((None, "i", "9", "a", "79160000001, 79160000002"), "is no number that can be rung"),
        ((None, "i", "9", "a", "7.91612E+10"), "row 1: 7.91612E+10 is no number that can be rung"),
        ((None, "i", "2", "a", "79"), "row 2: key 2 is there already; the first one stands"),
        ((None, "i", "9", "", "79"), "row 1: key 9 has no recording (msgMp3): it is not announced"),
        ((None, "other.mp3", "9", "a", "79"), "there are several intros: other.mp3 is played, not i"),
    ],
)
def test_oddities(row: tuple[Any, ...], words: str) -> None:
    assert words in told(of(row, (None, "i", "2", "b", "79160000002"), (None, "i", "3", "c", "79160000003")))


@pytest.mark.parametrize(
    "to", ["100&SIP/7916", "100,20,g", "${SHELL(id)}", "1|2", "100@evil", "a b", "1\n2", "x" * 65, "-1a"]
)
def test_what_means_something_in_a_dialplan_is_not_rung(to: str) -> None:
    assert target_of(to) is None or set(target_of(to) or "") <= set("0123456789+*#")


def test_names_of_columns() -> None:
    rows = (("a.mp3", 1, "b.mp3", "79"), ("a.mp3", 2, "c.mp3", "78"))
    other = of(*rows, columns=("SCENARIO_MSG", "keynum", "Msg_Mp3", "transfer to"))
    assert [button.to for button in other.buttons] == ["79", "78"]
    assert not other.troubles
    lacking = of(*(row[:3] for row in rows), columns=("scenarioMsg", "keyNum", "mp3"))
    assert "the statement gives no msgMp3, transferTo (it gives scenarioMsg, keyNum, mp3): write … AS NAME" in told(lacking)
    assert lacking.buttons == ()


VALUES = st.one_of(
    st.none(),
    st.text(max_size=12),
    st.binary(max_size=8),
    st.integers(),
    st.floats(),
    st.decimals(),
    st.booleans(),
    st.datetimes(),
)


@given(st.lists(st.lists(VALUES, min_size=5, max_size=5), max_size=4))
def test_nothing_raises(rows: list[list[object]]) -> None:
    found = scenario("1", DOCUMENT, rows)
    assert len({button.key for button in found.buttons}) == len(found.buttons)
    assert all(button.to and button.to.isascii() for button in found.buttons)
    assert len(found.buttons) == len(rows) or found.troubles or any(not any(map(plain, row[2:])) for row in rows)
