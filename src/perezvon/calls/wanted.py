"""Which AMI events are looked at: everything else is dropped at the wire, before it is parsed.

Source of the names: https://docs.asterisk.org/Asterisk_22_Documentation/API_Documentation/AMI_Events/
"""

from __future__ import annotations

TRACKED = frozenset(
    {
        "Newchannel",
        "Newstate",
        "NewCallerid",
        "Rename",
        "HangupRequest",
        "Hangup",
        "DialBegin",
        "DialEnd",
        "LocalBridge",
        "BridgeEnter",
        "BridgeLeave",
        "BridgeDestroy",
        "BlindTransfer",
        "AttendedTransfer",
        "Pickup",
        "Hold",
        "Unhold",
        "QueueCallerJoin",
        "DTMFEnd",
        "VarSet",
        "MixMonitorStart",
        "ConfbridgeJoin",
        "UserEvent",
    }
)
"""What the tracker lives on. It understands `Newexten` too (recordings have it); live, that would be up to two hundred
events a call, for the sake of dialplans that hide their keys from AMI."""

ROOM = frozenset(
    {
        "ConfbridgeStart",
        "ConfbridgeLeave",
        "ConfbridgeEnd",
        "ConfbridgeMute",
        "ConfbridgeUnmute",
        "MusicOnHoldStart",
        "MusicOnHoldStop",
    }
)
"""What the conference looks at besides, to tell who is in a room and what he hears."""

WANTED = TRACKED | ROOM | {"OriginateResponse", "FullyBooted", "Shutdown"}
"""With those that other parts of the service look at."""

VARIABLES = frozenset({"MIXMONITOR_FILENAME", "CALLFILENAME", "FROM_DID", "PEREZVON_LINE", "PEREZVON_ROOM"})

WANTED_VARIABLES = VARIABLES | {"_" + name for name in VARIABLES} | {"__" + name for name in VARIABLES}
"""The variables whose `VarSet` is wanted (`VarSet` is a quarter of all traffic; the rest of it is dropped). Inherited ones
are told with their underscores."""

SNAPSHOT_VARIABLES = VARIABLES | {"PEREZVON_STORY"}
"""The variables that the dump of a PBX's state is asked for; live, the voice menu's events tell its story."""
