"""Waits until a recording has been written to its end. Looks only at size, time and header; never blocks the event loop."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from perezvon.recordings.errors import NotComplete, NotThere, RecordingError, Unreadable
from perezvon.recordings.wav import read_header


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds. `deadline`: how long to wait at most. `quiet`: how long a file must have stood still to count as complete;
    `quiet_closed`: the same for a WAVE file whose header already tells its true length. `poll`: between two looks.

    Asterisk writes 32 KiB at a time: that is every 2 s in wav, but every 20 s in gsm.
    """

    deadline: float = 120.0
    quiet: float = 25.0
    quiet_closed: float = 0.5
    poll: float = 0.5


@dataclass(frozen=True, slots=True)
class _Look:
    size: int
    changed: float
    closed: bool


async def settle(path: Path, patience: Patience | None = None) -> int:
    """Returns the size in bytes once the file grows no more.

    A file that was last written longer ago than that needs no waiting. Raises NotComplete, NotThere, Unreadable.
    """
    patience = patience or Patience()
    loop = asyncio.get_running_loop()
    begin = still_since = loop.time()
    last: _Look | None = None
    while True:
        look = await asyncio.to_thread(_look, path)
        now = loop.time()
        if last is None or (look.size, look.changed) != (last.size, last.changed):
            still_since = now
        last = look
        still = max(now - still_since, time.time() - look.changed)
        if still >= (patience.quiet_closed if look.closed else patience.quiet):
            return look.size
        if now - begin >= patience.deadline:
            raise NotComplete(
                f"{path} was still being written after {patience.deadline:g} s ({look.size} bytes, "
                f"last change {still:.1f} s ago)"
            )
        await asyncio.sleep(patience.poll)


def _look(path: Path) -> _Look:
    try:
        with path.open("rb") as file:
            status = path.stat()
            try:
                closed = path.suffix.lower().startswith(".wav") and read_header(file, str(path)).closed
            except RecordingError:
                closed = False
    except FileNotFoundError as error:
        raise NotThere(f"{path} went away while we waited for its end") from error
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror}") from error
    return _Look(status.st_size, status.st_mtime, closed)
