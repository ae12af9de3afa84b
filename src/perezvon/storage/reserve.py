"""Room kept for a full disk: a file beside the database that holds nothing, and is deleted when nothing else helps.

So calls are still stored, and cards still pop up, for the hours until somebody reads that the disk is full; it is made
again when there is plenty of room. What calls need is small: 64 MB are several thousand of them.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

FILE = "perezvon.reserve"
SIZE = 64 * 1024 * 1024
SHARE = 0.1
"""Of the room that is free, at most."""

PLENTY = 4
"""How many times its size must be free, once it was given up, before it is made again: or it would be given up and made
again for as long as the disk is full."""


class Reserve:
    """In `folder`, of `size` bytes at most. Its calls touch the disk, `make` for long on old file systems."""

    def __init__(self, folder: Path, size: int = SIZE) -> None:
        self.folder = folder
        self._file = folder / FILE
        self._size = size
        self._refused = False
        self.given_up = False

    def make(self) -> bool:
        """Whether it is there now."""
        try:
            if self._file.exists():
                return True
            free = shutil.disk_usage(self.folder).free
            size = self._size if self.given_up else min(self._size, int(free * SHARE))
            if not size or free < size * PLENTY:
                return False
            self._take(size)
        except OSError as error:
            with suppress(OSError):
                self._file.unlink(missing_ok=True)
            if not self._refused:
                log.warning("no room could be reserved", file=str(self._file), error=str(error))
            self._refused = True
            return False
        self._size = size
        self._refused = self.given_up = False
        log.info("room reserved for a full disk", file=str(self._file), bytes=size)
        return True

    def _take(self, size: int) -> None:
        descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
        finally:
            os.close(descriptor)

    def give_up(self) -> bool:
        """Whether there was anything to give up."""
        try:
            size = self._file.stat().st_size
            self._file.unlink()
        except OSError:
            return False
        self.given_up = True
        log.error("the disk is full: the reserved room is given up", file=str(self._file), bytes=size)
        return True
