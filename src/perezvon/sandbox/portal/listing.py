"""Filters and sorting of the list methods: Bitrix's prefixes before field names (`>=CALL_START_DATE`, `!ID`, `%NAME`,
`@ID`)."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from perezvon.sandbox.portal.params import as_list
from perezvon.sandbox.portal.registry import RestError

Json = Any
PREFIX = re.compile(r"^(!><|><|!=%|!%=|!=|!%|!@|!|=%|%=|>=|<=|=|%|@|>|<|\?)?(.+)$")


def split_prefix(name: str) -> tuple[str, str]:
    """(operator, field) of a filter key; the operator is "" when there is none."""
    found = PREFIX.match(name)
    return (found.group(1) or "", found.group(2)) if found else ("", name)


def check_fields(conditions: Mapping[str, Json], known: Collection[str], method: str, strict: bool) -> None:
    """A real portal ignores an unknown filter field, and so answers everything: with `strict` it is refused."""
    for name in conditions:
        field = split_prefix(name)[1]
        if strict and field not in known:
            raise RestError("SANDBOX_UNKNOWN_PARAMETER", f"{method}: no documented filter field {field!r}", argument=name)


def matching(rows: Sequence[Mapping[str, Json]], conditions: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    """The rows that meet all conditions, in their order. Numbers compare as numbers, dates as moments, the rest as text."""
    tests = [(*split_prefix(name), value) for name, value in conditions.items()]
    return [row for row in rows if all(_meets(row.get(field), operator, value) for operator, field, value in tests)]


def ordered(rows: Sequence[Mapping[str, Json]], field: str, direction: str) -> list[Mapping[str, Json]]:
    """Sorted by one field; nulls first when ascending."""
    return sorted(rows, key=lambda row: _order_key(row.get(field)), reverse=direction.upper() == "DESC")


def _meets(actual: Json, operator: str, wanted: Json) -> bool:
    if operator.startswith("!"):
        return not _meets(actual, operator[1:], wanted)
    if isinstance(actual, list):
        return any(_meets(item, operator, wanted) for item in as_list(actual))
    if operator in {"", "=", "@"}:
        return any(_same(actual, each) for each in as_list(wanted)) if isinstance(wanted, list) else _same(actual, wanted)
    if operator == "><":
        low, high = [*as_list(wanted), None, None][:2]
        return _meets(actual, ">=", low) and _meets(actual, "<=", high)
    if operator in {"%", "?"}:
        return any(str(each).lower() in str(actual or "").lower() for each in as_list(wanted))
    if operator in {"=%", "%="}:
        return fnmatch.fnmatchcase(str(actual or "").lower(), str(wanted).lower().replace("%", "*").replace("_", "?"))
    return _ORDERINGS[operator](actual, wanted)


def _same(actual: Json, wanted: Json) -> bool:
    if wanted is None or wanted == "":
        return actual in (None, "")
    if isinstance(actual, bool):
        return actual == (str(wanted).lower() in {"1", "y", "true"})
    left, right = _comparable(actual), _comparable(wanted)
    return left == right if type(left) is type(right) else str(actual) == str(wanted)


def _ordering(test: Callable[[Any, Any], bool]) -> Callable[[Json, Json], bool]:
    def compare(actual: Json, wanted: Json) -> bool:
        left, right = _comparable(actual), _comparable(wanted)
        return test(left, right) if type(left) is type(right) and left is not None else False

    return compare


_ORDERINGS: dict[str, Callable[[Json, Json], bool]] = {
    ">": _ordering(lambda a, b: a > b),
    ">=": _ordering(lambda a, b: a >= b),
    "<": _ordering(lambda a, b: a < b),
    "<=": _ordering(lambda a, b: a <= b),
}


def _comparable(value: Json) -> Json:
    """A number, a moment (with a day counting as its first second, UTC where no offset is given) or a text."""
    if value is None or isinstance(value, bool):
        return value
    text = str(value)
    if re.fullmatch(r"-?\d+(\.\d+)?", text) and not text.startswith(("+", "00")):
        return float(text)
    if re.match(r"\d{4}-\d\d-\d\d", text):
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return text
        return moment if moment.tzinfo else moment.astimezone()
    return text


def _order_key(value: Json) -> tuple[int, Json]:
    comparable = _comparable(value)
    if comparable is None:
        return (0, 0)
    if isinstance(comparable, datetime):
        return (2, comparable.timestamp())
    return (1, comparable) if isinstance(comparable, float) else (3, str(comparable))
