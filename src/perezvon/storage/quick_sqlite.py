"""SQLite connections in the way of a call: aiosqlite, without the trip to its thread for statements that take microseconds.

A trip costs 0.1 to 0.5 ms, a statement three of them, a round of calls some hundred statements. What may wait for the disk
(COMMIT, ROLLBACK, closing) still runs in the thread, and so does BEGIN IMMEDIATE when another process holds the lock. The
same goes for everything of `Database.read`, whose queries may be long; `Database.glance` is for those that are not.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

import aiosqlite

T = TypeVar("T")

_ENDS = frozenset({"commit", "rollback"})


class QuickConnection(aiosqlite.Connection):
    """One user at a time: every operation is awaited before the next one begins.

    `busy`: seconds for which the thread waits for another process's lock; outside of it there is no waiting.
    """

    busy = 0.0
    _stopping: asyncio.Future[None] | None = None

    def stop(self) -> asyncio.Future[None] | None:
        """Once. aiosqlite would put a second order into the queue of a thread that has ended, and wait for ever: whoever
        closes a connection that waits for a lock, and is cancelled meanwhile, stops it twice."""
        if self._stopping is None:
            self._stopping = super().stop()  # pyright: ignore[reportUnknownMemberType]
        return self._stopping

    async def _execute(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        connection = self._connection
        if not self._running or connection is None or self._may_wait(connection, fn, args):
            return await self._in_thread(fn, *args, **kwargs)
        try:
            return fn(*args, **kwargs)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or connection.in_transaction:
                raise
        return await self._in_thread(self._patiently, connection, fn, *args, **kwargs)

    async def _in_thread(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return await super()._execute(fn, *args, **kwargs)  # pyright: ignore[reportUnknownMemberType]

    def _patiently(self, connection: sqlite3.Connection, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        connection.execute(f"PRAGMA busy_timeout={round(self.busy * 1000)}")
        try:
            return fn(*args, **kwargs)
        finally:
            connection.execute("PRAGMA busy_timeout=0")

    @staticmethod
    def _may_wait(connection: sqlite3.Connection, fn: Callable[..., object], args: tuple[Any, ...]) -> bool:
        name = getattr(fn, "__name__", "")
        if name in _ENDS:
            return connection.in_transaction
        if name == "close":
            return not isinstance(getattr(fn, "__self__", None), sqlite3.Cursor)
        return bool(args) and isinstance(args[0], str) and args[0].startswith(("PRAGMA", "VACUUM"))


async def connect(file: str, busy: float) -> QuickConnection:
    """`busy`: seconds to wait for another process's lock. Raises sqlite3.Error."""

    def connector() -> sqlite3.Connection:
        # isolation_level None: the driver begins no transactions of its own, the engine does.
        return sqlite3.connect(file, timeout=0.0, isolation_level=None, check_same_thread=False)

    connection = QuickConnection(connector, iter_chunk_size=64)
    connection.busy = busy
    # As SQLAlchemy does for the connections that it makes itself.
    connection._thread.daemon = True  # pyright: ignore[reportPrivateUsage]
    await connection
    return connection
