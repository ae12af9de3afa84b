"""From a prompt's name in the company's tables to its file below the sounds folder. Looks at names, opens nothing.

The names come out of a database that others write into, so none of them may lead out of the folder: no absolute path, no
`..`, no link. Source: document 004 (`scenario/{scenarioMsg}`, `keyNum/{keyNum}.mp3`, `msgMp3/{msgMp3}`, any ending).
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path, PurePosixPath

from perezvon.recordings.errors import NotThere, OutsideFolder, Unreadable

ENDINGS = (
    *(".wav", ".mp3", ".ogg", ".oga", ".opus", ".flac", ".aiff", ".aif", ".au"),
    *(".gsm", ".ulaw", ".ul", ".alaw", ".al", ".sln", ".sln16", ".wav49", ".m4a"),
)
"""In the order in which they are tried. That of a file we cannot decode stands here to be told apart from "not there"."""


class Part(StrEnum):
    """The sub-folders of the sounds folder."""

    INTRO = "scenario"
    KEY = "keyNum"
    MESSAGE = "msgMp3"


def find_prompt(root: Path, part: Part, name: str) -> Path:
    """A regular file below `root`. Raises NotThere, OutsideFolder, Unreadable."""
    told = f"{part}/{name}"
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise OutsideFolder(f"{told} leads out of the sounds folder {root}: it is not opened")
    root = Path(os.path.realpath(root))
    if not root.is_dir():
        raise NotThere(f"the sounds folder {root} is not there, or not mounted")
    for spelled in _spellings(part, path.name):
        try:
            found = _descend(root, PurePosixPath(part) / path.parent / spelled)
        except PermissionError as error:
            raise Unreadable(f"{told}: {error.filename} may not be read: {error.strerror}") from error
        if found is not None:
            return found
    raise NotThere(f"{told} is not in the sounds folder {root}, with any of the endings {', '.join(ENDINGS[:4])}…")


def _spellings(part: Part, name: str) -> Iterator[str]:
    """A key's recording may be called `*` or `star`, `#` or `pound`."""
    yield name
    if part is Part.KEY and any(sign in name for sign in "*#"):
        yield name.replace("*", "star").replace("#", "pound")


def _descend(root: Path, relative: PurePosixPath) -> Path | None:
    """The last part may lack its ending or have another one; the others are folders. Letters' case does not matter where
    there is only one such name; an accent may be written in either way of Unicode."""
    here = root
    for name in relative.parent.parts:
        inside = _named(here, [name], folder=True)
        if inside is None:
            return None
        here = inside
    name = relative.name
    stem = PurePosixPath(name).stem if PurePosixPath(name).suffix.lower() in ENDINGS else name
    return _named(here, [name, *(stem + ending for ending in ENDINGS)], folder=False)


def _named(inside: Path, wanted: Sequence[str], *, folder: bool) -> Path | None:
    """The first of the wanted names that is there: as it is written, else in other letters. Raises OutsideFolder for a
    link, OSError."""
    exactly, nearly = dict[str, os.DirEntry[str]](), dict[str, os.DirEntry[str]]()
    try:
        with os.scandir(inside) as entries:
            for entry in entries:
                if entry.is_symlink() or (entry.is_dir() if folder else entry.is_file()):
                    exactly[entry.name] = nearly[_plain(entry.name)] = entry
    except FileNotFoundError:
        return None
    found = next((entry for name in wanted if (entry := exactly.get(name) or nearly.get(_plain(name)))), None)
    if found is None:
        return None
    if found.is_symlink():
        raise OutsideFolder(f"{found.path} is a link, which is not followed: put the recording itself there")
    return Path(found.path)


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
