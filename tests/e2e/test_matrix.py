"""The matrix: calls of every shape, spoken on a real Asterisk, come out right in the portal."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from scenario import Scenario
from scenarios import SCENARIOS
from stage import Stage, on_stage

from perezvon.sandbox.stand import Stand

pytestmark = pytest.mark.asterisk


@pytest.fixture(scope="module")
async def stage(office: Stand, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    async with on_stage(office, SCENARIOS, request) as stage:
        yield stage


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.title for scenario in SCENARIOS])
async def test_scenario(stage: Stage, scenario: Scenario) -> None:
    scene = await stage.scene(scenario)
    await scene.recorded()
    assert scene.differences() == []


async def test_the_portal_has_nothing_else(stage: Stage, office: Stand) -> None:
    """No leg of any scenario has become a call of its own, to whatever number."""
    scenes = await stage.all()
    expected = sorted(call.id for scene in scenes for call in scene.calls() + scene.beside())
    assert sorted(call.id for call in office.portal.calls()) == expected
