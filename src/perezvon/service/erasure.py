"""A client is forgotten (personal data law): his calls, their recordings and whatever else bears his number, here; and
what is left elsewhere is told, so that it can be deleted there.

What is still on its way to the portal is left alone, unless that is wanted: the portal would keep half a call.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.bitrix24.values import mapping, number, text
from perezvon.rules.vocabulary import Kind
from perezvon.service.folders import RECORDINGS
from perezvon.service.retention import files_at_pbx
from perezvon.settings.model import Settings
from perezvon.storage import erasing, lanes, recordings
from perezvon.storage.database import Database
from perezvon.storage.erasing import Whose
from perezvon.storage.recordings import Recording, RecordingState
from perezvon.storage.steps import State, Step

MOST_NAMES = 2_000_000
_UNDER_WAY = (RecordingState.NEW, RecordingState.PART, RecordingState.JOINED)


@dataclass(frozen=True, slots=True)
class AtPortal:
    """What the portal keeps of one call."""

    portal: str
    call: str
    activity: str = ""
    entity: str = ""
    file: str = ""


@dataclass(slots=True)
class Found:
    """`calls`: to be erased; `waiting`: still under way, and left. `files`: ours; `pbx_files`: the PBX's. `rows`: what
    else is his, by table. `portal`: what stays there; `copies`: of the database, made before upgrades; `in_settings`: his
    number stands in them."""

    calls: list[str] = field(default_factory=list[str])
    waiting: list[str] = field(default_factory=list[str])
    lanes: list[str] = field(default_factory=list[str])
    files: list[Path] = field(default_factory=list[Path])
    pbx_files: list[Path] = field(default_factory=list[Path])
    rows: dict[str, int] = field(default_factory=dict[str, int])
    portal: list[AtPortal] = field(default_factory=list[AtPortal])
    copies: list[Path] = field(default_factory=list[Path])
    in_settings: bool = False

    @property
    def nothing(self) -> bool:
        return not (self.calls or self.waiting or self.lanes or self.rows or self.files or self.pbx_files)


class Erasure:
    def __init__(self, database: Database, settings: Settings, data_dir: Path, whose: Whose) -> None:
        self._database = database
        self._settings = settings
        self._data_dir = data_dir
        self._whose = whose

    async def find(self, *, force: bool = False) -> Found:
        """Changes nothing. `force`: what is under way counts as the rest; a call that goes on never does."""
        found = Found()
        async with self._database.read() as conn:
            for row in await erasing.calls_of(conn, self._whose):
                steps = (await lanes.load(conn, [row.id])).get(row.id, [])
                parts = await recordings.of_call(conn, row.id)
                if row.live or (not force and _under_way(steps, parts)):
                    found.waiting.append(row.id)
                    continue
                found.calls.append(row.id)
                found.portal += at_portal(row.portal, steps)
                told = (json.loads(row.state or "{}")).get("recordings") or ()
                names = [
                    *(name for one in parts for name in (one.path, one.name)),
                    *(name for name in told if isinstance(name, str)),
                ]
                found.files += await asyncio.to_thread(self._ours, parts, row.id)
                found.pbx_files += await asyncio.to_thread(files_at_pbx, row.pbx, names, self._settings)
            for lane in await erasing.lanes_of_missed(conn, self._whose):
                steps = (await lanes.load(conn, [lane])).get(lane, [])
                if force or not _under_way(steps, ()):
                    found.lanes.append(lane)
            found.rows = await erasing.counted(conn, self._whose)
        found.pbx_files += await asyncio.to_thread(self._named)
        found.files, found.pbx_files = sorted(set(found.files)), sorted(set(found.pbx_files))
        found.copies = sorted(self._data_dir.glob("perezvon-*.sqlite3"))
        told = self._settings.model_dump_json(exclude={"asterisk"})
        found.in_settings = self._whose.digits in re.sub(r"[^\d\"]", "", told)
        return found

    async def erase(self, found: Found, *, pbx_files: bool) -> list[str]:
        """Files first, so that none is left without its row. Gives what could not be deleted. Raises StorageError."""
        failed = await asyncio.to_thread(_unlink, [*found.files, *(found.pbx_files if pbx_files else ())])

        async def work(conn: AsyncConnection) -> None:
            await erasing.erase(conn, self._whose, found.calls, found.lanes)

        await self._database.write(work)
        await asyncio.to_thread(self._overwrite)
        return failed

    def _overwrite(self) -> None:
        """What was written before stands in SQLite's log until that is begun anew; a running service may hold that up."""
        file = self._data_dir / "perezvon.sqlite3"
        if self._database.url.get_backend_name() == "sqlite" and file.exists():
            conn = sqlite3.connect(file, timeout=5.0)
            try:
                conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                conn.close()

    def _ours(self, rows: Sequence[Recording], call: str) -> list[Path]:
        root = (self._data_dir / RECORDINGS).resolve()
        told = [Path(name) for row in rows for name in (row.file, row.joined) if name]
        begins = re.sub(r"[^A-Za-z0-9._-]", "_", call).strip(".")[:100] + "-"
        for folder in {file.parent for file in told}:
            if folder.is_dir():
                told += [file for file in folder.iterdir() if file.name.startswith(begins)]
        return [file for file in told if file.resolve().is_relative_to(root) and file.is_file()]

    def _named(self) -> list[Path]:
        """Files in the recordings' folders whose names tell his number: each side's, private talks, other programs'."""
        left, found = MOST_NAMES, list[Path]()
        for entry in self._settings.asterisk:
            for folder, _, names in os.walk(entry.recordings):
                left -= len(names)
                if left < 0:
                    return found
                for name in names:
                    if re.search(rf"(?<!\d)\d{{0,4}}{self._whose.digits}(?!\d)", name):
                        found.append(Path(os.path.realpath(folder), name))
        return found


def at_portal(portal: str, steps: Sequence[Step]) -> Iterator[AtPortal]:
    """Of each finished portal call: what its answers named."""
    file = next(
        (number(mapping(step.result).get("FILE_ID")) for step in steps if step.kind is Kind.ATTACH_RECORD and step.result),
        "",
    )
    for step in steps:
        told = mapping(step.result)
        if step.kind is Kind.FINISH and step.state is State.DONE:
            entity = " ".join(filter(None, (text(told.get("CRM_ENTITY_TYPE")), number(told.get("CRM_ENTITY_ID")))))
            call = text(told.get("CALL_ID")) or text(step.params.get("CALL_ID"))
            yield AtPortal(portal, call, number(told.get("CRM_ACTIVITY_ID")), entity, file)


def _under_way(steps: Sequence[Step], rows: Sequence[Recording]) -> bool:
    sent = any(step.open for step in steps)
    return sent or any(row.state in _UNDER_WAY for row in rows)


def _unlink(files: Sequence[Path]) -> list[str]:
    failed: list[str] = []
    for file in files:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            failed.append(f"{file}: {error.strerror}")
    return failed
