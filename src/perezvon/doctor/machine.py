"""Checks of this machine: the database, the disk, file handles, the key file, referred secrets, the mp3 encoder."""

from __future__ import annotations

import asyncio
import math
import resource
import shutil
import tempfile
import wave
from collections.abc import Iterator
from pathlib import Path
from struct import pack

from perezvon.doctor.check import Check, State
from perezvon.recordings.convert import Mp3, convert_file
from perezvon.recordings.errors import RecordingError
from perezvon.rules.vocabulary import Reason
from perezvon.settings.errors import SecretMissing
from perezvon.settings.model import Settings
from perezvon.settings.secrets import KEY_FILE, exposed
from perezvon.storage.database import Database
from perezvon.storage.errors import StorageError
from perezvon.storage.reserve import SIZE as RESERVE

LITTLE_SPACE = 2 * 1024**3
NO_SPACE = 200 * 1024**2
FULL = RESERVE
"""Bytes free below which the service can only live on what it has reserved."""

FEW_HANDLES = 1024
PATIENCE = 5.0
"""Seconds that the database gets to take a write."""


async def examine_database(database: Database) -> list[Check]:
    try:
        async with asyncio.timeout(PATIENCE):
            await database.write(database.touch)
    except (StorageError, TimeoutError) as error:
        why = str(error or database.writer.trouble or f"it has not answered for {PATIENCE:g} s")
        seen = Reason("the database cannot be written: {why}", {"why": why})
        return [Check("database.write", "database", State.PROBLEM, seen, Reason("see to what the message says"))]
    kind = database.url.get_backend_name()
    return [Check("database.write", "database", State.OK, Reason("the database ({kind}) can be written", {"kind": kind}))]


def examine_disk(data_dir: Path) -> Iterator[Check]:
    free = shutil.disk_usage(data_dir).free
    told = {"folder": str(data_dir), "free": f"{free / 1024**3:.1f}"}
    if free >= LITTLE_SPACE:
        yield Check("disk", "disk", State.OK, Reason("{free} GB free in {folder}", told))
        return
    if free < FULL:
        told = {"folder": str(data_dir), "free": str(free // 1024**2)}
        seen = Reason("disk full: free {free} MB in {folder}", told)
        fix = Reason("make room there now: nothing else is needed, what waits is stored then")
        yield Check("disk", "disk", State.PROBLEM, seen, fix)
        return
    seen = Reason("only {free} GB free in {folder}", told)
    fix = Reason("make room: when the disk is full, calls are no longer stored")
    yield Check("disk", "disk", State.PROBLEM if free < NO_SPACE else State.WARNING, seen, fix)


def examine_handles() -> Iterator[Check]:
    """Only what this command may have itself: a unit of systemd has a limit of its own."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if limit != resource.RLIM_INFINITY and limit < FEW_HANDLES:
        seen = Reason("a process may have only {limit} files open", {"limit": str(limit)})
        fix = Reason(
            "raise the limit to {few} at least (systemd: LimitNOFILE=, else: ulimit -Hn)", {"few": str(FEW_HANDLES)}
        )
        yield Check("handles", "file handles", State.WARNING, seen, fix)


def examine_key(data_dir: Path) -> Iterator[Check]:
    path = data_dir / KEY_FILE
    told = {"path": str(path)}
    if not path.exists():
        return
    if (why := exposed(path)) is not None:
        yield Check("key", "key file", State.PROBLEM, why, Reason("chmod 600 {path}", told))
    else:
        yield Check("key", "key file", State.OK, Reason("{path} is readable by its owner alone", told))


def examine_secrets(settings: Settings) -> Iterator[Check]:
    """The references that lead nowhere."""
    for path, secret in settings.secrets():
        try:
            secret.reveal()
        except SecretMissing as missing:
            yield Check(
                "secret",
                f"settings {path}",
                State.PROBLEM,
                missing.reason,
                Reason("set it for the service as for this command (systemd: Environment= or EnvironmentFile=)"),
            )


def examine_encoder(settings: Settings) -> Iterator[Check]:
    """Encodes a second of tone as a recording would be."""
    if settings.recordings.mode == "off" and not any(line.recordings not in (None, "off") for line in settings.line):
        return
    tone = b"".join(pack("<h", int(8000 * math.sin(2 * math.pi * 440 * n / 8000))) for n in range(8000))
    with tempfile.TemporaryDirectory(prefix="perezvon-doctor-") as folder:
        source, target = Path(folder) / "tone.wav", Path(folder) / "tone.mp3"
        with wave.open(str(source), "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(8000)
            sound.writeframes(tone)
        try:
            made = convert_file(source, target, Mp3(settings.recordings.bitrate, settings.recordings.quality))
        except RecordingError as error:
            fix = Reason("install Perezvon anew (the package lameenc), and keep recordings.bitrate at 32")
            yield Check(
                "encoder", "mp3", State.PROBLEM, Reason("the mp3 encoder does not work: {why}", {"why": str(error)}), fix
            )
        else:
            seen = Reason("a second of tone became {size} bytes of mp3", {"size": str(made.size)})
            yield Check("encoder", "mp3", State.OK, seen)
