"""Group commit, failures that hurt nobody else, trouble that is waited out, and the fence."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.storage import AlreadyOwned, CannotOpen, Closed, Database, Locked, OwnershipLost, Unavailable, counters
from perezvon.storage.database import SQLITE_FILE
from perezvon.storage.ownership import SERVICE, take_over
from postgres_fixtures import PostgresServer


@pytest.fixture
async def database(place: str) -> AsyncIterator[Database]:
    async with await Database.open(place) as opened:
        yield opened


def bump(name: str) -> Callable[[AsyncConnection], object]:
    return lambda conn: counters.bump(conn, name, 1.0)


async def names(database: Database) -> list[str]:
    async with database.read() as conn:
        return [counter.name for counter in await counters.read(conn)]


async def in_trouble(database: Database) -> Unavailable:
    while (trouble := database.writer.trouble) is None:  # noqa: ASYNC110  # the writer tells nobody else
        await asyncio.sleep(0.01)
    return trouble


async def test_a_write_gives_its_value_and_is_seen_at_once(database: Database) -> None:
    async def work(conn: AsyncConnection) -> int:
        await counters.bump(conn, "a", 1.0)
        return 7

    assert await database.write(work) == 7
    assert await names(database) == ["a"]


async def test_writes_that_wait_share_a_commit(database: Database) -> None:
    await asyncio.gather(*(database.write(bump(f"{number:03}")) for number in range(300)))
    assert await names(database) == [f"{number:03}" for number in range(300)]
    assert database.writer.transactions < 10


async def test_a_failing_write_hurts_nobody_else(database: Database) -> None:
    async def fails(conn: AsyncConnection) -> None:
        await counters.bump(conn, "half", 1.0)
        raise LookupError("a defect")

    async def bad_sql(conn: AsyncConnection) -> None:
        await counters.bump(conn, "half", 1.0)
        await conn.execute(text("INSERT INTO counter (name) VALUES (NULL)"))

    outcomes = await asyncio.gather(
        *(database.write(work) for work in (bump("a"), fails, bump("b"), bad_sql, bump("c"))), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [type(None), LookupError, type(None), type(outcomes[3]), type(None)]
    assert isinstance(outcomes[3], DBAPIError)
    assert await names(database) == ["a", "b", "c"]


async def test_a_lone_failure_leaves_nothing(database: Database) -> None:
    async def fails(conn: AsyncConnection) -> None:
        await counters.bump(conn, "half", 1.0)
        raise LookupError("a defect")

    with pytest.raises(LookupError):
        await database.write(fails)
    await database.write(bump("a"))
    assert await names(database) == ["a"]


async def test_a_cancelled_caller_does_not_break_the_others(database: Database) -> None:
    waiting = [asyncio.ensure_future(database.write(bump(name))) for name in "abc"]
    await asyncio.sleep(0)
    waiting[1].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert {"a", "c"} <= set(await names(database))


async def test_what_waits_is_written_before_closing(place: str) -> None:
    database = await Database.open(place)
    waiting = [asyncio.ensure_future(database.write(bump(name))) for name in "abc"]
    await asyncio.sleep(0)
    await database.close()
    await asyncio.gather(*waiting)
    with pytest.raises(Closed):
        await database.write(bump("late"))
    async with await Database.open(place) as again:
        assert await names(again) == ["a", "b", "c"]


async def test_the_second_owner_is_refused(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perezvon.storage.database._LOCK_PATIENCE", 0.1)
    async with await Database.open(place) as first:
        with pytest.raises(AlreadyOwned, match="in use by another perezvon"):
            await Database.open(place)
        async with await Database.open(place, own=False) as command:
            await command.write(bump("beside"))
        assert await names(first) == ["beside"]
    async with await Database.open(place):
        pass


async def test_who_was_taken_over_cannot_write(database: Database) -> None:
    await database.write(bump("before"))
    async with (
        await Database.open(database.url.render_as_string(hide_password=False), own=False)
        if (database.url.get_backend_name() == "postgresql")
        else await Database.open(Path(database.url.database or "").parent, own=False) as other
    ):
        await other.write(lambda conn: take_over(conn, SERVICE, "the other node", 2.0))
    outcomes = await asyncio.gather(*(database.write(bump(name)) for name in "ab"), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [OwnershipLost, OwnershipLost]
    with pytest.raises(OwnershipLost, match="taken over by the other node"):
        await database.watch()
    with pytest.raises(OwnershipLost):
        await database.write(bump("later"))
    assert await names(database) == ["before"]


async def test_the_epoch_rises_with_each_owner(place: str) -> None:
    epochs: list[int] = []
    for _ in range(3):
        async with await Database.open(place) as database:
            assert database.claim is not None
            epochs.append(database.claim.epoch)
    assert epochs == [epochs[0], epochs[0] + 1, epochs[0] + 2]


@pytest.mark.slow
async def test_a_lock_of_another_program_is_waited_out(tmp_path: Path) -> None:
    async with await Database.open(tmp_path) as database:
        other = sqlite3.connect(tmp_path / SQLITE_FILE, isolation_level=None)
        other.execute("PRAGMA busy_timeout=0")
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(database.write(bump("a")))
        assert isinstance(await in_trouble(database), Locked)
        other.execute("COMMIT")
        other.close()
        await waiting
        assert database.writer.trouble is None


async def test_trouble_that_lasts_is_told(tmp_path: Path) -> None:
    async with await Database.open(tmp_path, patience=0.1) as database:
        other = sqlite3.connect(tmp_path / SQLITE_FILE, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Locked, match="another program holds the database"):
            await database.write(bump("a"))
        other.execute("ROLLBACK")
        other.close()
        await database.write(bump("b"))
        assert await names(database) == ["b"]


@pytest.mark.slow
async def test_the_lock_dies_with_its_process_not_with_its_children(tmp_path: Path) -> None:
    """A killed owner whose forked worker lives on does not block the next one."""
    program = (
        "import asyncio, os, sys, time\n"
        "from perezvon.storage import Database\n"
        "async def main():\n"
        "    await Database.open(sys.argv[1])\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        os.close(1)\n"
        "        time.sleep(60)\n"
        "    print(child, flush=True)\n"
        "    time.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    owner = await asyncio.create_subprocess_exec(sys.executable, "-c", program, tmp_path, stdout=asyncio.subprocess.PIPE)
    assert owner.stdout is not None
    while not (line := await owner.stdout.readline()).strip().isdigit():
        assert line, "the owner ended early"
    child = int(line)
    try:
        with pytest.raises(AlreadyOwned, match=f"process {owner.pid}"):
            await Database.open(tmp_path)
        owner.kill()
        await owner.wait()
        os.kill(child, 0)
        async with await Database.open(tmp_path):
            pass
    finally:
        if owner.returncode is None:
            owner.kill()
            await owner.wait()
        os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("mysql://reader@127.0.0.1/x", "mysql is not supported here"),
        ("postgresql+asyncpg://nobody:secret@127.0.0.1:1/x", "no connection to the database"),
        ("/proc/perezvon", "cannot be made"),
        ("://", "cannot be understood"),
    ],
)
async def test_what_cannot_be_opened_says_why(place: str, message: str) -> None:
    with pytest.raises(CannotOpen, match=message) as caught:
        await Database.open(place)
    assert "secret" not in str(caught.value)


@pytest.mark.postgresql
async def test_a_cut_connection_is_repaired(postgres_url: str) -> None:
    async with await Database.open(postgres_url) as database:
        await database.write(bump("before"))
        async with await Database.open(postgres_url, own=False) as other, other.read() as conn:
            mine = (await conn.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            await conn.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> :mine"
                ),
                {"mine": mine},
            )
        await asyncio.gather(*(database.write(bump(name)) for name in "abc"))
        assert await names(database) == ["a", "b", "before", "c"]


@pytest.mark.postgresql
async def test_a_connection_cut_while_it_is_given_back_hurts_nobody(postgres_url: str) -> None:
    async with await Database.open(postgres_url) as database:
        for reading in (database.read, database.glance):
            async with await Database.open(postgres_url, own=False) as other, other.read() as killer, reading() as conn:
                pid = (await conn.execute(text("SELECT pg_backend_pid()"))).scalar_one()
                await killer.execute(text(f"SELECT pg_terminate_backend({pid}, 5000)"))
            async with reading() as conn:
                assert (await conn.execute(text("SELECT 1"))).scalar_one() == 1


@pytest.mark.postgresql
async def test_a_connection_cut_at_commit_neither_loses_nor_doubles(postgres_url: str) -> None:
    """The outcome of such a COMMIT is asked for, not guessed."""
    async with await Database.open(postgres_url) as database, await Database.open(postgres_url, own=False) as other:

        async def count_and_die(conn: AsyncConnection) -> None:
            await conn.execute(
                text("INSERT INTO counter VALUES ('n', 1, 1) ON CONFLICT (name) DO UPDATE SET value = counter.value + 1")
            )

        real = AsyncConnection.commit
        cut: list[bool] = []

        async def commit(conn: AsyncConnection) -> None:
            """The server does its work, and the answer is lost; the second time not even the COMMIT gets there."""
            if len(cut) < 2:
                cut.append(True)
                pid = (await conn.execute(text("SELECT pg_backend_pid()"))).scalar_one()
                if len(cut) == 1:
                    await real(conn)
                async with other.read() as second:
                    await second.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
                await conn.execute(text("SELECT 1"))
                raise AssertionError("the connection should be gone")
            await real(conn)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(AsyncConnection, "commit", commit)
            await database.write(count_and_die)
            await database.write(count_and_die)
        assert len(cut) == 2
        async with database.read() as conn:
            assert [counter.value for counter in await counters.read(conn)] == [2]


@pytest.mark.postgresql
async def test_a_restart_of_the_server_is_waited_out(postgres_url: str, postgres_server: PostgresServer) -> None:
    async with await Database.open(postgres_url) as database:
        await database.write(bump("before"))
        await asyncio.to_thread(postgres_server.stop)
        try:
            waiting = [asyncio.create_task(database.write(bump(name))) for name in "ab"]
            await in_trouble(database)
        finally:
            await asyncio.to_thread(postgres_server.start)
        await asyncio.gather(*waiting)
        assert await names(database) == ["a", "b", "before"]


async def test_a_lone_write_waits_for_nothing(tmp_path: Path) -> None:
    async with await Database.open(tmp_path) as database:
        await database.write(bump("warm"))
        spent: list[float] = []
        for number in range(20):
            before = time.perf_counter()
            await database.write(bump(str(number)))
            spent.append(time.perf_counter() - before)
        assert sorted(spent)[10] < 0.05
