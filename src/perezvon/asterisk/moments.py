"""When the events of one connection happened, whoever sets a clock meanwhile: the PBX's or ours.

How long something lasted is told from two moments of the same clock. When the `Timestamp` of an event leaps against our own
steady count, the PBX is asked for its time (`Ping`). Has its clock been set, events are counted on from where they were,
until the connection is made anew; else they are believed. Without `Timestamp` (manager.conf: timestampevents) it is the
moment of arrival that counts, by our clock as it was when the connection was made.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import structlog

from perezvon.calls import Event

LEAP = 45.0
"""Seconds that no event is late: a silent connection is given up sooner (Limits.keep_alive)."""

log = structlog.get_logger(__name__)


def _ticks() -> float:
    """Counts on while this machine sleeps, as the PBX does."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Moments:
    """`where` names the PBX in the log. `wall`: POSIX seconds; `ticks`: seconds of a clock that is never set.

    `doubtful`: an event leaps; from it on events are to be held back until `asked` or `unanswered`.
    """

    def __init__(self, where: str, wall: Callable[[], float] = time.time, ticks: Callable[[], float] = _ticks) -> None:
        self._where = where
        self._ticks = ticks
        self._offset = wall() - ticks()
        self._events_ahead: float | None = None  # of our count, by the events' Timestamp
        self._pbx_ahead: float | None = None  # and by the PBX's answers to Ping
        self._leap = 0.0
        self._set = 0.0  # by how much the PBX's clock has been set forward
        self.doubtful = False

    def now(self) -> float:
        return self._ticks() + self._offset

    def look(self, event: Event, arrived: float) -> None:
        """`arrived`: what `now` said when the event was read."""
        if event.at == arrived or self.doubtful:  # without Timestamp they are the same
            return
        ahead = event.at - arrived
        if self._events_ahead is None:
            self._events_ahead = ahead
        self._leap = ahead - self._events_ahead
        self.doubtful = abs(self._leap) > LEAP

    def asked(self, told: float) -> None:
        """The PBX says what time it is. Its clock was set when that leaps as the events do."""
        ahead = told - self.now()
        if self._pbx_ahead is None:
            self._pbx_ahead = ahead
        step = ahead - self._pbx_ahead - self._set
        if self.doubtful and abs(step) > LEAP and abs(step - self._leap) < LEAP:
            self._set += step
            log.warning("the PBX's clock was set, its events are counted on", pbx=self._where, seconds=round(step, 1))
        self.unanswered()

    def unanswered(self) -> None:
        if self.doubtful:
            self.doubtful = False
            self._events_ahead = (self._events_ahead or 0.0) + self._leap

    def placed(self, event: Event) -> Event:
        """The event, at the moment that counts. Not for those without Timestamp."""
        return replace(event, at=event.at - self._set) if self._set else event
