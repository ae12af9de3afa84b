"""From what the PBX calls a recording to the file as we see it. Reads nothing of its content.

The PBX may tell a full path (`MIXMONITOR_FILENAME`), a name below its monitor folder, a name without extension or dated
folder (FreePBX's `CALLFILENAME`), or the whole argument of `MixMonitor` with its options.
Source: https://docs.asterisk.org/Asterisk_22_Documentation/API_Documentation/Dialplan_Applications/MixMonitor/
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

from perezvon.recordings.errors import NotThere, OutsideFolder, Unreadable

EXTENSIONS = (
    *(".wav", ".WAV", ".wav49", ".wav16", ".mp3", ".gsm", ".ulaw", ".ul", ".pcm", ".alaw", ".al"),
    *(".sln", ".sln12", ".sln16", ".sln24", ".sln32", ".sln44", ".sln48", ".sln96", ".sln192", ".ogg", ".flac"),
)
"""In the order in which they are tried; Asterisk writes `wav49` into `.WAV`."""

_DATE = re.compile(r"(?<!\d)(20\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?!\d)")
_UNIQUEID = re.compile(r"(?<!\d)(\d{10})\.\d+")
_ESCAPED = re.compile(r"\\(.)")
_C_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


@dataclass(frozen=True, slots=True)
class Folder:
    """`here`: the recordings' folder as this machine sees it. `there`: the same folder in the PBX's words, when they differ
    (a share mounted from another machine), e.g. `/var/spool/asterisk/monitor`."""

    here: Path
    there: str = ""


def find(name: str, folder: Folder) -> Path:
    """The file that the PBX calls `name`: a regular file below `folder.here`, links followed.

    Raises NotThere, OutsideFolder, Unreadable.
    """
    tried: list[Path] = []
    outside: list[str] = []
    root = Path(os.path.realpath(folder.here))
    for spelling in _spellings(name):
        relative = _relative(spelling, folder)
        if relative is None:
            outside.append(spelling)
            continue
        for candidate in _candidates(root, relative):
            real = Path(os.path.realpath(candidate))
            if not real.is_relative_to(root):
                outside.append(str(candidate))
            elif candidate not in tried:
                tried.append(candidate)
                if _is_file(real):
                    return real
    if outside and (not tried or _exists(outside)):
        raise OutsideFolder(
            f"the recording {name!r} lies outside the recordings' folder {folder.here}"
            f"{f' (on the PBX: {folder.there})' if folder.there else ''} and was not opened. If the PBX names another "
            "folder for the same files, set that as the path mapping; a link that leads out of the folder is not followed"
        )
    if not root.is_dir():
        raise NotThere(
            f"the recordings' folder {folder.here} is not there (or not mounted), so {name!r} cannot be looked for"
        )
    shown = ", ".join(str(place) for place in tried[:6])
    more = f" and {len(tried) - 6} more" if len(tried) > 6 else ""
    raise NotThere(f"the recording {name!r} is not there. Tried: {shown or 'nothing, for the name is empty'}{more}")


def _spellings(name: str) -> Iterator[str]:
    """As given; without MixMonitor's options (`file.wav,b,command`); and as before AMI escaped quotes and backslashes."""
    name = name.strip()
    for spelling in (name, name.partition(",")[0]):
        yield spelling
        if "\\" in spelling:
            yield _ESCAPED.sub(lambda found: _C_ESCAPES.get(found[1], found[1]), spelling)


def _relative(name: str, folder: Folder) -> PurePosixPath | None:
    """The path below the folder, or None when it is surely outside."""
    if "\0" in name:
        return None
    path = PurePosixPath(name)
    if path.is_absolute():
        for root in filter(None, (folder.there, str(folder.here), os.path.realpath(folder.here))):
            if path.is_relative_to(root):
                path = path.relative_to(root)
                break
        else:
            return None
    return None if ".." in path.parts else path


def _candidates(root: Path, relative: PurePosixPath) -> Iterator[Path]:
    if not relative.name:
        return
    known = relative.suffix in EXTENSIONS
    names = [relative.name]
    stem = relative.stem if known else relative.name
    names += [stem + extension for extension in EXTENSIONS if stem + extension != relative.name]
    folders = [relative.parent]
    if relative.parent == PurePosixPath():
        folders += _dated_folders(relative.name)
    for below in folders:
        for name in names:
            yield root / below / name


def _dated_folders(name: str) -> list[PurePosixPath]:
    """FreePBX writes into YYYY/MM/DD; its names bear the date and the uniqueid. The PBX's time zone is not known."""
    days = [f"{year}/{month}/{day}" for year, month, day in _DATE.findall(name)]
    for seconds in _UNIQUEID.findall(name):
        moment = datetime.fromtimestamp(int(seconds), UTC)
        days += [f"{moment + timedelta(hours=hours):%Y/%m/%d}" for hours in (0, 14, -12)]
    return [PurePosixPath(day) for day in dict.fromkeys(days)]


def _is_file(path: Path) -> bool:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False
    except PermissionError as error:
        raise Unreadable(f"{path} cannot be looked at: {error.strerror}. Let our user into its folders") from error
    except OSError:
        return False
    try:
        path.open("rb").close()
    except PermissionError as error:
        raise Unreadable(
            f"{path} may not be read by our user: add it to the group of Asterisk, and let Asterisk write with umask 027"
        ) from error
    except OSError as error:
        raise Unreadable(f"{path} cannot be opened: {error.strerror}") from error
    return True


def _exists(names: list[str]) -> bool:
    return any("\0" not in name and Path(name).exists() for name in names)
