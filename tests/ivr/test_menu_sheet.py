"""Scenarios and codes as CSV files: as spreadsheets write them, taken as a whole or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perezvon.ivr.sheet import SheetUnfit, codes_sheet, menus_sheet, read_sheet
from perezvon.storage.menus import Menu, MenuButton

PLAIN = """phone,scenarioMsg,keyNum,msgMp3,transferTo
84951234567,hello.mp3,1,Торты.mp3,+7 916 000-00-01
84951234567,hello.mp3,2,Цветы.mp3,89160000002
+78121234567,,,,101
"""
CAKES = Menu(
    "+74951234567",
    "",
    "hello.mp3",
    (MenuButton("1", "Торты.mp3", "+79160000001"), MenuButton("2", "Цветы.mp3", "89160000002")),
)
EXPECTED = (CAKES, Menu("+78121234567", buttons=(MenuButton("", "", "101"),)))


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode(),
        PLAIN.replace(",", ";").replace("\n", "\r\n").encode("utf-8-sig"),
        PLAIN.replace(",", ";").encode("cp1251"),
        PLAIN.replace(",", "\t").encode("utf-16"),
        ("sep=;\n" + PLAIN.replace(",", ";")).encode(),
        PLAIN.replace("phone,scenarioMsg,keyNum", '"Phone", SCENARIO_MSG ,keynum').encode(),
        ("\n\n" + PLAIN.replace("\n", "\n,,,,\n")).encode(),
    ],
)
def test_as_spreadsheets_write_it(content: bytes) -> None:
    assert read_sheet(content).menus == EXPECTED


def test_rows_of_a_number_need_not_follow_one_another() -> None:
    text = "phone;keyNum;transferTo\n74951234567;1;101\n74951234568;1;103\n8 495 123-45-67;2;102\n"
    first, second = read_sheet(text.encode()).menus
    assert [button.target for button in first.buttons] == ["101", "102"]
    assert second.line == "+74951234568"


def test_codes() -> None:
    assert read_sheet("pref,phone\n1,8 495 000-00-01\n02,sales\n".encode("utf-8-sig")).codes == {
        "1": "84950000001",
        "02": "sales",
    }


HEAD = "phone;scenarioMsg;keyNum;msgMp3;transferTo\n74951234567;hello;1;a;101\n"


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        ("", [(1, "", "the first line must name the columns: phone, scenario,")]),
        ("74951234567;1;101\n", [(1, "", "the first line must name the columns")]),
        ("phone;keyNum\n", [(1, "transferTo", "this column is missing")]),
        ("phone;transferTo;color\n", [(1, "color", "there is no such column; known are phone")]),
        ("phone;transferTo;Phone\n", [(1, "phone", "this column is there twice")]),
        (HEAD + ";hello;2;b;102\n", [(3, "phone", "there is no number")]),
        (HEAD + "7,49512E+10;hello;2;b;102\n", [(3, "phone", "a spreadsheet has rounded this number (7,49512E+10)")]),
        (HEAD + "74951234567;hello;1;b;102\n", [(3, "keyNum", "key 1 of this number is in line 2 already")]),
        (HEAD + "74951234567;hello;;b;102\n", [(3, "keyNum", "there is no key")]),
        (HEAD + "74951234567;hello;два;b;102\n", [(3, "keyNum", "два is no key that a phone has")]),
        (HEAD + "74951234567;hello;2;b;\n", [(3, "transferTo", "there is no number")]),
        (HEAD + "74951234567;hello;2;b;101&102\n", [(3, "transferTo", "101&102 is no number that can be rung")]),
        (HEAD + "74951234567;other;2;b;102\n", [(3, "scenarioMsg", "other differs from the first line of this number (hello)")]),
        (HEAD + "74951234567;hello;2;b;102;x\n", [(3, "", "there are more cells than columns")]),
        (HEAD + '74951234567;"hello;2;b;102\n', [(3, "", "this is no CSV")]),
        (HEAD + "x y;hello;2;b;\n;;3;;103\n", [(3, "phone", "x y is no number"), (4, "phone", "there is no number")]),
        ("pref;phone\n1;101\n1;102\n*;103\n2;\n",
         [(3, "pref", "code 1 is in line 2 already"), (4, "pref", "a code has digits only"), (5, "phone", "there is no number")]),
    ],
)  # fmt: skip
def test_mistakes_have_line_and_column(text: str, mistakes: list[tuple[int, str, str]]) -> None:
    with pytest.raises(SheetUnfit) as raised:
        read_sheet(text.encode())
    found = raised.value.mistakes
    assert [(one.line, one.column) for one in found] == [(line, column) for line, column, _ in mistakes]
    for one, (_, _, words) in zip(found, mistakes, strict=True):
        assert words in str(one.reason)


NAMES = st.text("абвxyz 0129;,\"'._-", max_size=8).map(lambda text: " ".join(text.split()))
MENUS = st.builds(
    lambda line, title, intro, buttons: Menu(f"+7495{line:07}", title, intro, tuple(buttons)),
    st.integers(0, 9_999_999),
    NAMES,
    NAMES,
    st.lists(
        st.builds(lambda key, prompt, to: MenuButton(str(key), prompt, f"+7916{to:07}"), st.integers(0, 999), NAMES, st.integers(0, 9_999_999)),
        max_size=4,
        unique_by=lambda button: button.key,
    ),
)  # fmt: skip


@given(st.lists(MENUS, max_size=4, unique_by=lambda menu: menu.line))
def test_what_is_exported_is_imported_again(menus: list[Menu]) -> None:
    assert list(read_sheet(menus_sheet(menus).encode("utf-8-sig")).menus) == menus


@given(st.dictionaries(st.from_regex(r"[0-9]{1,8}", fullmatch=True), st.from_regex(r"\+?[0-9]{3,11}", fullmatch=True)))
def test_codes_too(codes: dict[str, str]) -> None:
    assert read_sheet(codes_sheet(codes).encode()).codes == codes
