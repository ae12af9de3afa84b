"""kill -9 in the middle of the load: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import random

import pytest

from perezvon.sandbox.pbx import Leg, PbxSandbox
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.portal.seed import IVANOV
from perezvon.sandbox.stand import stand

pytestmark = [pytest.mark.asterisk, pytest.mark.load, pytest.mark.timeout(600)]

KILLS = 20
FIRST = 79180000000


async def test_twenty_kills(pbx_session: PbxSandbox, tmp_path_factory: pytest.TempPathFactory) -> None:
    world = pbx_session.world
    await world.reset()
    await world.phone("101").answers(after=0.3)
    chance = random.Random(20)
    async with (
        PortalServer(PortalConfig(rate=None, one_card_per_user=False)) as portal,
        stand(pbx_session, portal, tmp_path_factory.mktemp("kill")) as whole,
    ):
        legs: list[Leg] = []
        enough = asyncio.Event()

        async def load() -> None:
            async for leg in world.load(3, 10_000, "74950000101", talk_seconds=4.0, first=FIRST):
                legs.append(leg)
                if enough.is_set():
                    return

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(load())
            for _ in range(KILLS):
                await asyncio.sleep(chance.uniform(0.2, 2.0))  # a random moment is the point
                await whole.service.kill()
                await whole.service.start()
                await whole.ready()
            enough.set()
        for leg in legs:
            await leg.ended(within=30)
        calls = [await whole.call_of(f"+{FIRST + n}", recorded=True, within=60) for n in range(len(legs))]
    numbers = [call.phone for call in portal.calls()]
    assert sorted(numbers) == sorted({call.phone for call in calls}), "a call was told twice"
    assert len(calls) == len(legs)
    assert {(call.finish["status"], int(call.finish["user_id"])) for call in calls} == {("200", IVANOV)}
    assert [call.phone for call in calls if not 3 <= int(call.finish["duration"]) <= 5] == []
    assert [call.phone for call in calls if call.leftover_cards] == []
