"""The port through which pages see the running calls and do something about calls and deliveries. Light: imported before
the server of the pages is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from perezvon.calls import Event, Fact
from perezvon.customisation.answer import Said
from perezvon.rules import Decision
from perezvon.rules.orders import Order
from perezvon.rules.vocabulary import Reason
from perezvon.storage.calls import StoredCall
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


@dataclass(frozen=True, slots=True)
class Telephone:
    """Of an employee of a portal."""

    user: str
    name: str
    extension: str


class Switchroom(Protocol):
    """Implemented by the service."""

    # ---- the running calls

    def board(self) -> Board: ...

    def watchers(self, who: str) -> tuple[int, int]:
        """How many streams go to him, and to all."""
        ...

    def watcher(self, who: str) -> AbstractContextManager[Watcher]: ...

    # ---- one call

    def events(self, call: StoredCall) -> Sequence[Event]:
        """What the PBX has told of it, as far as it is kept in memory: of the last minutes."""
        ...

    def said(self, call: str) -> Sequence[Said]:
        """What the integrator's hooks have answered about it, and printed, as far as it is kept in memory."""
        ...

    def planned(self, call: StoredCall, facts: Sequence[Fact]) -> Sequence[Decision] | None:
        """What would be decided on these facts by the present settings, no hook being asked; None where no portal is set
        for the PBX, or nothing runs."""
        ...

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

    # ---- calling back

    def follows_missed(self) -> bool:
        """Whether it is kept who was missed: the settings may not want it."""
        ...

    def telephones(self, portal: str) -> tuple[Telephone, ...]:
        """Of the portal's employees, by their extensions."""
        ...

    async def call_back(self, portal: str, order: Order) -> Reason | None:
        """Rings the employee, then dials the client; returns when that is stored. Gives why it cannot be. May raise
        storage.Unavailable."""
        ...

    def refusal(self, portal: str, key: str) -> Reason | None:
        """Why nothing came of such an order; None where it is not known any more."""
        ...
