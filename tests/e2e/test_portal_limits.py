"""At the documented limit (2 requests a second, burst 50), 5 answered calls a second: all right, with half a request a call."""

from __future__ import annotations

import pytest

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal import PortalConfig, PortalServer, Rate
from perezvon.sandbox.portal.seed import IVANOV
from perezvon.sandbox.stand import stand

pytestmark = [pytest.mark.asterisk, pytest.mark.load, pytest.mark.timeout(400)]

CALLS = 200
FIRST = 79170000000


async def test_two_hundred_calls_at_five_a_second(
    pbx_session: PbxSandbox, tmp_path_factory: pytest.TempPathFactory
) -> None:
    world = pbx_session.world
    await world.reset()
    await world.phone("101").answers(after=0.3)
    folder = tmp_path_factory.mktemp("limits")
    async with (
        PortalServer(PortalConfig(rate=Rate(2.0, 50), one_card_per_user=False)) as portal,
        stand(pbx_session, portal, folder) as whole,
    ):
        before = portal.state.journal.http_requests
        legs = [leg async for leg in world.load(5, CALLS, "74950000101", talk_seconds=3.0, first=FIRST)]
        calls = [await whole.call_of(f"+{FIRST + n}", recorded=True, within=180) for n in range(CALLS)]
        for leg in legs:
            await leg.ended()
        requests = portal.state.journal.http_requests - before
        refused = portal.state.buckets.refused
    assert len(portal.calls()) == CALLS
    assert {call.registrations for call in calls} == {1}
    assert {(call.finish["status"], int(call.finish["user_id"])) for call in calls} == {("200", IVANOV)}
    assert all(2 <= int(call.finish["duration"]) <= 4 for call in calls)
    assert all(call.recording and call.recording.decodes and call.recording.times == 1 for call in calls)
    assert [call.leftover_cards for call in calls if call.leftover_cards] == []
    assert refused == 0
    assert requests / CALLS <= 0.5
