"""The time by which everything here waits: it does not jump when the machine's clock is set.

Back-offs, expiries, what waits in the database until a moment: all of it is POSIX seconds, and a clock set back by an hour
would make it wait for an hour. So the service goes on with the time that it began with, counted by what nobody can set, and
takes the new time over between two houses (`follow`), when everything that waits is read anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable

SET = 2.0
"""Seconds: a smaller difference is followed at once, nothing waits for so short."""


def _ticks() -> float:
    """Counts on while the machine sleeps: what was worth waiting for then is over."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Clock:
    """POSIX seconds, UTC. `wall`: the machine's clock; `ticks`: seconds since any moment, never set."""

    def __init__(self, wall: Callable[[], float] = time.time, ticks: Callable[[], float] = _ticks) -> None:
        self._wall = wall
        self._ticks = ticks
        self._offset = wall() - ticks()

    def __call__(self) -> float:
        return self._ticks() + self._offset

    def look(self) -> float:
        """Seconds by which the machine's clock has been set forward (below 0: back) and which are not followed yet."""
        ahead = self._wall() - self()
        if abs(ahead) < SET:
            self._offset += ahead
            return 0.0
        return ahead

    def follow(self) -> None:
        self._offset = self._wall() - self._ticks()
