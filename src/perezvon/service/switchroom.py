"""What pages see and do about running calls and deliveries, on the parts of the house. Implements web.Switchroom.

Lives as long as the service; houses move in and out under it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from perezvon.service.house import House
from perezvon.service.live_board import LiveBoard
from perezvon.storage.database import Database
from perezvon.web.live import Board, Watcher


class Switchroom:
    """`run` belongs to a task of the caller."""

    def __init__(self, database: Database, *, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._house: House | None = None
        self._live = LiveBoard(clock=clock)

    def moved_in(self, house: House | None) -> None:
        self._house = house
        self._live.moved_in(house)

    async def run(self) -> None:
        await self._live.run()

    def close(self) -> None:
        """Ends every stream: the service stops."""
        self._live.close()

    def board(self) -> Board:
        return self._live.board()

    def watchers(self, who: str) -> tuple[int, int]:
        return self._live.watchers(who)

    def watcher(self, who: str) -> AbstractContextManager[Watcher]:
        return self._live.watcher(who)
