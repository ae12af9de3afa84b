"""The port through which pages see the running calls and do something about calls and deliveries. Light: imported before
the server of the pages is."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from perezvon.rules.vocabulary import Reason
from perezvon.storage.pauses import Pause
from perezvon.web.live import Board, Watcher


@dataclass(frozen=True, slots=True)
class Sending:
    """What is sent to a portal. `state`: ready | unreachable | paused | blocked | waiting for installation; `error` and
    `fix`: why, and what to do. `application`: we come as one, else as a webhook. `queued`: steps that wait, by priority;
    `oldest`: seconds. `dead`: steps that the portal refused. `pause`: a human wants nothing to be sent."""

    portal: str
    state: str
    error: str = ""
    fix: Reason | None = None
    application: bool = False
    queued: Mapping[int, int] = field(default_factory=dict[int, int])
    oldest: float | None = None
    dead: int = 0
    under_way: int = 0
    paused_until: float | None = None
    pause: Pause | None = None

    @property
    def waiting(self) -> int:
        return sum(self.queued.values())


class Switchroom(Protocol):
    """Implemented by the service."""

    # ---- the running calls

    def board(self) -> Board: ...

    def watchers(self, who: str) -> tuple[int, int]:
        """How many streams go to him, and to all."""
        ...

    def watcher(self, who: str) -> AbstractContextManager[Watcher]: ...

    # ---- deliveries

    async def sending(self) -> tuple[Sending, ...]:
        """Of all portals. May raise storage.Unavailable."""
        ...

    def queued(self, portal: str) -> None:
        """Something may be sent to the portal that could not before."""
        ...

    def hold(self, portal: str, pause: Pause | None) -> None:
        """Nothing is sent to it from now on; None: it goes on."""
        ...
