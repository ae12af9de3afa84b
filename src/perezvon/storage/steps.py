"""A step of a lane as it is kept: the draft of the rules, and what became of it.

State: new -> sending -> done | dead, or back to new when the portal surely did nothing. A step whose outcome is not known
(time-out, reset, killed while sending) is unsure: it is looked up at the portal, or sent again where that is harmless.
A step that a hook is to be asked about first is held; then it is new, or skipped.
new and unsure -> skipped, when it is not needed any more. done, dead and skipped are final (`lanes.requeue` apart).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

from sqlalchemy import Row

from perezvon.rules.vocabulary import Json, Kind, Reason, Ref


class State(StrEnum):
    NEW = "new"
    SENDING = "sending"
    UNSURE = "unsure"
    DONE = "done"
    SKIPPED = "skipped"
    DEAD = "dead"
    HELD = "held"


PENDING = (State.NEW, State.UNSURE)


@dataclass(frozen=True, slots=True)
class Step:
    """Times are POSIX seconds, UTC. `result`: the portal's answer, or its last error as JSON. `error`: that error in words.

    `note`: why it was skipped, or what was odd about the answer. `attempts`: how often it was sent. `sent`: the last time.
    """

    id: int
    portal: str
    lane: str
    sequence: int
    key: str
    kind: Kind
    params: Mapping[str, Json | Ref]
    priority: int
    reason: Reason
    created: float
    expires: float | None
    state: State
    attempts: int
    sent: float | None
    finished: float | None
    result: Json
    error: str | None
    note: Reason | None

    @property
    def pending(self) -> bool:
        return self.state in PENDING

    @property
    def open(self) -> bool:
        """Whether anything may become of it yet."""
        return self.pending or self.state in (State.SENDING, State.HELD)

    @property
    def refs(self) -> list[Ref]:
        return [value for value in self.params.values() if isinstance(value, Ref)]


@dataclass(frozen=True, slots=True)
class Settled:
    """What becomes of one step; stored by `lanes.settle`."""

    id: int
    state: State
    result: Json = None
    error: str | None = None
    note: Reason | None = None


def write_params(params: Mapping[str, Json | Ref]) -> str:
    return json.dumps(dict(params), default=_ref_as_json)


def read_params(text: str) -> dict[str, Json | Ref]:
    return json.loads(text, object_hook=_ref_or_map)


def write_reason(reason: Reason | None) -> str | None:
    return (
        None
        if reason is None
        else json.dumps({"text": reason.text, "args": {name: str(value) for name, value in reason.args.items()}})
    )


def read_reason(text: str | None) -> Reason | None:
    return None if text is None else Reason(**json.loads(text))


def read_step(row: Row[Any]) -> Step:
    return Step(
        id=row.id,
        portal=row.portal,
        lane=row.lane,
        sequence=row.sequence,
        key=row.key,
        kind=Kind(row.kind),
        params=read_params(row.params),
        priority=row.priority,
        reason=read_reason(row.reason) or Reason(""),
        created=row.created,
        expires=row.expires,
        state=State(row.state),
        attempts=row.attempts,
        sent=row.sent,
        finished=row.finished,
        result=None if row.result is None else json.loads(row.result),
        error=row.error,
        note=read_reason(row.note),
    )


def _ref_as_json(value: object) -> dict[str, str]:
    if isinstance(value, Ref):
        named = {"key": value.key} if value.key else {}
        return {"$ref": value.kind.value, "field": value.field, **named}
    raise TypeError(f"a step's parameter has no JSON form: {value!r}")


def _ref_or_map(value: dict[str, Any]) -> dict[str, Any] | Ref:
    if {"$ref", "field"} <= value.keys() <= {"$ref", "field", "key"}:
        return Ref(Kind(cast("str", value["$ref"])), cast("str", value["field"]), cast("str", value.get("key", "")))
    return value
