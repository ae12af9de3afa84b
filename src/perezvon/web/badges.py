"""Badges: what the buttons of an employee's call card show to be let in. Sealed by the service, valid for some hours.

A badge is a Fernet token (AES-128-CBC and HMAC-SHA256, compared in constant time) made with the keys of the data directory:
nobody can make or alter one without them, and it tells nothing. It goes in the header `Authorization: Bearer`, never in an
address or a cookie: so it gets into no log, a page of somebody else cannot make the browser send it, and it works in the
portal's frame, where browsers keep cookies from us.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Protocol

from perezvon.conference import Employee
from perezvon.settings.errors import KeyLost

LIFETIME = 4 * 3600.0
"""Seconds. A card gets a fresh one each time it is opened."""

LONGEST = 2000
_PURPOSE = b"perezvon call card 1 "
"""Inside each badge, so that nothing else that is sealed with the same keys can pass for one."""


class Seal(Protocol):
    """`settings.SecretBox`, as far as it is needed here."""

    def seal(self, plain: bytes) -> bytes: ...

    def unseal(self, sealed: bytes) -> bytes: ...


class BadBadge(Exception):
    """None of ours, or altered."""


class OldBadge(Exception):
    """Was valid once."""


class Badges:
    def __init__(self, seal: Seal, clock: Callable[[], float]) -> None:
        self._seal = seal
        self._clock = clock

    def issue(self, employee: Employee, lifetime: float = LIFETIME) -> str:
        """For whoever has proven to be this employee; `lifetime` in seconds."""
        told = {"until": self._clock() + lifetime, **asdict(employee)}
        return self._seal.seal(_PURPOSE + json.dumps(told).encode()).decode("ascii")

    def read(self, badge: str) -> Employee:
        """Raises BadBadge, OldBadge."""
        if len(badge) > LONGEST or not badge.isascii():
            raise BadBadge
        try:
            plain = self._seal.unseal(badge.encode())
        except KeyLost:
            raise BadBadge from None
        if not plain.startswith(_PURPOSE):
            raise BadBadge
        told: dict[str, Any] = json.loads(plain[len(_PURPOSE) :])
        if not self._clock() < told.pop("until"):
            raise OldBadge
        return Employee(**told)
