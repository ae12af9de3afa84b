"""The calls with a client as they change, for any number of onlookers, each of whom sees what he may.

An onlooker is told the whole state first, then each change. Whoever is so slow that much waits for him is told the whole
state again instead: nothing grows. While nobody looks, nothing is compared.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from perezvon.calls.call import iso
from perezvon.conference.consultation import Consultation
from perezvon.conference.onlookers import Awaited
from perezvon.conference.operators import Operator
from perezvon.conference.rooms import Stage

MOST_WAITING = 100
"""News for one onlooker."""

NOT_YOURS = "not yours"
"""What an employee is told of a call in which he does not talk any more."""


@dataclass(frozen=True, slots=True)
class PbxState:
    """`state`: of the connection; orders can be given while it is live."""

    name: str
    state: str

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "state": self.state}


@dataclass(frozen=True, slots=True)
class Whole:
    """Everything, at the moment `at` (POSIX seconds)."""

    at: float
    calls: tuple[Consultation, ...] = ()
    pbxs: tuple[PbxState, ...] = ()

    def seen_by(self, operator: Operator) -> Whole:
        """What he may know of it."""
        calls = tuple(seen for seen in self.calls if operator.may(seen))
        return Whole(self.at, calls, tuple(pbx for pbx in self.pbxs if operator.may_know_of(pbx.name)))

    def as_json(self) -> dict[str, Any]:
        return {
            "at": iso(self.at),
            "calls": [seen.as_json() for seen in self.calls],
            "pbxs": [pbx.as_json() for pbx in self.pbxs],
        }


@dataclass(frozen=True, slots=True)
class Change:
    """`what` has happened; `now`: the whole call after it, None when it is no talk with a client any more."""

    call: str
    what: str
    at: float
    now: Consultation | None

    def as_json(self) -> dict[str, Any]:
        return {
            "call": self.call,
            "what": self.what,
            "at": iso(self.at),
            "now": self.now.as_json() if self.now is not None else None,
        }


News = Whole | Change | PbxState


class Onlooker(Awaited):
    """One who is told. `next` gives what he has not seen yet."""

    def __init__(self, operator: Operator, whole: Callable[[], Whole]) -> None:
        super().__init__()
        self._operator = operator
        self._whole = whole
        self._waiting: deque[Change | PbxState] = deque()
        self._shown: set[str] = set()

    async def next(self, seconds: float) -> News | None:
        """None when nothing has happened for so long. Raises Closed."""
        if not await self._news(seconds, waiting=bool(self._waiting)):
            return None
        if self._behind:
            return self._anew()
        return self._waiting.popleft()

    def tell(self, news: Change | PbxState) -> None:
        if self._behind:
            return
        seen = self._for_him(news)
        if seen is None:
            return
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(seen)
        else:
            self._waiting.clear()
            self._behind = True
        self._woken.set()

    def _for_him(self, news: Change | PbxState) -> Change | PbxState | None:
        """As he may see it. A call in which he does not talk any more is over for him."""
        if isinstance(news, PbxState):
            return news if self._operator.may_know_of(news.name) else None
        if news.now is not None and self._operator.may(news.now):
            self._shown.add(news.call)
            return news
        if news.call not in self._shown:
            return None
        self._shown.discard(news.call)
        return news if news.now is None else Change(news.call, NOT_YOURS, news.at, None)

    def _anew(self) -> Whole:
        whole = self._whole().seen_by(self._operator)
        self._behind = False
        self._shown = {seen.call for seen in whole.calls}
        return whole


class Live:
    """`look` gives everything as it is now."""

    def __init__(self, look: Callable[[], Whole]) -> None:
        self._look = look
        self._onlookers: dict[Onlooker, Operator] = {}
        self._calls: dict[str, Consultation] = {}
        self._pbxs: tuple[PbxState, ...] = ()
        self._closed = False

    @property
    def watched(self) -> bool:
        return bool(self._onlookers)

    def watching(self, operator: Operator) -> int:
        """How many onlookers he has, by his name."""
        return sum(other.name == operator.name for other in self._onlookers.values())

    def __len__(self) -> int:
        return len(self._onlookers)

    @contextmanager
    def onlooker(self, operator: Operator) -> Generator[Onlooker]:
        onlooker = Onlooker(operator, self.refresh)
        self._onlookers[onlooker] = operator
        if self._closed:
            onlooker.close()
        try:
            yield onlooker
        finally:
            del self._onlookers[onlooker]

    def close(self) -> None:
        self._closed = True
        for onlooker in self._onlookers:
            onlooker.close()

    def happened(self, call: str, what: str, at: float, now: Consultation | None) -> None:
        if now is None:
            if self._calls.pop(call, None) is None:
                return
        else:
            self._calls[call] = now
        self._tell([Change(call, what, at, now)])

    def call_of_room(self, pbx: str, room: str) -> str:
        """The call that was told of with this room, "" for none."""
        for seen in self._calls.values():
            if seen.room.id == room and seen.pbx == pbx:
                return seen.call
        return ""

    def refresh(self) -> Whole:
        """Tells what has changed without anybody having said so: talks that begin and end, PBXs that go and come."""
        now = self._look()
        calls = {seen.call: seen for seen in now.calls}
        over = self._calls.keys() - calls.keys()
        changes: list[Change | PbxState] = [Change(call, "ended", now.at, None) for call in over]
        for call, seen in calls.items():
            before = self._calls.get(call)
            if before is None:
                what = "talk" if seen.room.stage is Stage.TALK else "found"
                changes.append(Change(call, what, now.at, seen))
            elif before != seen:
                changes.append(Change(call, "changed", now.at, seen))
        changes += [pbx for pbx in now.pbxs if pbx not in self._pbxs]
        self._calls, self._pbxs = calls, now.pbxs
        self._tell(changes)
        return now

    def _tell(self, news: Iterable[Change | PbxState]) -> None:
        for one in news:
            for onlooker in self._onlookers:
                onlooker.tell(one)
