"""Where in a TOML file a setting stands. The parser of the standard library does not tell, so the file is read a second
time, roughly: headers and keys at the beginnings of lines. Good for pointing at a line, not for reading values. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

Path = tuple[str | int, ...]

_TABLE = re.compile(r"\s*\[(?P<array>\[)?\s*(?P<name>[A-Za-z0-9_.\"' -]+?)\s*\]")
_KEY = re.compile(r"\s*(?P<name>[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')\s*(\.|=)")


def line_of(text: str, path: Sequence[str | int]) -> int | None:
    """The number (from 1) of the line where the setting stands, else of the nearest thing around it, else None."""
    places = _places(text)
    wanted = tuple(path)
    while wanted:
        if wanted in places:
            return places[wanted]
        wanted = wanted[:-1]
    return None


def _places(text: str) -> dict[Path, int]:
    places: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    fence = ""
    for number, line in enumerate(text.splitlines(), 1):
        if fence:
            if fence in line:
                fence = ""
            continue
        if header := _TABLE.match(line):
            table = tuple(part.strip().strip("\"'") for part in header["name"].split("."))
            if header["array"]:
                counts[table] = counts.get(table, -1) + 1
                places.setdefault(table, number)
                table = (*table, counts[table])
            places.setdefault(table, number)
        elif key := _KEY.match(line):
            places.setdefault((*table, key["name"].strip("\"'")), number)
            fence = next((quotes for quotes in ('"""', "'''") if line.count(quotes) == 1), "")
    return places
