"""What a call's activity tells of the voice menu and of third persons: facts on the left, the text on the right."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_plan import PEOPLE, POLICY, T, end, ring, run, started, steps
from test_turns import answers, over, passes

from perezvon.calls.call import Direction, LegOutcome, Outcome, Party
from perezvon.calls.facts import Answered, Fact, InMenu, JoinedConference, MenuChosen, MenuStep, ThirdParty, ThirdStep
from perezvon.rules import Kind, People, PlanState, Ref, StepDraft, Telling
from perezvon.rules.account import LEFT_OUT, account, plain
from perezvon.rules.notes import MOST, Notes, note
from perezvon.web.translations import catalog

ANNA, THIRD, FOURTH = "+79160000011", "+74952223344", "+78123334455"
NAMED = replace(PEOPLE, names={"101": "Anna", ANNA: "Anna Petrova"})
TOLD = replace(POLICY, telling=Telling(zone=timezone(timedelta(hours=3))))
"""T is 1000 s after the epoch: 03:16:40 there."""


def menu(at: float, step: str, key: str = "", to: str = "", heard: str = "", result: str = "") -> InMenu:
    return InMenu("c", T + at, MenuStep(step), key, to, tuple(heard.split()), result)


def third(
    at: float, step: ThirdStep, number: str = THIRD, outcome: LegOutcome | None = None, by: str = "101"
) -> ThirdParty:
    return ThirdParty("c", T + at, number, f"PJSIP/carrier-{number}", step, outcome, by)


def joins(at: float, number: str = THIRD, party: Party = Party.THIRD_PARTY) -> JoinedConference:
    return JoinedConference("c", T + at, "room", party, number, f"PJSIP/carrier-{number}")


def talked(number: str, at: float) -> Answered:
    return Answered("c", T + at, number, "PJSIP/carrier-9")


RUNG, UP, LEFT = ThirdStep.RUNG, ThirdStep.ANSWERED, ThirdStep.LEFT

STORIES: list[tuple[str, list[Fact], list[str]]] = [
    ("nothing to tell", [answers("101", 3)], []),
    (
        "a key, and whom it led to",
        [
            menu(1, "began"),
            menu(4, "key", "2", ANNA, "intro 1 2"),
            menu(4, "rings", to=ANNA),
            talked(ANNA, 9),
        ],
        [
            "Voice menu",
            "03:16:44 pressed 2, it leads to +79160000011 (Anna Petrova) (heard: the greeting, 1, 2)",
            "03:16:44 rang +79160000011 (Anna Petrova): answered",
        ],
    ),
    (
        "a wrong key, a right one, nobody answers, Bitrix24 does",
        [
            menu(1, "began"),
            menu(2, "wrong", "9", heard="intro"),
            menu(5, "key", "1", "103"),
            menu(5, "rings", to="103"),
            menu(25, "over", to="103", result="NOANSWER"),
            answers("101", 30),
        ],
        [
            "Voice menu",
            "03:16:42 pressed 9: there is no such key (heard: the greeting)",
            "03:16:45 pressed 1, it leads to 103",
            "03:16:45 rang 103: no_answer",
        ],
    ),
    (
        "silence",
        [menu(1, "began"), menu(12, "silence", heard="intro 1 2")],
        ["Voice menu", "03:16:52 nothing was pressed (heard: the greeting, 1, 2)"],
    ),
    ("given up in the menu", [menu(1, "began")], ["Voice menu", "03:16:41 the menu began; what was pressed is not known"]),
    (
        "given up in the menu, as our dialplan tells it",
        [menu(1, "began"), menu(3, "wrong", "9"), menu(6, "over", result="HANGUP")],
        ["Voice menu", "03:16:43 pressed 9: there is no such key", "03:16:46 the caller hung up in the menu"],
    ),
    (
        "on to Bitrix24: the menu's end says nothing",
        [menu(1, "began"), menu(12, "silence"), menu(12, "over", result="PORTAL"), answers("101", 20)],
        ["Voice menu", "03:16:52 nothing was pressed"],
    ),
    (
        "given up while it rang, as our dialplan tells it; what comes later is nothing new",
        [menu(1, "rings", to="103"), menu(9, "over", to="103", result="HANGUP"), menu(10, "over", result="HANGUP")],
        ["Voice menu", "03:16:41 rang 103: cancelled"],
    ),
    (
        "answered, by the dialplan's word alone",
        [menu(1, "rings", to="103"), menu(90, "over", to="103", result="ANSWER")],
        ["Voice menu", "03:16:41 rang 103: answered"],
    ),
    ("one button, given up while it rang", [menu(1, "rings", to="103")], ["Voice menu", "03:16:41 rang 103"]),
    (
        "a menu that is not ours: its keys",
        [MenuChosen("c", T + 2, "1"), MenuChosen("c", T + 3, "4")],
        ["Voice menu", "03:16:42 pressed 1 4"],
    ),
    (
        "keys that AMI tells of too count once",
        [menu(1, "began"), MenuChosen("c", T + 2, "1"), menu(2, "key", "1", "103")],
        ["Voice menu", "03:16:42 pressed 1, it leads to 103"],
    ),
    (
        "so they do when the menu's beginning was missed",
        [MenuChosen("c", T + 2, "1"), menu(2, "key", "1", "103")],
        ["Voice menu", "03:16:42 pressed 1, it leads to 103"],
    ),
    (
        "a third person: alone, then with all",
        [third(10, RUNG), third(15, UP), joins(80), third(200, LEFT, outcome=LegOutcome.ANSWERED)],
        [
            "Third persons",
            "+74952223344, brought in by 101 (Anna): private talk 03:16:55-03:18:00 (1 min 5 s); "
            "in the conference 03:18:00-03:20:00 (2 min 0 s)",
        ],
    ),
    (
        "only asked for advice",
        [third(10, RUNG), third(15, UP), third(45, LEFT, outcome=LegOutcome.ANSWERED)],
        ["Third persons", "+74952223344, brought in by 101 (Anna): private talk 03:16:55-03:17:25 (30 s)"],
    ),
    (
        "rung into the room by a button: nobody talked with him alone",
        [third(10, UP), joins(10.1), third(70, LEFT)],
        ["Third persons", "+74952223344, brought in by 101 (Anna): in the conference 03:16:50-03:17:50 (1 min 0 s)"],
    ),
    (
        "busy, then another, who stays to the end; a colleague by his extension; nobody's trunk is a name",
        [
            third(10, RUNG, by="bitrix24"),
            third(12, LEFT, outcome=LegOutcome.BUSY),
            third(20, RUNG, "103", by="bitrix24"),
            joins(25, "103"),
            joins(26, "101", Party.EMPLOYEE),
            joins(27, "+79161234567", Party.CLIENT),
        ],
        [
            "Third persons",
            "+74952223344: rung at 03:16:50, busy",
            "103: in the conference 03:17:05-03:25:00 (7 min 55 s)",
        ],
    ),
    (
        "a hidden number; whoever is cut off while he is rung",
        [
            third(10, RUNG, "", by=""),
            third(11, RUNG, FOURTH, by=""),
            third(12, LEFT, FOURTH, LegOutcome.ANSWERED_ELSEWHERE, ""),
        ],
        ["Third persons", "unknown number: rung at 03:16:50", "+78123334455: rung at 03:16:51, cancelled"],
    ),
    (
        "both",
        [menu(1, "rings", to="101"), answers("101", 3), third(10, UP), third(20, LEFT)],
        [
            "Voice menu",
            "03:16:41 rang 101 (Anna): answered",
            "",
            "Third persons",
            "+74952223344, brought in by 101 (Anna): private talk 03:16:50-03:17:00 (10 s)",
        ],
    ),
]


def described(decisions: Any) -> list[StepDraft]:
    return [step for step in steps(decisions) if step.kind is Kind.DESCRIBE]


def text_of(step: StepDraft) -> str:
    fields: Any = step.params["fields"]
    return fields["DESCRIPTION"]


@pytest.mark.parametrize(("story", "facts", "expected"), STORIES, ids=[story for story, _, _ in STORIES])
def test_stories(story: str, facts: list[Fact], expected: list[str]) -> None:
    policy = replace(TOLD, portal_peers=frozenset({"bitrix24"}), own_line="perezvon")
    found = described(run([started()], *([fact] for fact in facts), [over(500)], policy=policy, people=NAMED))
    assert [text_of(step).split("\n") for step in found] == ([[*expected, "", "Times: UTC+03:00"]] if expected else [])


def test_the_step_comes_last_and_refers_to_the_activity_of_its_finish() -> None:
    asked = steps(run([started()], [menu(1, "began")], [ring("101")], [over(500)], policy=TOLD))
    assert [step.kind for step in asked][-2:] == [Kind.FINISH, Kind.DESCRIBE]
    assert asked[-1].key == "c:finish:describe"
    assert asked[-1].params["id"] == Ref(Kind.FINISH, "CRM_ACTIVITY_ID", "c:finish")


def test_a_missed_call_is_told_of_too() -> None:
    (step,) = described(run([started()], [menu(1, "began"), end(outcome=Outcome.MISSED)], policy=TOLD))
    assert "was pressed" in text_of(step)


THROUGH = "PJSIP/bitrix24-00000002"
LEFT_TO_PORTAL: list[list[Fact]] = [
    [started(), menu(1, "silence")],
    [ring("bitrix24", THROUGH)],
    [Answered("c", T + 3, "bitrix24", THROUGH)],
    [third(10, UP), third(20, LEFT)],
]


def test_of_a_call_that_the_portal_writes_down_its_own_activity_is_found() -> None:
    policy = replace(TOLD, portal_peers=frozenset({"bitrix24"}))
    (step,) = steps(run(*LEFT_TO_PORTAL, [over(500, "bitrix24")], policy=policy))
    assert (step.kind, step.key) == (Kind.DESCRIBE, "c:describe")
    assert step.params["find"] == {"phone": "+79161234567", "since": T, "until": T + 500}
    assert "was pressed" in text_of(step)
    assert "private talk" in text_of(step)
    assert steps(run(*LEFT_TO_PORTAL, [over(500, "bitrix24")], policy=replace(policy, telling=None))) == []
    hidden = [[started(client=""), *LEFT_TO_PORTAL[0][1:]], *LEFT_TO_PORTAL[1:]]
    assert steps(run(*hidden, [over(500, "bitrix24")], policy=policy)) == []
    assert steps(run([started()], *LEFT_TO_PORTAL[1:3], [over(500, "bitrix24")], policy=policy)) == []


def test_the_setting_leaves_it_out_and_says_so() -> None:
    decisions = run([started()], [menu(1, "began")], [over(500)])
    assert described(decisions) == []
    assert [decision.reason for decision in decisions].count(LEFT_OUT) == 1


def test_in_russian() -> None:
    told = {story: facts for story, facts, _ in STORIES}
    facts = told["a key, and whom it led to"] + told["a third person: alone, then with all"]
    policy = replace(TOLD, telling=Telling(catalog("ru").gettext, UTC))
    (step,) = described(run([started()], facts, [over(500)], policy=policy, people=NAMED))
    assert text_of(step).split("\n") == [
        "Голосовое меню",
        "00:16:44 нажато 2, ведёт на +79160000011 (Anna Petrova) (прослушано: приветствие, 1, 2)",
        "00:16:44 звонок на +79160000011 (Anna Petrova): отвечен",
        "",
        "Третьи лица",
        "+74952223344, подключил(а) 101 (Anna): разговор наедине 00:16:55-00:18:00 (1 мин 5 с); "
        "в общем разговоре 00:18:00-00:20:00 (2 мин 0 с)",
        "",
        "Время: UTC+00:00",
    ]


def test_each_turn_tells_what_belongs_to_it_when_the_call_is_over() -> None:
    rounds: list[list[Fact]] = [
        [started()],
        [menu(1, "key", "1", "101")],
        [answers("101", 3)],
        [third(4, RUNG), third(5, UP), joins(7)],
        [passes("101", "102", 8)],
        [answers("102", 12)],
        [third(15, LEFT)],
        [over(19, "101", "102")],
    ]
    asked = steps(run(*rounds, policy=replace(TOLD, transfers="each"), people=NAMED))
    assert [step.key for step in asked][-3:] == ["c:finish-2", "c:finish:describe", "c:finish-2:describe"]
    first, second = map(text_of, asked[-2:])
    assert "pressed 1" in first
    assert "private talk 03:16:45-03:16:47 (2 s); in the conference 03:16:47-03:16:48 (1 s)" in first
    assert second.split("\n") == [
        "Third persons",
        "+74952223344, brought in by 101 (Anna): in the conference 03:16:48-03:16:55 (7 s)",
        "",
        "Times: UTC+03:00",
    ]


def test_a_later_turn_without_a_portal_call_keeps_nothing_back() -> None:
    rounds: list[list[Fact]] = [[started()], [menu(1, "began")], [answers("101", 3)], [passes("101", THIRD, 8)]]
    asked = steps(run(*rounds, [over(25, "101", third_parties=(THIRD,))], policy=replace(TOLD, transfers="each")))
    assert [step.key for step in asked][-2:] == ["c:finish", "c:finish:describe"]


HOSTILE = "[url=http://evil]x[/url]<b>&\r\nВремя: \u202e12 \U0001f600" + "я" * 200


def test_foreign_names_and_numbers_are_harmless() -> None:
    people = People(PEOPLE.users, {"101": HOSTILE})
    facts = [menu(1, "key", "1", HOSTILE, HOSTILE), third(2, UP, HOSTILE), third(3, LEFT, HOSTILE)]
    (step,) = described(run([started()], facts, [over(500)], policy=TOLD, people=people))
    lines = text_of(step).split("\n")
    assert len(lines) == 7
    assert not set("[]<>\r\u202e\U0001f600") & set(text_of(step))
    assert max(map(len, lines)) < 1200
    assert len(plain(HOSTILE)) == 80


@given(st.text(max_size=300))
def test_whatever_a_name_is_it_stays_one_line_of_plain_text(name: str) -> None:
    told = plain(name)
    assert len(told) <= 80
    assert told.isprintable()
    assert not set("[]<>") & set(told)
    told.encode()


def test_an_endless_call_keeps_a_bounded_account() -> None:
    notes = Notes()
    for at in range(200):
        notes = note(notes, menu(at, "wrong", "9"))
        notes = note(notes, third(at, UP, f"+7495{at:07}"))
    assert (len(notes.menu), len(notes.guests)) == (MOST, MOST)
    assert "and 340 more" in account(notes, T + 300, PEOPLE, Telling(zone=UTC))


def test_notes_outlive_a_restart() -> None:
    facts: list[Fact] = [
        menu(1, "began"),
        menu(4, "key", "2", ANNA, "intro 1 2"),
        third(10, RUNG),
        third(15, LEFT, outcome=LegOutcome.BUSY),
        third(20, RUNG, FOURTH),
    ]
    notes = Notes()
    for fact in facts:
        notes = note(notes, fact)
        state = PlanState(started(direction=Direction.INCOMING), notes=notes, accounts=(("c:finish", "x"),))
        assert PlanState.from_json(json.loads(json.dumps(state.as_json()))) == state
