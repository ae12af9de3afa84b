"""A call with a client as whoever controls it sees it: who talks, in which room; how a third person would be dialled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from perezvon.calls import Call
from perezvon.calls.call import Direction, Leg, Party
from perezvon.conference.people import Person, Place, Role
from perezvon.conference.rooms import Room, Stage


@dataclass(frozen=True, slots=True)
class Dialling:
    """How the PBX dials: templates with `{number}`; numbers of `inside_length` digits and fewer are dialled inside. `ring`:
    seconds. `shows`: what a third person sees."""

    outside: str = "PJSIP/{number}@carrier"
    inside: str = "PJSIP/{number}"
    inside_length: int = 4
    ring: float = 20.0
    shows: Literal["client", "line"] = "client"


@dataclass(frozen=True, slots=True)
class Consultation:
    """A talk that is a conference, or may become one. `room.stage` is TALK until then (and `room.id` empty).

    `employees`: the extensions of those who take part just now, as the call's record has them.
    """

    call: str
    pbx: str
    direction: Direction
    client: str
    line: str
    employees: tuple[str, ...]
    room: Room

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.call,
            "pbx": self.pbx,
            "direction": self.direction.value,
            "client": self.client,
            "line": self.line,
            "employees": list(self.employees),
            "room": self.room.as_json(),
        }


def consultation(pbx: str, call: Call, room: Room) -> Consultation:
    employees = tuple(dict.fromkeys(leg.extension for leg in call.legs if _talks(leg, Party.EMPLOYEE)))
    return Consultation(call.id, pbx, call.direction, call.client, call.line, employees, room)


def talk(call: Call) -> Room | None:
    """A call that is in no conference, in a room's form; None unless a client and an employee talk."""
    client, manager = talking(call, Party.CLIENT), talking(call, Party.EMPLOYEE)
    if client is None or manager is None or call.answered is None:
        return None
    people = (_person(client, Role.CLIENT, call), _person(manager, Role.MANAGER, call))
    return Room("", Stage.TALK, call.answered, people)


def talking(call: Call, party: Party, extension: str = "") -> Leg | None:
    """The one that talks, or last did, and is still there."""
    for leg in reversed(call.legs):
        if _talks(leg, party) and (not extension or leg.extension == extension):
            return leg
    return None


def _talks(leg: Leg, party: Party) -> bool:
    return leg.party is party and leg.ended is None and leg.answered is not None


def _person(leg: Leg, role: Role, call: Call) -> Person:
    name = call.client_name if role is Role.CLIENT else ""
    return Person("", leg.channel, role, Place.PRIVATE, leg.answered or call.started, leg.extension, name)
