"""The port through which our pages inside a portal learn who opened them, and of which call. Values and a Protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from perezvon.bitrix24.visitor import Opened, PortalUser
from perezvon.calls.call import Call
from perezvon.conference import Consultation, Employee
from perezvon.settings.portal import PortalSettings


@dataclass(frozen=True, slots=True)
class Colleague:
    """An employee of the portal who can be rung."""

    user: str
    name: str
    extension: str


@dataclass(frozen=True, slots=True)
class CardContext:
    """What the portal says of the call whose card it is: its CALL_ID, and the client's number as it writes it. `call`: the
    call of ours that it was found to be before."""

    portal_call: str = ""
    number: str = ""
    call: str = ""


@dataclass(frozen=True, slots=True)
class CardCall:
    """A call of ours. `live`: as it is now, None when it is over. `talk`: in which a third person can take part now.
    `badge`: as whom the user acts in it."""

    id: str
    pbx: str
    badge: Employee
    live: Call | None = None
    talk: Consultation | None = None


class PortalDoor(Protocol):
    """Implemented by the service."""

    def origin(self, portal: str) -> str:
        """Scheme and host at which the portal is now, of our own knowledge; "" when there is no such portal, or no
        application in it."""
        ...

    def proves(self, portal: str, application_token: str) -> bool:
        """Whether only the portal can have sent this."""
        ...

    async def admit(self, portal: str, opened: Opened) -> PortalUser:
        """Asks the portal. Raises Forged, a PortalError."""
        ...

    def stands(self, portal: str, user: str) -> bool:
        """Whether he is still an active employee, as far as we know."""
        ...

    def settings(self, portal: str) -> PortalSettings | None: ...

    def pbxs(self, portal: str) -> frozenset[str]:
        """Names of the PBXs whose calls go to this portal."""
        ...

    def extension(self, portal: str, user: str) -> str: ...

    def names(self, portal: str) -> Mapping[str, str]:
        """Of the employees, by extension."""
        ...

    def users(self, portal: str) -> Mapping[str, str]:
        """Of the employees, by user."""
        ...

    def colleagues(self, portal: str) -> list[Colleague]: ...

    async def call_of(self, portal: str, user: str, card: CardContext) -> CardCall | None:
        """The call of this card, when it is one of his. None also while we know nothing of it yet."""
        ...
