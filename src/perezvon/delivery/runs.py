"""What of one lane may be sent next. Pure: the lane's steps and the moment in, a run out.

A run is the head of what is pending, in order: as much as can ride in one request. Steps that make no sense any more are
skipped, with the reason: a card for a call that is over, what a failed step was needed for, a recording that a longer one
replaces. A step of unknown outcome is looked up at the portal where doing it twice would do harm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from perezvon.bitrix24.errors import CallNotFound
from perezvon.bitrix24.values import mapping, rows, text
from perezvon.delivery import rooms, triggers
from perezvon.delivery.activity import NO_ACTIVITY, Question, activity_of, question
from perezvon.delivery.after import Ask, Later
from perezvon.delivery.announcing import SEND
from perezvon.delivery.entity import NO_ENTITY, ReadEntity, entity_of, known
from perezvon.delivery.kinds import KINDS, Probe
from perezvon.delivery.tasks import Errand, errand, useless
from perezvon.delivery.triggers import Pull
from perezvon.rules.vocabulary import Kind, Reason, Ref
from perezvon.storage.lanes import NEEDS_FAILED
from perezvon.storage.steps import Settled, State, Step

EXPIRED = Reason("not sent in time: the card would have come too late")
OVER = Reason("not sent: the call ended before the card could be shown")
NOT_SHOWN = Reason("not sent: the card had not been shown")
HIDDEN_AGAIN = Reason("not sent: the card was to be hidden before it could be shown")
REPLACED = Reason("not sent: a longer recording of the same call takes its place")
MISSING = Reason("not sent: the call has no step {kind} to refer to")


@dataclass(frozen=True, slots=True)
class Move:
    """One command of a request: the step itself, or the question whether it was done (what stands there already)."""

    step: Step
    probe: Probe | Question | ReadEntity | Errand | Ask | Pull | None = None

    @property
    def method(self) -> str:
        return self.probe.method if self.probe is not None else KINDS[self.step.kind].method

    @property
    def attempt(self) -> bool:
        """Whether it counts as one: looking something up does not, unless that is part of each."""
        if isinstance(self.probe, (Errand, Pull)):
            return not self.probe.verifies
        if isinstance(self.probe, Ask) and self.step.kind is Kind.ANNOUNCE:
            return self.probe.stage == SEND
        return self.probe is None or KINDS[self.step.kind].aside


@dataclass(frozen=True, slots=True)
class Run:
    """`moves` is empty when nothing may be sent: until `wait` (POSIX seconds) when that is set.

    `upload`: the only move is a file that is too large for a batch. `steps`: the whole lane, for references.
    """

    lane: str
    steps: tuple[Step, ...]
    moves: tuple[Move, ...] = ()
    skips: tuple[Settled, ...] = ()
    wait: float | None = None
    upload: bool = False


def plan_run(
    lane: str, steps: Sequence[Step], now: float, *, paused: Mapping[str, float], large: Callable[[Step], bool]
) -> Run:
    """`paused`: methods that the portal refuses, until when (POSIX seconds). `large`: too large for a batch."""
    if any(KINDS[step.kind].task for step in steps):
        return _of_task(lane, steps, now, paused)
    skips = _skips(steps, now)
    settled = tuple(
        Settled(step.id, State.SKIPPED, step.result, step.error, skips[step.id]) for step in steps if step.id in skips
    )
    moves: list[Move] = []
    read: set[str] = set()
    wait: float | None = None
    upload = False
    for step in steps:
        if not step.pending or step.id in skips:
            continue
        if KINDS[step.kind].aside:
            if not KINDS[step.kind].asks:
                activity = activity_of(step, source(steps, step, Kind.FINISH))
                if activity is None or activity in read:  # one after the other: the second would undo the first
                    continue
                read.add(activity)
            asked = _asked(step, steps, now)
            if isinstance(asked, Later):
                wait = asked.until if wait is None else min(wait, asked.until)
            if not isinstance(asked, Move):
                continue
            move = asked
            if paused.get(move.method, 0.0) > now:
                wait = paused[move.method] if wait is None else min(wait, paused[move.method])
            else:
                moves.append(move)
            continue
        if step.kind is Kind.TRIGGER:
            asked = triggers.pull(step, *_of_call(steps, step))
            if asked is not None and paused.get(asked.method, 0.0) > now:
                wait = paused[asked.method]
            elif asked is not None:
                moves.append(Move(step, asked))
            continue
        move = Move(step, _probe(step, steps))
        if step.kind is Kind.FINISH and _leaves_up(step, moves):
            break
        if paused.get(move.method, 0.0) > now:
            wait = paused[move.method]
            break
        if move.probe is None and large(step):
            if all(_beside(one.step) and one.step.attempts > step.attempts + 1 for one in moves):
                moves = [move]
                upload = True
            break
        moves.append(move)
        if move.probe is not None:  # what comes after it depends on the answer
            break
    return Run(lane, tuple(steps), tuple(moves), settled, wait if not moves else None, upload)


def _asked(step: Step, steps: Sequence[Step], now: float) -> Move | Later | None:
    """What a step beside the lane wants to ask now."""
    if KINDS[step.kind].asks:
        asked = rooms.next_of(step, steps, now)
        return Move(step, asked) if isinstance(asked, Ask) else asked if isinstance(asked, Later) else None
    finish = source(steps, step, Kind.FINISH)
    if step.kind is Kind.ENTITY:
        entity = entity_of(step, finish)
        return Move(step, None if known(step) else entity) if isinstance(entity, ReadEntity) else None
    activity = activity_of(step, finish)
    return None if activity is None else Move(step, question(step, activity, now))


def _of_task(lane: str, steps: Sequence[Step], now: float, paused: Mapping[str, float]) -> Run:
    """One request at a time: the next depends on its answer."""
    known = tuple(steps)
    skips: list[Settled] = []
    for place, step in enumerate(steps):
        if step.state is State.HELD:
            break
        if not step.pending:
            continue
        if (why := useless(step, steps)) is not None:
            skips.append(Settled(step.id, State.SKIPPED, step.result, step.error, why))
            steps = [*steps[:place], replace(step, state=State.SKIPPED), *steps[place + 1 :]]
            continue
        move = Move(step, errand(step, steps, now, paused))
        if paused.get(move.method, 0.0) > now:
            return Run(lane, known, (), tuple(skips), paused[move.method])
        return Run(lane, known, (move,), tuple(skips))
    return Run(lane, known, (), tuple(skips))


def _beside(step: Step) -> bool:
    """Whether nothing waits for it."""
    return KINDS[step.kind].aside or step.kind is Kind.TRIGGER


def _of_call(steps: Sequence[Step], step: Step) -> tuple[Step | None, Step | None]:
    """The finish that a trigger is pulled for, and that call's registration."""
    finish = source(steps, step, Kind.FINISH)
    return finish, None if finish is None else source(steps, finish, Kind.REGISTER)


def source(steps: Sequence[Step], step: Step, kind: Kind) -> Step | None:
    """The step that a reference of `step` to `kind` means: the one it names, else the last one of that kind before it."""
    named = next((ref.key for ref in step.refs if ref.kind is kind), "")
    before = [one for one in steps if one.kind is kind and one.sequence < step.sequence and named in ("", one.key)]
    return before[-1] if before else None


def call_id(steps: Sequence[Step], step: Step) -> str:
    """The portal's id of the step's call; "" when it is not known yet."""
    value = step.params.get("CALL_ID")
    if isinstance(value, Ref):
        named = source(steps, step, value.kind)
        return text(mapping(named.result).get(value.field)) if named is not None and named.state is State.DONE else ""
    return text(value)


def doubted(step: Step) -> bool:
    """Whether the portal itself has said that it does not know the step's call (of a live call's card: as good as said)."""
    return mapping(step.result).get("error") == CallNotFound.__name__


def _probe(step: Step, steps: Sequence[Step]) -> Probe | None:
    """The question to ask before the step is sent again; None when sending it is right, or all that can be done."""
    if step.state is not State.UNSURE:
        return None
    asks = step.kind is Kind.FINISH or (step.kind in (Kind.SHOW, Kind.ATTACH_RECORD) and doubted(step))
    if asks and (known := call_id(steps, step)):
        return Probe(call_id=known)
    if step.kind is Kind.REGISTER:
        # Repeating it is safe while the call is live there; if its finish went out too, it may not be.
        finish_sent = any(one.kind is Kind.FINISH and one.attempts for one in steps)
        external = text(step.params.get("EXTERNAL_CALL_ID"))
        return Probe(external_call_id=external) if finish_sent and external else None
    return None


def _leaves_up(finish: Step, moves: Sequence[Move]) -> bool:
    """Whether cards would stay for ever if a hide among `moves` failed: a batch goes on to the finish all the same, and
    nobody takes down the card of a call that is over. Its finisher's own is taken down by the portal."""
    hidden = set[str]().union(*(_users(move.step) for move in moves if move.step.kind is Kind.HIDE))
    return bool(hidden - {text(finish.params.get("USER_ID"))})


def _skips(steps: Sequence[Step], now: float) -> dict[int, Reason]:
    skips: dict[int, Reason] = {}

    def failed(step: Step) -> bool:
        return step.state in (State.DEAD, State.SKIPPED) or step.id in skips

    for place, step in enumerate(steps):
        if not step.pending:
            continue
        for kind in {ref.kind for ref in step.refs} | KINDS[step.kind].needs:
            needed = source(steps, step, kind)
            if needed is not None and failed(needed):
                skips[step.id] = Reason(NEEDS_FAILED.text, {"kind": kind.value})
            elif needed is None and any(ref.kind is kind for ref in step.refs):
                skips[step.id] = Reason(MISSING.text, {"kind": kind.value})
        if KINDS[step.kind].asks:
            if step.id not in skips and isinstance(why := rooms.next_of(step, steps, now), Reason):
                skips[step.id] = why
            continue
        finish = source(steps, step, Kind.FINISH) if KINDS[step.kind].aside else None
        if step.kind is Kind.ENTITY and entity_of(step, finish) == "":
            skips[step.id] = NO_ENTITY
        elif KINDS[step.kind].aside and step.kind is not Kind.ENTITY and activity_of(step, finish) == "":
            skips[step.id] = NO_ACTIVITY
        if step.kind is Kind.TRIGGER and step.refs and (why := triggers.useless(step, *_of_call(steps, step))) is not None:
            skips[step.id] = why
        if step.id not in skips and (why := _useless(step, steps[place + 1 :], now)) is not None:
            skips[step.id] = why
    raised: set[str] = set()
    for step in steps:
        users = _users(step)
        if step.kind is Kind.HIDE:
            if step.pending and step.id not in skips and not step.attempts and users and not users & raised:
                skips[step.id] = NOT_SHOWN
        elif users and (step.attempts or (step.pending and step.id not in skips)):
            raised |= users
    return skips


def _useless(step: Step, later: Sequence[Step], now: float) -> Reason | None:
    if step.expires is not None and now > step.expires:
        return EXPIRED
    pending = [one for one in later if one.pending]
    if step.kind is Kind.SHOW:
        if any(one.kind is Kind.FINISH for one in pending):
            return OVER
        hidden = set[str]().union(*(_users(one) for one in pending if one.kind is Kind.HIDE))
        return HIDDEN_AGAIN if (users := _users(step)) and users <= hidden else None
    if step.kind is Kind.ATTACH_RECORD and any(one.kind is Kind.ATTACH_RECORD for one in pending):
        return REPLACED
    return None


def _users(step: Step) -> set[str]:
    """Whose cards the step shows or hides; empty when that is not known."""
    if step.kind is Kind.REGISTER and text(step.params.get("SHOW")) == "0":
        return set()
    if step.kind not in (Kind.REGISTER, Kind.SHOW, Kind.HIDE):
        return set()
    value = step.params.get("USER_ID")
    return {user for user in map(text, rows(value) or [value]) if user}
