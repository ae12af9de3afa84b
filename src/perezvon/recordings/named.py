"""Finds the recordings of a call by its channels' unique ids, where the PBX did not tell us their names: we were down.

FreePBX and most dialplans put the unique id into the name and the file into a folder of the day; reads names only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from perezvon.recordings.find import EXTENSIONS, Folder

MOST_NAMES = 200_000
"""Names looked at, in all folders together."""

_UNIQUEID = re.compile(r"(?<![\d.])\d{9,11}\.\d+(?![\d])")


def named_after(folder: Folder, moments: Mapping[str, float]) -> dict[str, list[str]]:
    """`moments`: when each channel began (unique id -> POSIX seconds). Gives those for which there are any, with
    their names below the folder, `2026/11/21/….wav`. A folder that cannot be read has none."""
    found: dict[str, list[str]] = {}
    left = MOST_NAMES
    for day in ("", *_days(moments.values())):
        try:
            with os.scandir(Path(folder.here, day)) as entries:
                for entry in entries:
                    left -= 1
                    if left < 0:
                        return found
                    if not entry.name.endswith(EXTENSIONS) or not entry.is_file():
                        continue
                    for uid in _UNIQUEID.findall(entry.name):
                        if uid in moments:
                            found.setdefault(uid, []).append(f"{day}/{entry.name}" if day else entry.name)
        except OSError:
            continue
    return {uid: sorted(names) for uid, names in found.items()}


def _days(moments: Iterable[float]) -> list[str]:
    """The dated folders in which recordings of these moments may lie: the PBX's time zone is not known."""
    days: dict[str, None] = {}
    for moment in moments:
        at = datetime.fromtimestamp(moment, UTC)
        for hours in (0, 14, -12):
            days[f"{at + timedelta(hours=hours):%Y/%m/%d}"] = None
    return list(days)
