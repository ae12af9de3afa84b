"""The folder of converted prompts: what is in it, remembered over restarts; our own prompts; cleaning up.

`DATA_DIR/prompts/HASH.wav` are the company's, `ru/NAME.wav` and `en/NAME.wav` our own; `index.json` tells what was made of
what. Asterisk must be able to read all of it, so everybody may. Everything here blocks: call it in a thread.
"""

from __future__ import annotations

import json
import os
import sys
import time
import wave
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import structlog

from perezvon.rules.vocabulary import Reason

Key = tuple[str, str]
"""A sub-folder (`scenario`) and the name in the tables."""

Stamp = tuple[str, int, int] | tuple[()]

WORKER = (sys.executable, "-P", "-m", "perezvon.ivr.prompt_worker")
LANGUAGES = ("ru", "en")
SIGNS: Mapping[str, str] = {"*": "star", "#": "pound"}

DAY = 86400.0
KEPT_UNUSED = 90 * DAY
"""Seconds for which a prompt is kept that no scenario names any more."""
KEPT_REPLACED = DAY
"""... and a conversion that a newer one has replaced: somebody may be hearing it."""

INDEX = "index.json"
FORMAT = 1

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """`stamp`: path, time of change (ns) and bytes of the source when it was last looked at; empty: look again. `file`: the
    last good conversion, without ending; empty: none. `noticed`: when a scenario last named it (POSIX seconds)."""

    stamp: Stamp = ()
    file: str = ""
    seconds: float = 0.0
    noticed: float = 0.0
    trouble: Reason | None = None

    def changed(self, **changes: Any) -> Entry:
        return replace(self, **changes)

    def worth_saving(self, before: Entry | None) -> bool:
        """When a scenario last named it is not worth a write for each call."""
        return before is None or self.noticed - before.noticed > DAY or self != before.changed(noticed=self.noticed)


def lay_out(folder: Path, language: str) -> dict[str, float]:
    """Copies our own prompts; gives the seconds of each in this language. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    lengths: dict[str, float] = {}
    for tongue in LANGUAGES:
        (folder / tongue).mkdir(exist_ok=True)
        (folder / tongue).chmod(0o755)
        for sound in (files("perezvon.ivr") / "sounds" / tongue).iterdir():
            content, target = sound.read_bytes(), folder / tongue / sound.name
            if not target.exists() or target.read_bytes() != content:
                _write(target, content)
            if tongue == language:
                with wave.open(str(target), "rb") as file:
                    lengths[target.stem] = file.getnframes() / file.getframerate()
    if (closed := unreachable(folder)) is not None:
        log.warning("prompts cannot be reached by other users", folder=str(closed), fix=f"chmod o+x {closed}")
    return lengths


def unreachable(folder: Path) -> Path | None:
    """The first folder on the way that other users (Asterisk's) may not enter."""
    for place in (*reversed(folder.absolute().parents), folder):
        if not place.stat().st_mode & 0o001:
            return place
    return None


def load(folder: Path) -> dict[Key, Entry]:
    """What is not understood is forgotten: it will be looked at anew."""
    try:
        kept: Any = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        if kept["format"] != FORMAT:
            return {}
        return {(str(part), str(name)): _entry(fields) for part, name, fields in kept["prompts"]}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning(
            "the index of prompts cannot be read, all are looked at anew", file=str(folder / INDEX), error=str(error)
        )
        return {}


def _entry(fields: dict[str, Any]) -> Entry:
    trouble = fields["trouble"]
    return Entry(
        stamp=_stamp(fields["stamp"]),
        file=str(fields["file"]),
        seconds=float(fields["seconds"]),
        noticed=float(fields["noticed"]),
        trouble=None if trouble is None else Reason(trouble["text"], trouble["args"]),
    )


def _stamp(parts: list[Any]) -> Stamp:
    return (str(parts[0]), int(parts[1]), int(parts[2])) if parts else ()


def save(folder: Path, entries: Mapping[Key, Entry]) -> None:
    kept = {"format": FORMAT, "prompts": [[*key, asdict(entry)] for key, entry in entries.items()]}
    try:
        _write(folder / INDEX, json.dumps(kept, ensure_ascii=False, indent=0).encode())
    except OSError as error:
        log.warning("the index of prompts cannot be written", file=str(folder / INDEX), error=error.strerror)


def put_off(folder: Path, file: str) -> None:
    """It has been replaced: its day begins now."""
    path = folder / f"{file}.wav"
    try:
        os.utime(path)
    except OSError as error:  # then it is removed a little early
        log.warning("the time of a prompt cannot be set", file=str(path), error=error.strerror)


def tidy(folder: Path, entries: Mapping[Key, Entry]) -> dict[Key, Entry]:
    """Removes conversions that nobody names; gives the entries that are kept."""
    now = time.time()
    kept = {key: entry for key, entry in entries.items() if now - entry.noticed < KEPT_UNUSED}
    needed = {entry.file for entry in kept.values()}
    for path in folder.glob("*.wav*"):
        try:
            if path.name.partition(".")[0] not in needed and now - path.stat().st_mtime > KEPT_REPLACED:
                path.unlink(missing_ok=True)
                log.info("prompt removed, nobody names it", file=path.name)
        except OSError as error:
            log.warning("a prompt that nobody names cannot be removed", file=path.name, error=error.strerror)
    return kept


def _write(target: Path, content: bytes) -> None:
    part = target.with_name(f"{target.name}.new")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.chmod(0o644)
    part.replace(target)
