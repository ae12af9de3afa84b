"""The port through which the pages' server hands over what portals send. Light: it is imported before the server is."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Protocol


class Received(Enum):
    """What became of an event, and the HTTP status that the portal gets for it."""

    ACCEPTED = 200
    BAD = 400
    FORGED = 403
    UNKNOWN_PORTAL = 404


class EventSink(Protocol):
    """Implemented by the service. Both return when the event is safely stored (or refused), without waiting for its effect.
    What they raise is a defect (500), but for storage.Unavailable (503)."""

    async def event(self, portal: str, body: bytes, content_type: str) -> Received:
        """An event for the handler. `portal`: as in the address, foreign text."""
        ...

    async def robot(self, portal: str, body: bytes, content_type: str) -> Received:
        """What our robot on a stage of the portal's funnels shall do."""
        ...

    async def install(self, portal: str, query: Mapping[str, str], body: bytes, content_type: str) -> Received:
        """ONAPPINSTALL, or the page with which the portal opens the application for the installer."""
        ...
