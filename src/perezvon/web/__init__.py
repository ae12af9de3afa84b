"""Pages, the state of the service as JSON and metrics, and the door for what portals send."""

from perezvon.web.app import create_app
from perezvon.web.intake import EventSink, Received
from perezvon.web.status import (
    CallRow,
    DatabaseStatus,
    EventsStatus,
    PausedMethod,
    PbxStatus,
    PortalStatus,
    QueueStatus,
    RecordingsStatus,
    SentStep,
    Status,
    StatusSource,
    Unmapped,
)

__all__ = [
    "CallRow",
    "DatabaseStatus",
    "EventSink",
    "EventsStatus",
    "PausedMethod",
    "PbxStatus",
    "PortalStatus",
    "QueueStatus",
    "Received",
    "RecordingsStatus",
    "SentStep",
    "Status",
    "StatusSource",
    "Unmapped",
    "create_app",
]
