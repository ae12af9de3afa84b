"""The port through which the pages' server controls conferences and hears of them. Light: imported before the server is."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from perezvon.conference import Consultation, Onlooker, Operator, Order, Whole


class ConferenceDesk(Protocol):
    """Implemented by the service, which checks what an operator may. Raises the errors of conference/errors.py; a call that
    is none of his is no such call for him."""

    def whole(self, who: Operator) -> Whole:
        """The calls that he may see, and the PBXs."""
        ...

    def look(self, who: Operator, call: str) -> Consultation: ...

    async def order(self, who: Operator, call: str, order: Order) -> Consultation | None:
        """Returns when the PBX was seen to do it (Invite: when somebody rings); None when the call is over, or not his any
        more."""
        ...

    def standing(self, who: Operator) -> bool:
        """Whether he still is whom his badge names: an active employee of the portal, with this extension."""
        ...

    def onlookers(self, who: Operator) -> tuple[int, int]:
        """How many streams go to him, and to all."""
        ...

    def onlooker(self, who: Operator) -> AbstractContextManager[Onlooker]: ...
