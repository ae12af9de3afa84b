"""Where the recordings of a call lie, for a PBX that does not tell: from a template and what is known of the call to names.

A template is a path below the recordings' folder; `*` in its last part stands for anything. What comes from outside
(numbers, extensions) is only let through as far as it can be part of a name. The names are looked for later, by `matching`.

    LayoutError(ValueError)   a template that cannot be used; `reason` says why
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path, PurePosixPath
from string import Formatter

from perezvon.recordings.errors import NotThere, Unreadable
from perezvon.recordings.find import EXTENSIONS, Folder
from perezvon.rules.vocabulary import Reason

PRESETS: Mapping[str, tuple[str, ...]] = {
    "freepbx": ("{year}/{month}/{day}/*-{uniqueid}.*",),
    "issabel": ("{year}/{month}/{day}/*{uniqueid}.*", "*{uniqueid}.*"),
}
"""FreePBX: out-79161234567-101-20261121-101500-1700000000.12.wav in a folder of the day. Issabel the same; up to version 2
(Elastix) in no folder, as 20261121-101500-1700000000.12.wav or OUT101-… ."""

PLACES = ("year", "month", "day", "hour", "minute", "second", "uniqueid", "client", "line", "extension")

SCHEME = "layout:"
"""How a recording is named of which only that is known: patterns follow, with | between them."""

MOST_NAMES = 100_000
MOST_FOUND = 20
_OUTSIDE = re.compile(r"[^A-Za-z0-9+_-]")


class LayoutError(ValueError):
    def __init__(self, reason: Reason) -> None:
        super().__init__(str(reason))
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a call. `started`: POSIX seconds."""

    started: float
    uniqueid: str
    client: str = ""
    line: str = ""
    extension: str = ""


def parse(text: str) -> tuple[str, ...]:
    """The templates that a preset's name, or a template, means. Raises LayoutError."""
    if text in PRESETS:
        return PRESETS[text]
    known = {"places": ", ".join(f"{{{place}}}" for place in PLACES), "presets": ", ".join(PRESETS)}
    try:
        parts = list(Formatter().parse(text))
    except ValueError:
        raise LayoutError(Reason("the braces do not pair up; known places are {places}", known)) from None
    if any(place is not None and (place not in PLACES or form or how) for _, place, form, how in parts):
        raise LayoutError(Reason("there is an unknown place in braces; known places are {places}", known))
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or not path.name or "\\" in text or any(ord(one) < 32 for one in text):
        raise LayoutError(Reason("must be a path below the folder of the recordings, or one of: {presets}", known))
    if "*" in str(path.parent) or any(one in text for one in "?[]|"):
        raise LayoutError(Reason("only the file's name may have *, and nothing may have ?, [, ] or |"))
    if not any(place in ("uniqueid", "client", "extension") for _, place, _, _ in parts):
        raise LayoutError(
            Reason("must have {uniqueid}, {client} or {extension} in it: else all calls had the same", _NAMES)
        )
    return (text,)


_NAMES = {"uniqueid": "{uniqueid}", "client": "{client}", "extension": "{extension}"}


def expand(templates: Sequence[str], known: Known, zone: tzinfo | None = None) -> str:
    """What is kept as the recording's path; "" where a name needs what is not known. `zone`: of the PBX (None: ours).

    Raises LayoutError."""
    at = datetime.fromtimestamp(known.started, UTC).astimezone(zone)
    values = {
        **{name: f"{getattr(at, name):02}" for name in PLACES[:6]},
        "uniqueid": re.sub(r"[^A-Za-z0-9._-]", "", known.uniqueid).strip("."),
        **{name: _OUTSIDE.sub("", getattr(known, name)) for name in PLACES[7:]},
    }
    patterns: list[str] = []
    for template in (one for text in templates for one in parse(text)):
        needed = {place for _, place, _, _ in Formatter().parse(template) if place is not None}
        if all(values[place] for place in needed):
            patterns.append(template.format_map(values))
    return SCHEME + "|".join(patterns) if patterns else ""


def is_layout(path: str) -> bool:
    return path.startswith(SCHEME)


def matching(path: str, folder: Folder) -> list[str]:
    """The names below the folder that fit, of the first pattern that any fit; the oldest first. Raises NotThere,
    Unreadable."""
    root = Path(os.path.realpath(folder.here))
    for pattern in path.removeprefix(SCHEME).split("|"):
        below = PurePosixPath(pattern)
        if below.is_absolute() or ".." in below.parts:
            continue
        place = Path(os.path.realpath(root / below.parent))
        if place.is_relative_to(root) and (found := _fitting(place, below.name)):
            return [str(below.parent / name) for name in found]
    tried = path.removeprefix(SCHEME).replace("|", ", ")
    raise NotThere(f"no recording of the call is below {folder.here}. Looked for: {tried}")


def _fitting(place: Path, pattern: str) -> list[str]:
    fits = re.compile(fnmatch.translate(pattern)).match
    found: list[tuple[float, str]] = []
    try:
        with os.scandir(place) as entries:
            for number, entry in enumerate(entries):
                if number >= MOST_NAMES or len(found) >= MOST_FOUND:
                    break
                if fits(entry.name) and entry.name.endswith(EXTENSIONS) and entry.is_file():
                    found.append((entry.stat().st_mtime, entry.name))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise Unreadable(f"{place} cannot be read: {error.strerror}. Let our user into its folders") from error
    return [name for _, name in sorted(found)]
