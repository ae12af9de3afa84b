"""What becomes of the several recordings of one call: more of them are waited for, or these are queued. Pure: the call's
recordings, its lane and its journal in, a plan out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path

from perezvon.calls.facts import Answered, CallEnded, CallStarted, Fact, LeftTalk, Recorded
from perezvon.delivery.kinds import FILE
from perezvon.recordings.parts import Part, Talk, arrange, talkers
from perezvon.rules.vocabulary import Json, Kind, Priority, Reason, Ref, StepDraft
from perezvon.storage.recordings import Mark, Recording, RecordingState
from perezvon.storage.steps import Step

HEARD = (RecordingState.PART, RecordingState.JOINED, RecordingState.READY, RecordingState.SPARE)
"""States of a recording that has been converted."""

_LONGEST_NAME = 40


@dataclass(frozen=True, slots=True)
class Wait:
    """More of them may come until then (POSIX seconds)."""

    until: float


@dataclass(frozen=True, slots=True)
class Queue:
    """`kept`: to be heard, in order, one at least; `began` and `talked` belong to them. `spare`: hold the same talk as
    these. `key`: of the step that attaches them; `queued`: the lane has had that step.
    """

    kept: tuple[Recording, ...]
    began: tuple[float | None, ...]
    talked: tuple[tuple[str, ...], ...]
    spare: tuple[Recording, ...]
    key: str
    queued: bool

    @property
    def call(self) -> str:
        return self.kept[0].call

    def like(self, other: Wait | Queue) -> bool:
        """Whether the same files come of both."""
        return isinstance(other, Queue) and self.key == other.key and _ids(self.spare) == _ids(other.spare)

    def marks(self, starts: Sequence[float]) -> list[Mark]:
        """`starts`: the second at which each begins in the joined file."""
        told = zip(self.kept, self.began, starts, self.talked, strict=True)
        return [Mark(row.id, began, start, talked) for row, began, start, talked in told]


def plan_call(
    rows: Sequence[Recording], steps: Sequence[Step], facts: Sequence[Fact], now: float, grace: float
) -> Wait | Queue:
    """`rows`: all of the call, one at least converted; `steps`: its lane. One that is still tried for the first time is
    waited for; one that was not there at the first try until `grace` seconds after the call."""
    coming = [row for row in rows if row.state is RecordingState.NEW]
    if coming:
        until = max(row.created for row in coming) + grace if all(row.attempts for row in coming) else now + grace
        if now < until:
            return Wait(until)
    heard = {row.id: row for row in rows if row.state in HEARD and row.seconds}
    told = {fact.path: fact.at for fact in reversed(facts) if isinstance(fact, Recorded)}
    parts = [Part(row.id, told.get(row.path, row.began), row.seconds, row.closed) for row in heard.values()]
    talks = talks_of(facts)
    started = next((fact.at for fact in facts if isinstance(fact, CallStarted)), -inf)
    ended = next((fact.at for fact in facts if isinstance(fact, CallEnded)), inf)
    arranged = arrange(parts, talks, started, ended)
    kept = tuple(heard[part.id] for part in arranged.kept)
    key = key_of(kept)
    return Queue(
        kept=kept,
        began=tuple(part.began for part in arranged.kept),
        talked=tuple(talkers(arranged.kept, talks)),
        spare=tuple(heard[number] for number in arranged.spare),
        key=key,
        queued=any(step.key == key for step in steps),
    )


def talks_of(facts: Sequence[Fact]) -> list[Talk]:
    """Who talked with the client, from when to when."""
    since: dict[str, float] = {}
    talks: list[Talk] = []
    for fact in facts:
        match fact:
            case Answered(extension=extension, at=at):
                since.setdefault(extension, at)
            case LeftTalk(extension=extension, at=at) if extension in since:
                talks.append(Talk(extension, since.pop(extension), at))
            case CallEnded(at=at):
                talks += [Talk(extension, begun, at) for extension, begun in since.items()]
                since.clear()
            case _:
                pass
    talks += [Talk(extension, begun, inf) for extension, begun in since.items()]
    return sorted(talks, key=lambda talk: talk.since)


def name_of(rows: Sequence[Recording]) -> str:
    """The same for the same recordings in the same order, and for no others: for keys and files."""
    name = "+".join(map(str, _ids(rows)))
    return name if len(name) <= _LONGEST_NAME else f"{len(rows)}x{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def key_of(rows: Sequence[Recording]) -> str:
    """Of the step that attaches them."""
    return f"{rows[0].call}:record:{name_of(rows)}"


def attach(key: str, call_id: Json | Ref, file: Path, seconds: float, parts: int = 1) -> StepDraft:
    """The step that attaches a call's recording. `parts`: of how many it was joined."""
    told = {"seconds": f"{seconds:.0f}", "parts": str(parts)}
    return StepDraft(
        key=key,
        kind=Kind.ATTACH_RECORD,
        params={"CALL_ID": call_id, "FILENAME": file.name, FILE: str(file)},
        priority=Priority.RECORD,
        reason=Reason("the PBX recorded the call: {seconds} s", told)
        if parts == 1
        else Reason("the PBX recorded the call in {parts} parts, joined here: {seconds} s", told),
    )


def finished_call(steps: Sequence[Step]) -> Json | Ref | None:
    """The portal's id of the call, as its finish names it; None when the call was not reported. Of several portal calls
    (`calls.transfers = "each"`) the first in which somebody talked: the recording goes through all of them."""
    finishes = [step for step in steps if step.kind is Kind.FINISH]
    talked = [step for step in finishes if step.params.get("DURATION")]
    return next((step.params["CALL_ID"] for step in (*talked, *finishes)), None)


def _ids(rows: Sequence[Recording]) -> list[int]:
    return [row.id for row in rows]
