"""Lanes and their steps: what is to be asked of a portal, in an order that is never broken inside a lane.

State of a lane: idle (nothing pending) -> ready -> busy (a request with its steps is under way) -> ready | waiting | idle.
waiting: not before a moment. upload: ready, and its next step is a file too large for a batch. The service calls `append`,
the portal's one sender (delivery/sender.py) everything else, each inside `Database.write`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Executable, Table, bindparam, case, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.rules.vocabulary import Json, Kind, Priority, Reason, Ref, StepDraft
from perezvon.storage.insert import Insert, built_once
from perezvon.storage.schema import lane, step
from perezvon.storage.steps import PENDING, Settled, State, Step, read_params, read_step, write_params, write_reason

_COUNTED = 200

# Why a step is skipped when the one it needs has failed; `requeue` brings both back.
NEEDS_FAILED = Reason("not sent: {kind} of the same call has failed")


class LaneState(StrEnum):
    IDLE = "idle"
    READY = "ready"
    UPLOAD = "upload"
    WAITING = "waiting"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class Demand:
    """Ready lanes of one priority: how many (counted to 200 over all priorities), and since when the oldest is ready."""

    priority: int
    lanes: int
    since: float


def _open(insert: Callable[[Table], Insert]) -> Executable:
    statement = insert(lane)
    new, idle = statement.excluded, lane.c.state == LaneState.IDLE.value
    return statement.on_conflict_do_update(
        index_elements=["id"],
        set_={
            "next_sequence": lane.c.next_sequence + new.next_sequence - 1,
            "priority": case((idle | (lane.c.priority > new.priority), new.priority), else_=lane.c.priority),
            "since": case((idle, new.since), else_=lane.c.since),
            "state": case((idle, new.state), else_=lane.c.state),
        },
    )


_OPEN = built_once(_open)


def _append(insert: Callable[[Table], Insert]) -> Executable:
    # `back` from the number that the lane's next step would have, now that all of these are counted.
    end = select(lane.c.next_sequence).where(lane.c.id == bindparam("its")).scalar_subquery()
    place = end - bindparam("back", type_=step.c.sequence.type)
    return insert(step).values(sequence=place).on_conflict_do_nothing(index_elements=["portal", "key"])


_APPEND = built_once(_append)
_LANE = lane.c.id == bindparam("lane_id")
_STEP = step.c.id == bindparam("step_id")
_AS = (lane.c.portal == bindparam("of"), lane.c.state == bindparam("as"))
_AMONG = step.c.lane.in_(bindparam("among", expanding=True))
_READY = select(lane.c.id).where(*_AS).order_by(lane.c.priority, lane.c.since).limit(bindparam("most"))
_SOME = select(lane.c.priority, lane.c.since).where(*_AS).order_by(lane.c.priority, lane.c.since).limit(_COUNTED).subquery()
_DEMAND = (
    select(_SOME.c.priority, func.count(), func.min(_SOME.c.since)).group_by(_SOME.c.priority).order_by(_SOME.c.priority)
)
_LOAD = select(step).where(_AMONG).order_by(step.c.lane, step.c.sequence)
_PENDING = select(step.c.lane, func.min(step.c.priority)).where(_AMONG, step.c.state.in_(PENDING)).group_by(step.c.lane)
_SEND = (
    update(step)
    .where(_STEP)
    .values(state=State.SENDING.value, attempts=step.c.attempts + bindparam("more"), sent=bindparam("moment"))
)
_HOLD = update(lane).where(_LANE).values(state=LaneState.BUSY.value)
_SETTLE = (
    update(step)
    .where(_STEP)
    .values(
        state=bindparam("to"),
        finished=bindparam("at"),
        result=bindparam("told"),
        error=bindparam("words"),
        note=bindparam("remark"),
    )
)
_ARRANGE = (
    update(lane)
    .where(_LANE)
    .values(state=bindparam("to"), priority=bindparam("urgency"), not_before=bindparam("wait"), since=bindparam("moment"))
)


async def append(conn: AsyncConnection, portal: str, lane_id: str, drafts: Sequence[StepDraft], now: float) -> None:
    """Puts steps at the lane's end (which is made when it is new). A key that the portal has had before is left out."""
    await append_all(conn, portal, {lane_id: drafts}, now)


async def append_all(conn: AsyncConnection, portal: str, drafts: Mapping[str, Sequence[StepDraft]], now: float) -> None:
    """The same for several lanes, by their ids."""
    some = {lane_id: of_lane for lane_id, of_lane in drafts.items() if of_lane}
    if not some:
        return
    made = [
        {
            "id": lane_id,
            "portal": portal,
            "created": now,
            "next_sequence": 1 + len(of_lane),
            "state": LaneState.READY.value,
            "priority": min(int(draft.priority) for draft in of_lane),
            "since": now,
            "not_before": 0.0,
        }
        for lane_id, of_lane in some.items()
    ]
    await conn.execute(_OPEN(conn), made)
    rows = [
        {
            "portal": portal,
            "lane": lane_id,
            "its": lane_id,
            "back": len(of_lane) - place,
            "key": draft.key,
            "kind": draft.kind.value,
            "params": write_params(draft.params),
            "priority": int(draft.priority),
            "reason": write_reason(draft.reason),
            "created": now,
            "expires": draft.expires,
            "state": (State.HELD if draft.held else State.NEW).value,
            "attempts": 0,
        }
        for lane_id, of_lane in some.items()
        for place, draft in enumerate(of_lane)
    ]
    await conn.execute(_APPEND(conn), rows)


async def known_keys(conn: AsyncConnection, portal: str, keys: Iterable[str]) -> set[str]:
    """Those of the keys that the portal has had before."""
    wanted = list(keys)
    known: set[str] = set()
    for start in range(0, len(wanted), _COUNTED):
        some = step.c.key.in_(wanted[start : start + _COUNTED])
        known.update((await conn.execute(select(step.c.key).where(step.c.portal == portal, some))).scalars())
    return known


async def demand(conn: AsyncConnection, portal: str, state: LaneState = LaneState.READY) -> list[Demand]:
    """The most urgent first."""
    rows = await conn.execute(_DEMAND, {"of": portal, "as": state.value})
    return [Demand(*row) for row in rows]


async def next_due(conn: AsyncConnection, portal: str) -> float | None:
    """When the first waiting lane may go on."""
    query = select(func.min(lane.c.not_before)).where(lane.c.portal == portal, lane.c.state == LaneState.WAITING.value)
    return (await conn.execute(query)).scalar_one()


async def wake_due(conn: AsyncConnection, portal: str, now: float) -> None:
    """Waiting lanes whose moment has come are ready."""
    due = (lane.c.portal == portal, lane.c.state == LaneState.WAITING.value, lane.c.not_before <= now)
    await conn.execute(update(lane).where(*due).values(state=LaneState.READY.value, since=now))


async def ready(conn: AsyncConnection, portal: str, limit: int, state: LaneState = LaneState.READY) -> list[str]:
    """Lanes whose steps may be sent: the most urgent first, among equals the one that has waited longest."""
    found = await conn.execute(_READY, {"of": portal, "as": state.value, "most": limit})
    return list(found.scalars())


async def load(conn: AsyncConnection, lane_ids: Collection[str]) -> dict[str, list[Step]]:
    """The whole lanes, in order, with what is done already."""
    steps: dict[str, list[Step]] = defaultdict(list)
    if lane_ids:
        for row in await conn.execute(_LOAD, {"among": list(lane_ids)}):
            steps[row.lane].append(read_step(row))
    return steps


async def last(conn: AsyncConnection, lane_id: str) -> Step | None:
    """The lane's newest step, of which nothing is said before there is one."""
    query = select(step).where(step.c.lane == lane_id).order_by(step.c.sequence.desc()).limit(1)
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else read_step(row)


async def mark_sending(conn: AsyncConnection, steps: Sequence[Step], probed: Sequence[Step], now: float) -> None:
    """Committed before the request leaves: whatever happens then, it is known that they may have been sent.

    `probed`: steps of which the portal is only asked whether it has done them; that is no attempt.
    """
    marked = [{"step_id": one.id, "more": more, "moment": now} for some, more in ((steps, 1), (probed, 0)) for one in some]
    if marked:
        await conn.execute(_SEND, marked)
        owners = dict.fromkeys(one.lane for one in (*steps, *probed))
        await conn.execute(_HOLD, [{"lane_id": lane_id} for lane_id in owners])


async def settle(conn: AsyncConnection, settled: Iterable[Settled], now: float) -> None:
    """What became of steps. A final state is given its moment. Call `arrange` for their lanes afterwards."""
    rows = [
        {
            "step_id": one.id,
            "to": one.state.value,
            "at": None if one.state in PENDING else now,
            "told": None if one.result is None else json.dumps(one.result),
            "words": one.error,
            "remark": write_reason(one.note),
        }
        for one in settled
    ]
    if rows:
        await conn.execute(_SETTLE, rows)


async def held(conn: AsyncConnection, portals: Collection[str], limit: int) -> list[Step]:
    """Steps that wait for a hook, in the order in which they were made."""
    query = select(step).where(step.c.portal.in_(portals), step.c.state == State.HELD.value)
    return [read_step(row) for row in await conn.execute(query.order_by(step.c.id).limit(limit))]


async def release(conn: AsyncConnection, one: Step, settled: Settled, params: Mapping[str, Json | Ref], now: float) -> None:
    """What a hook made of a held step. Tell the portal's sender afterwards (`notify`)."""
    await settle(conn, [settled], now)
    await conn.execute(update(step).where(step.c.id == one.id).values(params=write_params(params)))
    if settled.state in PENDING:
        idle = (lane.c.id == one.lane, lane.c.state == LaneState.IDLE.value)
        ready = {"state": LaneState.READY.value, "priority": int(one.priority), "since": now}
        await conn.execute(update(lane).where(*idle).values(**ready))


async def change_user(conn: AsyncConnection, step_id: int, user: str) -> None:
    """Another employee takes the place of the one whom the portal refuses."""
    params = (await conn.execute(select(step.c.params).where(step.c.id == step_id))).scalar_one()
    changed = {**read_params(params), "USER_ID": int(user) if user.isdecimal() else user}
    await conn.execute(update(step).where(step.c.id == step_id).values(params=write_params(changed)))


async def arrange(
    conn: AsyncConnection, lane_ids: Collection[str], now: float, waits: Mapping[str, float], uploads: Collection[str] = ()
) -> bool:
    """Lanes with which the sender is through for now: idle, ready, upload, or waiting until `waits[lane]`.

    Gives whether any of them is ready.
    """
    if not lane_ids:
        return False
    urgent: dict[str, int] = {row[0]: row[1] for row in await conn.execute(_PENDING, {"among": list(lane_ids)})}

    def state(lane_id: str) -> LaneState:
        if lane_id not in urgent:
            return LaneState.IDLE
        if waits.get(lane_id, 0.0) > now:
            return LaneState.WAITING
        return LaneState.UPLOAD if lane_id in uploads else LaneState.READY

    rows: list[dict[str, Any]] = [
        {
            "lane_id": lane_id,
            "to": state(lane_id).value,
            "urgency": urgent.get(lane_id, 0),
            "wait": waits.get(lane_id, 0.0),
            "moment": now,
        }
        for lane_id in lane_ids
    ]
    await conn.execute(_ARRANGE, rows)
    return any(row["to"] == LaneState.READY.value for row in rows)


async def near(conn: AsyncConnection, portal: str, kind: Kind, to: int, within: int = 20_000) -> list[Step]:
    """The portal's steps of one kind that were made not long before the step with the id `to`, or after it."""
    query = select(step).where(step.c.id > to - within, step.c.portal == portal, step.c.kind == kind.value)
    return [read_step(row) for row in await conn.execute(query.order_by(step.c.id))]


async def put_in_order(conn: AsyncConnection, portal: str, now: float) -> None:
    """After a time in which nothing went through: ready lanes go in the order in which things happened, whatever was tried
    meanwhile. Calls that would be registered without a card, because it is too late for that, let those pass that ring."""
    ready = (lane.c.portal == portal, lane.c.state == LaneState.READY.value)
    theirs = (step.c.lane == lane.c.id, step.c.state.in_(PENDING))
    oldest = select(func.min(step.c.created)).where(*theirs).correlate(lane).scalar_subquery()
    await conn.execute(update(lane).where(*ready).values(since=func.coalesce(oldest, lane.c.since)))
    unregistered = exists().where(*theirs, step.c.kind == Kind.REGISTER.value).correlate(lane)
    in_time = or_(step.c.expires.is_(None), step.c.expires > now)
    rings = exists().where(*theirs, step.c.kind == Kind.SHOW.value, in_time).correlate(lane)
    late = (*ready, lane.c.priority < int(Priority.FINISH), unregistered, ~rings)
    await conn.execute(update(lane).where(*late).values(priority=int(Priority.FINISH)))


async def recover(conn: AsyncConnection, portal: str, now: float) -> int:
    """At the sender's start: what the last one left under way is unsure, and every lane with work is ready again.

    Gives the number of unsure steps.
    """
    left = (step.c.portal == portal, step.c.state == State.SENDING.value)
    unsure = await conn.execute(update(step).where(*left).values(state=State.UNSURE.value).returning(step.c.id))
    count = len(unsure.all())
    for state in (LaneState.BUSY, LaneState.UPLOAD, LaneState.WAITING):
        held = (lane.c.portal == portal, lane.c.state == state.value)
        await conn.execute(update(lane).where(*held).values(state=LaneState.READY.value, since=now))
    await put_in_order(conn, portal, now)
    return count


async def requeue(conn: AsyncConnection, lane_id: str, now: float) -> int:
    """A human wants what failed to be tried again: dead steps, and those skipped because of them, are new.

    Gives their number. Tell the portal's sender afterwards (`notify`).
    """
    steps = (await load(conn, [lane_id])).get(lane_id, [])
    again = [
        one.id
        for one in steps
        if one.state is State.DEAD
        or (one.state is State.SKIPPED and one.note is not None and one.note.text == NEEDS_FAILED.text)
    ]
    await settle(conn, [Settled(step_id, State.NEW) for step_id in again], now)
    if again:
        idle = (lane.c.id == lane_id, lane.c.state == LaneState.IDLE.value)
        urgent = min(one.priority for one in steps if one.id in again)
        await conn.execute(update(lane).where(*idle).values(state=LaneState.READY.value, priority=urgent, since=now))
    return len(again)


async def count_pending(conn: AsyncConnection, portal: str) -> tuple[dict[int, int], float | None]:
    """Steps that wait or are under way, by priority, and when the oldest of them was made. For the status page."""
    query = select(step.c.priority, func.count(), func.min(step.c.created))
    query = query.where(step.c.portal == portal, step.c.state.in_((*PENDING, State.SENDING)))
    rows = (await conn.execute(query.group_by(step.c.priority))).all()
    return {row[0]: row[1] for row in rows}, min((row[2] for row in rows), default=None)


async def at_work(conn: AsyncConnection, portal: str, limit: int) -> list[str]:
    """Lanes that have work, in the order in which it is done: under way, ready, waiting for a moment."""
    found: list[str] = []
    for state in (LaneState.BUSY, LaneState.READY, LaneState.UPLOAD, LaneState.WAITING):
        if (room := limit - len(found)) > 0:
            found += (await conn.execute(_READY, {"of": portal, "as": state.value, "most": room})).scalars()
    return found


async def waits_of(conn: AsyncConnection, lane_ids: Collection[str]) -> dict[str, float]:
    """Until when each of these lanes waits (POSIX seconds), those that wait."""
    where = (lane.c.id.in_(lane_ids), lane.c.state == LaneState.WAITING.value)
    rows = await conn.execute(select(lane.c.id, lane.c.not_before).where(*where))
    return {row.id: row.not_before for row in rows}


async def count_dead(conn: AsyncConnection, portal: str) -> int:
    query = select(func.count()).where(step.c.portal == portal, step.c.state == State.DEAD.value)
    return (await conn.execute(query)).scalar_one()


async def dead(conn: AsyncConnection, portal: str, limit: int = 50) -> list[Step]:
    """Steps that the portal refused for good, newest first: each wants a human's look."""
    query = select(step).where(step.c.portal == portal, step.c.state == State.DEAD.value)
    return [read_step(row) for row in await conn.execute(query.order_by(step.c.id.desc()).limit(limit))]
