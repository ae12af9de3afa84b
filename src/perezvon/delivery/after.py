"""Steps beside the lane that take several requests, each decided by the answer before: what they have in common, and which
room asks for which kind. Pure.

Nothing of the lane waits for them, and they wait for nothing but its finish; what they ask rides in the batches of all
others. Where a step has got to is kept as its result, so that it outlives a kill.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perezvon.bitrix24.answers import Answer
from perezvon.bitrix24.errors import Ambiguous, AppContextRequired, MissingScope, Permanent, PortalError
from perezvon.bitrix24.values import Json, mapping, real, whole
from perezvon.delivery.objects import ended
from perezvon.delivery.weather import METHOD_WIDE, PORTAL_WIDE
from perezvon.rules.vocabulary import Reason
from perezvon.storage.steps import Settled, State, Step

NO_OBJECT = Reason("not sent: the call has no {object}")
NOT_NEW = Reason("not sent: the call has made nothing new")

FRESH = 10.0
"""Seconds for which it counts what was read."""
PATIENCE = 20
"""Tries after which a portal that answers others, and not this, is not asked any more."""
LOOK = 5.0
"""Seconds between two looks whether a recording has come: a lane that waits is not woken by it."""

_FIRST_WAIT = 2.0
_LONGEST_WAIT = 60.0
_REFUSED = (Permanent, MissingScope, AppContextRequired)


@dataclass(frozen=True, slots=True)
class Ask:
    """One request of such a step; `stage`: for its own room."""

    stage: str
    method: str
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Later:
    """Not before then (POSIX seconds)."""

    until: float


Next = Ask | Later | Reason | None
"""What is asked now; Reason: why nothing ever will be; None: its finish is not done yet."""


@dataclass(frozen=True, slots=True)
class Told:
    """What an answer means for the step; `wait`: seconds for which the lane is left alone."""

    settled: Settled
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class Room:
    next: Callable[[Step, Sequence[Step], float], Next]
    told: Callable[[Step, Ask, Answer | PortalError, Sequence[Step]], Told]


def progress_of(step: Step) -> dict[str, Json]:
    return dict(mapping(step.result))


def go_on(step: Step, progress: Mapping[str, Json], **changed: Json) -> Told:
    """The next request may follow at once."""
    return Told(Settled(step.id, State.NEW, {**progress, "tries": 0, **changed}, note=step.note))


def done(step: Step, progress: Mapping[str, Json], note: Reason | None) -> Told:
    return Told(Settled(step.id, State.DONE, dict(progress), note=note))


def skipped(step: Step, note: Reason) -> Told:
    return Told(Settled(step.id, State.SKIPPED, step.result, note=note))


def dead(step: Step, progress: Mapping[str, Json], error: PortalError) -> Told:
    return Told(Settled(step.id, State.DEAD, dict(progress), str(error), step.note))


def refused(error: PortalError) -> bool:
    """Whether the portal would refuse the next try too: a human has to look."""
    return isinstance(error, _REFUSED)


def failed(step: Step, progress: Mapping[str, Json], error: PortalError) -> Told:
    """An error that is no refusal: again later; nobody knows whether it was done where that is so."""
    tries = (whole(progress.get("tries")) or 0) + 1
    kept = {**progress, "tries": tries}
    ambiguous = isinstance(error, Ambiguous)
    state = State.UNSURE if ambiguous else State.NEW
    if not ambiguous and isinstance(error, PORTAL_WIDE + METHOD_WIDE):
        return Told(Settled(step.id, state, dict(progress), str(error), step.note))
    if tries > PATIENCE:
        return dead(step, kept, error)
    wait = error.retry_after if error.retry_after is not None else min(_FIRST_WAIT * 2.0 ** (tries - 1), _LONGEST_WAIT)
    return Told(Settled(step.id, state, kept, str(error), step.note), wait)


def fresh(step: Step, now: float) -> bool:
    """Whether what was read last still counts."""
    return step.state is State.NEW and step.sent is not None and now - step.sent < FRESH


def awaits_recording(step: Step, steps: Sequence[Step], now: float) -> Later | None:
    """A text that names the recording waits for it, but not for ever."""
    until = step.created + (real(step.params.get("wait")) or 0.0)
    return None if now >= until or ended(steps) else Later(min(until, now + LOOK))
