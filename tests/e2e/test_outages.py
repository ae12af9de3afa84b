"""A portal that answers 503, fails after doing the work, or is gone: nothing is lost, nothing is told twice."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import traffic

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.portal.faults import Fault
from perezvon.sandbox.stand import Stand, stand

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(180)]

PATIENCE = "request_timeout = 2"
"""An answer that never comes is given up early, so that a test need not wait for it."""

REGISTER = "telephony.externalCall.register"
FINISH = "telephony.externalCall.finish"
ATTACH = "telephony.externalCall.attachRecord"
SHOW = "telephony.externalCall.show"
HIDE = "telephony.externalCall.hide"


@pytest.fixture(scope="module")
def portal_config() -> PortalConfig:
    return PortalConfig(rate=None, one_card_per_user=False)


@pytest.fixture(scope="module")
async def office(
    pbx_session: PbxSandbox, portal: PortalServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stand]:
    async with stand(pbx_session, portal, tmp_path_factory.mktemp("weather"), portal_more=PATIENCE) as whole:
        yield whole
        await pbx_session.world.reset()


@pytest.fixture(autouse=True)
async def calm(office: Stand) -> AsyncIterator[None]:
    await traffic.ready(office)
    yield
    office.portal.state.faults.clear()


BEFORE_THE_WORK = (Fault.UNAVAILABLE, Fault.OVERLOADED, Fault.BROKEN, Fault.HTML, Fault.RESET, Fault.EXPIRED_TOKEN)
AFTER_THE_WORK = (Fault.LOST_ANSWER, Fault.DROPPED_ANSWER, Fault.MALFORMED)


@pytest.mark.parametrize("method", [REGISTER, SHOW, HIDE, FINISH, ATTACH, "batch"])
@pytest.mark.parametrize("fault", [Fault.RESET, *AFTER_THE_WORK])
async def test_the_connection_breaks_or_the_answer_is_lost(office: Stand, fault: Fault, method: str) -> None:
    planned = office.portal.state.faults.plan(fault, method=method, times=2, wait=5.0)
    spoken = await traffic.one_of_each(office)
    await traffic.told_right(office, spoken)
    if method != "batch":  # whether anything rides together is a matter of luck
        assert planned.struck == 2


@pytest.mark.parametrize("fault", BEFORE_THE_WORK)
async def test_everything_is_refused_for_a_while(office: Stand, fault: Fault) -> None:
    faults = office.portal.state.faults
    planned = [faults.plan(fault, method=method, seconds=6) for method in ("batch", "telephony.*", "event.*")]
    spoken = [*await traffic.one_of_each(office), *await traffic.one_of_each(office)]
    await traffic.told_right(office, spoken)
    assert any(one.struck for one in planned)


async def test_every_answer_is_lost_for_a_while(office: Stand) -> None:
    planned = office.portal.state.faults.plan(Fault.LOST_ANSWER, seconds=6, wait=5.0)
    spoken = [*await traffic.one_of_each(office), *await traffic.one_of_each(office)]
    await traffic.told_right(office, spoken)
    assert planned.struck


async def test_working_time_of_a_method_is_used_up(office: Stand) -> None:
    planned = office.portal.state.faults.plan(Fault.OPERATING, method=FINISH, seconds=4, wait=4.0)
    spoken = await traffic.one_of_each(office)
    await traffic.told_right(office, spoken, within=100)
    assert planned.struck


async def test_tokens_die_in_the_middle(office: Stand) -> None:
    speaking = asyncio.ensure_future(traffic.one_of_each(office))
    await office.pbx.world.phone("104").ringing()
    office.portal.state.authority.expire_access()
    await traffic.told_right(office, await speaking)


async def test_nobody_listens_for_twenty_seconds(office: Stand) -> None:
    office.portal.outage(20)
    spoken = [*await traffic.one_of_each(office), *await traffic.one_of_each(office)]
    assert not office.portal.is_open
    await traffic.told_right(office, spoken, within=90)


STORM = 60.0
"""Seconds. Five minutes, by a clock moved by hand: tests/delivery/test_five_minutes.py."""


@pytest.mark.load
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "faults", [(Fault.UNAVAILABLE,), (*BEFORE_THE_WORK[:5], *AFTER_THE_WORK)], ids=["503", "all kinds"]
)
async def test_calls_come_on_in_a_storm(pbx_session: PbxSandbox, tmp_path: Path, faults: tuple[Fault, ...]) -> None:
    """A portal that takes 0.2 s for an answer, when it has one."""
    chance = random.Random(5)
    config = PortalConfig(rate=None, one_card_per_user=False, delay=0.2)
    async with PortalServer(config) as portal, stand(pbx_session, portal, tmp_path, portal_more=PATIENCE) as whole:
        await traffic.ready(whole)
        spoken = await traffic.one_of_each(whole)
        until = time.monotonic() + STORM
        if len(faults) == 1:
            portal.state.faults.plan(faults[0], seconds=STORM)
        while time.monotonic() < until:
            if len(faults) > 1:
                portal.state.faults.clear()
                for method in ("batch", "telephony.*", "event.*"):
                    portal.state.faults.plan(chance.choice(faults), method=method, seconds=10, wait=5.0)
            spoken += await traffic.one_of_each(whole)
        portal.state.faults.clear()
        await traffic.told_right(whole, spoken, within=120)
        assert len(portal.calls()) == len(spoken)
