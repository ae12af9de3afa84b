"""One process of hooks and whoever waits for it: in turn, started when it is needed, dropped when it does not answer."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from perezvon.customisation.points import POINTS, Point
from perezvon.customisation.process import Edition, HookFailed, HookTrouble, Loaded, NotStarted, Process

LOADING = 5.0
"""Seconds that the files' own code may take."""
RESTART = 1.0
"""Seconds between two tries to start a process that cannot be started."""

_NAMES = [point.value for point in Point]


@dataclass(frozen=True, slots=True)
class Limits:
    """`ordinary`, `urgent`: seconds that a hook may take, the second where somebody waits. `memory`: bytes. `off`: points
    that are switched off."""

    ordinary: float = 2.0
    urgent: float = 0.3
    memory: int = 256 * 1024 * 1024
    off: frozenset[str] = frozenset()

    def of(self, point: Point) -> float:
        return self.urgent if POINTS[point].urgent else self.ordinary


class Desk:
    """`edition` may be replaced at any time: from the next question on."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.edition: Edition | None = None
        self._of: Edition | None = None
        self._process: Process | None = None
        self._turn = asyncio.Lock()
        self._not_before = 0.0

    async def ask(self, point: Point, data: Any, limits: Limits, limit: float, patience: float) -> tuple[Any, str]:
        """`limit`: seconds for the answer; `patience`: for its turn. Raises HookTrouble."""
        try:
            async with asyncio.timeout(patience):
                await self._turn.acquire()
        except TimeoutError:
            raise HookTrouble(f"the hooks' process was busy with other calls for {patience:g} s") from None
        try:
            process = await self._ready(limits, patience)
            try:
                return await process.ask(point.value, data, limit)
            except HookFailed:
                raise
            except BaseException:
                await self._drop()
                raise
        finally:
            self._turn.release()

    async def load(self, edition: Edition, limits: Limits) -> Loaded:
        """Tries the edition in a process of its own, which takes over when the edition is taken. Raises HookTrouble."""
        fresh = await Process.start(edition, _NAMES, memory=limits.memory, limit=LOADING)
        if fresh.loaded.broken:
            await fresh.end()
            return fresh.loaded
        try:
            async with self._turn:
                await self._drop()
                self._process, self._of, self.edition = fresh, edition, edition
        except BaseException:
            await fresh.end()
            raise
        return fresh.loaded

    async def warm(self, limits: Limits) -> None:
        """Starts the process before it is asked for. Raises HookTrouble."""
        async with self._turn:
            if self.edition is not None:
                await self._ready(limits, LOADING)

    async def close(self) -> None:
        async with self._turn:
            self.edition = None
            await self._drop()

    async def _ready(self, limits: Limits, patience: float) -> Process:
        if self._process is not None and (self._of is not self.edition or not self._process.alive):
            await self._drop()
        if self._process is None:
            if self.edition is None:
                raise HookTrouble("the hooks' files are gone")
            if time.monotonic() < self._not_before:
                raise NotStarted("the hooks' process could not be started a moment ago")
            try:
                limit = min(LOADING, patience)
                started = await Process.start(self.edition, _NAMES, memory=limits.memory, limit=limit)
            except HookTrouble as error:
                self._not_before = time.monotonic() + RESTART
                raise NotStarted(f"the hooks' process could not be started: {error}") from error
            self._process, self._of = started, self.edition
        return self._process

    async def _drop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await process.end()
