"""Which one line goes where, so that Asterisk reads our files: in a plain configuration, and in FreePBX's, whose main files
belong to FreePBX and include `…_custom.conf`. Reads the configuration, changes nothing.

`#tryinclude`: without our folder Asterisk starts all the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from perezvon.asterisk.wiring.render import FOLDER, NAMES

FREEPBX_FILES = ("extensions_additional.conf", "extensions_override_freepbx.conf")

_CUSTOM = {
    "extensions.conf": "extensions_custom.conf",
    "features.conf": "features_applicationmap_custom.conf",
    "confbridge.conf": "confbridge_custom.conf",
    "musiconhold.conf": "musiconhold_custom.conf",
    "indications.conf": "indications_custom.conf",
    "pjsip.conf": "pjsip_custom.conf",
    "manager.conf": "manager_custom.conf",
    "ari.conf": "ari_additional_custom.conf",
}


@dataclass(frozen=True, slots=True)
class Include:
    """For our file `name`, `file` of the configuration gets `text` (a line, or a header and a line) at its end.

    `there`: it has it. `reached`: Asterisk reads that file: of FreePBX's, its main file includes it.
    """

    name: str
    file: str
    text: str
    there: bool
    reached: bool


def is_freepbx(etc: Path) -> bool:
    return any((etc / name).exists() for name in FREEPBX_FILES)


def includes(etc: Path, *, freepbx: bool) -> tuple[Include, ...]:
    """One for each of our files, in their order."""
    return tuple(_include(etc, name, freepbx) for name in NAMES)


def _include(etc: Path, name: str, freepbx: bool) -> Include:
    file = _CUSTOM[name] if freepbx else name
    line = f"#tryinclude {FOLDER}/{name}"
    text = f"[applicationmap]\n{line}" if name == "features.conf" and not freepbx else line
    pattern = rf"^\s*#(try)?include\s+[\"<]?(\S*/)?{re.escape(f'{FOLDER}/{name}')}[\">]?\s*(;.*)?$"
    there = re.search(pattern, _read(etc / file), re.MULTILINE) is not None
    reached = (
        not freepbx or re.search(rf"^\s*#(try)?include\s+\"?{re.escape(file)}", _read(etc / name), re.MULTILINE) is not None
    )
    return Include(name, file, text, there, reached)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return ""
