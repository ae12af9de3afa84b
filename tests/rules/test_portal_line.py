"""Calls through the portal's own SIP line: written down once, by the portal or by us, and never by nobody."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from test_plan import PEOPLE, POLICY, T, answered_by, end, ring, run, started, steps

from perezvon.calls.call import Direction, LegOutcome, Party
from perezvon.calls.facts import Answered, Fact, JoinedConference, MenuChosen, StoppedRinging, ThirdParty, ThirdStep
from perezvon.rules import Policy

THROUGH = "PJSIP/bitrix24-00000002"
OUTSIDE = "+79161112233"
LEAVES = replace(POLICY, portal_peers=frozenset({"bitrix24"}))
WRITES = replace(LEAVES, own_line="perezvon")


def methods(policy: Policy, *rounds: list[Fact]) -> list[str]:
    return [str(step.kind) for step in steps(run(*rounds, policy=policy))]


def rung_there() -> Fact:
    return ring("bitrix24", THROUGH)


def answered_there() -> Fact:
    return Answered("c", T + 3, "bitrix24", THROUGH)


def refused_there() -> Fact:
    return StoppedRinging("c", T + 2, "bitrix24", THROUGH, LegOutcome.FAILED)


def outgoing() -> Fact:
    return started(direction=Direction.OUTGOING, extension="bitrix24", channel=THROUGH)


WHOLE = ["register", "finish"]

STORIES: list[tuple[str, list[list[Fact]], list[str], list[str]]] = [
    (
        "answered in the portal",
        [[started(), rung_there()], [answered_there()], [answered_by("bitrix24")]],
        [],
        WHOLE,
    ),
    ("nobody answered in the portal", [[started(), rung_there()], [end(rung=("bitrix24",))]], [], WHOLE),
    (
        "the portal cannot be reached: we write it down",
        [[started(), rung_there()], [refused_there()], [end(rung=("bitrix24",))]],
        WHOLE,
        WHOLE,
    ),
    ("given up in the menu", [[started()], [MenuChosen("c", T + 1, "9")], [end(menu=("9",))]], WHOLE, WHOLE),
    (
        "the menu rang an outside number, which answered",
        [
            [started(), ring(OUTSIDE, "PJSIP/carrier-1")],
            [Answered("c", T + 3, OUTSIDE, "PJSIP/carrier-1")],
            [answered_by(OUTSIDE, forwarded_to=OUTSIDE)],
        ],
        WHOLE,
        WHOLE,
    ),
    (
        "the menu rang an outside number in vain, then the portal answered",
        [
            [started(), ring(OUTSIDE, "PJSIP/carrier-1")],
            [StoppedRinging("c", T + 2, OUTSIDE, "PJSIP/carrier-1", LegOutcome.NO_ANSWER), rung_there()],
            [answered_there()],
            [answered_by("bitrix24")],
        ],
        [],
        WHOLE,
    ),
    ("called out of the portal", [[outgoing()], [answered_there()], [answered_by("bitrix24")]], [], WHOLE),
    (
        "a third person is brought in",
        [
            [started(), rung_there()],
            [answered_there()],
            [JoinedConference("c", T + 4, "1.1", Party.CLIENT, "+79161234567", "PJSIP/carrier-1")],
            [ThirdParty("c", T + 5, OUTSIDE, "PJSIP/carrier-2", ThirdStep.RUNG)],
            [ThirdParty("c", T + 6, OUTSIDE, "PJSIP/carrier-2", ThirdStep.ANSWERED)],
            [answered_by("bitrix24", third_parties=(OUTSIDE,))],
        ],
        [],
        WHOLE,
    ),
]


@pytest.mark.parametrize(("facts", "left", "written"), [story[1:] for story in STORIES], ids=[one[0] for one in STORIES])
def test_who_writes_it_down(facts: list[list[Fact]], left: list[str], written: list[str]) -> None:
    assert methods(LEAVES, *facts) == left
    assert methods(WRITES, *facts) == written
    if not left:
        assert str(run(*facts, policy=LEAVES)[-1].reason).startswith("left to the portal")


def test_an_employee_with_a_phone_has_his_card_all_the_same() -> None:
    facts: list[list[Fact]] = [[started(), rung_there(), ring("101")], [answered_there()], [answered_by("bitrix24")]]
    assert methods(LEAVES, *facts)[:2] == ["register", "show"]
    assert methods(LEAVES, *facts)[-1] == "finish"


def test_an_employee_whom_the_portal_names_is_not_written_down_twice() -> None:
    facts: list[list[Fact]] = [
        [started(direction=Direction.OUTGOING, extension="101", channel=THROUGH)],
        [Answered("c", T + 3, "101", THROUGH)],
        [answered_by("101")],
    ]
    assert methods(LEAVES, *facts) == []
    assert methods(WRITES, *facts) == ["register", "show", "finish"]


@pytest.mark.parametrize(
    ("talker", "says"),
    [
        ("bitrix24", "does not know who answered in the portal"),
        (OUTSIDE, "is no employee's"),
        ("199", "has no portal user"),
    ],
)
def test_whose_it_is_when_nobody_is_known(talker: str, says: str) -> None:
    channel = THROUGH if talker == "bitrix24" else f"PJSIP/{talker}-1"
    facts: list[list[Fact]] = [
        [started(), ring(talker, channel)],
        [Answered("c", T + 3, talker, channel)],
        [answered_by(talker)],
    ]
    decisions = run(*facts, policy=WRITES)
    finish = steps(decisions)[-1]
    assert finish.params["USER_ID"] == 1
    assert says in str(finish.reason)
    assert ("199" in [e for d in decisions[-1:] for e in d.unmapped]) is (talker == "199")


def test_a_call_without_such_a_line_is_as_it_was() -> None:
    facts: list[list[Fact]] = [[started(), ring("bitrix24", THROUGH)], [answered_there()], [answered_by("bitrix24")]]
    assert methods(POLICY, *facts) == ["register", "finish"]
    assert PEOPLE.user("bitrix24") == ""


def plain(**changes: Any) -> Policy:
    return replace(LEAVES, **changes)


def test_a_change_of_the_settings_in_a_running_call() -> None:
    """What was registered is finished."""
    from perezvon.rules import PlanState, plan

    state, _ = plan(PlanState(), [started(), rung_there(), answered_there()], WRITES, PEOPLE)
    _, decisions = plan(state, [answered_by("bitrix24")], plain(), PEOPLE)
    assert [str(step.kind) for step in steps(decisions)] == ["finish"]
