"""The CRM of the pretend portal: objects of any type with classic field names, found by phone number.

Knows nothing of REST: field rules, defaults and rights belong to `handlers/crm*.py`. Every change is told to `changed`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from perezvon.sandbox.portal.numbers import canonical

Json = Any
Change = Literal["ADD", "UPDATE", "DELETE"]

TYPE_IDS = {"LEAD": 1, "DEAL": 2, "CONTACT": 3, "COMPANY": 4, "INVOICE": 5, "QUOTE": 7, "SMART_INVOICE": 31}
TYPE_NAMES = {number: name for name, number in TYPE_IDS.items()}
SEARCH_ORDER = ("CONTACT", "LEAD", "COMPANY")
CLOSED = {"LEAD": frozenset({"CONVERTED", "JUNK"}), "DEAL": frozenset({"WON", "LOSE", "APOLOGY"})}


@dataclass(slots=True)
class Entity:
    """One object. `type`: LEAD, DEAL, CONTACT, COMPANY, ACTIVITY, DYNAMIC_<n>, … `fields`: by classic names (TITLE, NAME,
    ASSIGNED_BY_ID, …), values as the classic `get` answers them: ids and numbers are strings. Multifields (PHONE, EMAIL, …)
    are lists of {"ID", "TYPE_ID", "VALUE_TYPE", "VALUE"}. "ID" is always there."""

    type: str
    id: int
    fields: dict[str, Json] = field(default_factory=dict[str, Json])

    def text(self, name: str) -> str:
        value = self.fields.get(name)
        return "" if value is None else str(value)

    def number(self, name: str) -> int:
        try:
            return int(self.fields.get(name) or 0)
        except ValueError:
            return 0

    def values(self, multifield: str) -> list[str]:
        """The plain values of PHONE, EMAIL, …"""
        rows = cast("list[dict[str, Json]]", self.fields.get(multifield) or [])
        return [str(row.get("VALUE", "")) for row in rows]

    @property
    def responsible(self) -> int:
        return self.number("ASSIGNED_BY_ID")

    @property
    def title(self) -> str:
        """What a person sees: the title, or a contact's name."""
        person = " ".join(part for part in (self.text("NAME"), self.text("LAST_NAME")) if part)
        return (person if self.type == "CONTACT" else self.text("TITLE") or person) or f"{self.type} {self.id}"

    @property
    def open(self) -> bool:
        status = self.text("STATUS_ID") or self.text("STAGE_ID").rpartition(":")[2]
        return status not in CLOSED.get(self.type, frozenset())


class Crm:
    """All objects by type and id. `mode`: 1 classic (with leads), 2 simple."""

    def __init__(self, region: str, changed: Callable[[Change, Entity], None]) -> None:
        self.mode = 1
        self.region = region
        self.sources: dict[str, str] = {}
        """STATUS_ID -> name of the SOURCE directory: register looks CRM_SOURCE up here."""
        self._changed = changed
        self._objects: dict[str, dict[int, Entity]] = {}
        self._last_id: dict[str, int] = {}
        self._last_value_id = 0
        self._by_phone: dict[str, dict[tuple[str, int], None]] = {}

    def add(self, type_: str, fields: dict[str, Json], *, quiet: bool = False) -> Entity:
        """A new object; its multifield rows get ids. `quiet`: no event (seed data)."""
        number = self._last_id.get(type_, 0) + 1
        self._last_id[type_] = number
        entity = Entity(type_, number, {"ID": str(number), **fields})
        self._objects.setdefault(type_, {})[number] = entity
        self._index(entity)
        if not quiet:
            self._changed("ADD", entity)
        return entity

    def get(self, type_: str, number: int) -> Entity | None:
        return self._objects.get(type_, {}).get(number)

    def of(self, type_: str) -> list[Entity]:
        return list(self._objects.get(type_, {}).values())

    def types(self) -> Iterator[str]:
        return iter(self._objects)

    def update(self, entity: Entity, fields: dict[str, Json]) -> None:
        self._forget_phones(entity)
        entity.fields.update(fields)
        self._index(entity)
        self._changed("UPDATE", entity)

    def delete(self, entity: Entity) -> None:
        self._forget_phones(entity)
        self._objects[entity.type].pop(entity.id, None)
        self._changed("DELETE", entity)

    def phone(self, value: str, value_type: str = "WORK") -> dict[str, Json]:
        """A row of the PHONE multifield."""
        return {"ID": str(self.next_value_id()), "TYPE_ID": "PHONE", "VALUE_TYPE": value_type, "VALUE": value}

    def next_value_id(self) -> int:
        self._last_value_id += 1
        return self._last_value_id

    def by_phone(self, number: str) -> list[Entity]:
        """Contacts, open leads and companies with this number, in that order, oldest first. No deals."""
        found = [self._objects[type_][id_] for type_, id_ in self._by_phone.get(canonical(number, self.region), {})]
        found = [entity for entity in found if entity.type in SEARCH_ORDER and entity.open]
        return sorted(found, key=lambda entity: (SEARCH_ORDER.index(entity.type), entity.id))

    def open_deals(self, entity: Entity) -> list[Entity]:
        """Deals in work of a contact or company."""
        link = {"CONTACT": "CONTACT_ID", "COMPANY": "COMPANY_ID"}.get(entity.type)
        return [deal for deal in self.of("DEAL") if link and deal.open and deal.number(link) == entity.id]

    def _index(self, entity: Entity) -> None:
        for row in cast("list[dict[str, Json]]", entity.fields.get("PHONE") or []):
            row.setdefault("ID", str(self.next_value_id()))
            self._by_phone.setdefault(canonical(str(row.get("VALUE", "")), self.region), {})[(entity.type, entity.id)] = (
                None
            )

    def _forget_phones(self, entity: Entity) -> None:
        for value in entity.values("PHONE"):
            self._by_phone.get(canonical(value, self.region), {}).pop((entity.type, entity.id), None)
