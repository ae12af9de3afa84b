"""What happens while the service is down, or its AMI connection is cut, is told afterwards as if it had been seen."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from perezvon.asterisk import AmiAddress
from perezvon.sandbox import stories
from perezvon.sandbox.pbx import Leg, PbxSandbox
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.portal.seed import IVANOV, PETROVA
from perezvon.sandbox.service_process import ServiceProcess
from perezvon.sandbox.stand import Stand, stand
from perezvon.sandbox.stories import INCOMING, Spoken, differences

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(240)]

UNSEEN = (
    stories.answered,
    stories.missed,
    stories.busy,
    stories.nobody_rung,
    stories.outgoing,
    stories.outgoing_busy,
    stories.transferred,
)


@pytest.fixture
async def whole(pbx_session: PbxSandbox, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    async with (
        PortalServer(PortalConfig(rate=None, one_card_per_user=False)) as portal,
        stand(pbx_session, portal, tmp_path_factory.mktemp("absence")) as whole,
    ):
        await pbx_session.world.reset()
        yield whole
        await pbx_session.world.reset()


def told(client: str, user: int, talk: float) -> Spoken:
    """An answered incoming call whose cards are of no interest."""
    return Spoken(client, INCOMING, "+74950000101", user, "200", talk, frozenset())


async def right(whole: Stand, spoken: Spoken) -> list[str]:
    """What is told otherwise than it was. A registration that was under way when we were killed is sent again: the portal
    knows it by EXTERNAL_CALL_ID and makes no second call of it."""
    call = await whole.call_of(spoken.client, recorded=spoken.recorded)
    found = differences(replace(spoken, cards=frozenset(card.user_id for card in call.cards)), call)
    return [f"{spoken.client}: {one}" for one in found if not one.startswith("registrations")]


async def talking(whole: Stand, client: str) -> tuple[Leg, float]:
    """A client who talks with 101, and when that began."""
    caller = await whole.pbx.world.call(frm=client, to="74950000101")
    await caller.talking()
    return caller, time.monotonic()


async def test_calls_that_came_and_went(whole: Stand) -> None:
    await whole.service.stop()
    spoken = [await speak(whole) for speak in UNSEEN]
    await whole.service.start()
    wrong = [one for call in spoken for one in await right(whole, call)]
    assert wrong == []
    calls = whole.portal.calls()
    assert len(calls) == len(spoken), "a call was told twice"
    assert [call.phone for call in calls if call.cards] == [], "a card was shown for the past"


async def test_calls_that_were_running(whole: Stand) -> None:
    """One ends while nobody looks, one is transferred, one is answered, and ends later."""
    world = whole.pbx.world
    ending, ending_since = await talking(whole, "79161240001")
    moving, moving_since = await talking(whole, "79161240002")
    await world.phone("103").rings()
    ringing = await world.call(frm="79161240003", to="74950000103")
    phone = await world.phone("103").ringing()
    await whole.until(lambda: len(whole.portal.calls()) == 3 or None, "three calls are registered")
    await whole.service.kill()
    await ending.hangup()
    ended = time.monotonic() - ending_since
    legs = [leg for leg in world.phone("101").legs if leg.up]
    await legs[-1].refer("102")
    await world.phone("102").talking()
    await phone.answer()
    await ringing.talking()
    ringing_since = time.monotonic()
    await ringing.talks(3.0)
    await whole.service.start()
    await whole.ready()
    await ringing.hangup()
    rang = time.monotonic() - ringing_since
    await moving.hangup()
    moved = time.monotonic() - moving_since
    wrong = await right(whole, told("+79161240001", IVANOV, ended))
    wrong += await right(whole, told("+79161240002", PETROVA, moved))
    wrong += await right(whole, replace(told("+79161240003", 0, rang), line="+74950000103", user=stories.SIDOROV))
    assert wrong == []
    assert len(whole.portal.calls()) == 3


async def test_pbx_crashes_meanwhile(whole: Stand) -> None:
    """A call that the crash cuts off, and one after the restart that comes and goes."""
    cut_off, since = await talking(whole, "79161260001")
    await whole.until(lambda: whole.portal.calls() or None, "the call is registered")
    await whole.service.kill()
    await cut_off.talks(1.0)
    lasted = time.monotonic() - since
    await whole.pbx.restart_office(crash=True)
    await whole.pbx.world.reset()
    spoken = await stories.answered(whole)
    await whole.service.start()
    assert await right(whole, spoken) == []
    call = await whole.call_of("+79161260001")  # what Asterisk had not written of its recording is gone
    assert call.finish["status"] == "200"
    assert lasted - 1.5 <= int(call.finish["duration"]) <= lasted + 3.0
    assert call.leftover_cards == []
    assert len(whole.portal.calls()) == 2


class Wire:
    """The connection to the PBX's AMI, which can be cut. `address`: what the service connects to."""

    def __init__(self, pbx: PbxSandbox) -> None:
        self._to = AmiAddress.parse(pbx.office_ami)
        self._server: asyncio.Server | None = None
        self._port = 0
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def address(self) -> str:
        return f"tcp://{self._to.user}:{self._to.secret}@127.0.0.1:{self._port}"

    async def join(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Also for those who try again."""
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self._to.host, self._to.port)
        self._writers |= {writer, far_writer}

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError):
                while data := await source.read(1 << 16):
                    target.write(data)
                    await target.drain()
            target.close()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(copy(reader, far_writer), name="to the PBX")
            tasks.create_task(copy(far_reader, writer), name="from the PBX")


async def test_connection_cut(pbx_session: PbxSandbox, tmp_path_factory: pytest.TempPathFactory) -> None:
    world = pbx_session.world
    await world.reset()
    wire = Wire(pbx_session)
    await wire.join()
    service = ServiceProcess(tmp_path_factory.mktemp("cut"))
    async with PortalServer(PortalConfig(rate=None, one_card_per_user=False)) as portal:
        whole = Stand(pbx_session, portal, service)
        settings = whole.settings().replace(pbx_session.office_ami, wire.address)
        try:
            await service.configure(settings)
            await service.start()
            portal.app.install_url = f"{service.url}/bitrix24/main/install"
            portal.install()
            await whole.ready()
            ending, ending_since = await talking(whole, "79161250001")
            staying, staying_since = await talking(whole, "79161250002")
            await wire.cut()
            await ending.talks(1.0)
            await ending.hangup()
            ended = time.monotonic() - ending_since
            short, short_since = await talking(whole, "79161250003")
            await short.talks(1.5)
            await short.hangup()
            went = time.monotonic() - short_since
            late, late_since = await talking(whole, "79161250004")
            await late.talks(2.0)
            await wire.join()
            await service.until(lambda status: status["pbxs"][0]["state"] == "live", "is connected again")
            await late.hangup()
            lasted = time.monotonic() - late_since
            await staying.hangup()
            stayed = time.monotonic() - staying_since
            wrong = await right(whole, told("+79161250001", IVANOV, ended))
            wrong += await right(whole, told("+79161250002", IVANOV, stayed))
            wrong += await right(whole, told("+79161250003", IVANOV, went))
            wrong += await right(whole, told("+79161250004", IVANOV, lasted))
            assert wrong == []
            assert len(portal.calls()) == 4
        finally:
            await service.stop()
            await wire.cut()
            await world.reset()
