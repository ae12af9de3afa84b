"""Our own bad weather: a full disk, a database that is held or gone, clocks that are set, conversions that hang, no file
handles, a stop under load. Calls go on meanwhile; afterwards everything is told as it was, once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import sqlite3
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import traffic

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.portal.faults import Fault
from perezvon.sandbox.portal.seed import IVANOV
from perezvon.sandbox.service_process import ServiceTrouble
from perezvon.sandbox.stand import Stand, stand
from perezvon.storage.database import SQLITE_FILE
from perezvon.storage.reserve import FILE as RESERVE
from postgres_fixtures import PostgresServer

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(120)]

STOPPED = 10.0
"""Seconds from SIGTERM to the end, whatever hangs."""

MB = 1024 * 1024

FIRST = """
import os, time
import perezvon.delivery.attach as attach, perezvon.storage.database as database, perezvon.recordings.pool as pool
database.Database.open.__func__.__kwdefaults__["patience"] = 2.0
attach.RecordingWorker.__init__.__kwdefaults__["first_pause"] = 1.0
pool.Converter.__init__.__kwdefaults__.update(deadline=2.0, slowest=1e9)
real, wind = time.time, os.environ["PEREZVON_TEST_CLOCK"]
def set_clock():
    try:
        return real() + float(os.readlink(wind))
    except OSError:
        return real()
time.time = set_clock
"""
"""What takes half a minute takes seconds; and the process's clock can be set: a link leads to the seconds that it is ahead."""


@pytest.fixture(scope="module")
async def portal() -> AsyncIterator[PortalServer]:
    async with PortalServer(PortalConfig(rate=None, one_card_per_user=False)) as server:
        yield server


@pytest.fixture(scope="module")
def wind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The link."""
    path = tmp_path_factory.mktemp("clock") / "ahead"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PEREZVON_TEST_CLOCK", str(path))
        yield path


@pytest.fixture(scope="module")
async def office(
    pbx_session: PbxSandbox, portal: PortalServer, tmp_path_factory: pytest.TempPathFactory, wind: Path
) -> AsyncIterator[Stand]:
    async with stand(
        pbx_session, portal, tmp_path_factory.mktemp("weather"), portal_more="request_timeout = 20", first=FIRST
    ) as whole:
        yield whole
        await pbx_session.world.reset()


@pytest.fixture(autouse=True)
async def calm(office: Stand) -> AsyncIterator[None]:
    await traffic.ready(office)
    yield
    office.portal.state.faults.clear()


async def troubles(whole: Stand) -> dict[str, str]:
    return {trouble["name"]: trouble["seen"] for trouble in (await whole.service.status())["troubles"]}


async def in_trouble(whole: Stand, name: str, within: float = 15.0) -> str:
    """Waits until the status page names it, and gives what it says."""
    status = await whole.service.until(
        lambda status: any(trouble["name"] == name for trouble in status["troubles"]), f"tells of {name}", within
    )
    return next(trouble["seen"] for trouble in status["troubles"] if trouble["name"] == name)


async def well(whole: Stand, within: float = 20.0) -> None:
    with contextlib.suppress(ServiceTrouble):
        await whole.service.until(lambda status: not status["troubles"], "tells of no trouble any more", within)
    assert (await whole.service.status())["troubles"] == []


async def card(whole: Stand, client: str) -> None:
    """Waits for the card of a client who calls."""
    await whole.until(
        lambda: next((call for call in whole.portal.calls() if call.phone == client and call.cards), None),
        f"a card pops up for {client}",
        5.0,
    )


@contextlib.contextmanager
def locked(whole: Stand) -> Iterator[None]:
    """Another program writes into the database, and does not come to an end."""
    other = sqlite3.connect(whole.service.data_dir / SQLITE_FILE, isolation_level=None)
    other.execute("PRAGMA busy_timeout=10000")
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def log_since(whole: Stand, place: int) -> str:
    return whole.service.log.read_bytes()[place:].decode()


def log_size(whole: Stand) -> int:
    return whole.service.log.stat().st_size


# ---- the database


async def test_another_program_holds_the_database(office: Stand) -> None:
    place = log_size(office)
    with locked(office):
        spoken = await traffic.one_of_each(office)
        assert "another program holds the database" in await in_trouble(office, "database")
        spoken += await traffic.one_of_each(office)
    freed = time.monotonic()
    await traffic.told_right(office, spoken, within=15)
    assert time.monotonic() - freed < 10
    await well(office)
    assert len(log_since(office, place).splitlines()) < 300


@pytest.mark.postgresql
async def test_postgresql_is_gone_for_a_while(
    pbx_session: PbxSandbox, tmp_path: Path, postgres_url: str, postgres_server: PostgresServer, wind: Path
) -> None:
    more = f'[database]\nurl = "{postgres_url.replace("perezvon@", "perezvon:any@")}"'
    async with (
        PortalServer(PortalConfig(rate=None, one_card_per_user=False)) as portal,
        stand(pbx_session, portal, tmp_path, more=more, first=FIRST) as whole,
    ):
        await traffic.ready(whole)
        spoken = await traffic.one_of_each(whole)
        await asyncio.to_thread(postgres_server.stop)
        try:
            spoken += await traffic.one_of_each(whole)
            assert "no connection to the database" in await in_trouble(whole, "database")
            assert (await whole.service.status())["pbxs"][0]["state"] == "live"
            click = portal.click(IVANOV, "+79162100009")
            await whole.service.until(lambda status: status["portals"][0]["events"]["received"], "has heard of it")
        finally:
            await asyncio.to_thread(postgres_server.start)
        await traffic.told_right(whole, spoken, within=20)
        desk = await whole.pbx.world.phone("101").talking()
        await desk.hangup()
        await whole.until(lambda: None if click.live else click, "the click is finished")
        assert click.finish["status"] == "200"
        await well(whole)


# ---- the disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", folder], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(
            f"needs the right to mount ({mounted.stderr.decode().strip()}); tests/storage/test_full_disk.py does not"
        )
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path, name: str) -> Path:
    """Takes what room there is."""
    path = folder / name
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        for size in (MB, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * size)
    return path


async def test_the_disk_is_full(pbx_session: PbxSandbox, small_disk: Path, wind: Path) -> None:
    async with (
        PortalServer(PortalConfig(rate=None, one_card_per_user=False)) as portal,
        stand(pbx_session, portal, small_disk, first=FIRST) as whole,
    ):
        await traffic.ready(whole)
        spoken = await traffic.one_of_each(whole)
        await whole.service.until(lambda _: (small_disk / RESERVE).exists(), "has reserved room")
        first = fill(small_disk, "first")
        world = whole.pbx.world
        caller = await world.call(frm="79198800001", to="74950000104")
        await card(whole, "+79198800001")  # out of the reserve
        await caller.hangup()
        assert f"MB in {small_disk}; calls are stored in the room that was kept" in await in_trouble(whole, "disk")
        second = fill(small_disk, "second")
        spoken += await traffic.one_of_each(whole)
        assert "disk full: free 0 MB in" in await in_trouble(whole, "disk")
        assert "make room" in await in_trouble(whole, "database")
        checks = await doctor(whole)
        assert checks["disk"]["seen"].startswith("disk full: free 0 MB in")
        for file in (first, second):
            file.unlink()
        await traffic.told_right(whole, spoken, within=30)
        await whole.call_of("+79198800001")
        await well(whole)
        assert (small_disk / RESERVE).exists()


async def doctor(whole: Stand) -> dict[str, dict[str, Any]]:
    """As the page's button asks it; the command ends with 1 when it finds something."""
    async with aiohttp.ClientSession() as session:
        asked = session.post(f"{whole.service.url}/doctor?lang=en", headers={"Accept": "application/json"})
        async with asked as answer:
            return {check["name"]: check for check in (await answer.json())["checks"]}


# ---- the clock


def ahead(wind: Path, seconds: float) -> None:
    with contextlib.suppress(FileNotFoundError):
        wind.unlink()
    if seconds:
        wind.symlink_to(str(seconds))


async def test_our_clock_is_set_forward_and_back(office: Stand, wind: Path) -> None:
    """By an hour, in the middle of calls."""
    try:
        for seconds in (3600.0, 0.0):
            speaking = asyncio.ensure_future(traffic.one_of_each(office))
            await office.pbx.world.phone("104").ringing()
            ahead(wind, seconds)
            began = time.monotonic()
            await traffic.told_right(office, await speaking, within=15)
            assert time.monotonic() - began < 10
            now = time.time() + seconds
            await office.service.until(lambda told, now=now: abs(at(told["now"]) - now) < 60, "has taken the time over")
            await office.ready()
        began = time.monotonic()
        await traffic.told_right(office, await traffic.one_of_each(office), within=15)
        assert time.monotonic() - began < 10
    finally:
        ahead(wind, 0)


def at(iso: str) -> float:
    return datetime.fromisoformat(iso).timestamp()


# ---- the converter


def converters(whole: Stand) -> list[int]:
    told = subprocess.run(
        ["pgrep", "-P", str(whole.service.pid), "-f", "perezvon.recordings.worker"], capture_output=True, check=False
    )
    return [int(pid) for pid in told.stdout.split()]


async def test_conversions_die_and_hang(office: Stand) -> None:
    await traffic.told_right(office, await traffic.one_of_each(office))  # the converter has been started
    place = log_size(office)
    for how, told in ((signal.SIGKILL, "another one takes over"), (signal.SIGSTOP, "conversion killed")):
        for pid in converters(office):
            os.kill(pid, how)
        spoken = await traffic.one_of_each(office)
        began = time.monotonic()
        await office.service.status()
        assert time.monotonic() - began < 0.5
        await traffic.told_right(office, spoken, within=40)
        assert told in log_since(office, place)


# ---- file handles


def handles(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def test_out_of_file_handles(office: Stand) -> None:
    service, place = office.service, log_size(office)
    before = resource.prlimit(service.pid, resource.RLIMIT_NOFILE)
    in_use = handles(service.pid)
    resource.prlimit(service.pid, resource.RLIMIT_NOFILE, (in_use + 1, before[1]))
    holding = [await asyncio.open_connection(*service.bind.split(":")) for _ in range(5)]
    try:
        office.portal.state.faults.plan(Fault.RESET, seconds=3)  # its connections are gone, too
        spoken = await traffic.one_of_each(office)
        spoken += await traffic.one_of_each(office)
    finally:
        resource.prlimit(service.pid, resource.RLIMIT_NOFILE, before)
        for _, writer in holding:
            writer.close()
    await traffic.told_right(office, spoken, within=30)
    log = log_since(office, place)
    assert "file handles: enough -> file handles: nearly all in use" in log
    assert log.count("out of file handles") <= 2
    assert len(log.splitlines()) < 400
    await well(office)


# ---- a stop


async def stopped(whole: Stand) -> None:
    began = time.monotonic()
    assert await whole.service.stop() == 0
    assert time.monotonic() - began < STOPPED


async def under_load(whole: Stand, hold: Callable[[], contextlib.AbstractAsyncContextManager[None]]) -> None:
    """Told to stop while people talk and it cannot do its work; then started again."""
    speaking = asyncio.ensure_future(traffic.one_of_each(whole))
    await whole.pbx.world.phone("104").ringing()
    async with hold():
        await stopped(whole)
        spoken = await speaking
    await whole.service.start()
    await whole.ready()
    await traffic.told_right(whole, spoken, within=30)


async def test_stop_under_load(office: Stand) -> None:
    await under_load(office, contextlib.nullcontext)


async def test_stop_twice_while_the_portal_hangs(office: Stand) -> None:
    """All four calls begin, and none of their cards gets an answer."""
    hangs = office.portal.state.faults.plan(Fault.LOST_ANSWER, seconds=60, wait=30.0)
    speaking = asyncio.ensure_future(traffic.one_of_each(office))
    await office.pbx.world.phone("104").ringing()
    await office.service.until(lambda _: hangs.struck > 1, "has asked the portal in vain")
    pid = office.service.pid
    stopping = asyncio.ensure_future(stopped(office))
    await asyncio.sleep(0.3)  # the second signal comes while the first is being heeded
    os.kill(pid, signal.SIGTERM)
    await stopping
    spoken = await speaking
    office.portal.state.faults.clear()
    await office.service.start()
    await office.ready()
    await traffic.told_right(office, spoken, within=30)


async def test_stop_while_the_database_is_held(office: Stand) -> None:
    @contextlib.asynccontextmanager
    async def held() -> AsyncIterator[None]:
        with locked(office):
            yield

    await under_load(office, held)


async def test_stop_while_a_conversion_hangs(office: Stand) -> None:
    await traffic.told_right(office, await traffic.one_of_each(office))
    for pid in converters(office):
        os.kill(pid, signal.SIGSTOP)
    spoken = await traffic.one_of_each(office)
    await office.service.until(lambda status: status["recordings"]["waiting"] > 0, "has recordings to convert")
    await stopped(office)
    await office.service.start()
    await office.ready()
    await traffic.told_right(office, spoken, within=30)
