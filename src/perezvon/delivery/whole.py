"""Calls with several recordings: they are joined to one, that is queued for the portal, and the parts are cleared away when
the portal has it. What is known is in the database, so that a kill costs at most a joining; the plan is joining.py.

Parts that cannot be joined are not lost: the longest is attached, the others are kept here and their error says why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.bitrix24.values import text
from perezvon.calls.facts import Fact
from perezvon.delivery.joining import Queue, Sent, Wait, key_of, name_of, plan_call, step_for
from perezvon.delivery.kinds import FILE
from perezvon.recordings.errors import (
    ConverterBroken,
    EmptyRecording,
    NotAudio,
    NotThere,
    OutsideFolder,
    RecordingError,
    TooSlow,
)
from perezvon.rules.vocabulary import Kind, StepDraft
from perezvon.storage import journal, lanes, recordings
from perezvon.storage.database import Database
from perezvon.storage.errors import StorageError
from perezvon.storage.insist import insist
from perezvon.storage.recordings import Recording, RecordingState
from perezvon.storage.steps import State, Step

T = TypeVar("T")

log = structlog.get_logger(__name__)

GRACE = 60.0
"""Seconds after the call for which the others wait for a recording that was not there at the first look."""

_LONGEST_PAUSE = 600.0
_TRIES = 3
_HOPELESS = (EmptyRecording, NotAudio, NotThere, OutsideFolder)
_OF_CONVERTER = (ConverterBroken, TooSlow)


class JoinedSound(Protocol):
    """What a joining gives: the file written, its length in seconds, and the second at which each part begins."""

    @property
    def path(self) -> Path: ...

    @property
    def duration(self) -> float: ...

    @property
    def starts(self) -> Sequence[float]: ...


Join = Callable[[str, Sequence[tuple[str, Path | None]], Path, Sequence[float]], Awaitable[JoinedSound]]
"""(PBX, each part's path as the PBX names it and our mp3 of it, mp3 to write, seconds of silence before each).
Raises RecordingError."""


@dataclass(frozen=True, slots=True)
class _Known:
    """All that is stored of a call as far as it concerns its recordings."""

    rows: Sequence[Recording]
    steps: Sequence[Step]
    facts: Sequence[Fact]


class WholeCalls:
    """`target(row, name)`: where an mp3 of that row's call belongs. `patience`: seconds after the call's end for which a
    joining is tried again that fails for want of space and the like; `first_pause`: between the first two looks."""

    def __init__(
        self,
        database: Database,
        join: Join,
        target: Callable[[Recording, str], Path],
        queued: Callable[[str], None],
        *,
        link_text: Callable[[Recording], str],
        patience: float,
        first_pause: float,
        grace: float,
        clock: Callable[[], float],
        hold: Callable[[StepDraft], StepDraft] = lambda step: step,
    ) -> None:
        self._hold_for_hook = hold
        self._database = database
        self._join = join
        self._target = target
        self._queued = queued
        self._link_text = link_text
        self._patience = patience
        self._first_pause = first_pause
        self._grace = grace
        self._clock = clock

    async def look(self, row: Recording) -> None:
        """`row`: a part or a joined recording of the call whose moment has come."""
        try:
            if row.state is RecordingState.PART:
                await self._assemble(row.call)
            else:
                await self._clear(row.call)
        except StorageError:
            raise
        except Exception:
            log.exception("the recordings of a call could not be handled", call=row.call)
            later = self._clock() + _LONGEST_PAUSE
            await stored(self._database, lambda conn: recordings.hold(conn, row.call, row.state, later))

    # ---- joining

    async def _assemble(self, call: str) -> None:
        known = await self._read(call)
        if not any(row.state is RecordingState.PART for row in known.rows):
            return
        plan = self._plan(known)
        if isinstance(plan, Wait):
            await stored(self._database, lambda conn: self._hold(conn, call))
            return
        if len(plan.kept) == 1 or plan.queued:
            await self._store(plan, lambda conn: self._queue(conn, plan, None))
            return
        first = plan.kept[0]
        parts = [(row.name, Path(row.file) if row.file else None) for row in plan.kept]
        failure: RecordingError
        try:
            whole = await self._join(first.pbx, parts, self._target(first, name_of(plan.kept)), plan.gaps)
        except RecordingError as error:
            failure = error
        except Exception as error:
            log.exception("recordings could not be joined", call=call)
            failure = ConverterBroken(f"defect: {error!r}")
        else:
            if not await self._store(plan, lambda conn: self._queue(conn, plan, whole)):
                await asyncio.to_thread(_unlink, [str(whole.path)])
            return
        await self._store(plan, lambda conn: self._failed(conn, plan, failure))

    async def _hold(self, conn: AsyncConnection, call: str) -> None:
        plan = self._plan(await _load(conn, call))
        if isinstance(plan, Wait):
            await recordings.hold(conn, call, RecordingState.PART, plan.until)

    def _plan(self, known: _Known) -> Wait | Queue:
        return plan_call(known.rows, known.steps, known.facts, self._clock(), self._grace)

    async def _store(self, plan: Queue, work: Callable[[AsyncConnection], Awaitable[RecordingState]]) -> bool:
        """False when nothing was queued: there is another plan meanwhile, or there will be another try."""
        to = await stored(self._database, work)
        if to is RecordingState.PART:
            return False
        log.info(f"recordings part -> {to}", call=plan.call, parts=len(plan.kept))
        self._queued(plan.kept[0].portal)
        return True

    async def _queue(self, conn: AsyncConnection, plan: Queue, whole: JoinedSound | None) -> RecordingState:
        """The joined file (None: there is one recording to be heard, or they are queued already) and its step, in one
        transaction."""
        known = await _load(conn, plan.call)
        if not plan.like(self._plan(known)):
            return RecordingState.PART
        for row in plan.spare:
            await recordings.settle(conn, row.id, RecordingState.SPARE, file=row.file, seconds=row.seconds)
        if plan.queued:
            return RecordingState.SPARE
        now = self._clock()
        if whole is None:
            (row,) = plan.kept
            await self._attach_one(conn, row, known, now)
            return RecordingState.READY
        await recordings.mark(conn, str(whole.path), plan.marks(whole.starts), now + self._first_pause)
        first = min(plan.kept, key=lambda row: row.id)
        link = first if first.mode == "link" else None
        sent = Sent(whole.path, whole.duration, link=link, parts=len(plan.kept))
        step = step_for(plan.key, known.steps, sent, self._link_text(first) if link else "")
        step = self._hold_for_hook(step)
        await lanes.append(conn, plan.kept[0].portal, plan.call, [step], now)
        return RecordingState.JOINED

    async def _attach_one(self, conn: AsyncConnection, row: Recording, known: _Known, now: float) -> None:
        await recordings.settle(conn, row.id, RecordingState.READY, file=row.file, seconds=row.seconds)
        link = row if row.mode == "link" else None
        name = f"{self._target(row, str(row.id)).stem}{Path(row.name).suffix.lower()}"
        sent = Sent(Path(row.file) if row.file else None, row.seconds, name, link)
        step = self._hold_for_hook(step_for(key_of([row]), known.steps, sent, self._link_text(row) if link else ""))
        if not any(one.key == step.key for one in known.steps):
            await lanes.append(conn, row.portal, row.call, [step], now)

    async def _failed(self, conn: AsyncConnection, plan: Queue, error: RecordingError) -> RecordingState:
        """Again later, or the longest alone."""
        known = await _load(conn, plan.call)
        if not plan.like(self._plan(known)):
            return RecordingState.PART
        now, words = self._clock(), f"not joined with the other recordings of the call: {error}"
        waiting = [row for row in known.rows if row.state is RecordingState.PART]
        tries = max(row.attempts for row in waiting) + 1
        spent = tries >= _TRIES if isinstance(error, _OF_CONVERTER) else isinstance(error, _HOPELESS)
        log.warning("recordings not joined", call=plan.call, tries=tries, given_up=spent, error=str(error))
        if not spent and now < max(row.created for row in waiting) + self._patience:
            pause = min(self._first_pause * 2.0 ** min(tries - 1, 16), _LONGEST_PAUSE)
            for row in waiting:
                await recordings.postpone(conn, row.id, not_before=now + pause, error=words)
            return RecordingState.PART
        spare = RecordingState.SPARE
        for row in plan.spare:
            await recordings.settle(conn, row.id, spare, file=row.file, seconds=row.seconds)
        rest = [row for row in plan.kept if not row.joined]
        if len(rest) == len(plan.kept):  # nothing longer is with the portal
            longest = max(rest, key=lambda row: row.seconds)
            rest.remove(longest)
            await self._attach_one(conn, longest, known, now)
        for row in rest:
            await recordings.settle(conn, row.id, spare, file=row.file, seconds=row.seconds, error=words)
        return spare

    # ---- clearing away

    async def _clear(self, call: str) -> None:
        """Only when no other recording of the call may come any more, which would be joined anew with these parts."""
        known = await self._read(call)
        mine = [row for row in known.rows if row.state is RecordingState.JOINED]
        if not mine:
            return
        coming = any(row.state in (RecordingState.NEW, RecordingState.PART) for row in known.rows)
        attached = [step for step in known.steps if step.kind is Kind.ATTACH_RECORD or FILE in step.params]
        step = next((one for one in reversed(attached) if text(one.params.get(FILE)) == mine[0].joined), None)
        if coming or (step is not None and step.open):
            now = self._clock()
            pause = min(self._first_pause * 2.0 ** min(mine[0].attempts, 16), _LONGEST_PAUSE)

            async def later(conn: AsyncConnection) -> None:
                for row in mine:
                    await recordings.postpone(conn, row.id, not_before=now + pause, error=row.error)

            await stored(self._database, later)
            return
        cleared = step is not None and step.state is State.DONE
        if cleared:
            kept = {mine[0].joined, *(row.file for row in known.rows if row not in mine)}
            files = {*(row.file for row in mine), *(text(one.params.get(FILE)) for one in attached)}
            await asyncio.to_thread(_unlink, sorted(files - kept - {""}))
        await stored(self._database, lambda conn: recordings.arrived(conn, call, cleared=cleared))
        log.info("recordings joined -> ready", call=call, cleared=cleared)

    async def _read(self, call: str) -> _Known:
        async def read() -> _Known:
            async with self._database.read() as conn:
                return await _load(conn, call)

        return await insist(read, "recording", call=call)


async def stored(database: Database, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    """While the database is in trouble, nothing of `work` was stored: it is done again."""
    return await insist(lambda: database.write(work), "recording")


async def _load(conn: AsyncConnection, call: str) -> _Known:
    steps = await lanes.load(conn, [call])
    return _Known(await recordings.of_call(conn, call), steps.get(call, []), await journal.read(conn, call))


def _unlink(files: Sequence[str]) -> None:
    for file in files:
        try:
            Path(file).unlink(missing_ok=True)
        except OSError as error:
            log.warning("a part of a recording cannot be deleted", file=file, error=str(error))
