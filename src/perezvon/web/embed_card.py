"""The tab in a call's card: the client, his way through the menu, what has happened, who is in the room, the buttons.

Whoever may press what is told by the service (conference_api.py); here is only what the page shows of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perezvon.calls.facts import Answered, CallStarted, Fact, InMenu, MenuChosen, MenuStep, Recorded, Ringing
from perezvon.conference import Consultation, Person, Place, Role, Stage
from perezvon.storage import calls, journal
from perezvon.storage.database import Database
from perezvon.web.call_story import sentences
from perezvon.web.inside_sessions import Guest
from perezvon.web.portal_door import CardCall, CardContext, Colleague, PortalDoor
from perezvon.web.translations import Language, catalog

MOST_PEOPLE = 8
MOST_NOTES = 30


@dataclass(frozen=True, slots=True)
class Key:
    """What the client pressed in a menu, and whom that led to ("" where the menu is not ours)."""

    key: str
    to: str = ""


@dataclass(frozen=True, slots=True)
class Buttons:
    """What can be done at this stage of the conference (docs/conference-api.md)."""

    hold: bool = False
    back: bool = False
    add: bool = False
    invite: bool = False
    join: bool = False

    @classmethod
    def at(cls, stage: Stage) -> Buttons:
        return cls(
            hold=stage in (Stage.TALK, Stage.ROOM),
            back=stage in (Stage.CODE, Stage.LOOKUP, Stage.RING),
            add=stage in (Stage.TALK, Stage.CODE, Stage.ROOM),
            invite=stage in (Stage.TALK, Stage.CODE, Stage.ROOM),
            join=stage is Stage.PRIVATE,
        )


@dataclass(frozen=True, slots=True)
class Seat:
    """Somebody in the room. `mute`, `drop`: whether these can be done to him now."""

    person: Person
    name: str
    mute: bool
    drop: bool


class CardPage:
    def __init__(self, door: PortalDoor, database: Database) -> None:
        self._door = door
        self._database = database

    async def values(self, guest: Guest) -> dict[str, Any]:
        card = CardContext(guest.portal_call, guest.number, guest.call)
        found = await self._door.call_of(guest.portal, guest.user, card)
        names = self._door.names(guest.portal)

        def named(number: str) -> str:
            return f"{names[number]} ({number})" if names.get(number) else number

        values: dict[str, Any] = {"found": found, "room": None, "seats": (), "buttons": Buttons(), "mine": False}
        values |= {"client": guest.number, "client_name": "", "line": "", "keys": (), "notes": (), "over": False}
        if found is None:
            return values
        async with self._database.read() as conn:
            row = await calls.find(conn, found.id)
            facts = await journal.read(conn, found.id)
        word = catalog(spoken(guest.language)).gettext
        if row is not None:
            values |= {"client": row.client, "line": row.line, "over": not row.live}
        if found.live is not None:
            values |= {"client": found.live.client, "client_name": found.live.client_name, "line": found.live.line}
        values["keys"] = pressed(facts, named)
        started = next((fact.at for fact in facts if isinstance(fact, CallStarted)), facts[0].at if facts else 0.0)
        values["notes"] = sentences(_telling(facts), started, named, word)[-MOST_NOTES:]
        if found.talk is not None:
            mine = found.badge.talks_in(found.talk)
            values |= {"room": found.talk.room, "mine": mine, "seats": seats(found.talk, names, guest.name if mine else "")}
            values["buttons"] = Buttons.at(found.talk.room.stage) if mine else Buttons()
        return values

    def people(self, guest: Guest, asked: str) -> dict[str, Any]:
        """Whom the words may mean: a number or a code as it is typed, employees by name or extension."""
        words = asked.strip()[:60]
        digits = "".join(char for char in words if char.isdecimal() and char.isascii())
        plain = bool(digits) and all(char.isascii() and (char.isdecimal() or char in "+ ()-") for char in words)
        code = digits if plain and not words.startswith("+") and len(digits) <= 20 and digits == words else ""
        number = ("+" if words.startswith("+") else "") + digits if plain and len(digits) >= 5 else ""
        people = _matching(self._door.colleagues(guest.portal), words, guest.user) if words else ()
        return {"asked": words, "digits": code, "number": number, "people": people}


def spoken(told: str) -> Language:
    return "ru" if told == "ru" else "en"


def _matching(people: Sequence[Colleague], words: str, own: str) -> list[Colleague]:
    wanted = words.casefold().split()
    found = [
        one
        for one in people
        if one.user != own and all(part in one.name.casefold() or one.extension.startswith(part) for part in wanted)
    ]
    return sorted(found, key=lambda one: (one.extension != words, one.name.casefold()))[:MOST_PEOPLE]


def pressed(facts: Sequence[Fact], named: Any) -> list[Key]:
    """The keys in the order in which they were pressed, with whom each led to, as far as we know."""
    keys: list[Key] = []
    for fact in facts:
        match fact:
            case MenuChosen():
                keys.append(Key(fact.key))
            case InMenu(step=MenuStep.KEY):
                keys.append(Key(fact.key))
            case InMenu(step=MenuStep.RINGS) if fact.to:
                if keys and (not fact.key or keys[-1].key == fact.key):
                    keys[-1] = Key(keys[-1].key, named(fact.to))
                else:
                    keys.append(Key(fact.key, named(fact.to)))
            case _:
                continue
    return [key for at, key in enumerate(keys) if not at or keys[at - 1].key != key.key or key.to]


def _telling(facts: Sequence[Fact]) -> list[Fact]:
    """Without what the page shows otherwise, and a telephone's rings once somebody talks."""
    answered = any(isinstance(fact, Answered) for fact in facts)
    left_out = (InMenu, MenuChosen, Recorded, Ringing) if answered else (InMenu, MenuChosen, Recorded)
    return [fact for fact in facts if not isinstance(fact, left_out)]


def seats(talk: Consultation, names: Mapping[str, str], own: str) -> list[Seat]:
    """The client first, then the employee, then the others as they came. `own`: the name of that employee, when it is he
    who looks at it."""
    order = {Role.CLIENT: 0, Role.MANAGER: 1, Role.THIRD: 2}
    people = sorted(talk.room.people, key=lambda person: order[person.role])
    return [
        Seat(
            person,
            _called(person, talk, names, own),
            mute=talk.room.stage is Stage.ROOM and person.place is Place.ROOM,
            drop=person.role is Role.THIRD,
        )
        for person in people
    ]


def _called(person: Person, talk: Consultation, names: Mapping[str, str], own: str) -> str:
    match person.role:
        case Role.CLIENT:
            return talk.client or person.number
        case Role.MANAGER:  # over the portal's own line the PBX has a name of its own for him
            return names.get(person.number) or own or person.number
        case Role.THIRD:
            return f"{names[person.number]} ({person.number})" if names.get(person.number) else person.name or person.number


__all__ = ["Buttons", "CardCall", "CardPage", "Key", "Seat", "pressed", "seats", "spoken"]
