"""Live news of the portal for the face and for tests that wait: cards, calls, CRM objects, tasks, messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

Json = Any


@dataclass(frozen=True, slots=True)
class News:
    """`kind`: card.shown, card.hidden, call.registered, call.finished, call.recorded, crm.add, crm.update, crm.delete,
    task, message, request, employee, fault, … `at`: POSIX seconds by the portal's clock."""

    kind: str
    at: float
    data: dict[str, Json]

    def as_json(self) -> dict[str, Json]:
        return {"kind": self.kind, "at": self.at, **self.data}


class Feed:
    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._readers: set[asyncio.Queue[News | None]] = set()
        self.closed = False

    def publish(self, kind: str, data: dict[str, Json]) -> None:
        if self._readers:
            news = News(kind, self._now(), data)
            for reader in self._readers:
                reader.put_nowait(news)

    @contextmanager
    def subscribed(self) -> Generator[AsyncIterator[News]]:
        """An iterator over what is published from now on; it ends when the portal closes."""
        queue: asyncio.Queue[News | None] = asyncio.Queue()
        self._readers.add(queue)
        try:
            yield self._read(queue)
        finally:
            self._readers.discard(queue)

    async def _read(self, queue: asyncio.Queue[News | None]) -> AsyncIterator[News]:
        while not self.closed:
            news = await queue.get()
            if news is None:
                return
            yield news

    def close(self) -> None:
        self.closed = True
        for reader in self._readers:
            reader.put_nowait(None)
