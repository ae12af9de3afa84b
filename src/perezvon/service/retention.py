"""Recordings that have been kept long enough are deleted: our own files, and the PBX's where that is set. In small steps.

Never what is still to be delivered: only recordings of which the portal has said that it has them (or their address), and
those that hold the same talk as such a one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import structlog

from perezvon.delivery.kinds import FILE, LINK
from perezvon.recordings import RecordingError, Sides, find
from perezvon.rules.vocabulary import Kind
from perezvon.service.folders import folder_of
from perezvon.settings.model import Settings
from perezvon.storage import lanes, recordings
from perezvon.storage.database import Database
from perezvon.storage.errors import Unavailable
from perezvon.storage.recordings import Recording, RecordingState
from perezvon.storage.steps import State, Step

log = structlog.get_logger(__name__)

DAY = 86400.0
EVERY = 3600.0
AT_ONCE = 50
"""Recordings looked at in one step; a moment's rest follows."""
REST = 0.2


class Retention:
    """`ours`: the folder of our own files; nothing outside it is deleted, but the PBX's recordings in their folder."""

    def __init__(
        self, database: Database, settings: Callable[[], Settings], ours: Path, clock: Callable[[], float]
    ) -> None:
        self._database = database
        self._settings = settings
        self._ours = ours
        self._clock = clock

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.sweep()
            except Unavailable as error:
                log.warning("old recordings wait for the database", error=str(error))
            await asyncio.sleep(EVERY)

    async def sweep(self) -> int:
        """Deletes what is old enough now. Gives how many recordings that were. Raises Unavailable."""
        days, gone, after = self._settings().recordings.keep_days, 0, 0
        while days:
            moment = self._clock() - days * DAY
            async with self._database.glance() as conn:
                rows = await recordings.kept_before(conn, moment, after, AT_ONCE)
                steps = await lanes.load(conn, sorted({row.call for row in rows}))
            if not rows:
                break
            after = rows[-1].id
            for row in rows:
                if is_delivered(row, steps.get(row.call, [])) and await self._delete(row):
                    gone += 1
            await asyncio.sleep(REST)
        if gone:
            log.info("old recordings deleted", recordings=gone, days=days)
        return gone

    async def _delete(self, row: Recording) -> bool:
        at_pbx = self._settings().recordings.delete_at_pbx
        try:
            await asyncio.to_thread(self._unlink, row, at_pbx=at_pbx)
        except OSError as error:
            log.warning("an old recording cannot be deleted", call=row.call, file=error.filename, error=error.strerror)
            return False
        await self._database.write(lambda conn: recordings.erase(conn, row.id))
        return True

    def _unlink(self, row: Recording, *, at_pbx: bool) -> None:
        unlink_ours((row.file, row.joined), self._ours)
        if at_pbx:
            for file in files_at_pbx(row.pbx, (row.path, row.name), self._settings()):
                file.unlink(missing_ok=True)


def is_delivered(row: Recording, steps: Sequence[Step]) -> bool:
    """Whether the portal has it, or what holds the same talk."""
    done = [step for step in steps if step.state is State.DONE and _delivers(step)]
    if not done or any(step.open for step in steps if _delivers(step)):
        return False
    return row.state is RecordingState.READY or (row.state is RecordingState.SPARE and not row.error)


def _delivers(step: Step) -> bool:
    return step.kind is Kind.ATTACH_RECORD or FILE in step.params or LINK in step.params or ":record:" in step.key


def unlink_ours(files: Iterable[str], ours: Path) -> None:
    """Raises OSError."""
    root = ours.resolve()
    for told in filter(None, files):
        file = Path(told)
        if file.resolve().is_relative_to(root):
            file.unlink(missing_ok=True)


def files_at_pbx(pbx: str, names: Iterable[str], settings: Settings) -> list[Path]:
    """The PBX's own files of these recordings: each side's before the mixed one, which leads to them. Below its folder
    only."""
    entry = next((one for one in settings.asterisk if one.name == pbx), None)
    if entry is None:
        return []
    folder, wanted = folder_of(entry), settings.recordings
    sides = Sides(wanted.stereo_client, wanted.stereo_employee)
    found: list[Path] = []
    for name in dict.fromkeys(names):
        try:
            mixed = find(name, folder)
        except RecordingError:
            continue
        found += [*sides.there(mixed, folder.here), mixed]
    return found
