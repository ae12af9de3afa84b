"""The sender through the real client to the pretend portal's server: limits, outages, lost answers, large recordings."""

from __future__ import annotations

import asyncio
import math
import random
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import lameenc
import pytest
from call_steps import finish, put, record, register, show, states, steps_of

from perezvon.bitrix24 import AuthorizationServer, Bucket, GrantKeeper, OAuthGrant, Portal, Wire
from perezvon.delivery import Sender
from perezvon.rules.vocabulary import StepDraft
from perezvon.sandbox.portal.config import PortalConfig, Rate
from perezvon.sandbox.portal.server import PortalServer
from perezvon.storage import Database, lanes
from perezvon.storage.steps import State

pytestmark = pytest.mark.slow

Wait = Callable[..., Awaitable[None]]
MP3 = Path(__file__).parent / "beep.mp3"
DONE = State.DONE


def grant_of(server: PortalServer) -> OAuthGrant:
    access, refresh = server.install()
    return OAuthGrant(
        domain=server.url.removeprefix("http://"),
        client_id=server.config.client_id,
        client_secret=server.config.client_secret,
        member_id=server.config.member_id,
        access_token=access,
        refresh_token=refresh,
        client_endpoint=f"{server.url}/rest/",
        server_endpoint=f"{server.url}/rest/",
        application_token="",
    )


@asynccontextmanager
async def client_of(server: PortalServer, *, timeout: float = 60.0) -> AsyncIterator[Portal]:
    host = server.url.removeprefix("http://")
    keeper = GrantKeeper(grant_of(server), server=AuthorizationServer(trusted=frozenset({host})))
    rate = server.config.rate
    bucket = Bucket(rate.per_second, rate.block_above) if rate else Bucket(1000, 100_000)
    async with Portal("main", keeper, bucket=bucket, wire=Wire(total=timeout)) as portal:
        yield portal


@asynccontextmanager
async def sending(database: Database, portal: Portal, **more: Any) -> AsyncIterator[Sender]:
    sender = Sender("main", portal, database, **more)
    running = asyncio.create_task(sender.run())
    try:
        yield sender
    finally:
        await sender.stop()
        await running


@pytest.fixture
async def server(request: pytest.FixtureRequest) -> AsyncIterator[PortalServer]:
    async with PortalServer(PortalConfig(**getattr(request, "param", {"rate": None, "operating": None}))) as running:
        yield running


def long_recording(folder: Path) -> Path:
    """About 400 kB: too large to ride in a batch."""
    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_in_sample_rate(8000)
    encoder.set_channels(1)
    encoder.set_bit_rate(64)
    second = b"".join(struct.pack("<h", int(9000 * math.sin(2 * math.pi * 440 * at / 8000))) for at in range(8000))
    file = folder / "long.mp3"
    file.write_bytes(encoder.encode(second * 50) + encoder.flush())
    return file


async def test_a_large_recording_is_uploaded_in_two_steps(
    database: Database, server: PortalServer, settled: Wait, tmp_path: Path
) -> None:
    file = await asyncio.to_thread(long_recording, tmp_path)
    server.state.faults.plan("dropped_answer", method="upload")
    async with client_of(server) as portal, sending(database, portal, jitter=lambda: 0.01):
        await put(database, "c", register("c"), finish("c"), record("c", file))
        await put(database, "d", register("d"), finish("d"), record("d", MP3))
        await settled()
    assert await states(database, "c") == [DONE] * 3
    assert await states(database, "d") == [DONE] * 3
    modes = {call.external_id: (call.recording.mode, call.recording.decodes) for call in server.calls() if call.recording}
    assert modes == {"test-c": ("two_step", True), "test-d": ("inline", True)}


@pytest.mark.parametrize(
    "fault", ["503", "500", "lost_answer", "dropped_answer", "reset", "malformed", "html", "429", "expired_token"]
)
async def test_every_fault_is_survived(database: Database, server: PortalServer, settled: Wait, fault: str) -> None:
    """Requests in a row go wrong, in the middle of calls."""
    times = 1 if fault == "503" else 3  # each 503 doubles the pause
    server.state.faults.plan(fault, times=times, skip=1, wait=1.5 if fault == "429" else 60.0)
    async with client_of(server, timeout=0.3) as portal, sending(database, portal, jitter=lambda: 0.05) as sender:
        for number in range(6):
            await put(database, f"c{number}", register(f"c{number}"), show(f"c{number}", 1))
        sender.notify()
        await asyncio.sleep(0.1)
        for number in range(6):
            await put(database, f"c{number}", finish(f"c{number}"), record(f"c{number}", MP3))
        sender.notify()
        await settled()
    external = [row["EXTERNAL_CALL_ID"] for row in server.state.book.statistics]
    assert Counter(external) == Counter({f"test-c{number}": 1 for number in range(6)})
    assert all(call.recording is not None for call in server.calls() if not call.live)
    assert [call.leftover_cards for call in server.calls()] == [[]] * len(server.calls())


async def test_an_outage_is_waited_out(database: Database, server: PortalServer, settled: Wait, until: Wait) -> None:
    async with client_of(server) as portal, sending(database, portal, jitter=lambda: 0.2) as sender:
        await put(database, "before", register("before"), finish("before"))
        sender.notify()
        await settled()
        server.outage(4.0)
        while server.is_open:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        for number in range(30):
            await put(database, f"c{number}", register(f"c{number}"), finish(f"c{number}"), record(f"c{number}", MP3))
        sender.notify()

        async def noticed() -> bool:
            return (await sender.status()).sky == "trouble"

        await until(noticed)
        await settled()
        status = await sender.status()
    assert len(server.state.book.statistics) == 31
    assert status.dead == 0
    assert status.steps_per_request > 5, "what gathered went in batches"
    assert status.failed["NotSent"] >= 1


# ---- at the documented limit


async def speak(database: Database, sender: Sender, number: int, begins: float, chance: random.Random) -> None:
    """An answered incoming call as the service reports it: card, finish at the end, recording a moment later."""
    call = f"call{number}"

    async def put_now(*drafts: StepDraft) -> None:
        await put(database, call, *drafts, now=time.time())
        sender.notify()

    await asyncio.sleep(begins)
    user = 1
    await put_now(register(call, user), show(call, user, expires=time.time() + 30))
    await asyncio.sleep(chance.uniform(2, 4))
    await put_now(finish(call, user))
    await asyncio.sleep(0.7)
    await put_now(record(call, MP3))


@pytest.mark.load
@pytest.mark.timeout(240)
@pytest.mark.parametrize("server", [{"rate": Rate(2, 50), "delay": 0.2, "one_card_per_user": False}], indirect=True)
async def test_five_calls_a_second_at_the_documented_limit(
    database: Database, server: PortalServer, settled: Wait, capsys: pytest.CaptureFixture[str]
) -> None:
    """200 of 200 right, at most half a request each, cards within about a second, and never a 503."""
    chance = random.Random(7)
    async with client_of(server) as portal, sending(database, portal) as sender:
        began = time.monotonic()
        async with asyncio.TaskGroup() as calls:
            for number in range(200):
                calls.create_task(speak(database, sender, number, number / 5, chance))
        await settled(60.0)
        spent = time.monotonic() - began
        status = await sender.status()
    book = server.state.book
    assert Counter(row["EXTERNAL_CALL_ID"] for row in book.statistics) == Counter({f"test-call{n}": 1 for n in range(200)})
    assert sum(call.recording is not None and call.recording.decodes for call in server.calls()) == 200
    assert [call.registrations for call in server.calls()] == [1] * 200
    assert server.state.journal.http_requests <= 100
    assert status.failed == {}
    waits: list[float] = []
    for number in range(200):
        _, shown, *_ = await steps_of(database, f"call{number}")
        assert shown.state is DONE
        waits.append((shown.finished or 0) - shown.created)
    waits.sort()
    with capsys.disabled():
        print(
            f"\n200 calls at 5/s: {server.state.journal.http_requests} requests in {spent:.1f} s, "
            f"card p50 {waits[100]:.2f} s, p99 {waits[198]:.2f} s, {status.steps_per_request:.1f} steps a request"
        )
    assert waits[198] < 1.5


@pytest.mark.load
@pytest.mark.timeout(240)
@pytest.mark.parametrize("server", [{"rate": Rate(4, 20), "delay": 0.05, "one_card_per_user": False}], indirect=True)
async def test_a_backlog_drains_at_the_limit(database: Database, server: PortalServer, settled: Wait) -> None:
    """After an outage: 95 % of the portal's rate once the burst is used up, full batches, no 503."""
    number = 1500

    async def pile(conn: Any) -> None:
        for call in (f"c{index}" for index in range(number)):
            await lanes.append(conn, "main", call, [register(call), finish(call)], 1000.0)

    await database.write(pile)
    async with client_of(server) as portal, sending(database, portal) as sender:
        await settled(120.0)
        status = await sender.status()
    entries = sorted(entry.monotonic for entry in server.state.journal if entry.method == "batch")
    assert len(server.state.book.statistics) == number
    assert status.failed == {}
    assert len(entries) <= number * 2 / 50 * 1.05
    limited = entries[20:-2]
    assert (len(limited) - 1) / (limited[-1] - limited[0]) >= 0.95 * 4
