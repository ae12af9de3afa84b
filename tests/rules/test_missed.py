"""2e, 2g, 2h: what of a client's calls is decided, by what is known of him."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from plain_call import record

from perezvon.calls.call import Call, Direction, Outcome
from perezvon.rules import Filters, Kind, Line, MissedTasks, NumberList, People, Policy, Telling
from perezvon.rules.missed import OWNER, Missed, after, remind
from perezvon.rules.number_lists import number_pattern

CLIENT = "+79161234567"
LINE = Line("+74951234567", name="Main", missed_user="7")
PEOPLE = People({"101": "11", "102": "12", "+79160000101": "11"})
WHOLE = MissedTasks(Telling())


def call(at: float, talkers: tuple[str, ...] = (), **more: Any) -> Call:
    """Began ten seconds before `at`; missed, or a talk since then for a minute."""
    made = record(
        id=f"c{at:.0f}",
        started=at - 10,
        answered=at if talkers else None,
        ended=at + 60 * bool(talkers),
        outcome=Outcome.ANSWERED if talkers else Outcome.MISSED,
        rung=("101", "102"),
        talkers=talkers,
        last_talker=talkers[-1] if talkers else "",
    )
    return replace(made, **more)


def story(*calls: Call, **more: Any) -> tuple[Missed | None, list[tuple[Kind, dict[str, Any]]]]:
    """The client's row in the end, and the steps."""
    chain = more.pop("chain", Policy("i", "1").missed_chain)
    tasks = replace(WHOLE, **more)
    policy = Policy("i", "1", missed_chain=chain, missed=tasks, lines={LINE.number: LINE})
    row: Missed | None = None
    steps: list[tuple[Kind, dict[str, Any]]] = []
    for one in calls:
        changed, _, step = after(row, one, "main", policy, PEOPLE)
        row = changed if changed is not None else row
        steps += [] if step is None else [(step.kind, dict(step.params))]
    return row, steps


@pytest.mark.parametrize(
    ("what", "calls", "more", "kinds", "row"),
    [
        ("missed", [call(100)], {}, "M", (1, 1, 100, None)),
        ("twice", [call(100), call(200)], {}, "MM", (1, 2, 100, None)),
        ("called back", [call(100), call(200, ("101",))], {}, "MC", (1, 1, 100, 200)),
        ("never missed", [call(200, ("101",))], {}, "", None),
        ("a second talk", [call(100), call(200, ("101",)), call(300, ("101",))], {}, "MC", (1, 1, 100, 200)),
        ("missed anew", [call(100), call(200, ("101",)), call(300)], {}, "MCM", (2, 1, 300, None)),
        ("opened again", [call(100), call(200, ("101",)), call(300)], {"again": "reopen"}, "MCM", (1, 2, 300, None)),
        ("too late", [call(100), call(200, ("1",)), call(9e5)], {"again": "reopen"}, "MCM", (2, 1, 9e5, None)),
        ("left to people", [call(100), call(200, ("101",)), call(300)], {"close": "off"}, "MCM", (1, 2, 300, None)),
        ("told late", [call(100), call(500, ("101",)), call(300)], {}, "MC", (1, 1, 100, 500)),
        ("missed during the talk", [call(100), call(200, ("101",)), call(230)], {}, "MC", (1, 1, 100, 200)),
        ("talk before it", [call(600), call(100, ("101",))], {}, "M", (1, 1, 600, None)),
        ("talk that goes on", [call(130), call(100, ("101",))], {}, "MC", (1, 1, 130, 100)),
        ("outgoing in vain", [call(100), call(200, direction=Direction.OUTGOING, outcome=Outcome.BUSY)], {}, "M", (1, 1, 100, None)),
        ("an employee", [call(100, client="+79160000101")], {}, "", None),
        ("hidden", [call(100, client="anonymous")], {}, "", None),
        ("internal", [call(100, direction=Direction.INTERNAL)], {}, "", None),
    ],
)  # fmt: skip
def test_stories(what: str, calls: list[Call], more: dict[str, Any], kinds: str, row: tuple[Any, ...] | None) -> None:
    known, steps = story(*calls, **more)
    assert "".join(kind.value[0].upper() for kind, _ in steps) == kinds, what
    assert row == (None if known is None else (known.episode, known.misses, known.first, known.called_back)), what


@pytest.mark.parametrize(
    ("chain", "rung", "users"),
    [
        (("owner", "last_rung", "line", "default"), ("101", "102"), [OWNER, "12", "7", "1"]),
        (("line", "last_rung"), ("101",), ["7", "11", "1"]),
        (("last_rung",), (), ["1"]),
        (("default", "line"), ("101",), ["1", "7"]),
    ],
)
def test_2e_whose_task_it_is(chain: Any, rung: tuple[str, ...], users: list[str]) -> None:
    (_, params), = story(call(100, rung=rung), chain=chain)[1]  # fmt: skip
    assert params["chain"] == users


def test_2g_texts_by_template() -> None:
    texts = {"title": "{client}{again} {name}", "description": "{line}|{rung}|{count}|{waited}", "comment": "{count}!"}
    _, steps = story(call(100), call(200, client_name="[b]{rung}[/b]\nx"), **texts)
    (_, first), (_, second) = steps
    assert first["task"]["TITLE"] == CLIENT
    assert first["task"]["DESCRIPTION"].startswith("Main|101, 102|1|10 s\n\nPerezvon ")
    assert second["change"]["TITLE"] == f"{CLIENT} ×2 (b){{rung}}(/b) x"
    assert second["comment"].startswith("2!\n")
    assert first["mark"] != second["mark"]


def test_a_reminder_is_for_a_client_who_still_waits() -> None:
    policy = Policy("i", "1", missed=replace(WHOLE, remind_after=60.0, remind_user="9"))
    row, _ = story(call(100), remind_after=60.0)
    assert row is not None
    assert row.remind == 160
    done, step = remind(row, policy)
    assert done.remind is None
    assert step is not None
    assert (step.params["change"], step.params["observer"]) == ({"PRIORITY": "2"}, "9")
    assert remind(replace(row, called_back=150.0), policy)[1] is None
    again, _ = story(call(100), call(120), remind_after=60.0)
    assert again is not None
    assert again.remind == 160, "counted from the first"
    back, _ = story(call(100), call(120, ("101",)), remind_after=60.0)
    assert back is not None
    assert back.remind is None


def test_2g_a_colleagues_own_phone_makes_no_task() -> None:
    staff = NumberList.of([number_pattern("8 916 000-01-*")], None)
    policy = Policy("i", "1", missed=WHOLE, filters=Filters(staff=staff))
    row, reason, step = after(None, call(100, client="+79160000155"), "main", policy, PEOPLE)
    assert (row, step) == (None, None)
    assert "colleague" in str(reason)
    assert after(None, call(100, client="+79160000255"), "main", policy, PEOPLE)[2] is not None
