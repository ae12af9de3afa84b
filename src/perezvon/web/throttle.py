"""How often a wrong password may be tried: a few times freely, then after pauses that grow. In memory only.

Whoever fills the table makes it forget those with the fewest tries, never those whom it holds up longest.

A try is counted before it is looked at, so that many at once gain nothing; the right password takes the count back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

FREE_OF_LOGIN = 5
FREE_OF_PEER = 20
"""Wrong tries without a pause: for one login, and from one source."""

LONGEST = 300.0
FORGOTTEN = 3600.0
"""Seconds: the longest pause, and after how long tries are forgotten."""

MOST = 10_000


def source(host: str) -> str:
    """Whose tries are counted together: an address; of IPv6 the /64 network, which is one customer's."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host[:100]
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(IPv6Network((address, 64), strict=False))
    return str(address if isinstance(address, IPv4Address) else address.ipv4_mapped)


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
        if len(self._tries) >= MOST and key not in self._tries:
            worst = sorted(self._tries.items(), key=lambda known: known[1], reverse=True)
            self._tries = dict(worst[: MOST // 2])
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
