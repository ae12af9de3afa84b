"""How far a step that keeps a client's task has got: kept as its result, so that it outlives a kill. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from perezvon.bitrix24.values import Json, mapping, real, text
from perezvon.delivery.kinds import KINDS
from perezvon.rules.vocabulary import Reason
from perezvon.storage.missed import Seen
from perezvon.storage.steps import Settled, State, Step


class Stage(StrEnum):
    SEARCH = "search"
    ADD = "add"
    READ = "read"
    RENEW = "renew"
    CHANGE = "change"
    COMMENT = "comment"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of the step; `wait`: seconds for which its lane is left alone; `seen`: for the client's row."""

    settled: Settled
    wait: float = 0.0
    seen: Seen | None = None


@dataclass(slots=True)
class Progress:
    """Kept as the step's result. `who`: place in the chain of users; `start`: where the next page of tasks begins.
    `users`: the chain with the owner put in, once he is known. `title`: as we have written it last, `their_title`: as it
    was read. `stays_closed`: the portal would not open the task again. `completing`: we have asked for its end. `anew`: it
    takes the place of one that was closed by hand. `bare`: without what the portal may have refused."""

    stage: Stage
    task: str = ""
    title: str = ""
    responsible: str = ""
    who: int = 0
    users: list[str] = field(default_factory=list[str])
    links: list[str] = field(default_factory=list[str])
    auditors: list[str] = field(default_factory=list[str])
    their_title: str = ""
    start: int = 0
    tries: int = 0
    changed: bool = False
    commented: bool = False
    renewed: bool = False
    stays_closed: bool = False
    completing: bool = False
    anew: bool = False
    bare: bool = False
    error: str = ""

    def as_json(self) -> dict[str, Json]:
        return {name: getattr(self, name) for name in self.__slots__ if getattr(self, name)}


def progress_of(step: Step, steps: Sequence[Step]) -> Progress:
    kept = mapping(step.result)
    if "stage" in kept:
        known = {name: kept[name] for name in Progress.__slots__ if name in kept}
        return Progress(**dict(known, stage=Stage(text(kept["stage"]))))
    before = known_before(step, steps)
    task = text(before.get("task"))
    return Progress(Stage.READ if task else Stage.SEARCH, task=task, title=text(before.get("title")))


def go_on(step: Step, progress: Progress, stage: Stage) -> Outcome:
    progress.stage = stage
    return Outcome(Settled(step.id, State.NEW, progress.as_json(), note=step.note))


def done(step: Step, progress: Progress, note: Reason) -> Outcome:
    return Outcome(Settled(step.id, State.DONE, progress.as_json(), note=note), seen=seen(step, progress))


def seen(step: Step, progress: Progress) -> Seen:
    at = step.params.get("at")
    anew = float(at) if progress.anew and isinstance(at, (int, float)) else None
    remind = real(step.params.get("remind")) if anew is not None else None
    return Seen(step.lane, progress.task, progress.responsible, anew=anew, remind=remind)


def over(step: Step, progress: Progress) -> Seen:
    at = step.params.get("at")
    if step.params.get("only") is None or not isinstance(at, (int, float)):  # else it is known already
        return seen(step, progress)
    return Seen(step.lane, progress.task, progress.responsible, over=float(at))


def known_before(step: Step, steps: Sequence[Step]) -> Mapping[str, Json]:
    """What the last step before it that knew of a task has left."""
    for one in reversed([one for one in steps if one.sequence < step.sequence and KINDS[one.kind].task]):
        if (kept := mapping(one.result)).get("task"):
            return kept
    return {}


def behind(step: Step, steps: Sequence[Step]) -> list[Step]:
    return [one for one in steps if one.sequence > step.sequence]


def unsettled(step: Step, steps: Sequence[Step]) -> bool:
    """Whether it is open what comes of the steps before it."""
    return any(one.sequence < step.sequence and one.open for one in steps)
