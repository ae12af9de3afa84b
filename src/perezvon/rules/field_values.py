"""What a text becomes in a field of the CRM, by the field's type: a number, a date, an entry of a list, yes or no. Pure.

The types are those that crm.lead.fields and its like name; a type that is not known here gets the text as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from perezvon.rules.vocabulary import Json, Reason

MULTIFIELDS = frozenset({"PHONE", "EMAIL", "WEB", "IM", "LINK"})
LONGEST_FIELD = 5000

_YES = frozenset({"y", "yes", "1", "true", "да", "д"})
_NO = frozenset({"n", "no", "0", "false", "нет", "н"})
_IDS = frozenset(
    {
        "integer",
        "user",
        "employee",
        "crm_lead",
        "crm_deal",
        "crm_contact",
        "crm_company",
        "iblock_element",
        "iblock_section",
    }
)
_NUMBERS = frozenset({"double", "money"})
_IMPOSSIBLE = frozenset({"file", "diskfile", "location", "attached_diskfile"})
_LOCAL = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?:[ T](\d{1,2}):(\d{2})(?::(\d{2}))?)?", re.ASCII)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


@dataclass(frozen=True, slots=True)
class FieldType:
    """`kind`: the portal's word for it, "" where it is not known. `many`: it holds several values. `items`: of a list, its
    entries by id."""

    kind: str = ""
    many: bool = False
    read_only: bool = False
    title: str = ""
    items: Mapping[str, str] = field(default_factory=dict[str, str])

    def as_json(self) -> dict[str, Json]:
        return {"kind": self.kind, "many": self.many, "items": dict(self.items)}

    @classmethod
    def from_json(cls, body: Mapping[str, Json]) -> FieldType:
        return cls(str(body.get("kind", "")), bool(body.get("many")), items=dict(body.get("items") or {}))


@dataclass(frozen=True, slots=True)
class Refused:
    """The text cannot be that; why, in a sentence."""

    why: Reason


def converted(text: str, type_: FieldType, name: str = "") -> Json | Refused:
    """A text that is not empty, as the field takes it. `name`: of the field."""
    text = text.strip()[:LONGEST_FIELD]
    told = {"value": text[:60], "field": name}
    kind = type_.kind
    if kind in _IMPOSSIBLE or type_.read_only:
        return Refused(Reason("the field {field} cannot be filled from a text", told))
    if kind in _IDS:
        return text if re.fullmatch(r"\d{1,18}", text, re.ASCII) else Refused(Reason("{value} is no whole number", told))
    if kind in _NUMBERS:
        return _amount(text, kind) or Refused(Reason("{value} is no number", told))
    if kind in ("boolean", "char"):
        return _yes_or_no(text, kind) or Refused(Reason("{value} is neither yes nor no", told))
    if kind in ("date", "datetime"):
        return _moment(text, kind) or Refused(Reason("{value} is no date", told))
    if kind == "enumeration" and type_.items:
        return _entry(text, type_.items) or Refused(
            Reason(
                "{value} is not in the list of {field}: {known}",
                {**told, "known": ", ".join(list(type_.items.values())[:20])[:300]},
            )
        )
    if name == "EMAIL" and not _EMAIL.fullmatch(text):
        return Refused(Reason("{value} is no e-mail address", told))
    return text


def _amount(text: str, kind: str) -> str:
    amount, bar, currency = text.replace(" ", "").replace("\u00a0", "").partition("|")
    if not re.fullmatch(r"-?\d{1,15}([.,]\d{1,8})?", amount, re.ASCII) or (bar and kind != "money"):
        return ""
    return amount.replace(",", ".") + bar + currency[:3]


def _yes_or_no(text: str, kind: str) -> str:
    said = text.casefold()
    if said not in _YES | _NO:
        return ""
    return ("Y" if said in _YES else "N") if kind == "char" else ("1" if said in _YES else "0")


def _moment(text: str, kind: str) -> str:
    """ISO 8601, or as people write it here: 31.12.2026, 31.12.2026 09:30."""
    local = _LOCAL.fullmatch(text)
    try:
        if local:
            day, month, year, hour, minute, second = (int(one) if one else 0 for one in local.groups())
            at = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001  the portal's own time
        elif re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
            at = datetime.combine(date.fromisoformat(text), datetime.min.time())
        else:
            at = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        return ""
    return at.date().isoformat() if kind == "date" else at.isoformat(timespec="seconds")


def _entry(text: str, items: Mapping[str, str]) -> str:
    """By its words, else by its id."""
    said = text.casefold()
    return next((key for key, value in items.items() if value.casefold() == said), text if text in items else "")
