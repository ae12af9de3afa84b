"""The matrix without a PBX: the events that each scenario made are replayed, and the portal on paper must have what the real
one has after the live scenario: calls, cards' path, finish, responsible. `record_scenarios.py` makes the recordings."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from paper_portal import PaperPortal
from record_scenarios import COURSES, GROUPS, RECORDED, name_of
from scenario import USERS, Course, Scenario, told_otherwise

from perezvon.calls import Numbering
from perezvon.rules import Line, People, Policy
from perezvon.sandbox.portal import PortalConfig
from perezvon.sandbox.portal.seed import plant_people
from perezvon.sandbox.portal.state import PortalState

SCENES: dict[str, Any] = json.loads(COURSES.read_text())
PLAYED = [
    pytest.param(group, scenario, id=name_of(group, scenario))
    for group, scenarios in GROUPS.items()
    for scenario in scenarios
]
MAIN = Line("+74951234567", "ADVERTISING")
POLICY = Policy(installation="i", fallback_user=str(USERS["admin"]), lines={MAIN.number: MAIN})
NUMBERING = Numbering(lines=frozenset({MAIN.number}))


def everybody() -> People:
    state = PortalState(PortalConfig())
    plant_people(state)
    users = [user for user in state.people.users.values() if user.active]
    numbers = {number: str(user.id) for user in users for number in (user.extension, user.mobile) if number}
    return People(numbers)


PEOPLE = everybody()


def replayed(group: str, scenario: Scenario) -> PaperPortal:
    portal = PaperPortal()
    policy = replace(POLICY, transfers="each") if group == "each" else POLICY
    portal.play(RECORDED / f"{name_of(group, scenario)}.ami.gz", NUMBERING, policy, PEOPLE)
    return portal


@pytest.mark.parametrize(("group", "scenario"), PLAYED)
def test_scenario(group: str, scenario: Scenario) -> None:
    scene = SCENES[name_of(group, scenario)]
    portal = replayed(group, scenario)
    courses = [Course(*talk) for talk in scene["talks"]]
    courses += [Course()] * (len(scenario.calls) - len(courses))
    calls = portal.with_client(scene["client"])
    assert told_otherwise(calls, scenario.calls, courses) == []
    beside = portal.with_client(scene["mobile"]) if scene["mobile"] != scene["client"] else []
    assert told_otherwise(beside, scenario.beside, ()) == []
    assert len(portal.calls) == len(calls) + len(beside)
    for record in portal.records:
        if record.answered is not None and not record.absorbed_into and record.direction != "internal":
            assert record.recordings


def test_nothing_is_left_behind() -> None:
    """No scenario is without its recording, and no recording without its scenario."""
    names = {name_of(group, scenario) for group, scenarios in GROUPS.items() for scenario in scenarios}
    assert {path.name.removesuffix(".ami.gz") for path in RECORDED.glob("*.ami.gz")} == set(SCENES) == names
