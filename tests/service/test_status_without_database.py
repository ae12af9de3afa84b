"""The status page while the database is gone: what was known, what is wrong, and all that is not stored."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.service.status import Reporter
from perezvon.settings.secrets import SecretBox
from perezvon.settings.store import SettingsStore
from perezvon.storage import Database, DatabaseGone, counters
from perezvon.storage.database import SQLITE_FILE
from perezvon.web.status import MachineStatus
from perezvon.web.troubles import troubles

pytestmark = pytest.mark.slow


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with await Database.open(tmp_path, patience=0.1) as opened:
        yield opened


@pytest.fixture
async def reporter(database: Database, tmp_path: Path) -> AsyncIterator[Reporter]:
    store = SettingsStore(database, SecretBox.open(tmp_path))
    await database.write(lambda conn: counters.bump(conn, "unmapped:main:105", 1.0))
    reporter = Reporter(database, store, lambda: MachineStatus("/data", 1, full=True))
    yield reporter
    await reporter.close()


async def test_what_was_known_stays(reporter: Reporter, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    before = await reporter.status()
    assert before.database.trouble == ""

    @asynccontextmanager
    async def gone() -> AsyncIterator[AsyncConnection]:
        raise DatabaseGone("no connection to the database (refused)")
        yield

    monkeypatch.setattr(database, "read", gone)
    status = await reporter.status()
    assert status.database.trouble == "no connection to the database (refused)"
    assert [case.extension for case in status.unmapped] == ["105"]
    assert {check.name for check in troubles(status)} >= {"database", "disk"}


async def test_a_database_that_does_not_answer_holds_up_no_page(
    reporter: Reporter, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await reporter.status()
    monkeypatch.setattr("perezvon.service.status.PATIENCE", 0.05)
    answers = asyncio.Event()
    reads: list[bool] = []
    real = database.read

    @asynccontextmanager
    async def slow() -> AsyncIterator[AsyncConnection]:
        reads.append(True)
        await answers.wait()
        async with real() as conn:
            yield conn

    monkeypatch.setattr(database, "read", slow)
    for _ in range(3):
        status = await reporter.status()
        assert "has not answered" in status.database.trouble
    assert len(reads) == 1  # whoever asks meanwhile waits for the same
    assert [case.extension for case in status.unmapped] == ["105"]
    answers.set()
    monkeypatch.setattr("perezvon.service.status.PATIENCE", 5.0)
    assert (await reporter.status()).database.trouble == ""


async def test_what_cannot_be_written_is_told_though_it_can_be_read(
    reporter: Reporter, database: Database, tmp_path: Path
) -> None:
    other = sqlite3.connect(tmp_path / SQLITE_FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Exception, match="another program"):
        await database.write(lambda conn: counters.bump(conn, "x", 1.0))
    assert "another program holds the database" in (await reporter.status()).database.trouble
    other.execute("ROLLBACK")
    other.close()
