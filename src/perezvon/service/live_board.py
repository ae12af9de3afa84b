"""The running calls of all PBXs, for those who look on. Lives as long as the service; houses move in and out under it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from perezvon.bitrix24.directory import Directory
from perezvon.calls.watching import Someone, Stage, Watched
from perezvon.service.clicks import Exchange
from perezvon.service.house import House
from perezvon.web.live import Board, Row, Watcher, Watchers, Who

TICK = 2.0
"""Seconds between two looks when no PBX tells anything: a connection may have been lost."""

PAUSE = 0.15
SHARE = 30
"""Between two looks at least `PAUSE` seconds, and so many times as long as one takes: a thousand calls must cost a few
percent only."""

_TOLD = (Stage.HOLD, Stage.CONFERENCE)
"""Stages of which the PBX's events do not keep when they began: since we saw them."""


class LiveBoard:
    """`run` belongs to a task of the caller."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._house: House | None = None
        self._unhook: list[Callable[[], None]] = []
        self._watchers = Watchers(self.board)
        self._seen: dict[str, tuple[Stage, float]] = {}
        self._woken = asyncio.Event()

    def moved_in(self, house: House | None) -> None:
        for unhook in self._unhook:
            unhook()
        self._house = house
        self._unhook = [exchange.switchboard.on_progress(self._woken.set) for exchange in self._exchanges()]
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                async with asyncio.timeout(TICK):
                    await self._woken.wait()
            except TimeoutError:
                pass
            self._woken.clear()
            took = 0.0
            if len(self._watchers):
                began = time.monotonic()
                self._watchers.refresh()
                took = time.monotonic() - began
            await asyncio.sleep(max(PAUSE, SHARE * took))

    def close(self) -> None:
        """Ends every stream: the service stops."""
        self._watchers.close()

    def watchers(self, who: str) -> tuple[int, int]:
        return self._watchers.of(who), len(self._watchers)

    def watcher(self, who: str) -> AbstractContextManager[Watcher]:
        return self._watchers.watcher(who)

    def board(self) -> Board:
        now = self._clock()
        rows = [
            self._row(exchange, call, now)
            for exchange in self._exchanges()
            for call in exchange.switchboard.tracker.watched()
        ]
        live = {row.id for row in rows}
        self._seen = {call: seen for call, seen in self._seen.items() if call in live}
        deaf = [e.settings.name for e in self._exchanges() if e.supervisor.status.state != "live"]
        return Board(now, tuple(sorted(rows, key=lambda row: (-row.started, row.id))), tuple(deaf))

    def _exchanges(self) -> list[Exchange]:
        return list(self._house.exchanges.values()) if self._house is not None else []

    def _row(self, exchange: Exchange, call: Watched, now: float) -> Row:
        pbx = exchange.settings.name
        directory = self._directory(pbx)
        ahead = exchange.switchboard.ahead

        def who(one: Someone) -> Who:
            known = directory.by_extension(one.number)
            since = None if one.since is None else one.since - ahead
            return Who(one.number, known.name if known is not None else "", since)

        stage, at = self._seen.get(call.id, (None, 0.0))
        if stage is not call.stage:
            at = now
            self._seen[call.id] = (call.stage, at)
        line = self._lines().get(call.line, "")
        return Row(
            id=call.id,
            pbx=pbx,
            direction=call.direction.value,
            client=call.client,
            client_name=call.client_name,
            line=call.line,
            line_name=line,
            started=call.started - ahead,
            stage=call.stage,
            since=at if call.stage in _TOLD or call.since is None else call.since - ahead,
            ringing=tuple(map(who, call.ringing)),
            talking=tuple(map(who, call.talking)),
            holder=who(Someone(call.holder)) if call.holder else None,
            placed_by=who(Someone(call.placed_by)) if call.placed_by else None,
            queue=call.queue,
            menu=call.menu,
        )

    def _directory(self, pbx: str) -> Directory:
        portal = self._house.settings.portal_of(pbx) if self._house is not None else None
        link = self._house.portals.get(portal.name) if self._house is not None and portal is not None else None
        return link.directory if link is not None else Directory()

    def _lines(self) -> dict[str, str]:
        """Number -> what people call it."""
        if self._house is None:
            return {}
        return {number: line.name for line in self._house.settings.line for number in (line.number, *line.aliases)}
