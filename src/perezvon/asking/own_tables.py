"""Our own tables, read while somebody waits, and written behind his back: neither ever raises for what they do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.storage.database import Database
from perezvon.storage.errors import StorageError

T = TypeVar("T")

log = structlog.get_logger(__name__)


class OwnTables:
    """Owns what it has begun: its owner awaits `close` at the end."""

    def __init__(self, storage: Database, name: str) -> None:
        """`name`: whose questions these are, for the log."""
        self._storage = storage
        self._name = name
        self._tasks: set[asyncio.Task[Any]] = set()

    async def close(self) -> None:
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    def cancel(self) -> None:
        """For what asks somebody else (a portal): nobody waits for it any more. Before `close`."""
        for task in self._tasks:
            task.cancel()

    async def read(self, work: Callable[[AsyncConnection], Awaitable[T]], deadline: float) -> T | None:
        """None also when they do not answer before the deadline (of the loop's clock), or not at all."""

        async def read() -> T:
            async with self._storage.glance() as conn:
                return await work(conn)

        task = self.begin(read(), "read")
        try:
            await asyncio.wait({task}, timeout=max(0.0, deadline - asyncio.get_running_loop().time()))
        finally:
            if not task.done():
                task.cancel()
        if not task.done():
            log.warning("our own tables do not answer in time", asked_for=self._name)
            return None
        try:
            return task.result()
        except StorageError as error:
            log.warning("our own tables cannot be read", asked_for=self._name, why=str(error))
            return None

    def write(self, work: Callable[[AsyncConnection], Awaitable[None]], what: str) -> None:
        """`what`: for the log."""

        async def write() -> None:
            try:
                await self._storage.write(work)
            except StorageError as error:
                log.warning("our own tables cannot be written", asked_for=self._name, what=what, why=str(error))

        self.begin(write(), "write")

    def begin(self, work: Coroutine[Any, Any, T], doing: str) -> asyncio.Task[T]:
        task = asyncio.create_task(work, name=f"{self._name}-{doing}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
