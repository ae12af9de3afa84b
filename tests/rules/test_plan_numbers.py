"""Clients' numbers by the rules of the settings, in what the planner asks of the portal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from test_plan import PEOPLE, POLICY, answered_by, ring, run, started, steps

from perezvon.rules import Decision, Kind, NumberRule, People

EIGHT = NumberRule(r"\+7(\d{10})", r"8\1", "eight")


def registered(decisions: list[Decision]) -> dict[str, Any]:
    return next(dict(step.params) for step in steps(decisions) if step.kind is Kind.REGISTER)


def test_the_portal_is_told_the_clients_number_by_the_rules_and_the_call_says_so() -> None:
    decisions = run([started(), ring("101")], [answered_by("101")], policy=replace(POLICY, to_crm=(EIGHT,)))
    params = registered(decisions)
    assert (params["PHONE_NUMBER"], params["LINE_NUMBER"], params["CRM_CREATE"]) == ("89161234567", "+74951234567", 1)
    told = [str(decision.reason) for decision in decisions]
    assert told.count("number rule eight: the portal is told 89161234567 instead of +79161234567") == 1


def test_a_rule_of_another_line_is_not_asked() -> None:
    other = replace(EIGHT, lines=frozenset({"+74950000000", "office"}))
    policy = replace(POLICY, to_crm=(other,))
    assert registered(run([started(), ring("101")], policy=policy))["PHONE_NUMBER"] == "+79161234567"
    office = started(line="", line_raw="office")
    assert registered(run([office, ring("101")], policy=policy))["PHONE_NUMBER"] == "89161234567"


def test_a_result_that_the_portal_would_refuse_is_not_used() -> None:
    bad = replace(EIGHT, match=".*", replace=r"\0\0")
    decisions = run([started(), ring("101")], policy=replace(POLICY, to_crm=(bad,)))
    assert registered(decisions)["PHONE_NUMBER"] == "+79161234567"
    assert "which the portal takes for no number: not applied" in str(decisions[0].reason)


def test_a_user_name_may_become_a_number_and_a_hidden_caller_stays_hidden() -> None:
    policy = replace(POLICY, to_crm=(NumberRule("gate.*|", "+79160000001", "gate"),))
    gate = run([started(client="gate-2"), ring("101")], policy=policy)
    assert registered(gate)["PHONE_NUMBER"] == "+79160000001"
    assert not [decision for decision in gate if "is no phone number" in str(decision.reason)]
    assert registered(run([started(client=""), ring("101")], policy=policy))["PHONE_NUMBER"] == "000000"


def test_a_colleagues_own_phone_is_known_before_and_after_the_rules() -> None:
    """Neither form of his number makes a lead."""
    for phone in ("+79161234567", "89161234567"):
        people = People({**PEOPLE.users, phone: "13"})
        decisions = run([started(), ring("101")], policy=replace(POLICY, to_crm=(EIGHT,)), people=people)
        assert registered(decisions)["CRM_CREATE"] == 0
