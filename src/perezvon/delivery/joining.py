"""What becomes of the several recordings of one call: more of them are waited for, or these are queued. Pure: the call's
recordings, its lane and its journal in, a plan out."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path

from perezvon.calls.facts import Answered, CallEnded, CallStarted, Fact, LeftTalk, Recorded, RecordingPaused
from perezvon.delivery.kinds import FILE, HEARD_AT, LINK
from perezvon.recordings.parts import Part, Talk, arrange, talkers
from perezvon.rules.vocabulary import Json, Kind, Priority, Reason, Ref, StepDraft
from perezvon.storage.recordings import Mark, Recording, RecordingState
from perezvon.storage.steps import Step

HEARD = (RecordingState.PART, RecordingState.JOINED, RecordingState.READY, RecordingState.SPARE)
"""States of a recording that has been converted."""

_LONGEST_NAME = 40

_ADDRESS = re.compile(r"https?://\S+")
_TOLD_LATER = 0.5
"""Seconds by which a pause may be told to be over after the recording has gone on."""


@dataclass(frozen=True, slots=True)
class Wait:
    """More of them may come until then (POSIX seconds)."""

    until: float


@dataclass(frozen=True, slots=True)
class Queue:
    """`kept`: to be heard, in order, one at least; `began` and `talked` belong to them. `spare`: hold the same talk as
    these. `key`: of the step that attaches them; `queued`: the lane has had that step. `gaps`: before each of `kept`, the
    seconds for which nothing was recorded.
    """

    kept: tuple[Recording, ...]
    began: tuple[float | None, ...]
    talked: tuple[tuple[str, ...], ...]
    spare: tuple[Recording, ...]
    key: str
    queued: bool
    gaps: tuple[float, ...] = ()

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
        gaps=_gaps([part.began for part in arranged.kept], facts),
    )


def _gaps(began: Sequence[float | None], facts: Sequence[Fact]) -> tuple[float, ...]:
    """For each part the length of the pauses of the recording that were over when it began, and not before the one
    before."""
    pauses: list[tuple[float, float]] = []
    since: float | None = None
    for fact in facts:
        if isinstance(fact, RecordingPaused):
            if not fact.on and since is not None:
                pauses.append((since, fact.at))
            since = fact.at if fact.on else None
    gaps: list[float] = []
    last = -inf
    for number, at in enumerate(began):
        over = [until - start for start, until in pauses if at is not None and last < until <= at + _TOLD_LATER]
        gaps.append(sum(over) if number and at is not None else 0.0)
        last = max(last, at + _TOLD_LATER if at is not None else last)
    return tuple(gaps) if any(gaps) else ()


def has_pauses(facts: Sequence[Fact]) -> bool:
    return any(isinstance(fact, RecordingPaused) for fact in facts)


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


@dataclass(frozen=True, slots=True)
class Sent:
    """What the portal is to get. `file`: our mp3, None for the PBX's own file, called `name` for the portal then.
    `link`: it gets an address of this recording instead; `parts`: of how many it was joined."""

    file: Path | None
    seconds: float
    name: str = ""
    link: Recording | None = None
    parts: int = 1


def attach(key: str, call_id: Json | Ref, sent: Sent) -> StepDraft:
    """The step that attaches a call's recording."""
    params: dict[str, Json | Ref] = {"CALL_ID": call_id, "FILENAME": sent.file.name if sent.file is not None else sent.name}
    if sent.link is not None:
        params[LINK] = subject_of(sent.link)
    if sent.file is not None:
        params[FILE] = str(sent.file)
    return StepDraft(key, Kind.ATTACH_RECORD, params, Priority.RECORD, _why(sent))


def tell(key: str, finish: str, sent: Sent, text: str) -> StepDraft:
    """The step that writes where it can be heard into the activity which the portal makes at the finish with this key."""
    params: dict[str, Json | Ref] = {
        "id": Ref(Kind.FINISH, "CRM_ACTIVITY_ID", finish),
        "fields": {"DESCRIPTION": text},
        **({FILE: str(sent.file)} if sent.file is not None else {}),
    }
    if address := _ADDRESS.search(text):
        params[HEARD_AT] = address[0]
    return StepDraft(key, Kind.DESCRIBE, params, Priority.RECORD, _why(sent))


def step_for(key: str, steps: Sequence[Step], sent: Sent, text: str) -> StepDraft:
    """`steps`: the call's lane, with its finish. `text`: where the recording can be heard, if that is told in the
    activity."""
    finish = finished_step(steps)
    assert finish is not None
    if sent.link is not None and text:
        return tell(key, finish.key, sent, text)
    return attach(key, finish.params["CALL_ID"], sent)


def _why(sent: Sent) -> Reason:
    told = {"seconds": f"{sent.seconds:.0f}", "parts": str(sent.parts)}
    if sent.parts == 1:
        return Reason("the PBX recorded the call: {seconds} s", told)
    return Reason("the PBX recorded the call in {parts} parts, joined here: {seconds} s", told)


def finished_step(steps: Sequence[Step]) -> Step | None:
    """The finish of the call; None when the call was not reported. Of several portal calls (`calls.transfers = "each"`) the
    first in which somebody talked: the recording goes through all of them."""
    finishes = [step for step in steps if step.kind is Kind.FINISH]
    talked = [step for step in finishes if step.params.get("DURATION")]
    return next(iter((*talked, *finishes)), None)


def finished_call(steps: Sequence[Step]) -> Json | Ref | None:
    """The portal's id of the call, as its finish names it."""
    finish = finished_step(steps)
    return None if finish is None else finish.params["CALL_ID"]


def subject_of(row: Recording) -> str:
    """What an address of a recording names: its id, and which call's it is, lest it lead to another one in another
    database."""
    return f"{row.id}.{hashlib.sha256(row.call.encode()).hexdigest()[:12]}"


def _ids(rows: Sequence[Recording]) -> list[int]:
    return [row.id for row in rows]
