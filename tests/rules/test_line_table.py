"""The company's numbers as a table: which line a call is told with, whether it makes a lead, and what is not in the table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from test_plan import POLICY, answered_by, ring, run, started, steps

from perezvon.calls.call import Direction
from perezvon.calls.facts import Fact
from perezvon.rules import Decision, Line, Policy
from perezvon.rules.vocabulary import Kind

LISTED = replace(POLICY, unknown_lines=False)
ELSEWHERE = "+74957777777"


def registered(policy: Policy, **changes: Any) -> tuple[dict[str, Any], list[Decision]]:
    facts: list[list[Fact]] = [[started(**changes)], [ring("101")], [answered_by("101")]]
    decisions = run(*facts, policy=policy)
    (step,) = [step for step in steps(decisions) if step.kind is Kind.REGISTER]
    return dict(step.params), decisions


def test_a_line_of_the_table_goes_with_each_call() -> None:
    for policy in (LISTED, POLICY):
        params, decisions = registered(policy)
        assert (params["LINE_NUMBER"], params["CRM_SOURCE"]) == ("+74951234567", "ADVERTISING")
        assert registered(policy, line="office", line_raw="office")[0]["LINE_NUMBER"] == "+74950000000"
        assert [made for made in decisions if made.unknown_line] == []


def test_another_number_is_listed_and_makes_no_line_of_the_portal() -> None:
    params, decisions = registered(LISTED, line=ELSEWHERE, line_raw="84957777777")
    assert "LINE_NUMBER" not in params
    [made] = [made for made in decisions if made.unknown_line]
    assert made.unknown_line == ELSEWHERE
    assert str(made.reason) == f"{ELSEWHERE} is not among the lines of the settings: the portal is not told of it"
    params, decisions = registered(POLICY, line=ELSEWHERE, line_raw="84957777777")
    assert params["LINE_NUMBER"] == ELSEWHERE
    assert [made for made in decisions if made.unknown_line] == []


def test_no_number_at_all_is_none_to_list() -> None:
    params, decisions = registered(LISTED, line="", line_raw="")
    assert "LINE_NUMBER" not in params
    assert [made for made in decisions if made.unknown_line] == []


@pytest.mark.parametrize("everywhere", [True, False])
@pytest.mark.parametrize("own", [True, False, None])
@pytest.mark.parametrize("direction", [Direction.INCOMING, Direction.OUTGOING])
def test_a_line_has_its_own_mind_about_leads(direction: Direction, own: bool | None, everywhere: bool) -> None:
    incoming = direction is Direction.INCOMING
    number = "+74951234567"
    line = Line(number, lead_for_incoming=own) if incoming else Line(number, lead_for_outgoing=own)
    names = {"lead_for_incoming" if incoming else "lead_for_outgoing": everywhere}
    policy = replace(POLICY, lines={line.number: line}, **names)
    params, decisions = registered(policy, direction=direction, extension="" if incoming else "101")
    assert params["CRM_CREATE"] == int(everywhere if own is None else own)
    told = "no lead: the settings of the line +74951234567 want none"
    assert (told in map(str, (made.reason for made in decisions))) is (own is False)
