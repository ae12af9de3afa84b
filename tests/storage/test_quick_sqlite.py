"""SQLite connections of the writer, when another program holds the lock."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from perezvon.storage import quick_sqlite


@pytest.mark.slow
async def test_a_connection_that_waits_for_a_lock_can_be_closed_and_cut_off(tmp_path: Path) -> None:
    """SQLAlchemy does that when the writer is cancelled: it begins to close, is cancelled, and stops the thread."""
    file = str(tmp_path / "data")
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    conn = await quick_sqlite.connect(file, busy=0.5)
    waiting = asyncio.create_task(conn.execute("BEGIN IMMEDIATE"))
    await asyncio.sleep(0)
    closing = asyncio.create_task(conn.close())
    await asyncio.sleep(0)
    conn.stop()
    closing.cancel()
    done, _ = await asyncio.wait([waiting, closing], timeout=20)
    assert done == {waiting, closing}
    assert isinstance(waiting.exception(), sqlite3.OperationalError)
    other.close()
