"""What happened: PBX events in, call facts out. Pure: no I/O, no clock, no settings beyond numbering."""

from perezvon.calls.call import Call, Leg, Transfer
from perezvon.calls.events import Event, ExpectedCall, Snapshot
from perezvon.calls.facts import (
    Answered,
    CallEnded,
    CallStarted,
    Fact,
    Held,
    InMenu,
    JoinedConference,
    LeftTalk,
    MenuChosen,
    MenuStep,
    Recorded,
    Ringing,
    StoppedRinging,
    ThirdParty,
    ThirdStep,
    Transferred,
)
from perezvon.calls.numbering import Numbering
from perezvon.calls.tracker import Tracker

__all__ = [
    "Answered",
    "Call",
    "CallEnded",
    "CallStarted",
    "Event",
    "ExpectedCall",
    "Fact",
    "Held",
    "InMenu",
    "JoinedConference",
    "LeftTalk",
    "Leg",
    "MenuChosen",
    "MenuStep",
    "Numbering",
    "Recorded",
    "Ringing",
    "Snapshot",
    "StoppedRinging",
    "ThirdParty",
    "ThirdStep",
    "Tracker",
    "Transfer",
    "Transferred",
]
