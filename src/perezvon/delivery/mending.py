"""What a human does about a step that went wrong: sends it again, or leaves it out.

Nothing can be doubled by that. What the portal refused was not done, and is new. Of what may have been done after all the
portal is asked first, as after a lost answer: such a step is unsure again (runs.py). A step that is under way, waits
already or is done is left as it is, so that two clicks are one.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.bitrix24.errors import Ambiguous, CallNotFound
from perezvon.bitrix24.values import mapping
from perezvon.delivery.kinds import KINDS
from perezvon.rules.vocabulary import Kind, Reason
from perezvon.storage import lanes
from perezvon.storage.lanes import NEEDS_FAILED, LaneState
from perezvon.storage.schema import lane as lane_table
from perezvon.storage.schema import step as step_table
from perezvon.storage.steps import Settled, State, Step

LEFT_OUT = Reason("left out by {who}")

FAILED = (State.DEAD, State.SKIPPED)
WAITS = (State.NEW, State.UNSURE, State.HELD)

_TOO_LATE = (Kind.SHOW, Kind.HIDE)
"""Cards on a screen: of use only while the call goes on."""


class Mended(StrEnum):
    """`BUSY`: it is being sent just now. `ALREADY`: somebody has done that, or there is nothing to do."""

    DONE = "done"
    HURRIED = "hurried"
    BUSY = "busy"
    ALREADY = "already"
    UNKNOWN = "unknown"


def may_be_sent(step: Step) -> bool:
    """Whether sending it again is of any use."""
    return step.state in FAILED and step.kind not in _TOO_LATE


async def send_again(conn: AsyncConnection, step_id: int, now: float) -> tuple[Mended, Step | None]:
    """With it goes what was left out because of it, or what it needs and has failed. A step that waits for its next try is
    tried at once. Tell the portal's sender afterwards (`notify`)."""
    step, steps = await _find(conn, step_id)
    if step is None:
        return Mended.UNKNOWN, None
    if step.state is State.SENDING:
        return Mended.BUSY, step
    if step.pending:
        waits = (lane_table.c.id == step.lane, lane_table.c.state == LaneState.WAITING.value)
        woken = update(lane_table).where(*waits).values(state=LaneState.READY.value, since=now)
        hurried = (await conn.execute(woken.returning(lane_table.c.id))).one_or_none() is not None
        return Mended.HURRIED if hurried else Mended.ALREADY, step
    if not may_be_sent(step):
        return Mended.ALREADY, step
    again = _with(step, steps)
    await lanes.settle(conn, [_anew(one) for one in again], now)
    await _ready(conn, step.lane, min(one.priority for one in again), now)
    return Mended.DONE, step


async def leave_out(conn: AsyncConnection, step_id: int, who: str, now: float) -> tuple[Mended, Step | None]:
    """What depends on it is left out too when its turn comes. Tell the portal's sender afterwards."""
    step, _ = await _find(conn, step_id)
    if step is None:
        return Mended.UNKNOWN, None
    if step.state is State.SENDING:
        return Mended.BUSY, step
    if step.state not in (*WAITS, State.DEAD):
        return Mended.ALREADY, step
    note = Reason(LEFT_OUT.text, {"who": who})
    await lanes.settle(conn, [Settled(step.id, State.SKIPPED, step.result, step.error, note)], now)
    await _ready(conn, step.lane, step.priority, now)
    return Mended.DONE, step


async def _find(conn: AsyncConnection, step_id: int) -> tuple[Step | None, Sequence[Step]]:
    """The step, and its whole lane."""
    lane_id = (await conn.execute(select(step_table.c.lane).where(step_table.c.id == step_id))).scalar_one_or_none()
    if lane_id is None:
        return None, ()
    steps = (await lanes.load(conn, [lane_id])).get(lane_id, [])
    return next((one for one in steps if one.id == step_id), None), steps


def _with(step: Step, steps: Sequence[Step]) -> list[Step]:
    """The step, what it needs and has failed, and what was left out because of any of these."""
    chosen = {step.id: step}
    grown = True
    while grown:
        grown = False
        for one in steps:
            needed = _needs(one)
            if one.id in chosen and needed:
                failed = [other for other in steps if other.kind == needed and may_be_sent(other)]
                new = [other for other in failed if other.sequence < one.sequence][-1:]
            elif one.id not in chosen and needed and may_be_sent(one):
                new = [one for other in chosen.values() if other.kind == needed and other.sequence < one.sequence][:1]
            else:
                new = []
            for other in new:
                grown = grown or other.id not in chosen
                chosen[other.id] = other
    return list(chosen.values())


def _needs(step: Step) -> str:
    """The kind of the failed step because of which it was left out, "" when it was not."""
    note = step.note
    left_out = step.state is State.SKIPPED and note is not None and note.text == NEEDS_FAILED.text
    return str(note.args.get("kind", "")) if left_out and note is not None else ""


def _anew(step: Step) -> Settled:
    told = mapping(step.result).get("error")
    doubtful = told in (CallNotFound.__name__, Ambiguous.__name__) or (step.attempts > 0 and step.result is None)
    if doubtful and not KINDS[step.kind].repeatable:
        return Settled(step.id, State.UNSURE, step.result, step.error)
    return Settled(step.id, State.NEW)


async def _ready(conn: AsyncConnection, lane_id: str, priority: int, now: float) -> None:
    """A lane with which the sender is busy is looked at by it in any case."""
    rests = (lane_table.c.id == lane_id, lane_table.c.state.in_((LaneState.IDLE.value, LaneState.WAITING.value)))
    ready = {"state": LaneState.READY.value, "priority": priority, "since": now}
    await conn.execute(update(lane_table).where(*rests).values(**ready))
