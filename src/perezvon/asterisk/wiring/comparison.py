"""What stands in our folder, and what should: compared, and shown as a diff in which no secret is seen. Changes nothing.

`.installed.json` in the folder tells what we wrote there, so that a file changed by hand is known.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from perezvon.asterisk.wiring.render import FOLDER

RECORD = ".installed.json"
MASK = "********"

_SECRET_LINE = re.compile(r"^(\s*(?:secret|password|md5_cred)\s*=>?\s*)(.*)$")

Contents = Mapping[str, bytes]
"""Name below our folder (`extensions.conf`, `sounds/busy.wav`) -> what it holds."""


class State(StrEnum):
    SAME = "same"
    NEW = "new"
    CHANGED = "changed"
    GONE = "gone"
    """Written by an earlier version or with other settings, and not wanted any more."""


@dataclass(frozen=True, slots=True)
class Change:
    """`foreign`: what is there now was changed by hand, or is not ours."""

    name: str
    state: State
    before: bytes | None
    after: bytes | None
    foreign: bool

    def __repr__(self) -> str:
        return f"Change({self.name}, {self.state}{', foreign' if self.foreign else ''})"


def compare(etc: Path, wanted: Contents) -> list[Change]:
    """In the order of `wanted`; what is gone comes last."""
    folder = etc / FOLDER
    ours = recorded(folder)
    changes = [_change(folder, name, ours.get(name), after) for name, after in wanted.items()]
    gone = [_change(folder, name, digest, None) for name, digest in ours.items() if name not in wanted]
    return changes + [change for change in gone if change.before is not None]


def _change(folder: Path, name: str, digest: str | None, after: bytes | None) -> Change:
    try:
        before = (folder / name).read_bytes()
    except FileNotFoundError:
        return Change(name, State.NEW, None, after, foreign=False)
    state = State.SAME if before == after else State.GONE if after is None else State.CHANGED
    return Change(name, state, before, after, foreign=before != after and digest_of(before) != digest)


def recorded(folder: Path) -> dict[str, str]:
    """Name -> digest of what we wrote last; empty when nothing was, or it cannot be read (then all is foreign)."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return {str(name): str(digest) for name, digest in record["files"].items()}
    except (OSError, ValueError, LookupError, AttributeError, TypeError):
        return {}


def digest_of(contents: bytes) -> str:
    return hashlib.sha256(contents).hexdigest()


def unified(changes: Iterable[Change]) -> str:
    """The diff; sounds are told by their size."""
    return "".join(_unified(change) for change in changes if change.state is not State.SAME)


def _unified(change: Change) -> str:
    name = f"{FOLDER}/{change.name}"
    if not change.name.endswith(".conf"):
        sizes = [f"{len(data)} bytes" if data is not None else "nothing" for data in (change.before, change.after)]
        return f"{name}: {sizes[0]} -> {sizes[1]}\n"
    before, after = _lines(change.before), _lines(change.after)
    old = set(before)
    shown_before = [_masked(line) for line in before]
    shown_after = [_masked(line, other=line not in old) for line in after]
    titles = ("/dev/null" if change.before is None else name, "/dev/null" if change.after is None else name)
    return "".join(difflib.unified_diff(shown_before, shown_after, *titles))


def _lines(contents: bytes | None) -> list[str]:
    return [] if contents is None else contents.decode("utf-8", "backslashreplace").splitlines(keepends=True)


def _masked(line: str, *, other: bool = False) -> str:
    """`other`: it is not the one that stood there; masks would look the same."""
    found = _SECRET_LINE.match(line.rstrip("\n"))
    return line if found is None else f"{found[1]}{MASK}{' (another)' if other else ''}\n"
