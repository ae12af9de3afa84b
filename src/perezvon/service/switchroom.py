"""What pages see and do about running calls and deliveries, on the parts of the house. Implements web.Switchroom.

Lives as long as the service; houses move in and out under it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from perezvon.bitrix24.remedy import remedy
from perezvon.delivery.status import SenderStatus
from perezvon.service.house import House
from perezvon.service.live_board import LiveBoard
from perezvon.service.portals import PortalLink
from perezvon.service.status import SKIES
from perezvon.storage.database import Database
from perezvon.storage.pauses import Pause
from perezvon.web.live import Board, Watcher
from perezvon.web.switchroom import Sending


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

    # ---- deliveries

    async def sending(self) -> tuple[Sending, ...]:
        house = self._house
        if house is None:
            return ()
        return tuple([_sending(link, await house.senders[name].status()) for name, link in house.portals.items()])

    def queued(self, portal: str) -> None:
        if self._house is not None and portal in self._house.senders:
            self._house.senders[portal].notify()

    def hold(self, portal: str, pause: Pause | None) -> None:
        if self._house is not None and portal in self._house.senders:
            self._house.senders[portal].hold(pause)


def _sending(link: PortalLink, status: SenderStatus) -> Sending:
    application = link.client.is_application
    return Sending(
        portal=link.name,
        state=SKIES[status.sky] if link.installed else "waiting for installation",
        error=status.message,
        fix=None if status.error is None else remedy(status.error, application=application),
        application=application,
        queued=status.queued,
        oldest=status.oldest_age,
        dead=status.dead,
        under_way=status.under_way,
        paused_until=status.paused_until,
        pause=status.pause,
    )
