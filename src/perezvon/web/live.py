"""The running calls for any number of people who look on: the whole board first, then what has changed.

What waits for somebody slow is at most one row a call, the newest: nothing grows, and nobody is shown what was long ago.
While nobody looks, nothing is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from perezvon.calls.call import iso
from perezvon.calls.watching import Stage
from perezvon.conference.onlookers import Awaited

MOST_WAITING = 500
"""Rows for one who looks on; with more he is given the whole board again."""


@dataclass(frozen=True, slots=True)
class Who:
    """`number`: an extension or an outside number; `name` of the employee, "" where it is not known. `since`: POSIX
    seconds."""

    number: str
    name: str = ""
    since: float | None = None

    def as_json(self) -> dict[str, Any]:
        return {"number": self.number, "name": self.name, "since": iso(self.since)}


@dataclass(frozen=True, slots=True)
class Row:
    """A call that goes on. `line_name`: as the settings call it. `since`: when the stage began. Times are POSIX seconds."""

    id: str
    pbx: str
    direction: str
    client: str
    client_name: str
    line: str
    line_name: str
    started: float
    stage: Stage
    since: float
    ringing: tuple[Who, ...] = ()
    talking: tuple[Who, ...] = ()
    holder: Who | None = None
    placed_by: Who | None = None
    queue: str = ""
    menu: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "pbx": self.pbx,
            "direction": self.direction,
            "client": self.client,
            "client_name": self.client_name,
            "line": self.line,
            "line_name": self.line_name,
            "started": iso(self.started),
            "stage": self.stage.value,
            "since": iso(self.since),
            "ringing": [who.as_json() for who in self.ringing],
            "talking": [who.as_json() for who in self.talking],
            "held_by": self.holder.as_json() if self.holder is not None else None,
            "placed_by": self.placed_by.as_json() if self.placed_by is not None else None,
            "queue": self.queue,
            "menu": list(self.menu),
        }


@dataclass(frozen=True, slots=True)
class Board:
    """Everything at the moment `at`. `deaf`: PBXs that are not connected just now: of their calls nothing new is known."""

    at: float
    rows: tuple[Row, ...] = ()
    deaf: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {"at": iso(self.at), "calls": [row.as_json() for row in self.rows], "deaf": list(self.deaf)}


@dataclass(frozen=True, slots=True)
class Change:
    """`gone`: calls that are over."""

    rows: tuple[Row, ...] = ()
    gone: tuple[str, ...] = ()


class Watcher(Awaited):
    """One who looks on. `next` gives what he has not seen yet."""

    def __init__(self, whole: Callable[[], Board]) -> None:
        super().__init__()
        self._whole = whole
        self._waiting: dict[str, Row | None] = {}

    async def next(self, seconds: float) -> Board | Change | None:
        """None when nothing has happened for so long. Raises Closed."""
        if not await self._news(seconds, waiting=bool(self._waiting)):
            return None
        waiting, self._waiting = self._waiting, {}
        if self._behind:
            self._behind = False
            return self._whole()
        rows = tuple(row for row in waiting.values() if row is not None)
        return Change(rows, tuple(call for call, row in waiting.items() if row is None))

    def tell(self, rows: Iterable[Row], gone: Iterable[str]) -> None:
        if self._behind:
            return
        self._waiting.update({row.id: row for row in rows})
        self._waiting.update(dict.fromkeys(gone))
        if len(self._waiting) > MOST_WAITING:
            self.begin_anew()
        self._woken.set()

    def begin_anew(self) -> None:
        self._waiting.clear()
        self._behind = True
        self._woken.set()


class Watchers:
    """`look` gives everything as it is now."""

    def __init__(self, look: Callable[[], Board]) -> None:
        self._look = look
        self._watchers: dict[Watcher, str] = {}
        self._rows: dict[str, Row] = {}
        self._deaf: tuple[str, ...] = ()
        self._closed = False

    def __len__(self) -> int:
        return len(self._watchers)

    def of(self, who: str) -> int:
        return sum(name == who for name in self._watchers.values())

    @contextmanager
    def watcher(self, who: str) -> Generator[Watcher]:
        watcher = Watcher(self.refresh)
        self._watchers[watcher] = who
        if self._closed:
            watcher.close()
        try:
            yield watcher
        finally:
            del self._watchers[watcher]

    def close(self) -> None:
        self._closed = True
        for watcher in self._watchers:
            watcher.close()

    def refresh(self) -> Board:
        """Tells everybody what has changed since the last look."""
        now = self._look()
        rows = {row.id: row for row in now.rows}
        if now.deaf != self._deaf:
            for watcher in self._watchers:
                watcher.begin_anew()
        changed = [row for row in now.rows if self._rows.get(row.id) != row]
        gone = self._rows.keys() - rows.keys()
        self._rows, self._deaf = rows, now.deaf
        if changed or gone:
            for watcher in self._watchers:
                watcher.tell(changed, gone)
        return now
