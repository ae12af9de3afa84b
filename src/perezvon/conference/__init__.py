"""The third person in a call: whom a code means, who is in which room, and remote control of both."""

from perezvon.conference.book import RoomBook, Watch
from perezvon.conference.consultation import Consultation, Dialling
from perezvon.conference.control import Control, members_of
from perezvon.conference.errors import (
    CodeUnknown,
    ConferenceError,
    LookupFailed,
    NoSuchCall,
    NotDialable,
    NotInRoom,
    NotNow,
    NotReached,
    PbxAway,
    PbxRefused,
    PbxSilent,
    RoomGone,
)
from perezvon.conference.live import Change, Live, News, Onlooker, PbxState, Whole
from perezvon.conference.lookup import CodeLookup, Found, Origin
from perezvon.conference.matching import Matching
from perezvon.conference.onlookers import Closed
from perezvon.conference.operators import Add, Back, Consult, Drop, Employee, Invite, Join, Mute, Operator, Order
from perezvon.conference.people import Person, Place, Role
from perezvon.conference.rooms import Delta, Room, Rooms, Stage

__all__ = [
    "Add",
    "Back",
    "Change",
    "Closed",
    "CodeLookup",
    "CodeUnknown",
    "ConferenceError",
    "Consult",
    "Consultation",
    "Control",
    "Delta",
    "Dialling",
    "Drop",
    "Employee",
    "Found",
    "Invite",
    "Join",
    "Live",
    "LookupFailed",
    "Matching",
    "Mute",
    "News",
    "NoSuchCall",
    "NotDialable",
    "NotInRoom",
    "NotNow",
    "NotReached",
    "Onlooker",
    "Operator",
    "Order",
    "Origin",
    "PbxAway",
    "PbxRefused",
    "PbxSilent",
    "PbxState",
    "Person",
    "Place",
    "Role",
    "Room",
    "RoomBook",
    "RoomGone",
    "Rooms",
    "Stage",
    "Watch",
    "Whole",
    "members_of",
]
