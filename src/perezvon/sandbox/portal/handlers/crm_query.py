"""Filter, order and select of list methods, over any rows (`read` knows them). Pure: no portal, no errors of its own.

The operators are prefixes of the field name, as the documentation prints them:

    =  !=  !   equal, not equal (an empty value means "is empty"; a list means "one of")
    >  >=  <  <=          numbers, dates and, failing both, strings
    @  !@                 one of a list
    %  !%                 contains, without regard to case
    =%  %=  !=%  !%=      LIKE with the `%` and `_` of the value

A field that holds several values (phones, bindings) matches when one of them does, and fails a negative test then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cmp_to_key
from typing import Any, TypeVar, cast

Read = Callable[[Any, str], Any]
RowT = TypeVar("RowT")

OPERATORS = ("!=%", "!%=", "!=", "!@", "!%", "=%", "%=", ">=", "<=", "!", "=", ">", "<", "@", "%")


@dataclass(frozen=True, slots=True)
class Condition:
    """One key of a filter taken apart: `>=DATE_CREATE: x` is (DATE_CREATE, >=, x)."""

    field: str
    operator: str
    value: Any

    @classmethod
    def parse(cls, key: str, value: Any) -> Condition:
        for operator in OPERATORS:
            if key.startswith(operator):
                return cls(key[len(operator) :], operator, value)
        return cls(key, "=", value)


@dataclass(frozen=True, slots=True)
class Group:
    """Conditions and further groups, joined by AND (the default) or OR (`logic` of crm.item.list)."""

    parts: tuple[Condition | Group, ...]
    any_of: bool = False

    def fields(self) -> Iterable[str]:
        for part in self.parts:
            if isinstance(part, Condition):
                yield part.field
            else:
                yield from part.fields()


def parse(filter_: Mapping[str, Any] | Sequence[Any], *, nested: bool = False) -> Group:
    """A filter as it arrives. `nested` allows groups under numeric keys and the key `logic` (crm.item.list only)."""
    pairs = filter_.items() if isinstance(filter_, Mapping) else ((str(i), v) for i, v in enumerate(filter_))
    parts: list[Condition | Group] = []
    any_of = False
    for key, value in pairs:
        if nested and key.lower() == "logic":
            any_of = str(value).upper() == "OR"
        elif nested and key.isdigit() and isinstance(value, (Mapping, list)):
            parts.append(parse(cast("Mapping[str, Any] | list[Any]", value), nested=True))
        else:
            parts.append(Condition.parse(key, value))
    return Group(tuple(parts), any_of)


def read_plain(row: Mapping[str, Any], field: str) -> Any:
    return row.get(field)


def matches(group: Group, row: Any, read: Read = read_plain) -> bool:
    """Whether the row passes; `read` finds a field's value (or list of values) in it."""
    outcome = (
        matches(part, row, read) if isinstance(part, Group) else _holds(read(row, part.field), part.operator, part.value)
        for part in group.parts
    )
    return any(outcome) if group.any_of else all(outcome)


def ordered(rows: Iterable[RowT], order: Mapping[str, Any], read: Read = read_plain) -> list[RowT]:
    """Rows sorted by `{field: ASC|DESC}` in the given precedence; empty values come first, as in MySQL."""
    found = list(rows)
    for field, direction in reversed(list(order.items())):

        def comparison(one: RowT, other: RowT, field: str = field) -> int:
            return _compare(read(one, field), read(other, field))

        found.sort(key=cmp_to_key(comparison), reverse=str(direction).upper().startswith("DESC"))
    return found


def selected(names: Iterable[str], select: Sequence[str], *, unselectable: frozenset[str] = frozenset()) -> list[str]:
    """The field names that `select` asks for out of `names`: exact names and the masks `*` and `UF_*`.

    `unselectable` names are left out of the masks (phones and other multi-fields) but can be asked for by name.
    """
    known = list(names)
    wanted: dict[str, None] = {}
    for ask in select or ["*", "UF_*"]:
        if ask == "*":
            wanted.update(dict.fromkeys(n for n in known if not n.startswith("UF_") and n not in unselectable))
        elif ask == "UF_*":
            wanted.update(dict.fromkeys(n for n in known if n.startswith("UF_") and n not in unselectable))
        elif ask in known:
            wanted[ask] = None
    return list(wanted)


def _holds(held: Any, operator: str, value: Any) -> bool:
    several = _several(held)
    negative = operator.startswith("!")
    test = operator[1:] if negative else operator
    found = any(_one(item, test or "=", value) for item in several or [None])
    return found is not negative


def _several(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(cast("Mapping[str, Any]", value).values())
    return list(cast("Iterable[Any]", value)) if isinstance(value, (list, tuple, set)) else [value]


def _one(held: Any, operator: str, value: Any) -> bool:
    if operator in {"=", "@"}:
        return any(_equal(held, candidate) for candidate in _several(value))
    if operator == "%":
        return _text(value).casefold() in _text(held).casefold()
    if operator in {"=%", "%="}:
        pattern = re.escape(_text(value)).replace("%", ".*").replace("_", ".")
        return re.fullmatch(pattern, _text(held), re.IGNORECASE | re.DOTALL) is not None
    if _empty(held):
        return False
    sign = _compare(held, value)
    return {">": sign > 0, ">=": sign >= 0, "<": sign < 0, "<=": sign <= 0}[operator]


def _equal(held: Any, value: Any) -> bool:
    if _empty(value):
        return _empty(held)
    return not _empty(held) and _compare(held, value) == 0


def _compare(one: Any, other: Any) -> int:
    """-1, 0 or 1: as numbers when both are, else as moments when both are, else as text without regard to case."""
    for reading in (_number, _moment):
        left, right = reading(one), reading(other)
        if left is not None and right is not None:
            return (left > right) - (left < right)
    first, second = _text(one).casefold(), _text(other).casefold()
    return (first > second) - (first < second)


def _empty(value: Any) -> bool:
    return value is None or value is False or value in ("", [], {})


def _text(value: Any) -> str:
    if value is True:
        return "Y"
    return "" if _empty(value) else str(value)


def _number(value: Any) -> float | None:
    """Numbers only as a database prints them: a phone number with its `+`, or a padded one, stays text."""
    if isinstance(value, bool) or value is None:
        return None
    text = str(value)
    return float(text) if re.fullmatch(r"-?(0|[1-9]\d{0,14})(\.\d+)?", text) else None


def _moment(value: Any) -> float | None:
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp()
    if not isinstance(value, str):
        return None
    text = re.sub(r"^(\d\d)\.(\d\d)\.(\d{4})", r"\3-\2-\1", value.strip())
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
