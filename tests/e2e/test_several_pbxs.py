"""One service, two PBXs, two portals: each call and click stays on its own side, and one side's trouble is not the other's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.portal.calls import PortalCall
from perezvon.sandbox.portal.faults import Fault
from perezvon.sandbox.portal.seed import IVANOV, SIDOROV
from perezvon.sandbox.service_process import ServiceProcess
from perezvon.sandbox.stand import Stand, is_ready

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(180)]

SIDES = ("north", "south")

SETTINGS = """
[[asterisk]]
name = "{side}"
portal = "{side}"
ami = "{ami}"
recordings = "{recordings}"
cel = "{cel}"

[[portal]]
name = "{side}"
domain = "{portal}"
client_id = "{client_id}"
client_secret = "{client_secret}"
oauth_server = "{portal}"
offline_interval = 1
fallback_user = 1
rate_per_second = 1000
rate_burst = 100000
"""


@pytest.fixture(scope="module")
async def sides(pbx_session: PbxSandbox, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Stand, Stand]]:
    """The two share the service."""
    folder = tmp_path_factory.mktemp("several")
    configs = [PortalConfig(rate=None, member_id=side.ljust(32, "0")) for side in SIDES]
    async with (
        await PbxSandbox.start(folder / "south") as south,
        PortalServer(configs[0]) as first,
        PortalServer(configs[1]) as second,
    ):
        await pbx_session.world.reset()
        service = ServiceProcess(folder / "perezvon")
        north, other = Stand(pbx_session, first, service), Stand(south, second, service)
        try:
            await service.configure("".join(map(section, SIDES, (north, other))))
            await service.start()
            for side, stand in zip(SIDES, (north, other), strict=True):
                stand.portal.app.install_url = f"{service.url}/bitrix24/{side}/install"
                stand.portal.install()
            await service.until(is_ready, "watches both PBXs and knows both portals")
            yield north, other
        finally:
            await service.stop()
            await pbx_session.world.reset()


def section(side: str, stand: Stand) -> str:
    config = stand.portal.config
    return SETTINGS.format(
        side=side,
        ami=stand.pbx.office_ami,
        recordings=stand.pbx.recordings,
        cel=stand.pbx.cel,
        portal=stand.portal.url,
        client_id=config.client_id,
        client_secret=config.client_secret,
    )


async def speak(stand: Stand, client: str, extension: str) -> str:
    """A client talks with an employee for a moment. Gives his number as the portal is told it."""
    caller = await stand.pbx.world.call(frm=client, to=f"74950000{extension}")
    await stand.pbx.world.phone(extension).talking()
    await caller.talks(0.5)
    await caller.hangup()
    return f"+{client}"


def finish(call: PortalCall) -> tuple[int, str]:
    return int(call.finish["user_id"]), call.finish["status"]


async def test_calls_at_the_same_time_go_each_to_its_own_portal(sides: tuple[Stand, Stand]) -> None:
    numbers = await asyncio.gather(*(speak(side, f"7916301000{n}", "101") for n, side in enumerate(sides)))
    for side, number, foreign in zip(sides, numbers, reversed(numbers), strict=True):
        assert finish(await side.call_of(number, recorded=True)) == (IVANOV, "200")
        assert [call for call in side.portal.calls() if call.phone == foreign] == []


async def test_the_same_unique_id_on_both_is_two_calls(sides: tuple[Stand, Stand]) -> None:
    for side in sides:
        await side.pbx.world.number("79163020000").answers(after=0.2)
        await side.pbx.world.phone("103").answers(after=0.2)
        await side.pbx.office.ask(
            "Originate",
            ("Channel", "PJSIP/103"),
            ("ChannelId", "crm-1"),
            ("Context", "from-internal"),
            ("Exten", "79163020000"),
            ("Priority", "1"),
            ("Async", "true"),
        )
    for side in sides:
        client = await side.pbx.world.number("79163020000").talking()
        await client.talks(0.5)
        await client.hangup()
    calls = [await side.call_of("+79163020000") for side in sides]
    assert [finish(call) for call in calls] == [(SIDOROV, "200")] * 2
    assert [side.portal.calls().count(call) for side, call in zip(sides, calls, strict=True)] == [1, 1]
    ids = [call.external_id for call in calls]
    assert all(one.endswith("crm-1") for one in ids)
    assert len(set(ids)) == 2


async def test_clicks_go_through_the_portals_own_pbx(sides: tuple[Stand, Stand]) -> None:
    for number, side in enumerate(sides):
        client = f"7916303000{number}"
        await side.pbx.world.number(client).answers(after=0.2)
        call = side.portal.click(IVANOV, f"+{client}")
        leg = await side.pbx.world.number(client).talking()
        assert leg.alive
        await leg.talks(0.5)
        await leg.hangup()
        await side.until(lambda call=call: None if call.live else call, "the click is finished")
        assert finish(call) == (IVANOV, "200")


async def test_one_portal_that_is_down_does_not_hinder_the_other(sides: tuple[Stand, Stand]) -> None:
    north, south = sides
    faults = north.portal.state.faults
    for method in ("batch", "telephony.*"):
        faults.plan(Fault.UNAVAILABLE, method=method, seconds=600)
    waiting = await speak(north, "79163040000", "101")
    number = await speak(south, "79163040001", "101")
    assert finish(await south.call_of(number)) == (IVANOV, "200")
    assert [call for call in north.portal.calls() if call.phone == waiting] == []
    faults.clear()
    assert finish(await north.call_of(waiting)) == (IVANOV, "200")


async def test_one_pbx_that_is_away_does_not_hinder_the_other(sides: tuple[Stand, Stand]) -> None:
    north, south = sides
    await south.pbx.office.stop()
    await south.service.until(lambda status: _states(status)["south"] != "live", "misses the south")
    assert finish(await north.call_of(await speak(north, "79163050000", "101"))) == (IVANOV, "200")
    lost = south.portal.click(IVANOV, "+79163050009")
    await south.until(lambda: None if lost.live else lost, "the click that cannot be dialled is finished")
    assert lost.finish["status"] != "200"
    assert lost.leftover_cards == []
    await south.pbx.office.start()
    await south.pbx.world.register()
    await south.service.until(lambda status: set(_states(status).values()) == {"live"}, "watches both again")
    assert finish(await south.call_of(await speak(south, "79163050001", "101"))) == (IVANOV, "200")


def _states(status: dict[str, list[dict[str, str]]]) -> dict[str, str]:
    return {pbx["name"]: pbx["state"] for pbx in status["pbxs"]}
