"""Sessions of our pages inside a portal, where browsers keep cookies from us: a code that is good once, then a bearer.

The page that the portal opens brings a one-time code, which its script exchanges at once; what it gets it keeps in
memory and shows in the header `Authorization: Bearer`. So nothing that can be used again stands in a page, an address or
a log. Codes live in our memory for a minute; bearers are sealed with the keys of the data directory (as badges.py), name
portal and user, are good for a quarter of an hour and get renewed while the page is used, up to half a day after the
portal has vouched.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from perezvon.rules.vocabulary import Reason
from perezvon.settings.errors import KeyLost
from perezvon.web.badges import Seal
from perezvon.web.refusals import Refusal, Refused

LIFETIME = 15 * 60.0
LONGEST = 12 * 3600.0
CODE_LIFETIME = 60.0
MOST_CODES = 2000
MOST_BYTES = 4000
_PURPOSE = b"perezvon inside a portal 1 "

EXPIRED = Refusal(401, "session_expired", Reason("this page was open for too long: open it again in the portal"))
UNKNOWN = Refusal(401, "session_unknown", Reason("open this page in the portal"))


@dataclass(frozen=True, slots=True)
class Guest:
    """Who has opened a page. `page`: card | analytics | app. `since`: when the portal vouched for him, POSIX seconds.
    `portal_call`, `number`: of a card; `call`: of ours, once it was found."""

    portal: str
    user: str
    name: str
    admin: bool
    page: str
    language: str
    since: float
    portal_call: str = ""
    number: str = ""
    call: str = ""


class InsideSessions:
    def __init__(self, seal: Seal, clock: Callable[[], float]) -> None:
        self._seal = seal
        self._clock = clock
        self._codes: dict[str, tuple[float, Guest]] = {}

    def code(self, guest: Guest) -> str:
        now = self._clock()
        self._codes = {code: one for code, one in self._codes.items() if now < one[0]}
        while len(self._codes) >= MOST_CODES:
            self._codes.pop(next(iter(self._codes)))
        code = secrets.token_urlsafe(24)
        self._codes[code] = (now + CODE_LIFETIME, guest)
        return code

    def exchange(self, code: str, portal: str) -> Guest:
        """Raises Refused, also the second time."""
        until, guest = self._codes.pop(code, (0.0, None))
        if guest is None or guest.portal != portal:
            raise Refused(UNKNOWN)
        if self._clock() >= until:
            raise Refused(EXPIRED)
        return guest

    def bearer(self, guest: Guest) -> tuple[str, float]:
        """And the seconds for which it is good."""
        now = self._clock()
        until = min(now + LIFETIME, guest.since + LONGEST)
        told = {"until": until, **asdict(guest)}
        return self._seal.seal(_PURPOSE + json.dumps(told).encode()).decode("ascii"), until - now

    def read(self, bearer: str, portal: str) -> Guest:
        """Raises Refused."""
        if not bearer or len(bearer) > MOST_BYTES or not bearer.isascii():
            raise Refused(UNKNOWN)
        try:
            plain = self._seal.unseal(bearer.encode())
        except KeyLost:
            raise Refused(UNKNOWN) from None
        if not plain.startswith(_PURPOSE):
            raise Refused(UNKNOWN)
        told: dict[str, Any] = json.loads(plain[len(_PURPOSE) :])
        until = told.pop("until")
        guest = Guest(**told)
        if guest.portal != portal:
            raise Refused(UNKNOWN)
        if not self._clock() < until:
            raise Refused(EXPIRED)
        return guest
