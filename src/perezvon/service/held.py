"""Facts of calls whose hooks are being asked: each call's in their order, while all other calls go on.

A hook may take a moment, and must hold up nobody else. What is held is not stored yet: `oldest` keeps the service from
storing that it has come further (progress), so that after a kill it is read up again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from math import inf
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from perezvon.service.rounds import Taken

log = structlog.get_logger(__name__)

LAST = 3.0
"""Seconds that calls get to be done with when we stop."""


class Held:
    """`work(call, taken)` is awaited for one after the other of each call. Its owner runs `run`; before that, `put` itself
    waits for the work."""

    def __init__(self, work: Callable[[str, Taken], Awaitable[None]]) -> None:
        self._work = work
        self._waiting: dict[str, deque[Taken]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._running: set[asyncio.Task[None]] = set()

    @property
    def oldest(self) -> float:
        """The first moment of what is held (the PBX's clock); infinite for nothing."""
        return min((fact.at for queue in self._waiting.values() for taken in queue for fact in taken.facts), default=inf)

    def has(self, call: str) -> bool:
        return call in self._waiting

    async def put(self, call: str, taken: Taken) -> None:
        if call in self._waiting:
            self._waiting[call].append(taken)
            return
        self._waiting[call] = deque([taken])
        if self._tasks is None:
            await self._do(call)
            return
        task = self._tasks.create_task(self._do(call), name=f"hooks of {call}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def run(self) -> None:
        """Until cancelled; then what is held is done with. Raises what the work raises."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                await asyncio.Event().wait()
            finally:
                self._tasks = None
                with contextlib.suppress(ValueError):  # nothing runs
                    await asyncio.wait(self._running, timeout=LAST)

    async def _do(self, call: str) -> None:
        queue = self._waiting[call]
        try:
            while queue:
                await self._work(call, queue[0])
                queue.popleft()
        finally:
            if queue:
                log.warning("calls that were held are left to the next start", call=call)
            del self._waiting[call]
