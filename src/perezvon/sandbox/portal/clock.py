"""The portal's clock: the machine's, which tests may move forward or stop."""

from __future__ import annotations

import time


class Clock:
    """POSIX seconds. Moving it ages tokens, duplicate windows, limits and reservations; it does not make sleeps shorter."""

    def __init__(self) -> None:
        self._shift = 0.0
        self._stopped_at: float | None = None

    def time(self) -> float:
        base = time.time() if self._stopped_at is None else self._stopped_at
        return base + self._shift

    def advance(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError(f"the clock only goes forward, got {seconds}")
        self._shift += seconds

    def stop(self) -> None:
        """Time stands still until `advance` or `start`."""
        if self._stopped_at is None:
            self._stopped_at = time.time()

    def start(self) -> None:
        """Time runs again, from where it stands."""
        if self._stopped_at is not None:
            self._shift -= time.time() - self._stopped_at
            self._stopped_at = None
