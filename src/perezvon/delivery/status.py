"""What the status page and the metrics tell about a portal's sender."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from perezvon.bitrix24.errors import PortalError
from perezvon.rules.vocabulary import Reason
from perezvon.storage.missed import Tally as MissedTally
from perezvon.storage.pauses import Pause


@dataclass(slots=True)
class Tally:
    """Since the start. `commands`: steps and look-ups sent. `settled`: final states of steps. `failed`: requests that
    failed as a whole, by the class of the error."""

    requests: int = 0
    commands: int = 0
    settled: Counter[str] = field(default_factory=Counter[str])
    failed: Counter[str] = field(default_factory=Counter[str])
    last_error: str | Reason = ""
    last_error_at: float | None = None

    def request(self, commands: int) -> None:
        self.requests += 1
        self.commands += commands

    def error(self, error: PortalError, now: float, *, whole: bool) -> None:
        if whole:
            self.failed[type(error).__name__] += 1
        self.last_error = error.why
        self.last_error_at = now


@dataclass(frozen=True, slots=True)
class SenderStatus:
    """Times are POSIX seconds, UTC. `sky`, `error`, `since`: weather.py. `queued`: steps by priority.

    `oldest_age`: seconds. `paused_methods`: until when, and why. `tokens`: requests that the limit would let go now.
    `forgotten`: calls that the portal did not know any more and that were registered anew, ever, and the last time.
    `missed`: clients who wait for a call back, or have got it. `pause`: a human wants nothing to be sent.
    """

    portal: str
    sky: str
    error: PortalError | None
    since: float
    paused_until: float | None
    paused_methods: Mapping[str, tuple[float, PortalError]]
    queued: Mapping[int, int]
    oldest_age: float | None
    dead: int
    under_way: int
    tokens: float
    requests: int
    commands: int
    settled: Mapping[str, int]
    failed: Mapping[str, int]
    last_error: str | Reason
    last_error_at: float | None
    forgotten: int
    forgotten_last: float | None
    missed: MissedTally = field(default_factory=MissedTally)
    pause: Pause | None = None

    @property
    def message(self) -> str:
        return "" if self.error is None else str(self.error)

    @property
    def steps_per_request(self) -> float:
        return self.commands / self.requests if self.requests else 0.0
