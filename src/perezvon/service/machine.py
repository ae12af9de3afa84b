"""What this machine gives us: room on the disk, file handles, the time. Looked at every few seconds, for the status page.

One log line when something becomes short, and one when it is well again.
"""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
from dataclasses import dataclass
from pathlib import Path

import structlog

from perezvon.service.clock import Clock
from perezvon.storage.reserve import Reserve
from perezvon.web.status import MachineStatus

log = structlog.get_logger(__name__)

LOOK = 2.0
MOST_HANDLES = 65536
SHORT = 0.9
"""Share of the file handles in use from which on they are short."""
NO_ROOM = 4 * 1024 * 1024
"""Bytes free below which the disk counts as full."""


@dataclass(slots=True)
class _Shortage:
    """Something that is there or is not: one line a change."""

    well: str
    short: str
    now: bool = False

    def tell(self, short: bool, **told: object) -> None:
        if short is not self.now:
            self.now = short
            (log.error if short else log.info)(
                f"{self.well} -> {self.short}" if short else f"{self.short} -> {self.well}", **told
            )


class Machine:
    """`reserve` is None where the database is not in the data directory."""

    def __init__(self, data_dir: Path, clock: Clock, reserve: Reserve | None) -> None:
        self._data_dir = data_dir
        self._clock = clock
        self._reserve = reserve
        self._disk = _Shortage("disk: room left", "disk: full")
        self._handles = _Shortage("file handles: enough", "file handles: nearly all in use")
        self._time = _Shortage("clock: as it was", "clock: set while calls go on")
        self.status = MachineStatus(str(data_dir))

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(LOOK)

    def look(self) -> None:
        """Touches the disk."""
        free = self._free()
        handles, limit = open_handles()
        step = self._clock.look()
        given_up = self._reserve is not None and not self._reserve.make() and self._reserve.given_up
        self.status = MachineStatus(
            folder=str(self._data_dir),
            free=free,
            full=free is not None and (free < NO_ROOM or given_up),
            on_reserve=given_up,
            handles=handles,
            handle_limit=limit,
            short_of_handles=handles > limit * SHORT,
            clock_set=round(step, 1),
        )
        self._disk.tell(self.status.full, folder=str(self._data_dir), free=free)
        self._handles.tell(self.status.short_of_handles, in_use=handles, limit=limit)
        self._time.tell(step != 0.0, seconds=round(step, 1))

    def _free(self) -> int | None:
        try:
            return shutil.disk_usage(self._data_dir).free
        except OSError:
            return None


def open_handles() -> tuple[int, int]:
    """In use, and how many may be. Looking takes one itself: when there is none, all are in use."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    try:
        return len(os.listdir("/proc/self/fd")) - 1, limit  # noqa: PTH208  half as long, every two seconds
    except OSError:
        return limit, limit


def raise_handle_limit() -> None:
    """As many file handles as we may have: each call costs none, but each recording, portal and page does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_HANDLES if hard == resource.RLIM_INFINITY else min(hard, MOST_HANDLES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
