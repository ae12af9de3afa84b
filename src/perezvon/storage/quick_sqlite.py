"""The writer's SQLite connection: aiosqlite, without the trip to its thread for statements that take microseconds.

A trip costs 0.1 to 0.5 ms, a statement three of them, a round of calls some hundred statements. What may wait for the disk
or for another process's lock (BEGIN IMMEDIATE, COMMIT, ROLLBACK, closing) still runs in the thread. Reading connections are
left as they are: their queries may be long.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

import aiosqlite

T = TypeVar("T")

_MAY_WAIT = frozenset({"commit", "rollback", "close"})


class QuickConnection(aiosqlite.Connection):
    """One user at a time, as the writer is: every operation is awaited before the next one begins."""

    async def _execute(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        waits = getattr(fn, "__name__", "") in _MAY_WAIT or (
            bool(args) and isinstance(args[0], str) and args[0].startswith(("BEGIN", "PRAGMA", "VACUUM"))
        )
        if waits or not self._running or self._connection is None:
            return await super()._execute(fn, *args, **kwargs)  # pyright: ignore[reportUnknownMemberType]
        return fn(*args, **kwargs)


async def connect(file: str, timeout: float) -> QuickConnection:
    """`timeout`: seconds to wait for another process's lock. Raises sqlite3.Error."""

    def connector() -> sqlite3.Connection:
        # isolation_level None: the driver begins no transactions of its own, the engine does.
        return sqlite3.connect(file, timeout=timeout, isolation_level=None, check_same_thread=False)

    connection = QuickConnection(connector, iter_chunk_size=64)
    # As SQLAlchemy does for the connections that it makes itself.
    connection._thread.daemon = True  # pyright: ignore[reportPrivateUsage]
    await connection
    return connection
