"""The fields that the portal's owner has added to leads, contacts, companies and deals (UF_CRM_…): told in
crm.<type>.fields, and checked when written. Tests `declare` them; where none is declared for a type, any is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from perezvon.sandbox.portal.handlers.crm_fields import Field, Kind, WrongValueError, stored
from perezvon.sandbox.portal.params import as_list
from perezvon.sandbox.portal.state import PortalState

Json = Any

_KINDS: Mapping[str, Kind] = {
    "double": "number",
    "integer": "integer",
    "date": "date",
    "datetime": "moment",
    "employee": "id",
}


@dataclass(frozen=True, slots=True)
class UserField:
    """`type`: string, integer, double, boolean, date, datetime, enumeration, employee, url, money. `items`: of an
    enumeration, its entries by id."""

    name: str
    type: str = "string"
    many: bool = False
    title: str = ""
    items: Mapping[str, str] = field(default_factory=dict[str, str])

    def description(self) -> dict[str, Json]:
        told: dict[str, Json] = {
            "type": self.type,
            "isRequired": False,
            "isReadOnly": False,
            "isImmutable": False,
            "isMultiple": self.many,
            "isDynamic": True,
            "title": self.name,
            "listLabel": self.title or self.name,
            "formLabel": self.title or self.name,
            "filterLabel": self.title or self.name,
            "settings": {},
        }
        if self.items:
            told["items"] = [{"ID": key, "VALUE": value} for key, value in self.items.items()]
        return told

    def stored(self, value: Json) -> Json:
        """Raises WrongValueError."""
        if not self.many:
            return self._one(value)
        if not isinstance(value, (list, dict)):
            raise WrongValueError(self._as_field(), value, "list")
        return [self._one(one) for one in as_list(cast("Json", value))]

    def _one(self, value: Json) -> Json:
        if value in (None, ""):
            return None
        if self.type == "enumeration":
            if str(value) not in self.items:
                raise WrongValueError(self._as_field(), value)
            return str(value)
        if self.type == "boolean":
            known = {"1": "1", "0": "0", "Y": "1", "N": "0"}
            if str(value) not in known:
                raise WrongValueError(self._as_field(), value)
            return known[str(value)]
        return stored(self._as_field(), value)

    def _as_field(self) -> Field:
        return Field(self.name, self.name, self.type, _KINDS.get(self.type, "text"), settable=True, item_settable=True)


class UserFields:
    """By CRM type and name."""

    def __init__(self) -> None:
        self._declared: dict[str, dict[str, UserField]] = {}

    def declare(self, type_: str, declared: UserField) -> None:
        self._declared.setdefault(type_, {})[declared.name] = declared

    def of(self, type_: str) -> Mapping[str, UserField]:
        return self._declared.get(type_, {})


def user_fields(portal: PortalState, type_: str) -> Mapping[str, UserField]:
    return portal.part(UserFields).of(type_)
