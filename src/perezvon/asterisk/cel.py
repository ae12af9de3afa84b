"""Reads the channel event log (CEL) that Asterisk keeps as a CSV file: what happened while nobody watched AMI.

Only reads, from the end of the file backwards, as far as is asked for; the file may be large, rotated, and cut off in the
middle of its last line. Columns: those of the sample cel_custom.conf, in its order (FreePBX's table `cel` has the same).
Source: https://docs.asterisk.org/Configuration/Reporting/Channel-Event-Logging-CEL/CEL-Configuration-Files/

    CelUnreadable(OSError)        the log cannot be read: the file is not there, or may not be read
    └── CelDatabaseTrouble        the same for a database (cel_trouble.py): says what was wrong, and what to do
"""

from __future__ import annotations

import csv
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, cast

CHUNK = 1 << 18
LARGEST = 64 << 20
"""Bytes that are read back at most, in all files together."""

DISORDER = 2.0
"""Seconds by which a line may be older than the one before it: several threads of Asterisk write."""

COLUMNS = 17
"""Of the 20 columns of the sample those up to the bridge peer; the rest may be left out."""

NOTHING: Mapping[str, str] = {}
_LOCAL_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?\d*$")
_EPOCH = re.compile(r"\d{9,11}(?:\.\d+)?$")


class CelUnreadable(OSError):
    """The log cannot be read."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line. `kind` is the event's name (`CHAN_START`); `at` POSIX seconds, UTC. `extra` is the JSON object of the last
    column with its values as text."""

    kind: str
    at: float
    caller: str
    number: str
    exten: str
    context: str
    channel: str
    app: str
    data: str
    uniqueid: str
    linkedid: str
    extra: Mapping[str, str] = field(default_factory=lambda: NOTHING)


def read_back(file: Path, since: float, until: float = math.inf, *, largest: int = LARGEST) -> list[Row]:
    """The lines that are not older than `since` and not newer than `until` (POSIX seconds), in order of time. What is no
    line of the log is passed over. `largest`: bytes that are read at most, from the end back.

    Goes on into `FILE.1` (and other rotated neighbours, newest first) when the file begins later. Raises CelUnreadable when
    `file` cannot be read.
    """
    rows: list[Row] = []
    left = largest
    for number, one in enumerate(_files(file)):
        try:
            complete, used = _read_one(one, since, left, rows, until)
        except OSError as error:
            if number == 0:
                raise _unreadable(one, error) from error
            break
        left -= used
        if complete or left <= 0:
            break
    return sorted((row for row in rows if row.at >= since), key=lambda row: row.at)


def newest(file: Path) -> Row | None:
    """The last line. Raises CelUnreadable."""
    rows: list[Row] = []
    try:
        _read_one(file, float("inf"), CHUNK, rows)
    except OSError as error:
        raise _unreadable(file, error) from error
    return max(rows, key=lambda row: row.at, default=None)


def _unreadable(file: Path, error: OSError) -> CelUnreadable:
    return CelUnreadable(error.errno, f"the channel event log cannot be read ({error.strerror})", str(file))


def _files(file: Path) -> Iterator[Path]:
    """The file, then what was rotated away: `Master.csv.1`, `Master.csv-20261120`; not what is packed."""
    yield file
    rotated: list[tuple[float, Path]] = []
    try:
        with os.scandir(file.parent) as entries:
            for entry in entries:
                packed = entry.name.endswith((".gz", ".xz", ".bz2", ".zst"))
                if entry.name.startswith(file.name) and entry.name != file.name and not packed and entry.is_file():
                    rotated.append((entry.stat().st_mtime, Path(entry.path)))
    except OSError:
        return
    yield from (path for _, path in sorted(rotated, reverse=True))


def _read_one(file: Path, since: float, left: int, rows: list[Row], until: float = math.inf) -> tuple[bool, int]:
    """Adds the lines of one file in front of `rows`. Says whether one older than `since` was met, and how many bytes were
    read."""
    with file.open("rb") as log:
        end = log.seek(0, os.SEEK_END)
        position = end
        head = b""
        pieces: list[list[Row]] = []
        complete = False
        while position > 0 and end - position < left and not complete:
            size = min(CHUNK, position)
            position -= size
            log.seek(position)
            block = log.read(size) + head
            if position:
                head, _, block = block.partition(b"\n")
            lines = block.split(b"\n")
            if not pieces and lines[-1]:
                lines.pop()  # the last line is still being written
            piece = list(parse(lines))
            pieces.append([row for row in piece if row.at <= until])
            complete = bool(piece) and min(row.at for row in piece) < since - DISORDER
    rows[:0] = [row for piece in reversed(pieces) for row in piece]
    return complete, end - position


def parse(lines: Iterable[bytes]) -> Iterator[Row]:
    """The lines that can be understood."""
    for raw in lines:
        if not raw:
            continue
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            text = raw.decode("cp1251", "replace")
        try:
            values: list[str] = next(csv.reader([text]), [""])
        except csv.Error:
            continue
        row = _row(values)
        if row is not None:
            yield row


def _row(values: list[str]) -> Row | None:
    if len(values) < COLUMNS:
        return None
    at = moment(values[1])
    kind, channel, uniqueid = values[0], values[9], values[14]
    if at is None or not kind or not channel or not uniqueid:
        return None
    return Row(
        kind=kind,
        at=at,
        caller=values[2],
        number=values[3],
        exten=values[7],
        context=values[8],
        channel=channel,
        app=values[10],
        data=values[11],
        uniqueid=uniqueid,
        linkedid=values[15] or uniqueid,
        extra=extra_of(values[19]) if len(values) > 19 else NOTHING,
    )


def moment(text: str, zone: tzinfo | None = None) -> float | None:
    """`1795251052.301260`, or the local time of `zone` (None: of this machine): `2026-11-21 08:50:52[.301260]` (cel.conf,
    `dateformat`)."""
    if _EPOCH.match(text):
        return float(text)
    found = _LOCAL_TIME.match(text)
    if found is None:
        return None
    try:
        at = datetime.fromisoformat(f"{found[1]}T{found[2]}").replace(tzinfo=zone)
        return at.timestamp() + float(f"0.{found[3] or 0}")
    except (ValueError, OverflowError, OSError):
        return None


def extra_of(text: str) -> Mapping[str, str]:
    """The last column: a JSON object, its values as text. What is none (cut off by a short column, empty) has nothing."""
    if not text.startswith("{"):
        return NOTHING
    try:
        found: Any = json.loads(text)
    except ValueError:
        return NOTHING
    return {key: str(value) for key, value in cast("dict[str, Any]", found).items()} if isinstance(found, dict) else NOTHING
