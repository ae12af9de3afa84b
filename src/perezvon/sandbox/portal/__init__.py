"""A pretend Bitrix24 portal, built from the documented REST contract: for the demo and for the tests."""

from perezvon.sandbox.portal.clock import Clock
from perezvon.sandbox.portal.config import Operating, PortalConfig, Rate
from perezvon.sandbox.portal.faults import Fault
from perezvon.sandbox.portal.registry import Caller, Page, RestError, method, page_of
from perezvon.sandbox.portal.server import PortalServer
from perezvon.sandbox.portal.state import PortalState

__all__ = [
    "Caller",
    "Clock",
    "Fault",
    "Operating",
    "Page",
    "PortalConfig",
    "PortalServer",
    "PortalState",
    "Rate",
    "RestError",
    "method",
    "page_of",
]
