"""What came of asking a hook. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

from perezvon.rules.vocabulary import Reason


class Fate(StrEnum):
    """`FAILED`: for whatever reason, the default stands."""

    NOT_ASKED = "not asked"
    UNCHANGED = "unchanged"
    CHANGED = "changed"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Answer:
    """`value`: what is to be taken, always fit for use: the default unless `CHANGED`; None when `CANCELLED`. `note`: for
    the call's page; None where there is nothing to tell. `printed`: what the hook has printed, cut."""

    fate: Fate
    value: Any
    note: Reason | None = None
    printed: str = ""
    seconds: float = 0.0

    @property
    def cancelled(self) -> bool:
        return self.fate is Fate.CANCELLED


@dataclass(frozen=True, slots=True)
class Said:
    """An answer as the page of its call tells it. `at`: POSIX seconds, UTC; `seconds`: how long it took."""

    at: float
    point: str
    fate: Fate
    note: Reason | None
    printed: str
    seconds: float


MOST_TOLD = 400
"""Characters of a change that are told."""


def difference(before: Any, after: Any) -> str:
    """`USER_ID: 11 -> 12; + CRM_SOURCE: "WEB"`, cut."""
    if isinstance(before, dict) and isinstance(after, dict):
        old, new = cast("dict[str, Any]", before), cast("dict[str, Any]", after)
        both = [name for name in old if name in new and old[name] != new[name]]
        parts = [f"{name}: {_shown(old[name])} -> {_shown(new[name])}" for name in both]
        parts += [f"- {name}" for name in old if name not in new]
        parts += [f"+ {name}: {_shown(new[name])}" for name in new if name not in old]
        told = "; ".join(parts)
    else:
        told = f"{_shown(before)} -> {_shown(after)}"
    return told if len(told) <= MOST_TOLD else f"{told[:MOST_TOLD]}…"


def _shown(value: Any) -> str:
    told = f'"{value}"' if isinstance(value, str) else str(value)
    return told if len(told) <= 80 else f"{told[:80]}…"
