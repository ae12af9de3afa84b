"""The portal's two limits, mirrored on our side so that we stop before it does. Pure but for the injected clock and sleep.

Rate: a leaky bucket for each portal and source address; every HTTP request adds one (a batch too), the level leaks 2 a
second, above 50 the portal answers 503 QUERY_LIMIT_EXCEEDED (Enterprise: 5 and 250). Operating time: for each method, ten
one-minute baskets; when they are full, 429 OPERATION_TIME_LIMIT. Source: contract.json "limits".
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0


class Bucket:
    """The leaky bucket as we believe it to be at the portal. Times are seconds of a monotonic clock.

    `margin`: tokens never used, for requests that leave evenly and arrive in a bunch.
    `take` never refuses: who sends without asking goes into debt, and those who ask wait the longer.
    """

    def __init__(
        self,
        leak_per_second: float = 2.0,
        burst: float = 50.0,
        *,
        margin: float | None = None,
        clock: Clock = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        if leak_per_second <= 0 or burst < 1:
            raise ValueError(f"a bucket needs a leak above 0 and a burst of at least 1, not {leak_per_second} and {burst}")
        self.leak_per_second = leak_per_second
        self.burst = burst
        self.margin = min(2.0, burst * 0.1) if margin is None else margin
        self._clock = clock
        self._sleep = sleep
        self._level = 0.0
        self._at = clock()
        self._closed_until = -math.inf
        self._refusals = 0

    def tokens(self, now: float | None = None) -> float:
        """How many requests may leave at this moment (not rounded; 0 or less: none; none during a pause)."""
        now = self._leak(now)
        free = self.burst - self.margin - self._level
        return min(free, 0.0) if now < self._closed_until else free

    def take(self, now: float | None = None, count: int = 1) -> None:
        """A request leaves."""
        self._leak(now)
        self._level += count

    def penalise(self, now: float | None = None) -> float:
        """The portal said 503: its bucket is fuller than ours (somebody else sends from our address). Our mirror becomes
        full, and nothing leaves for a pause that doubles with every refusal in a row. Gives the pause in seconds."""
        now = self._leak(now)
        if now < self._closed_until:  # answers to requests that were on their way already
            return self._closed_until - now
        self._level = max(self._level, self.burst - self.margin)
        pause = min(_FIRST_PAUSE * 2**self._refusals, _LONGEST_PAUSE)
        self._refusals += 1
        self._closed_until = now + pause
        return pause

    def accepted(self) -> None:
        """The portal took a request: the next refusal starts with a short pause again."""
        self._refusals = 0

    def delay(self, now: float | None = None, *, count: int = 1, reserve: float = 0.0) -> float:
        """Seconds until `count` requests may leave with `reserve` tokens left over; 0 when they may at once."""
        now = self._leak(now)
        missing = count + reserve - (self.burst - self.margin - self._level)
        return max(missing / self.leak_per_second, self._closed_until - now, 0.0)

    async def wait(self, *, reserve: float = 0.0) -> None:
        """Returns when a request may leave and `reserve` tokens stay. For background work; it does not take the token."""
        reserve = min(reserve, self.burst - self.margin - 1)
        while (pause := self.delay(reserve=reserve)) > 0:
            await self._sleep(pause)

    def _leak(self, now: float | None) -> float:
        now = self._clock() if now is None else now
        if now > self._at:
            self._level = max(0.0, self._level - (now - self._at) * self.leak_per_second)
            self._at = now
        return now


@dataclass(frozen=True, slots=True)
class Operating:
    """Working time of one method: `seconds` used in the last ten minutes, `reset_at` POSIX seconds (the portal's clock)."""

    seconds: float
    reset_at: float | None


class OperatingBudget:
    """Working time of each method, as the portal's answers tell it. Times are POSIX seconds, UTC."""

    window = 600.0
    unknown_pause = 60.0

    def __init__(self, limit_seconds: float = 480.0, *, clock: Clock = time.time) -> None:
        self.limit_seconds = limit_seconds
        self._clock = clock
        self._used: dict[str, Operating] = {}
        self._paused: dict[str, float] = {}

    def note(self, method: str, seconds: float, reset_at: float | None) -> None:
        """From the `time` block of an answer."""
        self._used[method.lower()] = Operating(seconds, reset_at)

    def refused(self, method: str, reset_at: float | None = None, now: float | None = None) -> float:
        """The portal said 429. Gives the moment from which the method may be tried again."""
        now = self._clock() if now is None else now
        key = method.lower()
        told = reset_at if reset_at is not None else self._used[key].reset_at if key in self._used else None
        until = now + self.unknown_pause if told is None or told <= now else min(told, now + self.window)
        self._paused[key] = max(until, self._paused.get(key, 0.0))
        return self._paused[key]

    def paused_until(self, method: str, now: float | None = None) -> float | None:
        """When the method may be called again; None: now."""
        now = self._clock() if now is None else now
        until = self._paused.get(method.lower())
        return until if until is not None and until > now else None

    def used(self, method: str) -> float:
        """Share of the limit, 0.0 and up (the limit itself is the vendor's and only assumed)."""
        seen = self._used.get(method.lower())
        return seen.seconds / self.limit_seconds if seen else 0.0
