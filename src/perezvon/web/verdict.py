"""The answer to "does it work?", in one word and a few figures: told from the troubles and the status. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from perezvon.doctor.check import Check, State, worst
from perezvon.web.status import Status


@dataclass(frozen=True, slots=True)
class Verdict:
    """`last_call`: when the newest call began (POSIX seconds), None when there was none yet. `live`: calls under way."""

    state: State
    problems: int
    warnings: int
    last_call: float | None
    live: int
    waiting: int
    oldest: float | None

    def as_json(self) -> dict[str, Any]:
        return {"state": self.state.value, "problems": self.problems, "warnings": self.warnings}


def verdict(status: Status, troubles: Sequence[Check]) -> Verdict:
    """`troubles`: what web/troubles.py tells of the same status."""
    return Verdict(
        state=worst(troubles),
        problems=sum(check.state is State.PROBLEM for check in troubles),
        warnings=sum(check.state is State.WARNING for check in troubles),
        last_call=max((call.started for call in status.calls), default=None),
        live=sum(pbx.live_calls for pbx in status.pbxs),
        waiting=sum(portal.waiting for portal in status.portals),
        oldest=min((portal.oldest for portal in status.portals if portal.oldest is not None), default=None),
    )
