"""The planner as tables: what happened on the left, what the portal is asked for on the right."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from plain_call import T, record, started

from perezvon.calls.call import Direction, Leg, LegOutcome, Outcome, Party
from perezvon.calls.facts import Answered, CallEnded, Fact, LeftTalk, Ringing, StoppedRinging
from perezvon.rules import Decision, Line, People, PlanState, Policy, Ref, plan, refuse_click
from perezvon.rules.vocabulary import Reason, StepDraft

POLICY = Policy(
    installation="inst",
    fallback_user="1",
    lines={"+74951234567": Line("+74951234567", "ADVERTISING"), "office": Line("+74950000000")},
)
PEOPLE = People({"101": "11", "102": "12", "103": "13"})


def ring(extension: str, channel: str = "") -> Ringing:
    return Ringing("c", T + 1, extension, channel or f"PJSIP/{extension}-1")


def stop(extension: str, channel: str = "") -> StoppedRinging:
    return StoppedRinging("c", T + 2, extension, channel or f"PJSIP/{extension}-1", LegOutcome.CANCELLED)


def answer(extension: str) -> Answered:
    return Answered("c", T + 3, extension, f"PJSIP/{extension}-1")


def end(**changes: Any) -> CallEnded:
    return CallEnded("c", T + 9, record(**changes))


def answered_by(*talkers: str, **changes: Any) -> CallEnded:
    return end(
        answered=T + 3,
        outcome=Outcome.ANSWERED,
        duration=6.2,
        talkers=talkers,
        last_talker=talkers[-1],
        rung=talkers,
        **changes,
    )


def run(
    *rounds: list[Fact], policy: Policy = POLICY, people: People = PEOPLE, state: PlanState | None = None
) -> list[Decision]:
    """Each round's state goes through its JSON form, as it does over a restart."""
    state = state or PlanState()
    decisions: list[Decision] = []
    for facts in rounds:
        state, more = plan(state, facts, policy, people)
        state = PlanState.from_json(json.loads(json.dumps(state.as_json())))
        decisions += more
    return decisions


def steps(decisions: list[Decision]) -> list[StepDraft]:
    return [step for decision in decisions for step in decision.steps]


def told(decisions: list[Decision]) -> list[tuple[Any, ...]]:
    """Each step in short: register(user), show(users), hide(users), finish(user, duration, status)."""
    short: list[tuple[Any, ...]] = []
    for step in steps(decisions):
        p = step.params
        match step.kind:
            case "finish":
                short.append(("finish", p["USER_ID"], p["DURATION"], p["STATUS_CODE"]))
            case _:
                short.append((str(step.kind), p["USER_ID"]))
    return short


STORIES: list[tuple[str, list[list[Fact]], list[tuple[Any, ...]]]] = [
    (
        "one phone answers: one card, finished by the talker, whose card the finish takes away",
        [[started()], [ring("101")], [answer("101")], [answered_by("101")]],
        [("register", 11), ("show", [11]), ("finish", 11, 6, "200")],
    ),
    (
        "ring group: one show for all who began to ring together, the losers' cards go before the winner talks",
        [[started(), ring("101"), ring("102"), ring("103")], [stop("101"), stop("103")], [answer("102")], [answered_by("102")]],
        [("register", 11), ("show", [11, 12, 13]), ("hide", [11, 13]), ("finish", 12, 6, "200")],
    ),
    (
        "a queue rings one after the other: the card follows",
        [[started(), ring("101")], [stop("101"), ring("102")], [answer("102")], [answered_by("102")]],
        [("register", 11), ("show", [11]), ("show", [12]), ("hide", [11]), ("finish", 12, 6, "200")],
    ),
    (
        "nobody answers: the last who was rung is responsible, no card is left up",
        [[started(), ring("101"), ring("102")], [end(rung=("101", "102"))]],
        [("register", 11), ("show", [11, 12]), ("hide", [11]), ("finish", 12, 0, "304")],
    ),
    (
        "hung up in the menu before anybody rang: still told, to the fall-back user",
        [[started()], [end()]],
        [("register", 1), ("finish", 1, 0, "304")],
    ),
    (
        "two devices of one employee: one card, which stays while one of them rings",
        [[started(), ring("101", "PJSIP/101-1"), ring("101", "SIP/101-2")], [stop("101", "SIP/101-2")], [end(rung=("101",))]],
        [("register", 11), ("show", [11]), ("finish", 11, 0, "304")],
    ),
    (
        "transfer: the card moves, the last talker is responsible",
        [[started(), ring("101")], [answer("101")], [ring("102")], [answer("102"), LeftTalk("c", T + 5, "101")],
         [answered_by("101", "102")]],
        [("register", 11), ("show", [11]), ("show", [12]), ("hide", [11]), ("finish", 12, 6, "200")],
    ),
    (
        "outgoing: the caller's card at once, finished by him",
        [[started(direction=Direction.OUTGOING, extension="101")],
         [end(direction=Direction.OUTGOING, outcome=Outcome.BUSY)]],
        [("register", 11), ("show", [11]), ("finish", 11, 0, "486")],
    ),
    (
        "outgoing, given up by the employee",
        [[started(direction=Direction.OUTGOING, extension="101")],
         [end(direction=Direction.OUTGOING, outcome=Outcome.CANCELLED)]],
        [("register", 11), ("show", [11]), ("finish", 11, 0, "603-S")],
    ),
    (
        "an internal call is nobody's business",
        [[started(direction=Direction.INTERNAL, extension="101"), ring("102")], [answered_by("102")]],
        [],
    ),
    (
        "a talk of a third of a second is still an answered call",
        [[started(), ring("101")], [answer("101")], [end(answered=T + 3, outcome=Outcome.ANSWERED, duration=0.3, last_talker="101")]],
        [("register", 11), ("show", [11]), ("finish", 11, 1, "200")],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("story", "rounds", "expected"), STORIES, ids=[story for story, _, _ in STORIES])
def test_story(story: str, rounds: list[list[Fact]], expected: list[tuple[Any, ...]]) -> None:
    assert told(run(*rounds)) == expected


def test_employee_without_portal_user_loses_no_call_and_is_counted() -> None:
    decisions = run([started(), ring("199")], [answer("199")], [answered_by("199")])
    assert told(decisions) == [("register", 1), ("finish", 1, 6, "200")]
    assert [e for d in decisions for e in d.unmapped] == ["199", "199"]


def test_registration_says_all_that_the_portal_must_know() -> None:
    (register, *_) = steps(run([started(), ring("101")]))
    assert register.key == "c:register"
    assert register.params == {
        "USER_ID": 11,
        "PHONE_NUMBER": "+79161234567",
        "TYPE": 2,
        "CALL_START_DATE": "1970-01-01T00:16:40.000+00:00",
        "CRM_CREATE": 1,
        "SHOW": 0,
        "ADD_TO_CHAT": 0,
        "EXTERNAL_CALL_ID": "inst-c",
        "LINE_NUMBER": "+74951234567",
        "CRM_SOURCE": "ADVERTISING",
    }


def test_hidden_caller_is_registered_without_a_lead() -> None:
    (register, *_) = steps(run([started(client="", client_raw="<unknown>"), ring("101")]))
    assert (register.params["PHONE_NUMBER"], register.params["CRM_CREATE"]) == ("000000", 0)


def test_line_is_found_by_the_name_that_the_pbx_uses() -> None:
    (register, *_) = steps(run([started(line="", line_raw="office"), ring("101")]))
    assert register.params["LINE_NUMBER"] == "+74950000000"


def test_only_showing_a_card_expires() -> None:
    all_steps = steps(run([started(), ring("101"), ring("102")], [stop("102")], [end(rung=("101", "102"))]))
    assert {str(step.kind): step.expires for step in all_steps} == {
        "register": None,
        "show": T + 1 + POLICY.card_lifetime,
        "hide": None,
        "finish": None,
    }


def test_call_id_is_the_registrations_result() -> None:
    finish = steps(run([started()], [end()]))[-1]
    assert finish.params["CALL_ID"] == Ref(steps(run([started()], [end()]))[0].kind, "CALL_ID")


def test_click_uses_the_portals_own_call() -> None:
    clicked = PlanState(portal_call="externalCall.x.1", shown=("11",))
    rounds: list[list[Fact]] = [
        [started(direction=Direction.OUTGOING, extension="101", expected="u"), ring("101")],
        [answer("101")],
        [answered_by("101", direction=Direction.OUTGOING)],
    ]
    (finish,) = steps(run(*rounds, state=clicked))
    assert finish.params["CALL_ID"] == "externalCall.x.1"
    assert (finish.params["USER_ID"], finish.params["STATUS_CODE"]) == (11, "200")


def test_refused_click_is_finished_too() -> None:
    step = refuse_click("externalCall.x.1", "11", "480", Reason("the phone is offline"))
    assert (step.params["CALL_ID"], step.params["DURATION"], step.params["STATUS_CODE"]) == ("externalCall.x.1", 0, "480")


def test_nothing_follows_a_finish() -> None:
    assert told(run([started()], [end()], [ring("101")], [end()])) == [("register", 1), ("finish", 1, 0, "304")]


def test_keys_of_one_call_never_repeat() -> None:
    rounds: list[list[Fact]] = [[started()]]
    for _ in range(5):
        rounds += [[ring("101")], [stop("101")]]
    keys = [step.key for step in steps(run(*rounds, [end(rung=("101",))]))]
    assert len(keys) == len(set(keys)) == 12


def test_cards_can_be_switched_off() -> None:
    assert told(
        run([started(), ring("101")], [answer("101")], [answered_by("101")], policy=replace(POLICY, show_card=False))
    ) == [
        ("register", 11),
        ("finish", 11, 6, "200"),
    ]


def test_every_step_says_why() -> None:
    for story, rounds, _ in STORIES:
        for decision in run(*rounds):
            assert "{" not in str(decision.reason), story


def test_call_without_a_number_belongs_to_the_line_of_its_trunk() -> None:
    policy = replace(POLICY, trunk_lines={"gsm": Line("+79990000000", "CALL")})
    (register, *_) = steps(run([started(line="", line_raw="", trunk="gsm"), ring("101")], policy=policy))
    assert (register.params["LINE_NUMBER"], register.params["CRM_SOURCE"]) == ("+79990000000", "CALL")


def test_click_is_finished_once_whichever_way_it_ends() -> None:
    clicked = PlanState(portal_call="externalCall.x.1", shown=("11",))
    rounds: list[list[Fact]] = [[started(direction=Direction.OUTGOING, extension="101")], [end()]]
    (finish,) = steps(run(*rounds, state=clicked))
    assert finish.key == refuse_click("externalCall.x.1", "11", "480", Reason("…")).key


@pytest.mark.parametrize("client", ["sip-user", "+", "٠١٢٣", "9" * 60, "$result[s1][CALL_ID]", "79161234567<script>"])
def test_a_caller_without_a_phone_number_is_registered_all_the_same(client: str) -> None:
    _, decisions = plan(PlanState(), [started(client=client), ring("101")], POLICY, PEOPLE)
    register = decisions[1].steps[0]
    assert register.params["PHONE_NUMBER"] == POLICY.anonymous_number
    assert register.params["CRM_CREATE"] == 0
    assert client in str(decisions[0].reason)


def leg(extension: str, answered: float, ended: float | None) -> Leg:
    channel = f"PJSIP/{extension}-{answered:.0f}"
    return Leg(channel, Party.EMPLOYEE, extension, T, T + answered, ended and T + ended, LegOutcome.ANSWERED)


@pytest.mark.parametrize(
    ("responsible", "talkers", "legs", "user", "why"),
    [
        ("last", ("101", "102"), (), 12, "responsible: 102 talked last"),
        ("first", ("101", "102"), (), 11, "responsible: 101 talked first"),
        ("longest", ("101", "102"), (leg("101", 1, 6), leg("102", 6, 9)), 11, "responsible: 101 talked longest"),
        ("longest", ("101", "102"), (leg("101", 1, 4), leg("102", 4, None)), 12, "responsible: 102 talked last"),
        # of two legs of one employee, the sum
        (
            "longest",
            ("102", "101"),
            (leg("102", 1, 3), leg("102", 3, 5), leg("101", 5, 8)),
            12,
            "responsible: 102 talked longest",
        ),
        ("longest", ("101", "102"), (), 12, "responsible: 102 talked last"),
    ],
)
def test_whose_the_call_is(responsible: Any, talkers: tuple[str, ...], legs: tuple[Leg, ...], user: int, why: str) -> None:
    ended = answered_by(*talkers, legs=legs)
    decisions = run([started(), ring("101")], [ended], policy=replace(POLICY, responsible=responsible))
    assert told(decisions)[-1][:2] == ("finish", user)
    assert why in [str(decision.reason) for decision in decisions]


@pytest.mark.parametrize(
    ("by", "answered", "user"),
    [("102", True, 12), ("102", False, 12), ("", True, 1), ("600", True, 1), ("600", False, 1)],
    ids=["talked", "missed", "nobody knows for whom", "for a group", "for a group, missed"],
)
def test_a_call_forwarded_to_an_unknown_mobile_is_his_whose_calls_go_there(by: str, answered: bool, user: int) -> None:
    mobile = "+79160000009"
    forwarded = {"forwarded_to": mobile, "forwarded_by": by}
    ended = answered_by(mobile, **forwarded) if answered else end(rung=(mobile,), **forwarded)
    assert told(run([started(), ring(mobile)], [ended]))[-1][:2] == ("finish", user)


def test_an_employee_who_calls_from_his_own_phone_is_no_lead() -> None:
    people = People({**PEOPLE.users, "+79161234567": "13"})
    (register, *_) = steps(run([started(), ring("101")], people=people))
    assert register.params["CRM_CREATE"] == 0


def test_a_mobile_that_the_portal_knows_is_its_owners() -> None:
    mobile = "+79160000009"
    people = People({**PEOPLE.users, mobile: "13"})
    rounds: list[list[Fact]] = [[started(), ring(mobile)], [answer(mobile)]]
    ended = answered_by(mobile, forwarded_to=mobile, forwarded_by="102")
    assert told(run(*rounds, [ended], people=people)) == [("register", 13), ("show", [13]), ("finish", 13, 6, "200")]
