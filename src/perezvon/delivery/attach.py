"""Recordings of ended calls: found and converted by somebody else, here kept at it until they are queued for the portal.

A recording that is not there yet is tried again, ever more slowly, for `patience`; then it is missing, and that is visible.
The portal keeps one recording a call (`attachRecord` replaces), so of several the longest is queued, the others are spare.
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

from perezvon.delivery.kinds import FILE
from perezvon.recordings.errors import EmptyRecording, NotAudio, OutsideFolder, RecordingError
from perezvon.rules.vocabulary import Kind, Priority, Reason, StepDraft
from perezvon.storage import lanes, recordings
from perezvon.storage.database import Database
from perezvon.storage.errors import Unavailable
from perezvon.storage.recordings import Recording, RecordingState

log = structlog.get_logger(__name__)

AT_ONCE = 32
"""Recordings waited for and converted at once; the converter itself runs fewer."""

_FIRST_PAUSE = 5.0
_LONGEST_PAUSE = 600.0
_STORAGE_PAUSE = 1.0
_GATHER = 0.25
"""Seconds between two looks at what is due: calls that ring go first."""
_HOPELESS = (EmptyRecording, NotAudio, OutsideFolder)


class Sound(Protocol):
    """What a conversion gives: the file written, and its length in seconds."""

    @property
    def path(self) -> Path: ...

    @property
    def duration(self) -> float: ...


Convert = Callable[[str, str, Path], Awaitable[Sound]]
"""(PBX, path as the PBX names it, mp3 to write). Raises RecordingError."""


class RecordingWorker:
    """`folder`: where our mp3 files go. `queued(portal)`: called when a step for that portal was committed.

    `patience`: seconds after the call's end for which a recording that is not there is waited for.
    """

    def __init__(
        self,
        database: Database,
        convert: Convert,
        folder: Path,
        queued: Callable[[str], None],
        *,
        patience: float = 6 * 3600.0,
        first_pause: float = _FIRST_PAUSE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._convert = convert
        self._folder = folder
        self._queued = queued
        self._patience = patience
        self._first_pause = first_pause
        self._clock = clock
        self._busy: dict[int, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()

    def notify(self) -> None:
        """Recordings have been added, and committed."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled; a conversion that is cut off is done again at the next start."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                try:
                    pause = await self._begin(tasks)
                except Unavailable as error:
                    log.warning("recordings wait for the database", error=str(error))
                    pause = _STORAGE_PAUSE
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
            if recording.id not in self._busy:
                task = tasks.create_task(self._handle(recording), name=f"recording {recording.id}")
                self._busy[recording.id] = task
                task.add_done_callback(lambda _, number=recording.id: self._over(number))
        return None if next_due is None else max(next_due - now, 0.01)

    def _over(self, number: int) -> None:
        del self._busy[number]
        self._wake.set()

    async def _handle(self, recording: Recording) -> None:
        try:
            sound = await self._convert(recording.pbx, recording.path, self._target(recording))
        except RecordingError as error:
            failure, hopeless = str(error), isinstance(error, _HOPELESS)
        except Exception as error:
            log.exception("a recording could not be handled", call=recording.call, path=recording.path)
            failure, hopeless = f"defect: {error!r}", False
        else:
            to = await self._write(lambda conn: self._ready(conn, recording, sound))
            log.info(f"recording {recording.state} -> {to}", call=recording.call, path=recording.path)
            if to is RecordingState.READY:
                self._queued(recording.portal)
            return
        to = await self._write(lambda conn: self._failed(conn, recording, failure, hopeless=hopeless))
        log.warning(f"recording {recording.state} -> {to}", call=recording.call, path=recording.path, error=failure)

    async def _ready(self, conn: AsyncConnection, recording: Recording, sound: Sound) -> RecordingState:
        """The mp3 and its step in one transaction; spare when there is nothing to attach it to, or a longer one."""
        file, seconds = str(sound.path), sound.duration
        others = await recordings.of_call(conn, recording.call)
        longest = max((one.seconds for one in others if one.state is RecordingState.READY), default=0.0)
        steps = (await lanes.load(conn, [recording.call])).get(recording.call, [])
        finishes = [step for step in steps if step.kind is Kind.FINISH]
        if not finishes or longest >= seconds:
            why = "" if finishes else "the call was not reported to the portal"
            await recordings.settle(conn, recording.id, RecordingState.SPARE, file=file, seconds=seconds, error=why)
            return RecordingState.SPARE
        await recordings.settle(conn, recording.id, RecordingState.READY, file=file, seconds=seconds)
        draft = StepDraft(
            key=f"{recording.call}:record:{recording.id}",
            kind=Kind.ATTACH_RECORD,
            params={"CALL_ID": finishes[-1].params["CALL_ID"], "FILENAME": sound.path.name, FILE: file},
            priority=Priority.RECORD,
            reason=Reason("the PBX recorded the call: {seconds} s", {"seconds": f"{seconds:.0f}"}),
        )
        await lanes.append(conn, recording.portal, recording.call, [draft], self._clock())
        return RecordingState.READY

    async def _failed(self, conn: AsyncConnection, recording: Recording, error: str, *, hopeless: bool) -> RecordingState:
        now = self._clock()
        if hopeless or now >= recording.created + self._patience:
            to = RecordingState.FAILED if hopeless else RecordingState.MISSING
            await recordings.settle(conn, recording.id, to, error=error)
            return to
        pause = min(self._first_pause * 2.0 ** min(recording.attempts, 16), _LONGEST_PAUSE)
        await recordings.postpone(conn, recording.id, not_before=now + pause, error=error)
        return RecordingState.NEW

    def _target(self, recording: Recording) -> Path:
        day = datetime.fromtimestamp(recording.created, UTC).strftime("%Y/%m/%d")
        name = re.sub(r"[^A-Za-z0-9._-]", "_", recording.call).strip(".")[:100]
        return self._folder / day / f"{name}-{recording.id}.mp3"

    async def _write(self, work: Callable[[AsyncConnection], Awaitable[RecordingState]]) -> RecordingState:
        while True:
            try:
                return await self._database.write(work)
            except Unavailable as error:
                log.warning("recordings wait for the database", error=str(error))
                await asyncio.sleep(_STORAGE_PAUSE)
