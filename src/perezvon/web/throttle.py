"""How often a wrong password may be tried: a few times freely, then after pauses that grow. In memory only.

A try is counted before it is looked at, so that many at once gain nothing; the right password takes the count back.
"""

from __future__ import annotations

import time
from collections.abc import Callable

FREE_OF_LOGIN = 5
FREE_OF_PEER = 20
"""Wrong tries without a pause: for one login, and from one address (behind a proxy all have one)."""

LONGEST = 300.0
FORGOTTEN = 3600.0
"""Seconds: the longest pause, and after how long tries are forgotten."""

MOST = 10_000


class Throttle:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tries: dict[str, tuple[int, float]] = {}

    def takes(self, key: str, free: int) -> bool:
        """Whether a try is taken now; it counts then."""
        now = self._clock()
        tries, last = self._tries.get(key, (0, now))
        if now - last > FORGOTTEN:
            tries = 0
        if tries >= free and now - last < min(LONGEST, 2.0 ** (tries - free)):
            return False
        if len(self._tries) >= MOST:
            self._tries = {one: known for one, known in self._tries.items() if now - known[1] <= LONGEST}
        if len(self._tries) >= MOST:
            return False
        self._tries[key] = (tries + 1, now)
        return True

    def forgive(self, key: str) -> None:
        self._tries.pop(key, None)

    def take_back(self, key: str) -> None:
        """One try was none."""
        tries, last = self._tries.get(key, (0, 0.0))
        if tries > 1:
            self._tries[key] = (tries - 1, last)
        else:
            self._tries.pop(key, None)
