"""Writes our files into a configuration, and takes them back bit by bit.

Before anything is replaced, what was there is copied to `perezvon/.before/TIME/`, with a record of what was done. Files are
put in place whole (written beside, then renamed), mode 0640, of the folder's own user and group.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from perezvon.asterisk.wiring.comparison import RECORD, Change, Contents, State, compare, digest_of
from perezvon.asterisk.wiring.errors import HandChanged, NoSuchFolder, NothingToUndo
from perezvon.asterisk.wiring.includes import Include
from perezvon.asterisk.wiring.render import FOLDER
from perezvon.rules.vocabulary import Reason

BEFORE = ".before"
STEP = "step.json"
MODE = 0o640


@dataclass(frozen=True, slots=True)
class Undone:
    """`left`: files of the configuration that were changed since, from which only our lines were taken out."""

    restored: tuple[str, ...]
    left: tuple[str, ...]


def install(
    etc: Path, wanted: Contents, add: Sequence[Include] = (), *, force: bool = False, now: datetime | None = None
) -> list[Change]:
    """Writes what differs, and adds the lines of `add` that are not there. Gives what was changed.

    Raises HandChanged (unless `force`), NoSuchFolder, OSError.
    """
    if not etc.is_dir():
        raise NoSuchFolder(
            Reason("there is no folder {folder}: name that of Asterisk's configuration", {"folder": str(etc)})
        )
    changes = [change for change in compare(etc, wanted) if change.state is not State.SAME]
    missing = [include for include in add if not include.there]
    refuse_foreign(changes, force=force)
    if not changes and not missing:
        return []
    folder = etc / FOLDER
    _make(folder, etc)
    copies = _place_for_copies(folder, now or datetime.now(UTC))
    record = folder / RECORD
    step: dict[str, Any] = {
        "record": record.read_text(encoding="utf-8") if record.exists() else None,
        "files": {
            change.name: None if change.before is None else _copied(copies, change.name, change.before)
            for change in changes
        },
        "written": {change.name: digest_of(change.after) for change in changes if change.after is not None},
        "lines": {},
    }
    for include in missing:
        step["lines"][include.file] = _added(etc, include, copies)
    _write(copies / STEP, json.dumps(step, indent=1).encode(), etc)
    for change in changes:
        _put(folder / change.name, change.after, etc)
    _write(record, json.dumps({"files": {name: digest_of(data) for name, data in wanted.items()}}, indent=1).encode(), etc)
    return changes


def refuse_foreign(changes: Iterable[Change], *, force: bool) -> None:
    """Raises HandChanged."""
    foreign = [f"{FOLDER}/{change.name}" for change in changes if change.foreign]
    if foreign and not force:
        files = {"files": ", ".join(foreign)}
        raise HandChanged(Reason("changed by hand, or not ours: {files}. Look at the diff; --force replaces them", files))


def undo(etc: Path, *, force: bool = False) -> Undone:
    """Takes back the last installation. Raises NothingToUndo, HandChanged (unless `force`), OSError."""
    folder = etc / FOLDER
    steps = sorted((folder / BEFORE).glob(f"*/{STEP}")) if folder.is_dir() else []
    if not steps:
        raise NothingToUndo(Reason("nothing was installed in {folder}, or it was taken back", {"folder": str(folder)}))
    copies = steps[-1].parent
    step = cast("Mapping[str, Any]", json.loads(steps[-1].read_text(encoding="utf-8")))
    changed = [name for name, digest in step["written"].items() if not _holds(folder / name, digest)]
    if changed and not force:
        files = {"files": ", ".join(f"{FOLDER}/{name}" for name in changed)}
        raise HandChanged(Reason("changed by hand, or not ours: {files}. Look at the diff; --force replaces them", files))
    left = [file for file, line in step["lines"].items() if not _taken_out(etc, file, line, copies)]
    for name, copy in step["files"].items():
        _put(folder / name, None if copy is None else (copies / copy).read_bytes(), etc)
    record = folder / RECORD
    _put(record, None if step["record"] is None else step["record"].encode(), etc)
    shutil.rmtree(copies)
    for emptied in (folder / BEFORE, folder / "sounds", folder):
        if emptied.is_dir() and not any(emptied.iterdir()):
            emptied.rmdir()
    restored = [f"{FOLDER}/{name}" for name in step["files"]]
    return Undone((*restored, *(file for file in step["lines"] if file not in left)), tuple(left))


def _added(etc: Path, include: Include, copies: Path) -> dict[str, Any]:
    """Adds our line at the end of a file of the configuration, and keeps the file as it was."""
    path = etc / include.file
    before = path.read_bytes() if path.exists() else None
    copy = None if before is None else _copied(copies, f"etc-{include.file}", before)
    gap = b"" if before is None or before.endswith(b"\n") or not before else b"\n"
    added = gap + (b"\n" if before else b"") + include.text.encode() + b"\n"
    after = (before or b"") + added
    _write(path, after, etc)
    return {"copy": copy, "digest": digest_of(after), "text": include.text}


def _taken_out(etc: Path, file: str, line: Mapping[str, Any], copies: Path) -> bool:
    """False when the file was changed since: then our lines alone are taken out."""
    path = etc / file
    if _holds(path, line["digest"]):
        _put(path, None if line["copy"] is None else (copies / line["copy"]).read_bytes(), etc)
        return True
    if path.exists():
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
        without = text.replace(f"{line['text']}\n", "", 1)
        _write(path, without.encode("utf-8", "surrogateescape"), etc)
    return False


def _holds(path: Path, digest: str) -> bool:
    return path.is_file() and digest_of(path.read_bytes()) == digest


def _copied(copies: Path, name: str, contents: bytes) -> str:
    copy = name.replace("/", "-")
    _write(copies / copy, contents, copies)
    return copy


def _place_for_copies(folder: Path, now: datetime) -> Path:
    _make(folder / BEFORE, folder)
    stamp = now.strftime("%Y-%m-%dT%H-%M-%S.%f")
    place = folder / BEFORE / stamp
    _make(place, folder)
    return place


def _put(path: Path, contents: bytes | None, like: Path) -> None:
    if contents is None:
        path.unlink(missing_ok=True)
        return
    if not path.parent.exists():
        _make(path.parent, like)
    _write(path, contents, like)


def _make(folder: Path, like: Path) -> None:
    if not folder.exists():
        folder.mkdir(mode=0o750)
        _owned(folder, like)


def _write(path: Path, contents: bytes, like: Path) -> None:
    """`like`: whose user and group it gets, unless it is there already."""
    target = Path(os.path.realpath(path))
    beside = target.with_name(f".{target.name}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, MODE)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), target.stat().st_mode & 0o7777 if target.exists() else MODE)
        file.write(contents)
        file.flush()
        os.fsync(file.fileno())
    _owned(beside, target if target.exists() else like)
    beside.replace(target)


def _owned(path: Path, like: Path) -> None:
    """Asterisk must read it. Who is not root can give nothing away: then it stays his."""
    wanted = like.stat()
    if os.geteuid() == 0:
        os.chown(path, wanted.st_uid, wanted.st_gid)
