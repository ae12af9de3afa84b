"""What one check found: is it well, what was seen, and the exact thing to do. Values only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from perezvon.rules.vocabulary import Reason
from perezvon.settings.errors import Translate, told


class State(StrEnum):
    """`WARNING`: calls go through, but something is not as it should be. `PROBLEM`: something that was asked for does not
    work."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Check:
    """`name`: lasting, for scripts (`ami.login`, `portal.scope`). `subject`: what was looked at ("asterisk main")."""

    name: str
    subject: str
    state: State
    seen: Reason
    fix: Reason | None = None

    def as_json(self, translate: Translate) -> dict[str, Any]:
        return {
            "name": self.name,
            "subject": self.subject,
            "state": self.state.value,
            "seen": told(self.seen, translate),
            "fix": told(self.fix, translate) if self.fix else None,
        }


def worst(checks: Iterable[Check]) -> State:
    """OK when there are none."""
    return max((check.state for check in checks), key=list(State).index, default=State.OK)
