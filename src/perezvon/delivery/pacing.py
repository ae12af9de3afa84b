"""When the next request may leave, and how much it carries. Pure: times are POSIX seconds, given.

A card leaves at once while things are calm. The more requests have left in the last seconds, the longer the next one waits
and the more it carries, so that a steady stream of calls costs less than the portal's limit and the burst is kept for a
rush. What is not urgent waits a moment for company. A full batch waits for nothing but the limit: a backlog drains at it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from perezvon.rules.vocabulary import Priority
from perezvon.storage.lanes import Demand

WINDOW = 10.0
"""Seconds over which the recent rate is taken."""

CRUISE = 0.7
"""Share of the portal's limit that a steady stream of half-empty batches may use."""

CALM = 0.25
"""Share of the cruising rate up to which nothing is held back."""

FULL = 40
"""Lanes with work that make a batch as good as full."""

MOST_LANES = 60

COLLECTING: dict[int, float] = {Priority.FINISH: 0.3, Priority.CRM: 0.5, Priority.RECORD: 1.0, Priority.DIRECTORY: 2.0}
"""Seconds for which the less urgent waits for company when nothing else is going on."""


@dataclass(frozen=True, slots=True)
class Departure:
    """The next request: seconds until it may leave, and how many lanes it takes along."""

    delay: float
    lanes: int
    urgent: bool


class Pacer:
    def __init__(self, leak_per_second: float, burst: float) -> None:
        self._cruise = CRUISE * leak_per_second
        self._cruising = max(self._cruise * WINDOW, 2.0)
        self._calm = max(CALM * self._cruising, 1.0)
        self.reserve = min(5.0, burst * 0.1)
        self._left: deque[float] = deque()

    def left(self, now: float) -> None:
        """A request leaves."""
        self._left.append(now)

    def spacing(self, now: float) -> float:
        """Seconds between two requests that are not full: 0 while calm, growing to 1 / cruising rate."""
        while self._left and self._left[0] <= now - WINDOW:
            self._left.popleft()
        excess = (len(self._left) - self._calm) / (self._cruising - self._calm)
        return min(max(excess, 0.0), 1.0) ** 2 / self._cruise

    def next(self, now: float, demand: Sequence[Demand], free: int, allowed: Callable[[float], float]) -> Departure | None:
        """None when nothing is ready. `free`: requests that may be under way besides those that are.

        `allowed(reserve)`: seconds until the portal's limit lets a request go and `reserve` more stay.
        """
        ready = sum(one.lanes for one in demand)
        if not ready or free < 1:
            return None
        urgent = any(one.priority <= Priority.CARD for one in demand)
        reserve = 0.0 if urgent else self.reserve
        if ready >= FULL:
            return Departure(allowed(reserve), MOST_LANES, urgent)
        spacing = self.spacing(now)
        spaced = self._left[-1] + spacing - now if self._left else 0.0
        if not urgent:
            # What was appended before the clock was set back is of the future: it waits for nothing.
            waits = (one.since + COLLECTING.get(one.priority, 0.0) if one.since <= now else now for one in demand)
            company = min(waits) - now
            return Departure(max(0.0, company, spaced, allowed(reserve)), MOST_LANES, urgent)
        # While calm the portal works faster on several requests at once than on one batch, command after command.
        lanes = MOST_LANES if spacing > 0 else -(-ready // free)
        return Departure(max(0.0, spaced, allowed(reserve)), lanes, urgent)
