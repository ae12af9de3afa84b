"""Ordered calls and triggers as tables: what the portal is told of a robot's call, of a callback form's attempts, of keys."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from test_plan import PEOPLE, POLICY, T, answer, end, ring, started

from perezvon.calls.call import Direction, Leg, LegOutcome, Outcome, Party, TransferKind
from perezvon.calls.facts import Fact, InMenu, MenuChosen, MenuStep, Transferred
from perezvon.rules import Decision, Order, Ordered, PlanState, Policy, Telling, Triggers, pick_up, plan
from perezvon.rules.orders import not_called
from perezvon.rules.triggers import menu_code
from perezvon.rules.vocabulary import Kind, Reason, StepDraft

FORM = Order("callback:1", Ordered.CALLBACK, "+79161234567", "11", "LEAD", "5", "+74951234567", "call me")
ROBOT = Order("robot:1", Ordered.ROBOT, "+79161234567", "11", "DEAL", "7", text="about the deal", token="t")
PLACED = started(direction=Direction.OUTGOING, extension="101", expected="perezvon-1", line="", line_raw="")
DESK = Leg("PJSIP/101-1", Party.EMPLOYEE, "101", T, T + 2, T + 9, LegOutcome.ANSWERED)
CLIENT = Leg("PJSIP/carrier-1", Party.CLIENT, "+79161234567", T + 3, T + 4, T + 9, LegOutcome.ANSWERED)
TALK: dict[str, Any] = {
    "direction": Direction.OUTGOING, "outcome": Outcome.ANSWERED, "answered": T + 4, "duration": 5.0,
    "talkers": ("101",), "last_talker": "101", "legs": (DESK, CLIENT),
}  # fmt: skip
NOBODY: dict[str, Any] = {
    "direction": Direction.OUTGOING, "outcome": Outcome.NO_ANSWER,
    "legs": (replace(DESK, answered=None, outcome=LegOutcome.NO_ANSWER),),
}  # fmt: skip
BUSY: dict[str, Any] = {
    "direction": Direction.OUTGOING, "outcome": Outcome.BUSY,
    "legs": (DESK, replace(CLIENT, answered=None, outcome=LegOutcome.BUSY)),
}  # fmt: skip


def go(state: PlanState, *facts: Fact, policy: Policy = POLICY) -> tuple[PlanState, list[StepDraft]]:
    state, decisions = plan(state, facts, policy, PEOPLE)
    return state, steps_of(decisions)


def steps_of(decisions: list[Decision]) -> list[StepDraft]:
    return [step for decision in decisions for step in decision.steps]


def kinds(steps: list[StepDraft]) -> list[Kind]:
    return [step.kind for step in steps]


class TestCallbackForm:
    def test_it_is_told_when_somebody_comes_to_the_phone(self) -> None:
        state, steps = go(PlanState(order=FORM), PLACED)
        assert steps == []
        state, decisions = pick_up(state, T + 2, POLICY, PEOPLE)
        register, show = steps_of(decisions)
        told = {"TYPE": 4, "CRM_ENTITY_TYPE": "LEAD", "CRM_ENTITY_ID": 5, "CRM_CREATE": 0, "USER_ID": 11}
        assert told.items() <= register.params.items()
        assert (register.params["LINE_NUMBER"], register.params["CRM_SOURCE"]) == ("+74951234567", "ADVERTISING")
        assert show.params["USER_ID"] == [11]
        state, steps = go(state, answer("101"), end(**TALK))
        (finish,) = [step for step in steps if step.kind is Kind.FINISH]
        assert (finish.params["STATUS_CODE"], finish.params["USER_ID"], finish.params["DURATION"]) == ("200", 11, 5)

    def test_an_attempt_in_vain_is_not_told(self) -> None:
        state, steps = go(PlanState(order=FORM), PLACED, end(**NOBODY))
        assert (steps, state.told, state.held) == ([], False, True)

    @pytest.mark.parametrize(("record", "status"), [(TALK, "200"), (BUSY, "486")])
    def test_nobody_has_said_that_he_came_but_the_client_was_rung(self, record: dict[str, Any], status: str) -> None:
        """Killed while it rang: what became of it is read up."""
        _, steps = go(PlanState(order=FORM), PLACED, end(**record))
        assert kinds(steps)[:1] == [Kind.REGISTER]
        assert [step.params["STATUS_CODE"] for step in steps if step.kind is Kind.FINISH] == [status]

    def test_its_text_stands_in_the_activity(self) -> None:
        hostile = replace(FORM, text="call [url=x]me[/url]\r\nnow")
        policy = replace(POLICY, telling=Telling())
        _, steps = go(PlanState(order=hostile), PLACED, answer("101"), end(**TALK), policy=policy)
        (describe,) = [step for step in steps if step.kind is Kind.DESCRIBE]
        assert describe.params["fields"] == {"DESCRIPTION": "Ordered call: call (url=x)me(/url) now"}

    def test_nobody_came_at_all(self) -> None:
        why = Reason("nobody")
        steps = not_called(FORM, "11", "+79161234567", "+74951234567", "", T, "inst", late=True, reason=why)
        assert kinds(list(steps)) == [Kind.REGISTER, Kind.FINISH, Kind.TRIGGER]
        assert steps[0].params["CRM_SOURCE"] == "CALLBACK"
        assert (steps[1].params["STATUS_CODE"], steps[1].params["DURATION"]) == ("304", 0)

    def test_it_survives_a_restart(self) -> None:
        state, _ = go(PlanState(order=FORM, call_list="7"), PLACED)
        assert PlanState.from_json(json.loads(json.dumps(state.as_json()))) == state


class TestRobot:
    @pytest.mark.parametrize(
        ("record", "result", "seconds"), [(TALK, "answered", 5), (BUSY, "busy", 0), (NOBODY, "employee", 0)]
    )
    def test_it_is_told_at_once_and_answered_at_the_end(self, record: dict[str, Any], result: str, seconds: int) -> None:
        state, steps = go(PlanState(order=ROBOT), PLACED)
        assert kinds(steps) == [Kind.REGISTER, Kind.SHOW]
        assert steps[0].params["TYPE"] == 1 and "CRM_ENTITY_TYPE" not in steps[0].params, "a deal cannot be registered"
        _, steps = go(state, end(**record))
        (told,) = [step for step in steps if step.kind is Kind.ROBOT_ANSWER]
        assert told.params["RETURN_VALUES"] == {"result": result, "duration": seconds}
        assert told.params["EVENT_TOKEN"] == "t"

    def test_it_is_answered_though_the_portal_shall_not_hear_of_the_call(self) -> None:
        internal = replace(PLACED, direction=Direction.INTERNAL)
        _, steps = go(PlanState(order=ROBOT), internal, end(**{**TALK, "direction": Direction.INTERNAL}))
        assert kinds(steps) == [Kind.ROBOT_ANSWER]

    def test_one_that_does_not_wait_is_not_answered(self) -> None:
        _, steps = go(PlanState(order=replace(ROBOT, token="")), PLACED, end(**TALK))
        assert Kind.ROBOT_ANSWER not in kinds(steps)


ALL = Triggers(missed=True, late=True, keys=frozenset({"1", "12", "*"}))


class TestTriggers:
    @pytest.mark.parametrize(
        ("story", "facts", "ended", "expected"),
        [
            ("missed", [ring("101")], {"rung": ("101",)}, ["perezvon.missed"]),
            (
                "answered, nothing pressed",
                [ring("101"), answer("101")],
                {
                    "outcome": Outcome.ANSWERED,
                    "answered": T + 3,
                    "duration": 2.0,
                    "talkers": ("101",),
                    "last_talker": "101",
                },
                [],
            ),
            (
                "keys of the PBX's own menu, one by one and together",
                [MenuChosen("c", T + 1, "1"), MenuChosen("c", T + 2, "2")],
                {},
                ["perezvon.menu.1", "perezvon.menu.1.2", "perezvon.missed"],
            ),
            (
                "our menu: wrong keys pull nothing",
                [
                    InMenu("c", T + 1, MenuStep.BEGAN),
                    InMenu("c", T + 2, MenuStep.WRONG, "1"),
                    InMenu("c", T + 3, MenuStep.KEY, "*", "101"),
                ],
                {},
                ["perezvon.menu.star", "perezvon.missed"],
            ),
        ],
    )
    def test_what_a_call_pulls(self, story: str, facts: list[Fact], ended: dict[str, Any], expected: list[str]) -> None:
        _, steps = go(PlanState(), started(), *facts, end(**ended), policy=replace(POLICY, triggers=ALL))
        assert [step.params["CODE"] for step in steps if step.kind is Kind.TRIGGER] == expected, story

    def test_a_passed_on_client_whom_nobody_took_is_missed_in_his_last_portal_call(self) -> None:
        policy = replace(POLICY, triggers=ALL, transfers="each")
        talk = (started(), MenuChosen("c", T + 1, "1"), ring("101"), answer("101"))
        state, _ = go(PlanState(), *talk, policy=policy)
        state, _ = go(state, Transferred("c", T + 5, TransferKind.BLIND, "101", "102"), ring("102"), policy=policy)
        _, steps = go(state, end(rung=("101", "102"), outcome=Outcome.MISSED), policy=policy)
        pulled = {step.params["CODE"]: step.key for step in steps if step.kind is Kind.TRIGGER}
        assert pulled == {
            "perezvon.menu.1": "c:finish:perezvon.menu.1",
            "perezvon.missed": "c:finish-2:perezvon.missed",
        }

    def test_without_triggers_nothing_is_pulled(self) -> None:
        _, steps = go(PlanState(), started(), ring("101"), end(rung=("101",)))
        assert Kind.TRIGGER not in kinds(steps)

    @pytest.mark.parametrize(
        ("key", "code"), [("1", "perezvon.menu.1"), ("*", "perezvon.menu.star"), ("0#", "perezvon.menu.0.pound")]
    )
    def test_codes_have_only_what_the_portal_allows(self, key: str, code: str) -> None:
        assert menu_code(key) == code


def test_a_further_turn_of_a_click_keeps_the_call_list() -> None:
    policy = replace(POLICY, transfers="each")
    state = PlanState(portal_call="externalCall.1", shown=("11",), call_list="7")
    state, _ = go(state, PLACED, answer("101"), policy=policy)
    _, steps = go(state, Transferred("c", T + 5, TransferKind.BLIND, "101", "102"), ring("102"), policy=policy)
    (register,) = [step for step in steps if step.kind is Kind.REGISTER]
    assert register.params["CALL_LIST_ID"] == 7
