"""What the outcomes of one lane's moves mean for its steps. Pure.

Outcomes sort into: done; dead (the portal refuses it for good); again (surely not done, later); unsure (may have been
done). Commands of a batch run even after one before them failed, so an outcome counts only in its place: what came after a
step that has to be sent again is sent again too, if that is harmless, and an error there is only the consequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perezvon.bitrix24.answers import Answer
from perezvon.bitrix24.errors import (
    Ambiguous,
    AppContextRequired,
    CallNotFound,
    Forbidden,
    MissingScope,
    Permanent,
    PortalError,
    UserNotFound,
)
from perezvon.bitrix24.values import mapping, text
from perezvon.delivery import entity, rooms
from perezvon.delivery.activity import Question, was_asked, was_written
from perezvon.delivery.after import Ask
from perezvon.delivery.entity import ReadEntity
from perezvon.delivery.kinds import KINDS, OVER_ALREADY, Probe
from perezvon.delivery.runs import Move, doubted, source
from perezvon.delivery.tasks import Errand, told
from perezvon.delivery.triggers import Pull
from perezvon.delivery.triggers import told as told_of_trigger
from perezvon.delivery.weather import METHOD_WIDE, PORTAL_WIDE
from perezvon.rules.vocabulary import Kind, Reason, Ref
from perezvon.storage.missed import Seen
from perezvon.storage.steps import Settled, State, Step

FOUND = Reason("the portal had done it although its answer was lost")
ASSUMED = Reason("the portal does not know the call any more and its statistics may not be read: taken for done")
FORGOTTEN = Reason("the portal had forgotten the call: registered again")
SUBSTITUTED = Reason("the portal does not know user {user} as an active employee: user {substitute} takes his place")

ANSWERED = Reason("the robot does not wait any more: it had got the answer although the portal's was lost")
GONE_ON = Reason("not taken: the robot does not wait for an answer any more")

_FIRST_WAIT = 2.0
_LONGEST_WAIT = 60.0
_PATIENCE_WITH_STATISTICS = 5

Outcome = Answer | PortalError


@dataclass(frozen=True, slots=True)
class Verdict:
    """`settled`: new states of steps, in order. `wait`: seconds for which the lane is left alone.

    `substitutes`: step id -> user who takes the place of the refused one. `forgotten`: calls that the portal has lost.
    `seen`: what the portal tells of clients' tasks.
    """

    settled: tuple[Settled, ...]
    wait: float = 0.0
    substitutes: tuple[tuple[int, str], ...] = ()
    forgotten: int = 0
    seen: tuple[Seen, ...] = ()


def judge(moves: Sequence[Move], outcomes: Sequence[Outcome], lane: Sequence[Step], *, substitute: str) -> Verdict:
    """`lane`: all its steps. `substitute`: the portal user who takes a refused employee's place ("" for none)."""
    settled: list[Settled] = []
    substitutes: list[tuple[int, str]] = []
    wait = 0.0
    behind = False  # an earlier step of the run is to be sent (or looked up) again
    dead: set[Kind] = set()
    seen: list[Seen] = []
    for move, outcome in zip(moves, outcomes, strict=True):
        step = move.step
        if isinstance(move.probe, Errand):
            of_task = told(step, move.probe, outcome, lane, substitute)
            settled.append(of_task.settled)
            wait = max(wait, of_task.wait)
            seen += [] if of_task.seen is None else [of_task.seen]
            continue
        if isinstance(move.probe, Ask):
            of_room = rooms.told(step, move.probe, outcome, lane)
            settled.append(of_room.settled)
            wait = max(wait, of_room.wait)
            continue
        if isinstance(move.probe, Pull):
            one, pause = told_of_trigger(step, move.probe, outcome)
            settled.append(one)
            wait = max(wait, pause)
            continue
        if KINDS[step.kind].aside:
            one = _aside(move, outcome, lane)
            settled.append(one)
            wait = max(wait, _wait(step, outcome) if one.state is State.UNSURE else 0.0)
            continue
        if move.probe is not None:
            found = _looked_up(move, outcome, lane)
        elif behind:
            found = _in_disorder(step, outcome)
        elif dead & ({ref.kind for ref in step.refs} | KINDS[step.kind].needs):
            found = [Settled(step.id, State.NEW, note=step.note)]  # runs.py will skip it
        elif isinstance(outcome, UserNotFound) and _can_substitute(step, substitute):
            note = Reason(SUBSTITUTED.text, {"user": text(step.params.get("USER_ID")), "substitute": substitute})
            substitutes.append((step.id, substitute))
            found = [Settled(step.id, State.NEW, outcome.as_json(), str(outcome), note)]
        else:
            found = [_in_order(step, outcome, lane)]
        settled += found
        dead |= {step.kind for one in found if one.state is State.DEAD}
        if not behind and any(one.state in (State.NEW, State.UNSURE) for one in found):
            behind = True
            wait = max(wait, 0.0 if substitutes else _wait(step, outcome))
    settled = [_by_its_finish(one, settled, lane) for one in settled]
    known = {step.id for step in lane if step.note == FORGOTTEN}
    forgotten = sum(one.note == FORGOTTEN and one.id not in known for one in settled)
    return Verdict(tuple(settled), wait, tuple(substitutes), forgotten, tuple(seen))


def _aside(move: Move, outcome: Outcome, lane: Sequence[Step]) -> Settled:
    step, asked = move.step, move.probe
    if isinstance(asked, ReadEntity):
        return entity.was_read(step, asked, outcome, lane)
    if step.kind is Kind.ENTITY:
        return entity.was_written(step, outcome)
    return was_asked(step, asked, outcome) if isinstance(asked, Question) else was_written(step, outcome)


def _in_order(step: Step, outcome: Outcome, lane: Sequence[Step]) -> Settled:
    if step.kind is Kind.SHOW and _knows_no_call(outcome) and _retellable(step, lane) is not None:
        return Settled(step.id, State.UNSURE, {"error": CallNotFound.__name__}, str(OVER_ALREADY), step.note)
    if isinstance(outcome, Answer):
        try:
            read = KINDS[step.kind].read(outcome.result)
        except Ambiguous as error:
            return Settled(step.id, State.UNSURE, error.as_json(), str(error))
        return Settled(step.id, State.DONE, read.result, note=step.note or read.note)
    told, words = outcome.as_json(), str(outcome)
    match outcome:
        case Forbidden() if step.kind is Kind.ROBOT_ANSWER:
            answered = step.attempts > 1
            return Settled(
                step.id, State.DONE if answered else State.SKIPPED, told, words, ANSWERED if answered else GONE_ON
            )
        case CallNotFound() if step.kind in (Kind.SHOW, Kind.HIDE):
            return Settled(step.id, State.DONE, told, note=OVER_ALREADY)
        case CallNotFound() if step.kind is Kind.FINISH:
            return Settled(step.id, State.UNSURE, told, words, step.note)
        case CallNotFound() if step.kind is Kind.ATTACH_RECORD and step.attempts < _PATIENCE_WITH_STATISTICS:
            return Settled(step.id, State.NEW, told, words, step.note)
        case CallNotFound() if step.kind is Kind.ATTACH_RECORD and _retellable(step, lane) is not None:
            return Settled(step.id, State.UNSURE, told, words, step.note)
        case Permanent() if not isinstance(outcome, METHOD_WIDE):
            return Settled(step.id, State.DEAD, told, words, step.note)
        case Ambiguous():
            return Settled(step.id, State.UNSURE, told, words, step.note)
        case _:
            return Settled(step.id, State.NEW, told, words, step.note)


def _in_disorder(step: Step, outcome: Outcome) -> list[Settled]:
    if isinstance(outcome, Answer) and not KINDS[step.kind].repeatable:
        return [_in_order(step, outcome, ())]
    if isinstance(outcome, Ambiguous):
        return [Settled(step.id, State.UNSURE, outcome.as_json(), str(outcome), step.note)]
    return [Settled(step.id, State.NEW, note=step.note)]


def _looked_up(move: Move, outcome: Outcome, lane: Sequence[Step]) -> list[Settled]:
    """The answer to "was it done?"."""
    step, probe = move.step, move.probe
    assert isinstance(probe, Probe)
    if isinstance(outcome, Answer):
        row = probe.found(outcome.result)
        if row is None:
            return _not_done(step, lane)
        match step.kind:
            case Kind.SHOW:
                return [Settled(step.id, State.DONE, False, note=OVER_ALREADY)]
            case Kind.ATTACH_RECORD:  # the call is there, and its recording may be attached yet
                patient = step.attempts < 2 * _PATIENCE_WITH_STATISTICS
                return [Settled(step.id, State.NEW, note=step.note) if patient else _dead(step)]
            case _:
                return [Settled(step.id, State.DONE, row, note=FOUND)]
    if isinstance(outcome, (Permanent, MissingScope, AppContextRequired)):
        if step.kind is Kind.SHOW:
            return [Settled(step.id, State.DONE, False, note=OVER_ALREADY)]
        if step.kind is Kind.ATTACH_RECORD:
            return [_dead(step)]
        # We may not look: then its refusal of a second finish is all that the portal tells.
        if not doubted(step):
            return _not_done(step, lane)
        return [Settled(step.id, State.DONE, step.result, note=ASSUMED) if step.attempts > 1 else _dead(step)]
    return [Settled(step.id, State.UNSURE, step.result, str(outcome), step.note)]


def _not_done(step: Step, lane: Sequence[Step]) -> list[Settled]:
    if step.kind is Kind.REGISTER:  # then neither was the finish that went out with it
        finishes = [one for one in lane if one.kind is Kind.FINISH and one.state is State.UNSURE]
        return [Settled(one.id, State.NEW, note=one.note) for one in (step, *finishes)]
    if not doubted(step):
        return [Settled(step.id, State.NEW, note=step.note)]
    # Neither live nor finished: the portal has lost the call. It is told anew, once.
    register = _retellable(step, lane)
    if register is None:
        return [_dead(step)]
    again = [
        register,
        *(one for one in lane if one.kind is Kind.FINISH and one.state is State.DONE and _of(one, register, lane)),
    ]
    keys = {one.key for one in again}
    beside = [one for one in lane if KINDS[one.kind].aside and one.kind is not Kind.ANNOUNCE and one.state is State.DONE]
    again += [one for one in beside if _finish_of(one, lane) in keys]
    notes = [FORGOTTEN, *(one.note for one in again[1:])]
    return [
        *(Settled(one.id, State.NEW, note=note) for one, note in zip(again, notes, strict=True)),
        Settled(step.id, State.NEW, note=step.note),
    ]


def _by_its_finish(one: Settled, settled: Sequence[Settled], lane: Sequence[Step]) -> Settled:
    """A registration whose answer was lost, while its finish, which referred to it, was answered: that names the call."""
    if one.state not in (State.NEW, State.UNSURE):
        return one
    finished = {other.id: mapping(other.result) for other in settled if other.state is State.DONE}
    for step in lane:
        register = source(lane, step, Kind.REGISTER) if step.kind is Kind.FINISH else None
        if register is not None and register.id == one.id and (named := text(finished.get(step.id, {}).get("CALL_ID"))):
            return Settled(one.id, State.DONE, {"CALL_ID": named}, note=FOUND)
    return one


def _knows_no_call(outcome: Outcome) -> bool:
    """What the portal answers to a show for a call that is not live there."""
    return isinstance(outcome, CallNotFound) or (isinstance(outcome, Answer) and outcome.result is False)


def _retellable(step: Step, lane: Sequence[Step]) -> Step | None:
    """The registration with which the step's call can be told anew; None for a click's call (the portal itself made it) and
    for one that has been told anew before."""
    register = source(lane, step, Kind.REGISTER)
    told = register is not None and register.state is State.DONE and register.note != FORGOTTEN
    return register if told and _of(step, register, lane) else None


def _of(step: Step, register: Step | None, lane: Sequence[Step]) -> bool:
    """Whether the step's CALL_ID is the registration's."""
    value = step.params.get("CALL_ID")
    return isinstance(value, Ref) and register is not None and source(lane, step, value.kind) is register


def _finish_of(step: Step, lane: Sequence[Step]) -> str:
    if KINDS[step.kind].asks:
        return text(step.params.get("finish"))
    finish = source(lane, step, Kind.FINISH)
    return "" if finish is None else finish.key


def _dead(step: Step) -> Settled:
    return Settled(step.id, State.DEAD, step.result, step.error, step.note)


def _can_substitute(step: Step, substitute: str) -> bool:
    return bool(KINDS[step.kind].substitutable and substitute and text(step.params.get("USER_ID")) not in ("", substitute))


def _wait(step: Step, outcome: Outcome) -> float:
    """Nothing where the whole portal or the method pauses (weather.py)."""
    if isinstance(outcome, PORTAL_WIDE + METHOD_WIDE):
        return 0.0
    if isinstance(outcome, PortalError) and outcome.retry_after is not None:
        return outcome.retry_after
    return backoff(step)


def backoff(step: Step) -> float:
    """Seconds; doubled with each try."""
    return min(_FIRST_WAIT * 2.0 ** max(step.attempts - 1, 0), _LONGEST_WAIT)
