"""The two sides of a talk, of which MixMonitor writes a file each beside the mixed one (its options r and t). Names only.

Source: https://docs.asterisk.org/Asterisk_22_Documentation/API_Documentation/Dialplan_Applications/MixMonitor/
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True, slots=True)
class Sides:
    """Where the files of a recording's sides are, seen from its folder: `{stem}` and `{ext}` are the recording's name.

    `received`: what came in on the recorded leg, `sent`: what went out. `caller`: the recorded leg is that of whoever
    called, so that `received` is the employee in an outgoing call; else it is always the client."""

    received: str = "client/{stem}{ext}"
    sent: str = "employee/{stem}{ext}"
    caller: bool = False

    def beside(self, recording: Path, root: Path) -> tuple[Path, Path] | None:
        """Both files, where both are there: regular files below `root`, links followed."""
        found = self.there(recording, root)
        return (found[0], found[1]) if len(found) == 2 else None

    def there(self, recording: Path, root: Path) -> list[Path]:
        """As `beside`, also one of them alone."""
        found: list[Path] = []
        for pattern in (self.received, self.sent):
            told = pattern.replace("{stem}", recording.stem).replace("{ext}", recording.suffix)
            real = Path(os.path.realpath(recording.parent / told))
            if not unfit(pattern) and real.is_relative_to(os.path.realpath(root)) and real.is_file():
                found.append(real)
        return found


def unfit(pattern: str) -> bool:
    """Whether it may lead out of the recording's folder, or to the same file for all."""
    path = PurePosixPath(pattern)
    return path.is_absolute() or ".." in path.parts or "\0" in pattern or "{stem}" not in pattern
