"""Addresses of recordings: signed, so that nobody can make one, and valid for as long as the settings say. Pure but for
time.

`PUBLIC/recordings/15.3fa9c1d2ab04.t5x9k0.SIGNATURE`: the recording, its call's digest, the last second (base 36, 0: for
ever), and HMAC-SHA256 of that with a key made of the installation's key file. An older key goes on opening what it has
signed.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

PURPOSE = "perezvon recordings 1"
_LENGTH = 24
_TOKEN = re.compile(r"(([0-9]{1,18}\.[0-9a-f]{12})\.([0-9a-z]{1,10}))\.([A-Za-z0-9_-]{32})", re.ASCII)
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class BadLink(Exception):
    """None of ours, or altered."""


class OldLink(Exception):
    """Was valid once."""


@dataclass(frozen=True, slots=True)
class Link:
    """What it names: a recording and the digest of its call. `expires`: POSIX seconds, 0 for never."""

    recording: int
    digest: str
    expires: int


class Links:
    """`keys`: the newest first. `public`: our address as portals see it; `lifetime`: seconds, 0 for ever; both are
    asked each time, so that a change of the settings applies at once."""

    def __init__(
        self,
        keys: Sequence[bytes],
        public: Callable[[], str],
        lifetime: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self._keys = keys
        self._public = public
        self._lifetime = lifetime
        self._clock = clock

    def address(self, subject: str, since: float | None = None) -> str:
        """`subject`: as delivery names a recording. `since`: when its life begins (POSIX seconds; None: now)."""
        lifetime = self._lifetime()
        begins = self._clock() if since is None else since
        told = f"{subject}.{_base36(int(begins + lifetime)) if lifetime else '0'}"
        return f"{self._public()}/recordings/{told}.{_signature(self._keys[0], told)}"

    def read(self, token: str) -> Link:
        """Raises BadLink, OldLink."""
        found = _TOKEN.fullmatch(token)
        if found is None:
            raise BadLink
        told, subject, expires, signature = found.groups()
        right = [hmac.compare_digest(_signature(key, told), signature) for key in self._keys]
        if not any(right):
            raise BadLink
        until = int(expires, 36)
        if until and self._clock() > until:
            raise OldLink
        recording, _, digest = subject.partition(".")
        return Link(int(recording), digest, until)


def _signature(key: bytes, told: str) -> str:
    digest = hmac.digest(key, told.encode("ascii"), "sha256")[:_LENGTH]
    return base64.urlsafe_b64encode(digest).decode("ascii")


def _base36(number: int) -> str:
    digits = ""
    while True:
        number, rest = divmod(number, 36)
        digits = _DIGITS[rest] + digits
        if not number:
            return digits
