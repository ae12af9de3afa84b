"""What can go wrong with a conference that is controlled from afar.

The class says what the caller can do; nothing was changed unless it says so. `reason` is for people, in both languages::

    ConferenceError
    ├── NoSuchCall     there is no running call with this id, or this employee does not talk in it
    ├── RoomGone       the conference is over
    ├── NotInRoom      whoever is named is not in it (any more)
    ├── NotNow         not at this stage: wait, or do something else first (`reason` says what)
    ├── CodeUnknown    nobody has this code
    ├── LookupFailed   the table of codes cannot be read just now
    ├── NotDialable    that is no number
    ├── NotReached     the number was dialled: busy, no answer, not available
    └── PbxAway        the PBX is not connected, or the connection broke meanwhile
        ├── PbxRefused ... it said no: `reason` has its words
        └── PbxSilent  ... it did not say, or was not seen to have done it, in time: look before doing it again
"""

from __future__ import annotations

from perezvon.rules.vocabulary import Reason


class ConferenceError(Exception):
    """Any failure of a conference's control."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(str(reason))
        self.reason = reason


class NoSuchCall(ConferenceError):
    pass


class RoomGone(ConferenceError):
    pass


class NotInRoom(ConferenceError):
    pass


class NotNow(ConferenceError):
    pass


class CodeUnknown(ConferenceError):
    pass


class LookupFailed(ConferenceError):
    pass


class NotDialable(ConferenceError):
    pass


class NotReached(ConferenceError):
    pass


class PbxAway(ConferenceError):
    pass


class PbxRefused(PbxAway):
    pass


class PbxSilent(PbxAway):
    pass
