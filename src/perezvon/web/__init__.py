"""Pages, the state of the service as JSON and metrics, and the door for what portals send.

`create_app` is loaded when it is asked for: the server of the pages is large, and calls are watched before it is there.
"""

from typing import TYPE_CHECKING, Any

from perezvon.web.badges import Badges
from perezvon.web.desk import ConferenceDesk
from perezvon.web.settings_desk import SettingsDesk
from perezvon.web.sink import EventSink, Received
from perezvon.web.status import (
    CallRow,
    DatabaseStatus,
    EventsStatus,
    LeftOut,
    MachineStatus,
    MissedStatus,
    PausedMethod,
    PbxStatus,
    PortalStatus,
    QueueStatus,
    RecordingsStatus,
    SentStep,
    Status,
    StatusSource,
    UnknownLine,
    Unmapped,
)

if TYPE_CHECKING:
    from perezvon.web.app import create_app


def __getattr__(name: str) -> Any:
    if name != "create_app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from perezvon.web.app import create_app  # noqa: PLC0415  see above

    return create_app


__all__ = [
    "Badges",
    "CallRow",
    "ConferenceDesk",
    "DatabaseStatus",
    "EventSink",
    "EventsStatus",
    "LeftOut",
    "MachineStatus",
    "MissedStatus",
    "PausedMethod",
    "PbxStatus",
    "PortalStatus",
    "QueueStatus",
    "Received",
    "RecordingsStatus",
    "SentStep",
    "SettingsDesk",
    "Status",
    "StatusSource",
    "UnknownLine",
    "Unmapped",
    "create_app",
]
