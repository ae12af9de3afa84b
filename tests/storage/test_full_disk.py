"""A disk that is full: the reserve is given up, then writes wait; when there is room again they are done, asked or not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sqlite3
import time
from collections import namedtuple
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.storage import Closed, Database, DiskFull, Locked, counters, recordings
from perezvon.storage.database import SQLITE_FILE
from perezvon.storage.recordings import LONGEST_WAIT
from perezvon.storage.reserve import FILE, PLENTY, Reserve

pytestmark = pytest.mark.slow

Work = Callable[[AsyncConnection], Awaitable[None]]
MB = 1024 * 1024


async def limit(conn: AsyncConnection, pages: int) -> None:
    """SQLite's own full disk: the file may not grow beyond so many pages (of what it has at least)."""
    await conn.execute(text(f"PRAGMA max_page_count={pages}"))


async def grow(conn: AsyncConnection) -> None:
    await conn.execute(text("INSERT INTO counter (name, value, last) VALUES (hex(randomblob(50000)), 1, 1)"))


async def full(database: Database) -> None:
    await database.write(lambda conn: limit(conn, 1))


async def count(database: Database) -> int:
    async with database.read() as conn:
        return len(await counters.read(conn))


async def test_the_reserve_is_given_up_and_the_write_is_done_at_once(tmp_path: Path) -> None:
    tries: list[bool] = []

    async def work(conn: AsyncConnection) -> None:
        if tries:
            assert not (tmp_path / FILE).exists()
            await limit(conn, 1_000_000)
        tries.append(True)
        await grow(conn)

    async with await Database.open(tmp_path, patience=0.0) as database:
        database.reserve = Reserve(tmp_path, MB)
        assert database.reserve.make()
        assert (tmp_path / FILE).stat().st_blocks * 512 >= MB
        await full(database)
        await database.write(work)
        assert database.reserve.given_up
        assert database.writer.trouble is None
        assert await count(database) == 1


async def test_without_one_the_write_waits_and_is_told(tmp_path: Path) -> None:
    async with await Database.open(tmp_path, patience=0.2) as database:
        await full(database)
        with pytest.raises(DiskFull, match="make room"):
            await database.write(grow)
        assert isinstance(database.writer.trouble, DiskFull)
        await database.write(lambda conn: limit(conn, 1_000_000))
        await database.write(grow)
        assert database.writer.trouble is None
        assert await count(database) == 1


async def test_trouble_that_is_over_is_noticed_though_nobody_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perezvon.storage.writer._LOOK_AGAIN", 0.05)
    async with await Database.open(tmp_path, patience=0.1) as database:
        other = sqlite3.connect(tmp_path / SQLITE_FILE, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Locked):
            await database.write(grow)
        other.execute("ROLLBACK")
        other.close()
        async with asyncio.timeout(5):
            while database.writer.trouble is not None:  # noqa: ASYNC110  # the writer tells nobody else
                await asyncio.sleep(0.01)


async def test_closing_waits_for_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perezvon.storage.database.CLOSING", 0.2)
    database = await Database.open(tmp_path)
    other = sqlite3.connect(tmp_path / SQLITE_FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = [asyncio.create_task(database.write(grow)) for _ in range(20)]
    await asyncio.sleep(0)
    began = time.monotonic()
    await database.close()
    assert time.monotonic() - began < 4
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} <= {Locked, Closed}
    other.close()


Usage = namedtuple("Usage", "total used free")


def test_the_reserve_is_made_again_only_when_there_is_plenty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = [100 * MB]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(200 * MB, 0, free[0]))
    reserve = Reserve(tmp_path, 8 * MB)
    assert reserve.make()
    assert (tmp_path / FILE).stat().st_size == 8 * MB
    assert reserve.give_up()
    assert not reserve.give_up()
    free[0] = 8 * MB * PLENTY - 1
    assert not reserve.make()
    free[0] += 1
    assert reserve.make()
    assert not reserve.given_up
    small = Reserve(tmp_path / "none", 8 * MB)
    assert not small.make()  # the folder is not there: told, not raised


def test_the_reserve_takes_no_more_than_its_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(20 * MB, 0, 10 * MB))
    assert Reserve(tmp_path).make()
    assert (tmp_path / FILE).stat().st_size == MB


async def test_recordings_postponed_by_a_clock_that_was_set_back_are_due(tmp_path: Path) -> None:
    now = 1_800_000_000.0
    async with await Database.open(tmp_path) as database:

        async def work(conn: AsyncConnection) -> None:
            await conn.execute(text("INSERT INTO call (id, pbx, portal, direction, client, line, started, duration, last_talker,"
                                    " live, state, plan) VALUES ('c', 'p', 'm', 'incoming', '', '', 1, 0, '', 0, '{}', '{}')"))  # fmt: skip
            await recordings.add(conn, pbx="p", portal="m", paths=[("c", "far"), ("c", "near")], now=now)
            far, near = await recordings.of_call(conn, "c")
            await recordings.postpone(conn, far.id, not_before=now + 3600.0, error="x")
            await recordings.postpone(conn, near.id, not_before=now + LONGEST_WAIT - 1, error="x")
            await recordings.recover(conn, now)

        await database.write(work)
        async with database.read() as conn:
            assert [row.path for row in await recordings.due(conn, now, 9)] == ["far"]


@pytest.mark.postgresql
async def test_closing_waits_for_no_server_that_hangs(postgres_url: str) -> None:
    database = await Database.open(postgres_url)
    pids: list[int] = []

    async def work(conn: AsyncConnection) -> None:
        asked = "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
        pids.extend((await conn.execute(text(asked))).scalars())

    async with database.read():
        await database.write(work)
    assert len(pids) >= 2
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        waiting = asyncio.create_task(database.write(grow))
        await asyncio.sleep(0)
        began = time.monotonic()
        await database.close()
        assert time.monotonic() - began < 8
        with pytest.raises(Closed):
            await waiting
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
