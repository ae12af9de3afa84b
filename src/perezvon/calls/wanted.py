"""Which AMI events the tracker looks at: everything else is dropped at the wire, before it is parsed.

Source of the names: https://docs.asterisk.org/Asterisk_22_Documentation/API_Documentation/AMI_Events/
"""

from __future__ import annotations

WANTED = frozenset(
    {
        "Newchannel",
        "Newstate",
        "NewCallerid",
        "NewConnectedLine",
        "Rename",
        "Hangup",
        "DialBegin",
        "DialEnd",
        "BridgeCreate",
        "BridgeEnter",
        "BridgeLeave",
        "BridgeMerge",
        "BridgeDestroy",
        "LocalBridge",
        "LocalOptimizationBegin",
        "LocalOptimizationEnd",
        "BlindTransfer",
        "AttendedTransfer",
        "Pickup",
        "Hold",
        "Unhold",
        "MusicOnHoldStart",
        "MusicOnHoldStop",
        "QueueCallerJoin",
        "QueueCallerLeave",
        "QueueCallerAbandon",
        "AgentCalled",
        "AgentConnect",
        "AgentComplete",
        "AgentRingNoAnswer",
        "ParkedCall",
        "UnParkedCall",
        "ParkedCallGiveUp",
        "ParkedCallTimeOut",
        "ConfbridgeJoin",
        "ConfbridgeLeave",
        "DTMFEnd",
        "VarSet",
        "UserEvent",
        "OriginateResponse",
        "FullyBooted",
        "Shutdown",
    }
)

WANTED_VARIABLES = frozenset({"MIXMONITOR_FILENAME", "CALLFILENAME", "RECORDING", "RECORDING_FILE"})
"""The variables whose `VarSet` is wanted (`VarSet` is a quarter of all traffic; the rest of it is dropped)."""
