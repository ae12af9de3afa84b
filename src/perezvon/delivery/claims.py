"""The two transactions of a request: taking steps before it leaves, and storing what became of them.

Both are closures for `Database.write`, which may run them more than once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.bitrix24.encoding import MAX_COMMANDS
from perezvon.delivery.announcing import beside
from perezvon.delivery.prepare import weight
from perezvon.delivery.runs import Run, plan_run
from perezvon.delivery.verdicts import Verdict
from perezvon.rules.vocabulary import Kind
from perezvon.storage import counters, lanes, missed
from perezvon.storage.lanes import LaneState
from perezvon.storage.steps import Settled, State, Step


@dataclass(frozen=True, slots=True)
class Order:
    """What the next request may carry: `lanes` at most, in a body of about `bytes`.

    `paused`: methods the portal refuses, until when (POSIX seconds). `alone`: lanes with which a batch was refused as a
    whole; their steps go one by one. `large`: which steps' files need an upload of their own. `uploads`: take one of those.
    """

    lanes: int
    bytes: int
    paused: Mapping[str, float]
    alone: Collection[str]
    large: Callable[[Step], bool]
    uploads: bool = False


@dataclass(frozen=True, slots=True)
class Claimed:
    """`runs`: what is sent now, marked so. `skipped`: steps that were. `left`: whether there are more lanes that are ready.

    `uploads`: whether lanes were found that wait for an upload. `due`: when the first of the lanes that were found waiting
    may go on (POSIX seconds; infinite for none).
    """

    runs: list[Run]
    skipped: list[tuple[Step, Settled]]
    left: bool
    uploads: bool
    due: float


async def claim(conn: AsyncConnection, portal: str, order: Order, now: float) -> Claimed:
    """Takes the head runs of the most urgent lanes, as many as fit into one request."""
    state = LaneState.UPLOAD if order.uploads else LaneState.READY
    most = 1 if order.uploads else order.lanes
    found = await lanes.ready(conn, portal, most + 1, state)
    chosen = found[:most]
    left = len(found) > most
    loaded = await _loaded(conn, portal, chosen)
    runs: list[Run] = []
    settled: list[Settled] = []
    skipped: list[tuple[Step, Settled]] = []
    moved: list[str] = []
    waits: dict[str, float] = {}
    uploads: set[str] = set()
    commands, size = MAX_COMMANDS, order.bytes
    for lane_id in chosen:
        if lane_id in order.alone and runs:
            left = True
            continue
        run = plan_run(lane_id, loaded[lane_id], now, paused=order.paused, large=order.large)
        by_id = {step.id: step for step in run.steps}
        settled += run.skips
        skipped += [(by_id[one.id], one) for one in run.skips]
        if not run.moves:
            moved.append(lane_id)
            if run.wait is not None:
                waits[lane_id] = run.wait
            continue
        if run.upload and not order.uploads:
            moved.append(lane_id)
            uploads.add(lane_id)
            continue
        taken = _fitting(run, 1 if lane_id in order.alone else commands, size, first=not runs)
        if taken.moves:
            runs.append(taken)
            commands -= len(taken.moves)
            size -= sum(weight(move) for move in taken.moves)
        elif run.skips:
            moved.append(lane_id)
        if len(taken.moves) < len(run.moves) or lane_id in order.alone:
            left = True
            break
    await lanes.settle(conn, settled, now)
    await lanes.arrange(conn, moved, now, waits, uploads)
    moves = [move for run in runs for move in run.moves]
    asked = [move.step for move in moves if not move.attempt]
    await lanes.mark_sending(conn, [move.step for move in moves if move.attempt], asked, now)
    return Claimed([_sent(run, now) for run in runs], skipped, left, bool(uploads), min(waits.values(), default=math.inf))


async def _loaded(conn: AsyncConnection, portal: str, chosen: Collection[str]) -> dict[str, list[Step]]:
    """The lanes. An announcement of which nobody knows whether it was made is told what other calls have announced."""
    loaded = await lanes.load(conn, chosen)
    for steps in loaded.values():
        for place, step in enumerate(steps):
            if step.kind is Kind.ANNOUNCE and step.state is State.UNSURE:
                steps[place] = beside(step, await lanes.near(conn, portal, Kind.ANNOUNCE, step.id))
    return loaded


def forgotten_by(portal: str) -> str:
    """The counter of calls that the portal did not know any more."""
    return f"forgotten:{portal}"


async def store(
    conn: AsyncConnection, portal: str, verdicts: Mapping[str, Verdict], now: float, *, jitter: Callable[[], float]
) -> tuple[bool, float]:
    """Verdicts by lane. `jitter`: a factor around 1 for waiting times.

    Gives whether any lane is ready again, and when the first waiting one may go on.
    """
    settled = [one for verdict in verdicts.values() for one in verdict.settled]
    await lanes.settle(conn, settled, now)
    if forgotten := sum(verdict.forgotten for verdict in verdicts.values()):
        await counters.bump(conn, forgotten_by(portal), now, forgotten)
    for verdict in verdicts.values():
        for step_id, user in verdict.substitutes:
            await lanes.change_user(conn, step_id, user)
        for seen in verdict.seen:
            await missed.heed(conn, seen)
    waits = {lane_id: now + verdict.wait * jitter() for lane_id, verdict in verdicts.items() if verdict.wait > 0}
    ready = await lanes.arrange(conn, list(verdicts), now, waits)
    return ready, min(waits.values(), default=math.inf)


def _fitting(run: Run, commands: int, size: int, *, first: bool) -> Run:
    """The head of the run that the request has room for. A request always takes at least one command."""
    count = 0
    for move in run.moves[:commands]:
        size -= weight(move)
        if size < 0 and (count or not first):
            break
        count += 1
    return replace(run, moves=run.moves[:count])


def _sent(run: Run, now: float) -> Run:
    """The run with its attempts counted, as `mark_sending` has stored them."""
    counted = {move.step.id: replace(move.step, attempts=move.step.attempts + move.attempt, sent=now) for move in run.moves}
    steps = tuple(counted.get(step.id, step) for step in run.steps)
    return replace(run, steps=steps, moves=tuple(replace(move, step=counted[move.step.id]) for move in run.moves))
