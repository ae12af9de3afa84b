"""The conferences of one PBX as they are now, for whoever looks at them or waits for something: pages, control."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping
from contextlib import contextmanager

import structlog

from perezvon.calls import Event, Snapshot
from perezvon.conference.reducing import heed_muted, reduce, resync
from perezvon.conference.rooms import Delta, Room, Rooms

MOST_WAITING = 1000
"""Changes that a watcher may be behind; one that is further behind is sent away, and begins anew."""

log = structlog.get_logger(__name__)


class Watch:
    """What one watcher has not seen yet. `async for delta in watch` ends when it has fallen too far behind."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[Delta | None] = asyncio.Queue(MOST_WAITING + 1)
        self._lagging = False

    def tell(self, delta: Delta) -> None:
        if self._lagging:
            return
        if self._waiting.qsize() < MOST_WAITING:
            self._waiting.put_nowait(delta)
        else:
            self._lagging = True
            self._waiting.put_nowait(None)

    async def __aiter__(self) -> AsyncGenerator[Delta]:
        while (delta := await self._waiting.get()) is not None:
            yield delta


class RoomBook:
    """`feed` and `resync` are given what the tracker of calls is given, in the same order."""

    def __init__(self, pbx: str) -> None:
        self.pbx = pbx
        self.rooms = Rooms()
        self._watches: set[Watch] = set()
        self._listeners: list[Callable[[Delta], None]] = []
        self._changed = asyncio.Event()
        self._resynced = asyncio.Event()

    def feed(self, event: Event) -> None:
        rooms, delta = reduce(self.rooms, event)
        if rooms is not self.rooms:
            self.rooms = rooms
            self._tell([delta] if delta is not None else [])

    def resync(self, snapshot: Snapshot) -> None:
        self.rooms, deltas = resync(self.rooms, snapshot)
        self._tell(deltas)
        self._resynced.set()

    async def resynced(self) -> None:
        """Returns once after each dump: what dumps do not say can be asked then."""
        await self._resynced.wait()
        self._resynced.clear()

    def heed_muted(self, members: Iterable[Mapping[str, str]], at: float) -> None:
        """What `members_of` has found."""
        self.rooms, deltas = heed_muted(self.rooms, members, at)
        self._tell(deltas)

    def channels(self) -> frozenset[str]:
        """The names of all channels that are in a conference."""
        return frozenset(person.channel for room in self.rooms for person in room.people)

    def by_channel(self) -> dict[str, Room]:
        return {person.channel: room for room in self.rooms for person in room.people}

    def find(self, channels: Iterable[str]) -> Room | None:
        """The room in which one of these channels is (by name)."""
        wanted = set(channels)
        return next((room for room in self.rooms if any(person.channel in wanted for person in room.people)), None)

    @contextmanager
    def watch(self) -> Generator[Watch]:
        """While inside, the watch is told of every change; the rooms that there are come first."""
        watch = Watch()
        for room in self.rooms:
            watch.tell(Delta(room.id, room.since, "now", room))
        self._watches.add(watch)
        try:
            yield watch
        finally:
            self._watches.discard(watch)

    @contextmanager
    def listening(self, listener: Callable[[Delta], None]) -> Generator[None]:
        """While inside, each change is told at once; `listener` is quick and does not raise."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    async def until(self, condition: Callable[[Rooms], bool], seconds: float) -> bool:
        """Whether the rooms have come to be so within the time."""
        try:
            async with asyncio.timeout(seconds):
                while not condition(self.rooms):
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def _tell(self, deltas: Iterable[Delta]) -> None:
        for delta in deltas:
            stage = delta.now.stage.value if delta.now is not None else "none"
            log.info(f"conference: {delta.what} -> {stage}", pbx=self.pbx, room=delta.room)
            for watch in self._watches:
                watch.tell(delta)
            for listener in self._listeners:
                listener(delta)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
