"""Which conferences there are and how far they have come: immutable values. How events change them is in reducing.py.

    CODE      the manager keys in a code, the client hears music       RING      the third person's phone rings
    LOOKUP    Perezvon is asked whom the code means                    PRIVATE   manager and third person talk alone
    CALLBACK  the manager is rung back after a transfer                ROOM      everybody hears everybody

A room is known from the first step that our own dialplan tells until the last one has hung up. TALK, before the first key,
is no room yet: a talk of two that the tracker of calls knows (control.py shows it in the same form).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from perezvon.calls.call import iso
from perezvon.conference.people import Person, Role


class Stage(StrEnum):
    TALK = "talk"
    CODE = "code"
    LOOKUP = "lookup"
    RING = "ring"
    PRIVATE = "private"
    CALLBACK = "callback"
    ROOM = "room"


@dataclass(frozen=True, slots=True)
class Room:
    """`id`: the ConfBridge's name, the unique id of the call's first channel. `since`: of the stage, POSIX seconds.

    `code`, `to`: what the manager has keyed in last, and the number that it means. `failure`: why the last try led nowhere
    (busy, noanswer, badcode), until the next. `music`: the client hears it.
    """

    id: str
    stage: Stage
    since: float
    people: tuple[Person, ...] = ()
    code: str = ""
    to: str = ""
    failure: str = ""
    music: bool = False

    def who(self, role: Role) -> Person | None:
        """The newest in this role."""
        return next((person for person in reversed(self.people) if person.role is role), None)

    def person(self, uniqueid: str) -> Person | None:
        return next((person for person in self.people if person.uniqueid == uniqueid), None)

    def named(self, channel: str) -> Person | None:
        return next((person for person in self.people if person.channel == channel), None)

    def having(self, person: Person) -> Room:
        """With this person, in the place of what was known of his channel."""
        if any(one.uniqueid == person.uniqueid for one in self.people):
            people = tuple(person if one.uniqueid == person.uniqueid else one for one in self.people)
        else:
            people = (*self.people, person)
        return replace(self, people=people)

    def without(self, uniqueid: str) -> Room:
        return replace(self, people=tuple(person for person in self.people if person.uniqueid != uniqueid))

    def at_stage(self, stage: Stage, at: float) -> Room:
        return self if stage is self.stage else replace(self, stage=stage, since=at)

    def as_json(self) -> dict[str, Any]:
        return {
            "room": self.id,
            "stage": self.stage.value,
            "since": iso(self.since),
            "code": self.code,
            "to": self.to,
            "failure": self.failure,
            "music": self.music,
            "people": [person.as_json() for person in self.people],
        }


@dataclass(frozen=True, slots=True)
class Delta:
    """A change, for a stream of server-sent events. `what` has happened; `now`: the whole room after it, None when it is
    over."""

    room: str
    at: float
    what: str
    now: Room | None

    def as_json(self) -> dict[str, Any]:
        return {
            "room": self.room,
            "at": iso(self.at),
            "what": self.what,
            "now": self.now.as_json() if self.now is not None else None,
        }


@dataclass(frozen=True, slots=True)
class Rooms:
    """All conferences of one PBX. `promised`: channels that bear a room's name and are about to come there. `early`: those
    in a ConfBridge that nobody has called ours yet; by unique id."""

    rooms: Mapping[str, Room] = field(default_factory=dict[str, Room])
    promised: Mapping[str, str] = field(default_factory=dict[str, str])
    early: Mapping[str, str] = field(default_factory=dict[str, str])
    places: Mapping[str, str] = field(default_factory=dict[str, str], compare=False)

    def __iter__(self) -> Iterator[Room]:
        return iter(self.rooms.values())

    def __len__(self) -> int:
        return len(self.rooms)

    def get(self, room: str) -> Room | None:
        return self.rooms.get(room)

    def of(self, *uniqueids: str) -> Room | None:
        """The room of one of these channels."""
        return next((self.rooms[self.places[uid]] for uid in uniqueids if uid in self.places), None)

    def person(self, uniqueid: str) -> tuple[Room, Person] | None:
        room = self.of(uniqueid)
        person = room.person(uniqueid) if room is not None else None
        return (room, person) if room is not None and person is not None else None

    def putting(self, room: Room) -> Rooms:
        """With this room as it is now; without it when nobody is left there."""
        rooms = {key: one for key, one in self.rooms.items() if key != room.id}
        if room.people:
            rooms[room.id] = room
        promised = {uid: where for uid, where in self.promised.items() if where in rooms}
        places = {person.uniqueid: one.id for one in rooms.values() for person in one.people}
        early = {uid: where for uid, where in self.early.items() if uid not in places}
        return Rooms(rooms, promised, early, places)

    def promising(self, uniqueid: str, room: str) -> Rooms:
        return replace(self, promised={**self.promised, uniqueid: room})

    def later(self, uniqueid: str) -> Rooms:
        """Without what is known of a channel that came early: it has left again."""
        if uniqueid not in self.early:
            return self
        return replace(self, early={uid: where for uid, where in self.early.items() if uid != uniqueid})
