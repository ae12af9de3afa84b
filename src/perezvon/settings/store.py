"""The saved versions of the settings: who changed what and when, undo, and telling the running parts about a change.

A version is a row of `setting_version`: JSON of what is named, secrets sealed, with the `version` of the format. Nothing is
ever changed in a row; undo saves an older body anew. The address of the database itself is not kept here (place.py).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.rules.vocabulary import Reason
from perezvon.settings.changes import Change, changes
from perezvon.settings.errors import KeyLost, SettingsError
from perezvon.settings.load import Named, dumped, merged, settings_from
from perezvon.settings.model import Settings
from perezvon.settings.secrets import SecretBox
from perezvon.settings.upgrade import VERSION, upgraded
from perezvon.storage import settings as versions
from perezvon.storage.database import Database
from perezvon.storage.errors import Unavailable
from perezvon.storage.settings import SettingVersion

Listener = Callable[[Settings, Settings], Awaitable[None]]
"""Called with the settings before and after."""

EMPTY = Settings()

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Version:
    """A saved version. `id` 0: nothing has been saved yet. `at`: POSIX seconds, UTC."""

    id: int
    at: float
    who: str
    note: str
    settings: Settings


NOTHING = Version(0, 0.0, "", "", EMPTY)


@dataclass(frozen=True, slots=True)
class Saved:
    """What a save did. Without `changes` no version was added, and `version` is the one that was there."""

    version: Version
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of the history: a version and what it changed against the one before it; `changes` is None where the key of
    one of the two is lost."""

    id: int
    at: float
    who: str
    note: str
    changes: tuple[Change, ...] | None

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "at": datetime.fromtimestamp(self.at, UTC).isoformat(timespec="seconds"),
            "who": self.who,
            "note": self.note,
            "changes": None if self.changes is None else [change.as_json() for change in self.changes],
        }


class SettingsStore:
    """The settings of one installation. Its owner runs `follow` so that saves of other processes are noticed."""

    def __init__(self, database: Database, box: SecretBox, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._box = box
        self._clock = clock
        self._listeners: list[Listener] = []
        self._wake = asyncio.Event()
        self._told = asyncio.Lock()
        self.current: Version = NOTHING

    async def load(self) -> Version:
        """Reads the newest version (or NOTHING) into `current`. Raises KeyLost, InvalidSettings, Unavailable."""
        async with self._database.read() as conn:
            self.current = self._version(await versions.latest(conn))
        return self.current

    async def apply(self, new: Settings, who: str, note: str = "", *, on: int | None = None) -> Saved:
        """Saves `new` as a whole; the same content makes no new version. Works also when the key of the earlier version is
        lost. `on`: the version that it was made of; raises SavedMeanwhile when that is not the newest any more."""
        return await self._save(lambda _: new, who, note, blindly=True, on=on)

    async def merge(self, named: Named, who: str, note: str = "", *, text: str = "", source: str = "") -> Saved:
        """Saves what `named` names, the rest stays (load.merged). Raises InvalidSettings."""
        return await self._save(lambda current: merged(current, named, text=text, source=source), who, note)

    async def change(self, make: Callable[[Settings], Settings], who: str, note: str = "") -> Saved:
        """Saves what `make` makes of the newest settings: nobody saves in between. Raises what `make` raises."""
        return await self._save(make, who, note)

    async def preview(self, named: Named, *, text: str = "", source: str = "") -> tuple[Change, ...]:
        """What `merge` would change. Saves nothing."""
        async with self._database.read() as conn:
            current = self._version(await versions.latest(conn)).settings
        return tuple(changes(current, merged(current, named, text=text, source=source)))

    async def undo(self, who: str, to: int | None = None) -> Saved:
        """Saves version `to` anew; by default the one before the present one. Raises NoSuchVersion."""
        async with self._database.read() as conn:
            newest = await versions.latest(conn)
            if newest is None:
                raise NoSuchVersion(Reason("there is nothing to undo: no settings have been saved yet"))
            if to is None:
                earlier = await versions.history(conn, 1, before=newest.id)
                to = earlier[0].id if earlier else 0
            found = await versions.get(conn, to)
        if found is None and to:
            raise NoSuchVersion(Reason("there is no version {id} of the settings", {"id": str(to)}))
        wanted = self._version(found)
        return await self._save(lambda _: wanted.settings, who, f"undo: back to version {wanted.id}")

    async def get(self, version: int) -> Version:
        """0: before anything was saved. Raises NoSuchVersion, KeyLost."""
        if not version:
            return NOTHING
        async with self._database.read() as conn:
            found = await versions.get(conn, version)
        if found is None:
            raise NoSuchVersion(Reason("there is no version {id} of the settings", {"id": str(version)}))
        return self._version(found)

    async def history(self, limit: int = 50, before: int | None = None) -> list[HistoryEntry]:
        """Newest first. `before`: older than this version."""
        async with self._database.read() as conn:
            ids = [entry.id for entry in await versions.history(conn, limit + 1, before)]
            rows = [row for one in ids if (row := await versions.get(conn, one)) is not None]
        contents = [self._content(row) for row in rows] + [EMPTY]
        return [
            HistoryEntry(row.id, row.at, row.who, row.note, tuple(changes(old, new)) if old and new else None)
            for row, new, old in zip(rows[:limit], contents, contents[1:], strict=False)
        ]

    def listen(self, listener: Listener) -> None:
        """`listener` is called after each change, in the order of registration; one that fails is logged, others go on."""
        self._listeners.append(listener)

    def wake(self) -> None:
        """Look for a new version now (SIGHUP)."""
        self._wake.set()

    async def follow(self, interval: float = 1.0) -> None:
        """Notices versions that other processes saved, `interval` seconds at most after it. Runs until cancelled."""
        readable = True
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(interval):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self.refresh()
            except (Unavailable, SettingsError):
                if readable:
                    log.exception("settings: readable -> unreadable, the earlier ones stay")
                readable = False
            else:
                if not readable:
                    log.info("settings: unreadable -> readable")
                readable = True

    async def refresh(self) -> Version:
        """Reads the newest version when there is one, and tells the listeners."""
        async with self._told:
            async with self._database.read() as conn:
                newest = await versions.latest(conn)
            if (newest.id if newest else 0) == self.current.id:
                return self.current
            found = self._version(newest)
            before, self.current = self.current, found
            log.info(
                "settings: changed", version=found.id, who=found.who, changes=len(changes(before.settings, found.settings))
            )
            for listener in self._listeners:
                try:
                    await listener(before.settings, found.settings)
                except Exception:
                    log.exception("settings: a part did not take the change", part=getattr(listener, "__qualname__", "?"))
            return found

    async def _save(
        self, make: Callable[[Settings], Settings], who: str, note: str, *, blindly: bool = False, on: int | None = None
    ) -> Saved:
        async def work(conn: AsyncConnection) -> Saved:
            row = await versions.latest(conn)
            if on is not None and on != (row.id if row else 0):
                raise SavedMeanwhile(Reason("somebody else has saved the settings meanwhile"))
            try:
                before = self._version(row)
            except KeyLost:
                if not blindly:
                    raise
                before = NOTHING
            after = without_place(make(before.settings))
            found = tuple(changes(before.settings, after))
            if before.id and not found:
                return Saved(before, ())
            at = self._clock()
            added = await versions.save(conn, at=at, who=who[:200], note=note, body=self._body(after))
            return Saved(Version(added, at, who, note, after), found)

        saved = await self._database.write(work)
        await self.refresh()
        return saved

    def _content(self, row: SettingVersion) -> Settings | None:
        try:
            return self._version(row).settings
        except KeyLost:
            return None

    def _body(self, settings: Settings) -> str:
        named = {"version": VERSION, **dumped(settings, self._box.sealed_secret)}
        return json.dumps(named, ensure_ascii=False)

    def _version(self, row: SettingVersion | None) -> Version:
        if row is None:
            return NOTHING
        named = upgraded(json.loads(row.body))
        settings = settings_from(named, source=f"setting_version {row.id}", unseal=self._box.unsealed_text)
        return Version(row.id, row.at, row.who, row.note, settings)


class NoSuchVersion(SettingsError):
    pass


class SavedMeanwhile(SettingsError):
    """The settings are not those any more that a change was made of: look at what both want."""


def without_place(settings: Settings) -> Settings:
    """The settings without the address of the database, which is kept elsewhere."""
    if settings.database.url is None:
        return settings
    named = {key: value for key, value in dumped(settings, lambda secret: secret.raw).items() if key != "database"}
    return settings_from(named)
