"""What the portals know, for the settings to choose from: employees, extensions, fields and sources of the CRM.
Pure.

A list has a name, which is also the end of the id of its `<datalist>`. With several portals a list has what all of them
have, each marked with its portal. What a portal does not know is doubted, not refused: it may have been made just now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

from perezvon.rules.field_values import FieldType
from perezvon.rules.vocabulary import Reason
from perezvon.settings.crm import FieldSettings
from perezvon.settings.offered import Offered, What
from perezvon.storage.employees import Employee

USERS = "users"
EXTENSIONS = "extensions"
SOURCES = "sources"
_FIELDS = "fields-"
OBJECTS: tuple[str, ...] = get_args(FieldSettings.model_fields["of"].annotation)


@dataclass(frozen=True, slots=True)
class Offer:
    """`words`: what people call it. `shut`: it is there, but not to be chosen."""

    value: str
    words: str
    shut: bool = False


@dataclass(frozen=True, slots=True)
class PortalTold:
    """What one portal has told; nothing in `fields` or `sources`, or no `people`: it has not told them yet."""

    name: str
    people: Sequence[Employee]
    fields: Mapping[str, Mapping[str, FieldType]]
    sources: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Offers:
    """`lists`: by their names. `known`: those that every portal has told."""

    lists: Mapping[str, Mapping[str, Offer]] = field(default_factory=dict[str, Mapping[str, Offer]])
    known: frozenset[str] = frozenset()

    def open(self, name: str) -> list[Offer]:
        return [one for one in self.lists.get(name, {}).values() if not one.shut]

    def words(self, name: str, value: str) -> str:
        """What that is called; "" for what is not known."""
        found = self.lists.get(name, {}).get(value)
        return found.words if found else ""

    def doubt(self, name: str, value: str) -> Reason | None:
        """Why that will hardly do."""
        if not value or name not in self.known or (name == USERS and value.startswith("chat")):
            return None
        found = self.lists[name].get(value)
        return doubt_of(name) if found is None or found.shut else None


def doubt_of(name: str) -> Reason:
    """Of whatever is not in the list."""
    if name == USERS:
        return Reason("No active employee of the portal has this number: choose one of the list.")
    if name == EXTENSIONS:
        return Reason("No active employee has this extension in the portal: choose one of the list, or enter it there.")
    if name == SOURCES:
        return Reason("The portal has no such source: choose one of the list, or make it in the CRM there.")
    return Reason("The portal has no such field that can be filled: choose one of the list, or make it in the CRM there.")


def list_of(mark: Offered, beside: str) -> str:
    """`beside`: the object that a field belongs to."""
    match mark.what:
        case What.USER | What.TALK:
            return USERS
        case What.EXTENSION:
            return EXTENSIONS
        case What.SOURCE:
            return SOURCES
        case What.FIELD:
            return _FIELDS + beside


def lists_of(marks: Iterable[Offered]) -> list[str]:
    """All that a page with these marks needs."""
    return sorted({list_of(mark, of) for mark in marks for of in (OBJECTS if mark.beside else ("",))})


def offers_of(portals: Sequence[PortalTold]) -> Offers:
    lists: dict[str, dict[str, Offer]] = {USERS: {}, EXTENSIONS: {}, SOURCES: {}, **{_FIELDS + of: {} for of in OBJECTS}}
    for portal in portals:
        mark = f" ({portal.name})" if len(portals) > 1 else ""
        for person in sorted(portal.people, key=lambda one: one.name.casefold()):
            called = " · ".join(filter(None, (person.name, person.extension)))
            _add(lists[USERS], Offer(person.user_id, called + mark, not person.active))
            if person.extension:
                _add(lists[EXTENSIONS], Offer(person.extension, person.name + mark, not person.active))
        for of, fields in portal.fields.items():
            for name, one in sorted(fields.items(), key=lambda told: (told[1].title or told[0]).casefold()):
                _add(lists[_FIELDS + of], Offer(name, (one.title or name) + mark, one.read_only))
        for source, name in sorted(portal.sources.items(), key=lambda told: told[1].casefold()):
            _add(lists[SOURCES], Offer(source, (name or source) + mark))
    known = {_FIELDS + of for of in OBJECTS if all(portal.fields.get(of) for portal in portals)}
    if all(portal.sources for portal in portals):
        known.add(SOURCES)
    if all(portal.people for portal in portals):
        known |= {USERS, EXTENSIONS}
    return Offers(lists, frozenset(known) if portals else frozenset())


def _add(offers: dict[str, Offer], new: Offer) -> None:
    there = offers.get(new.value)
    if there is None or (there.shut and not new.shut):
        offers[new.value] = new
    elif there.shut == new.shut and new.words not in there.words.split(" / "):
        offers[new.value] = Offer(new.value, f"{there.words} / {new.words}", new.shut)
