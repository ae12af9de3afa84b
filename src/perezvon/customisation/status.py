"""How the hooks are doing, for the status page, the metrics and the doctor. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from perezvon.rules.vocabulary import Reason


@dataclass(frozen=True, slots=True)
class PointStatus:
    """`place`: `hooks.py:12`. `on`: not switched off in the settings. `until`: it is left alone until then (POSIX seconds),
    because it did not answer several times in a row; None when it is asked. `asked`, `failed`: since the service started;
    `last_error` of the newest failure, at `last_error_at`."""

    name: str
    place: str = ""
    on: bool = True
    until: float | None = None
    asked: int = 0
    changed: int = 0
    cancelled: int = 0
    failed: int = 0
    last_error: str = ""
    last_error_at: float | None = None


@dataclass(frozen=True, slots=True)
class CustomisationStatus:
    """`points`: those for which there is a function. `troubles`: of the files, each with what to do. `loaded`: when."""

    folder: str = ""
    points: tuple[PointStatus, ...] = ()
    troubles: tuple[tuple[Reason, Reason], ...] = ()
    loaded: float | None = None
