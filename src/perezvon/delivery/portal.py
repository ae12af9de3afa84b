"""What the sender needs of a portal: the client of `bitrix24.client` has it, and so has a test's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from perezvon.bitrix24.answers import Answer
from perezvon.bitrix24.encoding import Command
from perezvon.bitrix24.errors import PortalError


class Allowance(Protocol):
    """The portal's rate limit as we believe it to be (bitrix24.limits.Bucket); the client takes from it at each request."""

    @property
    def leak_per_second(self) -> float: ...

    @property
    def burst(self) -> float: ...

    def tokens(self) -> float:
        """Requests that may leave at this moment; 0 or less: none."""
        ...

    def delay(self, *, count: int = 1, reserve: float = 0.0) -> float:
        """Seconds until `count` requests may leave and `reserve` are left; 0: now."""
        ...


class PortalPort(Protocol):
    """One attempt each; the errors are those of bitrix24.errors, raised, or given for single commands of a batch."""

    @property
    def bucket(self) -> Allowance: ...

    async def call(self, method: str, params: Mapping[str, Any]) -> Answer: ...

    async def batch(self, commands: Sequence[Command]) -> Sequence[Answer | PortalError]: ...

    async def upload(self, url: str, field: str, filename: str, content: bytes | Path) -> Answer: ...


MOST_RIDING = 6
"""Commands that a passenger may bring along."""


class Passenger(Protocol):
    """Somebody whose questions to the portal ride along in a batch instead of costing requests of their own
    (bitrix24.offline.OfflineQueue)."""

    def due(self) -> bool: ...

    def commands(self) -> list[Command]:
        """At most MOST_RIDING. Their answers go to `absorb`, the error of the whole request to `failed`."""
        ...

    async def absorb(self, answers: Sequence[Answer | PortalError]) -> None: ...

    def failed(self, error: PortalError) -> None: ...
