"""Single values out of the portal's JSON, as PHP writes them: ids as strings or numbers, empty maps as lists.

Pure and total: a value of another kind becomes the empty one, never an exception.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

Json = Any


def mapping(value: Json) -> Mapping[str, Json]:
    return cast("dict[str, Json]", value) if isinstance(value, dict) else {}


def keyed(value: Json) -> Mapping[str, Json]:
    """A map whose keys 0, 1, 2… made PHP write it as a list; `[]` is the empty map."""
    if isinstance(value, list):
        return {str(index): item for index, item in enumerate(cast("list[Json]", value))}
    return mapping(value)


def rows(value: Json) -> list[Json]:
    """A list; one with gaps is written as a map."""
    if isinstance(value, dict):
        return list(cast("dict[str, Json]", value).values())
    return cast("list[Json]", value) if isinstance(value, list) else []


def text(value: Json) -> str:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else ""


def number(value: Json) -> str:
    """An id as text, however it was written: digits only, which int() takes; "" for none (null, false, 0, "0")."""
    found = text(value).strip()
    return found if found != "0" and re.fullmatch(r"[0-9]{1,18}", found) else ""


def real(value: Json) -> float | None:
    try:
        found = float(text(value))
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def whole(value: Json) -> int | None:
    found = real(value)
    return None if found is None else int(found)


def flag(value: Json, *, default: bool = False) -> bool:
    """Y, 1 and true are yes; null and "" are the default."""
    if isinstance(value, str):
        return value.strip().upper() in ("Y", "1", "TRUE") if value.strip() else default
    return default if value is None else bool(value)


def moment(value: Json) -> float | None:
    """ISO 8601 with offset as POSIX seconds; None for anything else."""
    try:
        at = datetime.fromisoformat(text(value))
    except ValueError:
        return None
    return at.timestamp() if at.tzinfo is not None else None
