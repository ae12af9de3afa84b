"""Recordings of ended calls: found and converted by somebody else, here kept at it until they are queued for the portal.

A recording that is not there yet is tried again, ever more slowly, for `patience`; then it is missing, and that is visible.
The portal keeps one recording a call (`attachRecord` replaces): what becomes of several is in whole.py.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.delivery.joining import HEARD, attach, finished_call, key_of
from perezvon.delivery.whole import GRACE, Join, WholeCalls, stored
from perezvon.recordings.errors import EmptyRecording, NotAudio, OutsideFolder, RecordingError
from perezvon.rules.vocabulary import StepDraft
from perezvon.storage import calls, lanes, recordings
from perezvon.storage.database import Database
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


Convert = Callable[[str, str, Path], Awaitable[Sound]]
"""(PBX, path as the PBX names it, mp3 to write). Raises RecordingError."""


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
        clock: Callable[[], float] = time.time,
        hooks: RecordHooks | None = None,
    ) -> None:
        self._hooks = hooks
        self._database = database
        self._convert = convert
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
        path: str | None = recording.path
        if self._hooks is not None:
            path, note = await self._hooks.path(recording)
            if path is None:
                await stored(self._database, lambda conn: self._left_out(conn, recording, note))
                log.info(f"recording {recording.state} -> spare", call=recording.call, path=recording.path, note=note)
                return
        try:
            sound = await self._convert(recording.pbx, path, self._target(recording, str(recording.id)))
        except RecordingError as error:
            failure, hopeless, empty = str(error), isinstance(error, _HOPELESS), isinstance(error, EmptyRecording)
        except Exception as error:
            log.exception("a recording could not be handled", call=recording.call, path=recording.path)
            failure, hopeless, empty = f"defect: {error!r}", False, False
        else:
            to = await stored(self._database, lambda conn: self._ready(conn, recording, sound))
            log.info(f"recording {recording.state} -> {to}", call=recording.call, path=recording.path)
            if to is RecordingState.READY:
                self._queued(recording.portal)
            return
        if empty and await self._too_short(recording.call):
            to = await stored(self._database, lambda conn: self._unheard(conn, recording, failure))
        else:
            to = await stored(self._database, lambda conn: self._failed(conn, recording, failure, hopeless=hopeless))
        log.warning(f"recording {recording.state} -> {to}", call=recording.call, path=recording.path, error=failure)

    async def _ready(self, conn: AsyncConnection, recording: Recording, sound: Sound) -> RecordingState:
        """The mp3 and its step in one transaction; spare when there is nothing to attach it to, a part when the call has
        other recordings."""
        now, file, seconds = self._clock(), str(sound.path), sound.duration
        others = [one for one in await recordings.of_call(conn, recording.call) if one.id != recording.id]
        call_id = finished_call((await lanes.load(conn, [recording.call])).get(recording.call, []))
        if call_id is None:
            why = "the call was not reported to the portal"
            await recordings.settle(conn, recording.id, RecordingState.SPARE, file=file, seconds=seconds, error=why)
            return RecordingState.SPARE
        if any(one.state is RecordingState.NEW or one.state in HEARD for one in others):
            await recordings.keep(conn, recording.id, file=file, seconds=seconds, closed=sound.closed, not_before=now)
            await recordings.hold(conn, recording.call, RecordingState.PART, now)
            return RecordingState.PART
        await recordings.settle(conn, recording.id, RecordingState.READY, file=file, seconds=seconds)
        step = self._held(attach(key_of([recording]), call_id, sound.path, seconds))
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
        if hopeless or now >= recording.created + self._patience:
            to = RecordingState.FAILED if hopeless else RecordingState.MISSING
            await recordings.settle(conn, recording.id, to, error=error)
            return to
        pause = min(self._first_pause * 2.0 ** min(recording.attempts, 16), _LONGEST_PAUSE)
        await recordings.postpone(conn, recording.id, not_before=now + pause, error=error)
        return RecordingState.NEW

    async def _too_short(self, call: str) -> bool:
        """Whether they talked so briefly that nothing to be heard in the recording is no wonder."""

        async def look(conn: AsyncConnection) -> bool:
            found = await calls.find(conn, call)
            return found is not None and found.duration < BRIEF

        return await stored(self._database, look)

    async def _unheard(self, conn: AsyncConnection, recording: Recording, error: str) -> RecordingState:
        await recordings.hold(conn, recording.call, RecordingState.PART, self._clock())
        await recordings.settle(conn, recording.id, RecordingState.SPARE, error=error)
        return RecordingState.SPARE

    def _target(self, recording: Recording, name: str) -> Path:
        day = datetime.fromtimestamp(recording.created, UTC).strftime("%Y/%m/%d")
        call = re.sub(r"[^A-Za-z0-9._-]", "_", recording.call).strip(".")[:100]
        return self._folder / day / f"{call}-{name}.mp3"
