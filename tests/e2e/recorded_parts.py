"""What is known of the recordings of a call: the PBX's files, our rows and mp3 files, and what the portal's file holds."""

from __future__ import annotations

import json
import sqlite3
import wave
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from perezvon.recordings.decode import open_sound
from perezvon.sandbox.pbx import sounds
from perezvon.sandbox.portal.calls import PortalCall
from perezvon.sandbox.stand import Stand

QUERY = """SELECT recording.path, recording.state, recording.file, recording.seconds, joined, mark, talkers, error
FROM recording JOIN call ON call.id = recording.call WHERE client = ? ORDER BY mark, recording.id"""

DELAY = 0.1
"""Seconds of silence with which LAME begins."""

EDGES = 0.3
"""Seconds by which windows that are looked at may lie otherwise."""


@dataclass(frozen=True, slots=True)
class Row:
    """`mark`: the second at which it begins in the file `joined`. `file`: our mp3 of it."""

    path: str
    state: str
    file: str
    seconds: float
    joined: str
    mark: float | None
    talkers: tuple[str, ...]
    error: str


def rows_of(stand: Stand, client: str) -> list[Row]:
    """In the order of the joined file."""
    with closing(sqlite3.connect(stand.service.data_dir / "perezvon.sqlite3")) as database:
        found = database.execute(QUERY, (client,)).fetchall()
    return [Row(*one[:6], tuple(json.loads(one[6] or "[]")), one[7]) for one in found]


async def rows_until(stand: Stand, client: str, happened: Callable[[list[Row]], bool], what: str) -> list[Row]:
    """Looks until the recordings of the client's call are so. Raises ServiceTrouble."""
    await stand.service.until(lambda _: happened(rows_of(stand, client)), f"has {what}: {rows_of(stand, client)}")
    return rows_of(stand, client)


def states(rows: Sequence[Row]) -> list[str]:
    return [row.state for row in rows]


def files_at_pbx(stand: Stand, client: str) -> list[Path]:
    """The files whose names tell that number, in the order in which they were closed."""
    found = stand.pbx.recordings.rglob(f"*-{client.removeprefix('+')}-*.wav")
    return sorted(found, key=lambda file: file.stat().st_mtime)


def mp3s(stand: Stand, client: str) -> set[str]:
    """Our own files of the client's call, the joined one too."""
    calls = {Path(row.file or row.joined or "").name.rpartition("-")[0] for row in rows_of(stand, client)}
    folder = stand.service.data_dir / "recordings"
    return {str(file) for file in folder.rglob("*.mp3") if file.name.rpartition("-")[0] in calls}


def heard_in(stand: Stand, call: PortalCall, folder: Path) -> Path:
    """The portal's file as WAV, made in `folder`."""
    assert call.recording is not None
    stored = stand.portal.state.files.get(call.recording.file_id)
    assert stored is not None
    mp3, wav = folder / stored.name, folder / f"{stored.name}.wav"
    mp3.write_bytes(stored.content)
    with open_sound(mp3) as sound, wave.open(str(wav), "wb") as file:
        file.setnchannels(sound.channels)
        file.setsampwidth(2)
        file.setframerate(sound.rate)
        for piece in sound.pieces:
            file.writeframes(piece)
    return wav


def wrong_order(wav: Path, parts: Sequence[Path]) -> list[str]:
    """Whose tone is heard elsewhere in the portal's file than it must be when the PBX's files follow one another in it. What
    they do not hold is not expected: now and then MixMonitor loses one side of a talk."""
    found: list[str] = []
    start = DELAY
    for part in parts:
        end = start + sounds.seconds_of(part)
        for whose, tone in sounds.TONES.items():
            here = sum(start <= moment < end for moment in sounds.moments_heard(wav, tone)) * 0.05
            there = sounds.seconds_heard(part, tone)
            if abs(here - there) > EDGES:
                found.append(
                    f"{whose} is heard for {here:.2f} s from {start:.2f} to {end:.2f} s, {there:.2f} s in {part.name}"
                )
        start = end
    return found
