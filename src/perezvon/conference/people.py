"""Who takes part in a conference, and where he is. Values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from perezvon.calls.call import iso


class Role(StrEnum):
    CLIENT = "client"
    MANAGER = "manager"
    THIRD = "third"


class Place(StrEnum):
    """`AWAY`: on the way between two others, or keying in a code. `PRIVATE`: talks with the manager alone."""

    ROOM = "room"
    AWAY = "away"
    RINGING = "ringing"
    PRIVATE = "private"


@dataclass(frozen=True, slots=True)
class Person:
    """`number`, `name`: as the PBX has them, "" for hidden. `since`: POSIX seconds, when he came to this place."""

    uniqueid: str
    channel: str
    role: Role
    place: Place
    since: float
    number: str = ""
    name: str = ""
    muted: bool = False

    def as_json(self) -> dict[str, Any]:
        return {
            "channel": self.channel,
            "role": self.role.value,
            "place": self.place.value,
            "since": iso(self.since),
            "number": self.number,
            "name": self.name,
            "muted": self.muted,
        }
