"""A portal call for each employee to whom the client is passed on: transfers of every kind, on a real Asterisk."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from scenario import Scenario
from scenarios_each import SCENARIOS
from stage import Stage, on_stage

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal import PortalServer
from perezvon.sandbox.stand import Stand, stand

pytestmark = pytest.mark.asterisk

EACH = """
[calls]
transfers = "each"
"""


@pytest.fixture(scope="module")
async def office(
    pbx_session: PbxSandbox, portal: PortalServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stand]:
    async with stand(pbx_session, portal, tmp_path_factory.mktemp("perezvon"), more=EACH) as whole:
        yield whole
        await pbx_session.world.reset()


@pytest.fixture(scope="module")
async def stage(office: Stand, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    async with on_stage(office, SCENARIOS, request) as stage:
        yield stage


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.title for scenario in SCENARIOS])
async def test_scenario(stage: Stage, scenario: Scenario) -> None:
    scene = await stage.scene(scenario)
    await scene.recorded()
    assert scene.differences() == []


async def test_calls_are_the_portals_own_and_differ(stage: Stage, office: Stand) -> None:
    """No two have the same id of ours, and of one client's calls the first alone may make a lead."""
    await stage.all()
    calls = office.portal.calls()
    assert len({call.external_id for call in calls}) == len(calls)
    assert [call.id for call in calls if call.created and call.external_id.endswith(("-2", "-3"))] == []
