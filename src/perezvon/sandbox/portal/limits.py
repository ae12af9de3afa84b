"""The portal's two limits: requests a second for each source address, and seconds of work for each method.

Pure arithmetic over moments that the caller passes in (POSIX seconds).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from perezvon.sandbox.portal.config import Operating, Rate

BASKET = 60
BASKETS = 10


@dataclass(slots=True)
class _Bucket:
    level: float = 0.0
    at: float = 0.0


class LeakyBuckets:
    """One counter for each client address. A refused request does not fill it further."""

    def __init__(self, rate: Rate | None) -> None:
        self.rate = rate
        self.refused = 0
        self._buckets: dict[str, _Bucket] = {}

    def take(self, ip: str, now: float) -> bool:
        """Count one request; False when it has to be refused with 503."""
        if self.rate is None:
            return True
        bucket = self._buckets.setdefault(ip, _Bucket(0.0, now))
        bucket.level = max(0.0, bucket.level - (now - bucket.at) * self.rate.per_second)
        bucket.at = now
        if bucket.level + 1 > self.rate.block_above:
            self.refused += 1
            return False
        bucket.level += 1
        return True

    def level(self, ip: str) -> float:
        bucket = self._buckets.get(ip)
        return bucket.level if bucket else 0.0

    def empty(self) -> None:
        self._buckets.clear()
        self.refused = 0


@dataclass(slots=True)
class _Baskets:
    spent: dict[int, float] = field(default_factory=dict[int, float])


class OperatingTime:
    """Seconds spent for each (application or webhook, method) in ten one-minute baskets.

    The call that crosses the budget completes; the next one is refused.
    """

    def __init__(self, operating: Operating | None) -> None:
        self.operating = operating
        self._spent: dict[tuple[str, str], _Baskets] = {}

    def spent(self, app: str, method: str, now: float) -> float:
        baskets = self._fresh(app, method, now)
        return sum(baskets.spent.values())

    def reset_at(self, app: str, method: str, now: float) -> int:
        """When the oldest basket drops out (unix seconds); with nothing spent, ten minutes from now."""
        oldest = min(self._fresh(app, method, now).spent, default=int(now // BASKET))
        return int((oldest + BASKETS) * BASKET)

    def allowed(self, app: str, method: str, now: float) -> bool:
        return self.operating is None or self.spent(app, method, now) < self.operating.budget

    def charge(self, app: str, method: str, now: float, really: float) -> None:
        """`really`: seconds the handler took."""
        if self.operating is None:
            return
        cost = self.operating.costs.get(method.lower(), self.operating.costs.get("*", 0.0))
        cost += really if self.operating.measured else 0.0
        if cost:
            baskets = self._fresh(app, method, now)
            basket = int(now // BASKET)
            baskets.spent[basket] = baskets.spent.get(basket, 0.0) + cost

    def empty(self) -> None:
        self._spent.clear()

    def _fresh(self, app: str, method: str, now: float) -> _Baskets:
        baskets = self._spent.setdefault((app, method.lower()), _Baskets())
        oldest = int(now // BASKET) - BASKETS + 1
        for basket in [basket for basket in baskets.spent if basket < oldest]:
            del baskets.spent[basket]
        return baskets
