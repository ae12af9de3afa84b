"""Recordings of ended calls: found and converted by somebody else, here kept at it until they are queued for the portal.

A recording that is not there yet is tried again, ever more slowly, for `patience`; then it is missing, and that is visible.
The portal keeps one recording a call (`attachRecord` replaces): what becomes of several is in whole.py.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.calls.call import Direction
from perezvon.delivery.joining import HEARD, Sent, finished_step, has_pauses, key_of, step_for
from perezvon.delivery.whole import GRACE, Join, WholeCalls, stored
from perezvon.recordings.errors import EmptyRecording, NotAudio, NotThere, OutsideFolder, RecordingError
from perezvon.recordings.layout import is_layout
from perezvon.rules.vocabulary import StepDraft
from perezvon.storage import calls, journal, lanes, recordings
from perezvon.storage.database import Database
from perezvon.storage.errors import StorageError
from perezvon.storage.insist import insist
from perezvon.storage.recordings import Recording, RecordingState

log = structlog.get_logger(__name__)

AT_ONCE = 32
"""Recordings waited for, converted and joined at once; the converter itself runs fewer."""

BRIEF = 3.0
"""Seconds of talk of which a PBX may have recorded nothing: it writes when both have been heard."""

_FIRST_PAUSE = 5.0
_LONGEST_PAUSE = 600.0
_GATHER = 0.25
"""Seconds between two looks at what is due: calls that ring go first."""
_HOPELESS = (EmptyRecording, NotAudio, OutsideFolder)


class Sound(Protocol):
    """What a conversion gives: the file written, its length in seconds, and when the PBX's file was last changed."""

    @property
    def path(self) -> Path: ...

    @property
    def duration(self) -> float: ...

    @property
    def closed(self) -> float | None: ...


Convert = Callable[[Recording, Path, bool], Awaitable[Sound]]
"""(recording, mp3 to write, whether an employee has called). Gives another path for a file that is left as it is, and
not ours.
Raises RecordingError."""

Look = Callable[[str, str], Awaitable[Sequence[str]]]
"""(PBX, layout of a recording's name): the names that there are, one at least. Raises RecordingError."""

LinkText = Callable[[Recording], str]
"""Where it can be heard, in words for the activity; "" where the address goes with the record."""

NOT_RECORDED = 900.0
"""Seconds for which recordings are looked for whose names nobody has told: perhaps there are none."""


async def _no_layouts(pbx: str, path: str) -> Sequence[str]:
    raise NotThere(f"no names of recordings are set for {pbx}: {path}")


class RecordHooks(Protocol):
    """The integrator's hooks on recordings (customising.py)."""

    async def path(self, recording: Recording) -> tuple[str | None, str]:
        """Where the recording is, as the PBX names it; None where it is to be left out, with the reason."""
        ...

    def hold(self, step: StepDraft) -> StepDraft: ...


class RecordingWorker:
    """`folder`: where our mp3 files go. `queued(portal)`: called when a step for that portal was committed.

    `patience`: seconds after the call's end for which a recording that is not there is waited for; `grace`: those for which
    the other recordings of its call wait for it.
    """

    def __init__(
        self,
        database: Database,
        convert: Convert,
        join: Join,
        folder: Path,
        queued: Callable[[str], None],
        *,
        patience: float = 6 * 3600.0,
        first_pause: float = _FIRST_PAUSE,
        grace: float = GRACE,
        look: Look = _no_layouts,
        link_text: LinkText = lambda _: "",
        clock: Callable[[], float] = time.time,
        hooks: RecordHooks | None = None,
    ) -> None:
        self._hooks = hooks
        self._database = database
        self._convert = convert
        self._look = look
        self._link_text = link_text
        self._folder = folder
        self._queued = queued
        self._patience = patience
        self._first_pause = first_pause
        self._clock = clock
        self._busy: dict[int | str, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._whole = WholeCalls(
            database,
            join,
            self._target,
            queued,
            link_text=link_text,
            patience=patience,
            first_pause=first_pause,
            grace=grace,
            clock=clock,
            hold=self._held,
        )

    def notify(self) -> None:
        """Recordings have been added, and committed."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled; a conversion that is cut off is done again at the next start."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                pause = await insist(lambda: self._begin(tasks), "recordings")
                looked = time.monotonic()
                try:
                    async with asyncio.timeout(pause):
                        await self._wake.wait()
                except TimeoutError:
                    continue
                await asyncio.sleep(max(0.0, looked + _GATHER - time.monotonic()))
                self._wake.clear()

    async def _begin(self, tasks: asyncio.TaskGroup) -> float | None:
        """Starts what is due. Gives the seconds until the next is."""
        now = self._clock()
        async with self._database.glance() as conn:
            due = await recordings.due(conn, now, AT_ONCE * 2)
            next_due = await recordings.next_due(conn, after=now)
        for recording in due:
            if len(self._busy) >= AT_ONCE:
                return None
            new = recording.state is RecordingState.NEW
            key = recording.id if new else recording.call
            if key not in self._busy:
                work = self._handle(recording) if new else self._whole.look(recording)
                task = tasks.create_task(work, name=f"recording {recording.id}")
                self._busy[key] = task
                task.add_done_callback(lambda _, key=key: self._over(key))
        return None if next_due is None else max(next_due - now, 0.01)

    def _over(self, key: int | str) -> None:
        del self._busy[key]
        self._wake.set()

    async def _handle(self, recording: Recording) -> None:
        """A defect with one never stops the others."""
        try:
            await self._convert_one(recording)
        except StorageError:
            raise
        except Exception as error:
            log.exception("a recording's state could not be stored", call=recording.call, path=recording.path)
            failure = f"defect: {error!r}"
            await stored(self._database, lambda conn: self._failed(conn, recording, failure, hopeless=False))

    async def _convert_one(self, recording: Recording) -> None:
        try:
            if is_layout(recording.path):
                names = await self._look(recording.pbx, recording.path)
                recording, known = await stored(self._database, lambda conn: self._named(conn, recording, names))
                if not known:
                    return
            where, note = await self._where(recording)
            if where is None:
                await stored(self._database, lambda conn: self._left_out(conn, recording, note))
                log.info(f"recording {recording.state} -> spare", call=recording.call, path=recording.path, note=note)
                return
            found = replace(recording, path=where)
            outgoing = await stored(self._database, lambda conn: _outgoing(conn, recording.call))
            sound = await self._convert(found, self._target(recording, str(recording.id)), outgoing)
        except RecordingError as error:
            failure, hopeless, empty = str(error), isinstance(error, _HOPELESS), isinstance(error, EmptyRecording)
        except Exception as error:
            log.exception("a recording could not be handled", call=recording.call, path=recording.path)
            failure, hopeless, empty = f"defect: {error!r}", False, False
        else:
            to = await stored(self._database, lambda conn: self._ready(conn, recording, where, sound))
            log.info(f"recording {recording.state} -> {to}", call=recording.call, path=recording.path)
            if to is RecordingState.READY:
                self._queued(recording.portal)
            return
        if empty and await self._too_short(recording.call):
            to = await stored(self._database, lambda conn: self._unheard(conn, recording, failure))
        else:
            to = await stored(self._database, lambda conn: self._failed(conn, recording, failure, hopeless=hopeless))
        log.warning(f"recording {recording.state} -> {to}", call=recording.call, path=recording.path, error=failure)

    async def _where(self, recording: Recording) -> tuple[str | None, str]:
        """Where the recording is, as the PBX names it; None where it is to be left out, with the reason."""
        return (recording.path, "") if self._hooks is None else await self._hooks.path(recording)

    async def _ready(self, conn: AsyncConnection, recording: Recording, where: str, sound: Sound) -> RecordingState:
        """The mp3 and its step in one transaction; spare when there is nothing to attach it to, a part when the call has
        other recordings. `where`: the name under which it was found."""
        now, seconds = self._clock(), sound.duration
        ours = sound.path.is_relative_to(self._folder)
        file = str(sound.path) if ours else ""
        name = where if ours or where.endswith(sound.path.suffix) else where + sound.path.suffix
        if name != recording.name:  # it is read from there again, and deleted there
            await recordings.found(conn, recording.id, name if name != recording.path else None)
        others = [one for one in await recordings.of_call(conn, recording.call) if one.id != recording.id]
        steps = (await lanes.load(conn, [recording.call])).get(recording.call, [])
        if finished_step(steps) is None:
            why = "the call was not reported to the portal"
            await recordings.settle(conn, recording.id, RecordingState.SPARE, file=file, seconds=seconds, error=why)
            return RecordingState.SPARE
        if any(one.state is RecordingState.NEW or one.state in HEARD for one in others):
            await recordings.keep(conn, recording.id, file=file, seconds=seconds, closed=sound.closed, not_before=now)
            await recordings.hold(conn, recording.call, RecordingState.PART, now)
            return RecordingState.PART
        await recordings.settle(conn, recording.id, RecordingState.READY, file=file, seconds=seconds)
        link = recording if recording.mode == "link" else None
        name = self._target(recording, str(recording.id)).stem + sound.path.suffix.lower()
        sent = Sent(sound.path if ours else None, seconds, name, link)
        step = self._held(step_for(key_of([recording]), steps, sent, self._link_text(recording) if link else ""))
        await lanes.append(conn, recording.portal, recording.call, [step], now)
        return RecordingState.READY

    def _held(self, step: StepDraft) -> StepDraft:
        """For the hook that has a word in it, where there is one."""
        return step if self._hooks is None else self._hooks.hold(step)

    async def _left_out(self, conn: AsyncConnection, recording: Recording, note: str) -> None:
        await recordings.hold(conn, recording.call, RecordingState.PART, self._clock())
        await recordings.settle(conn, recording.id, RecordingState.SPARE, error=note)

    async def _failed(self, conn: AsyncConnection, recording: Recording, error: str, *, hopeless: bool) -> RecordingState:
        now = self._clock()
        await recordings.hold(conn, recording.call, RecordingState.PART, now)  # they may have waited for this
        unnamed = is_layout(recording.path) and now >= recording.created + NOT_RECORDED
        if unnamed or (now >= recording.created + self._patience and await _paused(conn, recording.call)):
            await recordings.settle(conn, recording.id, RecordingState.SPARE)
            return RecordingState.SPARE
        if hopeless or now >= recording.created + self._patience:
            to = RecordingState.FAILED if hopeless else RecordingState.MISSING
            await recordings.settle(conn, recording.id, to, error=error)
            return to
        pause = min(self._first_pause * 2.0 ** min(recording.attempts, 16), _LONGEST_PAUSE)
        await recordings.postpone(conn, recording.id, not_before=now + pause, error=error)
        return RecordingState.NEW

    async def _named(self, conn: AsyncConnection, recording: Recording, names: Sequence[str]) -> tuple[Recording, bool]:
        """The recordings of a call whose names were not told are known now: this is the first of them. False when
        others are all of them."""
        known = {one.path for one in await recordings.of_call(conn, recording.call)}
        fresh = [name for name in names if name not in known]
        if not fresh:
            await recordings.settle(conn, recording.id, RecordingState.SPARE)
            return recording, False
        await recordings.rename(conn, recording.id, fresh[0])
        more = [(recording.call, name) for name in fresh[1:]]
        now, pbx, portal, mode = self._clock(), recording.pbx, recording.portal, recording.mode
        await recordings.add(conn, pbx=pbx, portal=portal, paths=more, now=now, mode=mode)
        self._wake.set()
        return replace(recording, path=fresh[0]), True

    async def _too_short(self, call: str) -> bool:
        """Whether they talked so briefly that nothing to be heard in the recording is no wonder: in all, or after a
        pause."""

        async def look(conn: AsyncConnection) -> bool:
            found = await calls.find(conn, call)
            return (found is not None and found.duration < BRIEF) or await _paused(conn, call)

        return await stored(self._database, look)

    async def _unheard(self, conn: AsyncConnection, recording: Recording, error: str) -> RecordingState:
        await recordings.hold(conn, recording.call, RecordingState.PART, self._clock())
        await recordings.settle(conn, recording.id, RecordingState.SPARE, error=error)
        return RecordingState.SPARE

    def _target(self, recording: Recording, name: str) -> Path:
        day = datetime.fromtimestamp(recording.created, UTC).strftime("%Y/%m/%d")
        call = re.sub(r"[^A-Za-z0-9._-]", "_", recording.call).strip(".")[:100]
        return self._folder / day / f"{call}-{name}.mp3"


async def _outgoing(conn: AsyncConnection, call: str) -> bool:
    found = await calls.find(conn, call)
    return found is not None and found.direction is Direction.OUTGOING


async def _paused(conn: AsyncConnection, call: str) -> bool:
    return has_pauses(await journal.read(conn, call))
