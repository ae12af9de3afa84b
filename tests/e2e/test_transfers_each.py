"""A portal call for each employee to whom the client is passed on: transfers of every kind, on a real Asterisk."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from scenario import USERS, Scenario
from scenarios_each import SCENARIOS
from stage import Stage, on_stage

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal import PortalServer
from perezvon.sandbox.portal.calls import PortalCall
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


async def test_a_kill_between_the_turns_doubles_and_loses_nothing(stage: Stage, office: Stand) -> None:
    """Killed while the transferred call rings, started anew when the second one talks."""
    await stage.all()
    world = office.pbx.world
    await world.reset()
    client = await world.call(frm="79150009001", to="74950000101")
    first = await world.phone("101").talking()
    await client.talks(1)
    await world.phone("102").rings()
    await first.refer("102")
    second = await world.phone("102").ringing()
    await office.until(lambda: True if len(calls_of(office)) == 2 else None, "the second portal call is registered")
    await office.service.kill()
    await second.answer()
    await client.talking(to=second)
    await office.service.start()
    await office.ready()
    await client.talks(1)
    await client.hangup()
    await office.until(lambda: None if any(call.live for call in calls_of(office)) else True, "both are finished")
    finishes = [(int(call.finish["user_id"]), call.finish["status"]) for call in calls_of(office)]
    assert finishes == [(USERS["101"], "200"), (USERS["102"], "200")]
    assert [call.leftover_cards for call in calls_of(office)] == [[], []]
    assert [1 <= int(call.finish["duration"]) <= 20 for call in calls_of(office)] == [True, True]


def calls_of(office: Stand) -> list[PortalCall]:
    return [call for call in office.portal.calls() if call.phone == "+79150009001"]
