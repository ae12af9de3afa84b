"""The third person in a call: whom a code means, who is in which room, and remote control of both."""

from perezvon.conference.book import RoomBook, Watch
from perezvon.conference.control import Consultation, Control, Dialling, members_of
from perezvon.conference.errors import (
    CodeUnknown,
    ConferenceError,
    LookupFailed,
    NoSuchCall,
    NotDialable,
    NotInRoom,
    NotNow,
    PbxAway,
    PbxRefused,
    RoomGone,
)
from perezvon.conference.lookup import CodeLookup, Found, Origin
from perezvon.conference.matching import Matching
from perezvon.conference.people import Person, Place, Role
from perezvon.conference.rooms import Delta, Room, Rooms, Stage

__all__ = [
    "CodeLookup",
    "CodeUnknown",
    "ConferenceError",
    "Consultation",
    "Control",
    "Delta",
    "Dialling",
    "Found",
    "LookupFailed",
    "Matching",
    "NoSuchCall",
    "NotDialable",
    "NotInRoom",
    "NotNow",
    "Origin",
    "PbxAway",
    "PbxRefused",
    "Person",
    "Place",
    "Role",
    "Room",
    "RoomBook",
    "RoomGone",
    "Rooms",
    "Stage",
    "Watch",
    "members_of",
]
