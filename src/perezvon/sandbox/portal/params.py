"""The parameters of one REST call, as a handler sees them: contract's spelling, PHP's looseness read away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, cast

Json = Any

FALSE_WORDS = frozenset({"", "0", "n", "no", "false"})


class Params(Mapping[str, Json]):
    """Names are spelled as in the contract. A value may have come as JSON or as text out of a form: use the readers.

    A parameter given as null counts as not given.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Json] | None = None) -> None:
        self._values = {name: value for name, value in (values or {}).items() if value is not None}

    def __getitem__(self, name: str) -> Json:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def text(self, name: str, default: str = "") -> str:
        value = self._values.get(name)
        return default if value is None else str(value)

    def integer(self, name: str, default: int = 0) -> int:
        """`default` also for a value that is no number (PHP would read 0)."""
        return as_int(self._values.get(name), default)

    def number(self, name: str, default: float = 0.0) -> float:
        try:
            return float(self._values.get(name, default))
        except (TypeError, ValueError):
            return default

    def flag(self, name: str, default: bool = False) -> bool:
        """Y/N, 1/0, true/false."""
        value = self._values.get(name)
        return default if value is None else as_flag(value)

    def truthy(self, name: str, default: bool = False) -> bool:
        """As PHP casts to bool: "N" is true, "0" and "" are false."""
        value = self._values.get(name)
        return default if value is None else bool(value) and value != "0"

    def items_of(self, name: str) -> list[Json]:
        """A list; a PHP array with keys gives its values; a single value gives a list of one."""
        return as_list(self._values.get(name))

    def mapping(self, name: str) -> dict[str, Json]:
        """A map; PHP's empty array gives {}."""
        return as_mapping(self._values.get(name))


def as_int(value: Json, default: int = 0) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return default


def as_flag(value: Json) -> bool:
    return str(value).strip().lower() not in FALSE_WORDS


def as_list(value: Json) -> list[Json]:
    if value is None:
        return []
    if isinstance(value, list):
        return cast("list[Json]", value)
    if isinstance(value, Mapping):
        return list(cast("Mapping[str, Json]", value).values())
    return [value]


def as_mapping(value: Json) -> dict[str, Json]:
    if isinstance(value, Mapping):
        return {str(key): item for key, item in cast("Mapping[str, Json]", value).items()}
    if isinstance(value, list):
        return {str(index): item for index, item in enumerate(cast("list[Json]", value))}
    return {}


def as_moment(value: Json) -> float | None:
    """ISO 8601 with an offset as POSIX seconds; None when it is anything else."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo else None
