"""SQLite connections in the way of a call: aiosqlite, without the trip to its thread for statements that take microseconds.

A trip costs 0.1 to 0.5 ms, a statement three of them, a round of calls some hundred statements. What may wait for the disk
or for another process's lock (BEGIN IMMEDIATE, COMMIT, ROLLBACK, closing) still runs in the thread. So does everything of
`Database.read`, whose queries may be long; `Database.glance` is for those that are not.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

import aiosqlite

T = TypeVar("T")

_ENDS = frozenset({"commit", "rollback"})


class QuickConnection(aiosqlite.Connection):
    """One user at a time: every operation is awaited before the next one begins."""

    async def _execute(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        if self._running and self._connection is not None and not self._may_wait(self._connection, fn, args):
            return fn(*args, **kwargs)
        return await super()._execute(fn, *args, **kwargs)  # pyright: ignore[reportUnknownMemberType]

    @staticmethod
    def _may_wait(connection: sqlite3.Connection, fn: Callable[..., object], args: tuple[Any, ...]) -> bool:
        name = getattr(fn, "__name__", "")
        if name in _ENDS:
            return connection.in_transaction
        return name == "close" or (
            bool(args) and isinstance(args[0], str) and args[0].startswith(("BEGIN", "PRAGMA", "VACUUM"))
        )


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
