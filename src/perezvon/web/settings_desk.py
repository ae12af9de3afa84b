"""The port through which the pages read and save settings. Light: imported before the pages' server is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from perezvon.customisation import Fate, Point
from perezvon.rules.number_trial import NumberTrial
from perezvon.rules.vocabulary import Reason
from perezvon.settings.model import Settings
from perezvon.settings.store import HistoryEntry, Saved, Version
from perezvon.web.settings_offers import Offers


@dataclass(frozen=True, slots=True)
class TaskPreview:
    """What the task of missed calls would say after `count` of them. `text`: of the task itself after the first one, else
    the comment. `deadline`: minutes; 0 for none."""

    count: int
    title: str
    text: str
    important: bool
    deadline: float


@dataclass(frozen=True, slots=True)
class PointTrial:
    """What an integrator's function made of a stored call. `changed`: what is different after it, in a line."""

    fate: Fate
    changed: str
    note: Reason | None
    printed: str
    seconds: float


class NothingToTry(Exception):
    def __init__(self, reason: Reason) -> None:
        super().__init__(str(reason))
        self.reason = reason


class SettingsDesk(Protocol):
    """Implemented by the service. All raise SettingsError and storage.Unavailable; settings have the address of our own
    database in them, which the versions themselves do not hold."""

    async def now(self) -> Version:
        """The newest version; id 0 while nothing has been saved."""
        ...

    async def version(self, number: int) -> Version:
        """An earlier one. Raises NoSuchVersion, KeyLost."""
        ...

    async def history(self, limit: int, before: int | None = None) -> list[HistoryEntry]:
        """Newest first. `before`: older than this version."""
        ...

    async def check(self, before: Settings, after: Settings) -> list[Reason]:
        """Warnings about what only the portal knows; asks it for some seconds where it has to. Raises InvalidSettings."""
        ...

    async def save(self, on: Version, after: Settings, who: str, note: str) -> Saved:
        """Raises SavedMeanwhile when `on` is not the newest version any more."""
        ...

    async def offers(self, *, crm: bool) -> Offers:
        """What the portals know that settings can name: as they told it last; `crm`: fields and sources too, for which
        portals that have never been asked are asked, for some seconds."""
        ...

    def seal(self, plain: bytes) -> bytes: ...

    def unseal(self, sealed: bytes) -> bytes:
        """Raises KeyLost for what we have not sealed."""
        ...

    def try_number(self, settings: Settings, number: str, line: str) -> NumberTrial:
        """What number rules make of it; `line` may be ""."""
        ...

    def preview_tasks(self, settings: Settings) -> tuple[TaskPreview, ...]:
        """On an example."""
        ...

    async def try_point(self, point: Point, call: str) -> list[PointTrial]:
        """With the saved settings; `call` "": the newest one. Empty: the function would not have been asked. What it does
        by itself is done. Raises NothingToTry."""
        ...
