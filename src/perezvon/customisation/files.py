"""The hooks' files: read whole and within bounds, and whether they have changed. Blocks: for a thread."""

from __future__ import annotations

import os
import stat
from pathlib import Path

MOST_FILES = 200
MOST_BYTES = 1024 * 1024
"""Of one file."""


class Unreadable(Exception):
    """The text says what, and why."""


def signature(folder: Path) -> object:
    """Another one after any change. Raises Unreadable; a folder that is not there is empty."""
    return tuple((name, one.st_mtime_ns, one.st_size, one.st_ino) for name, one in _files(folder))


def read_folder(folder: Path) -> dict[str, str]:
    """Name -> source, as far as it is text. Raises Unreadable."""
    files: dict[str, str] = {}
    for name, one in _files(folder):
        if one.st_size > MOST_BYTES:
            raise Unreadable(f"{name} has more than {MOST_BYTES // 1024} KB")
        try:
            files[name] = (folder / name).read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            continue
        except OSError as error:
            raise Unreadable(f"{folder / name}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise Unreadable(f"{folder / name} is not written in UTF-8: {error.reason} at byte {error.start}") from error
    return files


def _files(folder: Path) -> list[tuple[str, os.stat_result]]:
    """Python files right in the folder, by name."""
    found: list[tuple[str, os.stat_result]] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(".py") and Path(entry.name).stem.isidentifier():
                    one = entry.stat()
                    if stat.S_ISREG(one.st_mode):
                        found.append((entry.name, one))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Unreadable(f"{folder}: {error.strerror}") from error
    if len(found) > MOST_FILES:
        raise Unreadable(f"{folder} has {len(found)} files, {MOST_FILES} are read at most")
    return sorted(found)
