"""A portal call for each employee to whom the client is passed on (`calls.transfers = "each"`): tables, then any course."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_plan import PEOPLE, POLICY, T, record, run, started, steps

from perezvon.calls.call import Direction, LegOutcome, Outcome, TransferKind
from perezvon.calls.facts import Answered, CallEnded, Fact, LeftTalk, Ringing, StoppedRinging, Transferred
from perezvon.rules import Decision, PlanState, Policy, Ref, plan
from perezvon.rules.vocabulary import Kind, StepDraft

EACH = replace(POLICY, transfers="each")
EXTENSIONS = ("101", "102", "103", "199")
"""The last has no portal user."""


def rings(extension: str, at: float) -> Ringing:
    return Ringing("c", T + at, extension, f"PJSIP/{extension}-1")


def silent(extension: str, at: float) -> StoppedRinging:
    return StoppedRinging("c", T + at, extension, f"PJSIP/{extension}-1", LegOutcome.NO_ANSWER)


def answers(extension: str, at: float) -> Answered:
    return Answered("c", T + at, extension, f"PJSIP/{extension}-1")


def leaves(extension: str, at: float) -> LeftTalk:
    return LeftTalk("c", T + at, extension)


def passes(from_: str, to: str, at: float) -> Transferred:
    return Transferred("c", T + at, TransferKind.BLIND, from_, to)


def over(at: float, *talkers: str, **more: Any) -> CallEnded:
    answered = {"answered": T + 3, "outcome": Outcome.ANSWERED, "duration": at - 3, "talkers": talkers} if talkers else {}
    last = talkers[-1] if talkers else ""
    return CallEnded("c", T + at, record(ended=T + at, **({"last_talker": last} | answered | more)))


def told(decisions: list[Decision]) -> list[str]:
    """`register 11 c:register`, `show 11`, `finish 11 6s 200 c:finish`."""
    short: list[str] = []
    for step in steps(decisions):
        p = step.params
        users = p["USER_ID"]
        whom = " ".join(map(str, users)) if isinstance(users, list) else str(users)
        match step.kind:
            case Kind.FINISH:
                short.append(f"finish {whom} {p['DURATION']}s {p['STATUS_CODE']} {step.key}")
            case Kind.REGISTER:
                short.append(f"register {whom} {step.key}")
            case _:
                short.append(f"{step.kind} {whom}")
    return short


FIRST: list[list[Fact]] = [[started()], [rings("101", 1)], [answers("101", 3)]]
FIRST_TOLD = ["register 11 c:register", "show 11"]

STORIES: list[tuple[str, list[list[Fact]], list[str]]] = [
    (
        "blind: the first is through at the transfer, the second is shown a card of his own",
        [*FIRST, [passes("101", "102", 8)], [leaves("101", 8.1)], [rings("102", 9)], [answers("102", 12)],
         [over(19, "101", "102")]],
        [*FIRST_TOLD, "finish 11 5s 200 c:finish", "register 12 c:register-2", "show 12", "finish 12 7s 200 c:finish-2"],
    ),
    (
        "attended: the consulted one's card of the first call goes before that is finished",
        [*FIRST, [rings("102", 5)], [silent("102", 6)], [answers("102", 8), passes("101", "102", 8)], [leaves("101", 8)],
         [over(10, "101", "102")]],
        [*FIRST_TOLD, "show 12", "hide 12", "finish 11 5s 200 c:finish", "register 12 c:register-2", "show 12",
         "finish 12 2s 200 c:finish-2"],
    ),
    (
        "attended, told of the new talker a round before the transfer",
        [*FIRST, [answers("102", 8)], [passes("101", "102", 8)], [leaves("101", 8)], [over(10, "101", "102")]],
        [*FIRST_TOLD, "show 12", "hide 12", "finish 11 5s 200 c:finish", "register 12 c:register-2", "show 12",
         "finish 12 2s 200 c:finish-2"],
    ),
    (
        "three in a chain, all found out about at once: no cards",
        [[*(fact for facts in FIRST for fact in facts), passes("101", "102", 8), rings("102", 8), answers("102", 10),
          passes("102", "103", 15), rings("103", 15), answers("103", 16), over(20, "101", "102", "103")]],
        ["register 11 c:register", "finish 11 5s 200 c:finish", "register 12 c:register-2", "finish 12 5s 200 c:finish-2",
         "register 13 c:register-3", "finish 13 4s 200 c:finish-3"],
    ),
    (
        "passed on, and nobody takes it: a missed call of who was rung last",
        [*FIRST, [passes("101", "102", 8)], [rings("102", 8)], [silent("102", 20), rings("103", 20)], [over(25, "101")]],
        [*FIRST_TOLD, "finish 11 5s 200 c:finish", "register 12 c:register-2", "show 12", "show 13", "hide 12",
         "finish 13 0s 304 c:finish-2"],
    ),
    (
        "passed on, and nobody is even rung: a missed call of who passed the client on",
        [*FIRST, [passes("101", "70", 8)], [leaves("101", 9)], [over(25, "101")]],
        [*FIRST_TOLD, "finish 11 5s 200 c:finish", "register 11 c:register-2", "finish 11 0s 304 c:finish-2"],
    ),
    (
        "passed on to somebody outside, who talks: that is no call of any employee",
        [*FIRST, [passes("101", "+79160000009", 8)], [over(25, "101", third_parties=("+79160000009",))]],
        [*FIRST_TOLD, "finish 11 5s 200 c:finish"],
    ),
    (
        "there and back: a portal call each time",
        [*FIRST, [passes("101", "102", 8), leaves("101", 8)], [answers("102", 9)], [passes("102", "101", 11)],
         [rings("101", 11)], [answers("101", 12)], [over(16, "101", "102")]],
        [*FIRST_TOLD, "finish 11 5s 200 c:finish", "register 12 c:register-2", "show 12", "finish 12 2s 200 c:finish-2",
         "register 11 c:register-3", "show 11", "finish 11 4s 200 c:finish-3"],
    ),
    (
        "to a group: the losers make no portal calls",
        [*FIRST, [passes("101", "600", 8)], [rings("102", 8), rings("103", 8)], [silent("102", 9), answers("103", 9)],
         [over(12, "101", "103")]],
        [*FIRST_TOLD, "finish 11 5s 200 c:finish", "register 12 c:register-2", "show 12 13", "hide 12",
         "finish 13 3s 200 c:finish-2"],
    ),
    (
        "no transfer, though two talk: one portal call",
        [*FIRST, [answers("102", 8)], [leaves("101", 9)], [over(12, "101", "102")]],
        [*FIRST_TOLD, "show 12", "hide 11", "finish 12 9s 200 c:finish"],
    ),
    (
        "a transfer that is told twice is one",
        [*FIRST, [passes("101", "102", 8)], [passes("101", "102", 8.2)], [rings("102", 9)], [answers("102", 12)],
         [over(19, "101", "102")]],
        [*FIRST_TOLD, "finish 11 5s 200 c:finish", "register 12 c:register-2", "show 12", "finish 12 7s 200 c:finish-2"],
    ),
    (
        "to an employee without a portal user: his portal call is the settings' user's",
        [*FIRST, [passes("101", "199", 8)], [rings("199", 8)], [answers("199", 9)], [over(12, "101", "199")]],
        [*FIRST_TOLD, "finish 11 5s 200 c:finish", "register 1 c:register-2", "finish 1 3s 200 c:finish-2"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("story", "rounds", "expected"), STORIES, ids=[story for story, _, _ in STORIES])
def test_story(story: str, rounds: list[list[Fact]], expected: list[str]) -> None:
    decisions = run(*rounds, policy=EACH)
    assert told(decisions) == expected
    assert not [str(decision.reason) for decision in decisions if "{" in str(decision.reason)]


def test_without_the_setting_a_transfer_makes_no_second_portal_call() -> None:
    for _, rounds, _ in STORIES:
        assert [step.key for step in steps(run(*rounds)) if step.kind is Kind.FINISH] == ["c:finish"]


def test_the_second_portal_call_has_the_same_client_and_line_but_makes_no_lead() -> None:
    _, rounds, _ = STORIES[0]
    first, second = (step.params for step in steps(run(*rounds, policy=EACH)) if step.kind is Kind.REGISTER)
    differing = {name: (first[name], second[name]) for name in first if first[name] != second[name]}
    assert differing == {
        "USER_ID": (11, 12),
        "CALL_START_DATE": ("1970-01-01T00:16:40.000+00:00", "1970-01-01T00:16:48.000+00:00"),
        "CRM_CREATE": (1, 0),
        "EXTERNAL_CALL_ID": ("inst-c", "inst-c-2"),
    }


def test_an_outgoing_call_that_is_passed_on_in_vain_is_a_call_not_answered() -> None:
    rounds: list[list[Fact]] = [
        [started(direction=Direction.OUTGOING, extension="101")],
        [answers("101", 3)],
        [passes("101", "102", 8)],
        [rings("102", 8)],
        [over(12, "101", direction=Direction.OUTGOING)],
    ]
    assert told(run(*rounds, policy=EACH))[-1] == "finish 12 0s 480 c:finish-2"


def test_the_first_turn_of_a_click_is_the_portals_own_call() -> None:
    clicked = PlanState(portal_call="externalCall.x.1", shown=("11",))
    rounds: list[list[Fact]] = [
        [started(direction=Direction.OUTGOING, extension="101", expected="u")],
        [answers("101", 3)],
        [passes("101", "102", 8), leaves("101", 8)],
        [rings("102", 8)],
        [answers("102", 9)],
        [over(12, "101", "102", direction=Direction.OUTGOING)],
    ]
    finish, register, show, second = steps(run(*rounds, policy=EACH, state=clicked))
    assert (finish.params["CALL_ID"], finish.key) == ("externalCall.x.1", "click:externalCall.x.1:finish")
    assert show.params["CALL_ID"] == second.params["CALL_ID"] == Ref(Kind.REGISTER, "CALL_ID", register.key)


def test_an_internal_call_is_one() -> None:
    policy = replace(EACH, internal_calls=True)
    rounds: list[list[Fact]] = [
        [started(direction=Direction.INTERNAL, extension="103"), rings("101", 1)],
        [answers("101", 3)],
        [passes("101", "102", 8)],
        [answers("102", 9)],
        [over(12, "103", "101", "102", direction=Direction.INTERNAL)],
    ]
    assert [step.key for step in steps(run(*rounds, policy=policy)) if step.kind is Kind.FINISH] == ["c:finish"]


def test_the_setting_may_change_under_a_running_call() -> None:
    _, rounds, _ = STORIES[3]
    (facts,) = rounds
    cut = next(place for place, fact in enumerate(facts) if isinstance(fact, Transferred) and fact.from_ == "102")
    state = PlanState()
    decisions: list[Decision] = []
    for policy, some in ((EACH, facts[:cut]), (POLICY, facts[cut:])):
        state, more = _through(state, some, policy)
        decisions += more
    assert [step.key for step in steps(decisions) if step.kind is Kind.FINISH] == ["c:finish", "c:finish-2"]
    assert told(decisions)[-1] == "finish 13 10s 200 c:finish-2"


def _through(state: PlanState, facts: list[Fact], policy: Policy) -> tuple[PlanState, list[Decision]]:
    return plan(state, facts, policy, PEOPLE)


# ---- any course of a call


@st.composite
def courses(draw: st.DrawFn) -> list[list[Fact]]:
    """A call whatever its PBX may tell of it, in rounds: also what makes no sense."""
    at = 3.0
    outgoing = draw(st.booleans())
    direction = Direction.OUTGOING if outgoing else Direction.INCOMING
    facts: list[Fact] = [started(direction=direction, extension="101" if outgoing else "")]
    talkers: list[str] = []
    for _ in range(draw(st.integers(0, 12))):
        at += draw(st.sampled_from((0.0, 0.3, 4.0)))
        one, other = draw(st.sampled_from(EXTENSIONS)), draw(st.sampled_from((*EXTENSIONS, "70", "+79160000009")))
        match draw(st.sampled_from(("ring", "stop", "answer", "answer", "leave", "pass", "pass"))):
            case "ring":
                facts.append(rings(one, at))
            case "stop":
                facts.append(silent(one, at))
            case "answer":
                facts.append(answers(one, at))
                talkers += [one] if one not in talkers else []
            case "leave":
                facts.append(leaves(one, at))
            case _:
                facts.append(passes(one, other, at))
    rung = tuple(dict.fromkeys(fact.extension for fact in facts if isinstance(fact, Ringing)))
    outside = draw(st.sampled_from(((), ("+79160000009",))))
    facts.append(over(at + 1, *talkers, rung=rung, direction=direction, third_parties=outside))
    rounds: list[list[Fact]] = [[]]
    for fact in facts:
        if draw(st.booleans()) and rounds[-1]:
            rounds.append([])
        rounds[-1].append(fact)
    return rounds


@given(courses(), st.booleans())
def test_each_portal_call_is_finished_exactly_once_and_no_card_is_left_up(rounds: list[list[Fact]], click: bool) -> None:
    clicked = PlanState(portal_call="externalCall.x.1", shown=("11",)) if click else PlanState()
    for policy in (EACH, POLICY):
        asked = steps(run(*rounds, policy=policy, state=clicked))
        keys = [step.key for step in asked]
        assert len(keys) == len(set(keys))
        obeys_the_portal(asked, "externalCall.x.1" if click else "")
        finishes = [step for step in asked if step.kind is Kind.FINISH]
        assert finishes
        assert policy is EACH or len(finishes) == 1
        durations: list[Any] = [step.params["DURATION"] for step in finishes]
        facts = [fact for facts in rounds for fact in facts]
        assert sum(durations) <= facts[-1].at - T + len(finishes)


def obeys_the_portal(asked: list[StepDraft], own: str) -> None:
    """One portal call after the other; each is registered, shown and hidden, finished, and never touched again."""
    registered, live, cards = "", own, set[int]()
    for step in asked:
        params: Any = step.params
        call = params.get("CALL_ID")
        match step.kind:
            case Kind.REGISTER:
                assert not live, "a portal call is under way already"
                assert params["CRM_CREATE"] == int(not registered and not own)
                registered = live = step.key
                continue
            case Kind.SHOW:
                cards |= set(params["USER_ID"])
            case Kind.HIDE:
                assert set(params["USER_ID"]) <= cards | ({11} if live == own else set())
                cards -= set(params["USER_ID"])
            case _:
                assert cards <= {params["USER_ID"]}, "cards left up"
        assert live, f"{step.key}: no portal call is under way"
        assert call == own if live == own else isinstance(call, Ref) and call.key in ("", live)
        if step.kind is Kind.FINISH:
            live, cards = "", set()
    assert not live, "a portal call is left unfinished"


@given(courses())
def test_talk_goes_to_the_portal_call_of_who_talked(rounds: list[list[Fact]]) -> None:
    """An answered portal call belongs to somebody who talked, a missed one has no duration."""
    talkers = {fact.extension for facts in rounds for fact in facts if isinstance(fact, Answered)}
    users = {int(PEOPLE.user(extension) or POLICY.fallback_user) for extension in talkers}
    for step in steps(run(*rounds, policy=EACH)):
        if step.kind is Kind.FINISH:
            params: Any = step.params
            talked = params["STATUS_CODE"] == "200"
            assert talked == (params["DURATION"] > 0)
            assert not talked or params["USER_ID"] in users
