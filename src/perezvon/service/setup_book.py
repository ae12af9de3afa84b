"""What the wizard of the first run remembers: marks and drafts of its steps; and how it saves settings.

A draft may hold a secret: it is sealed as those of the settings are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from perezvon.settings.errors import InvalidSettings, KeyLost
from perezvon.settings.load import dumped, merged, plainly
from perezvon.settings.model import Settings
from perezvon.settings.secrets import SecretBox
from perezvon.settings.store import SettingsStore
from perezvon.storage import setup
from perezvon.storage.database import Database
from perezvon.web.setup_desk import Place, Unfit

NOTE = "wizard: {step}"

Entries = list[dict[str, Any]]


class SetupBook:
    """`store`: where the settings are; the running house follows it."""

    def __init__(self, database: Database, box: SecretBox, store: SettingsStore, clock: Callable[[], float]) -> None:
        self.database = database
        self._box = box
        self.store = store
        self.clock = clock

    @property
    def settings(self) -> Settings:
        return self.store.current.settings

    async def marks(self) -> dict[str, str]:
        async with self.database.read() as conn:
            return {name: step.mark for name, step in (await setup.load(conn)).items()}

    async def mark(self, place: Place, told: str) -> None:
        await self.database.write(lambda conn: setup.mark(conn, place.value, told, self.clock()))

    async def draft(self, place: Place) -> dict[str, str]:
        """Empty where there is none, or the key it was sealed with is lost."""
        async with self.database.read() as conn:
            step = (await setup.load(conn)).get(place.value)
        if step is None or step.draft is None:
            return {}
        try:
            return json.loads(self._box.unseal(step.draft))
        except KeyLost:
            return {}

    async def keep(self, place: Place, draft: Mapping[str, str]) -> None:
        sealed = self._box.seal(json.dumps(dict(draft)).encode()) if draft else None
        await self.database.write(lambda conn: setup.keep(conn, place.value, sealed, self.clock()))

    def with_first(self, section: str, values: Mapping[str, Any], *, without: tuple[str, ...] = ()) -> Settings:
        """The present settings with the first entry of a section changed, or added. Raises Unfit."""
        try:
            return merged(self.settings, {section: _first(self.settings, section, values, without)})
        except InvalidSettings as invalid:
            raise _unfit(invalid) from None

    async def save_first(
        self, section: str, values: Mapping[str, Any], who: str, place: Place, *, without: tuple[str, ...] = ()
    ) -> None:
        """Raises Unfit, Unavailable."""
        await self.save(lambda now: {section: _first(now, section, values, without)}, who, place)

    async def save(self, named: Callable[[Settings], Mapping[str, Any]], who: str, place: Place) -> None:
        """As a version of the settings; at once. `named`: what is to be replaced in the newest settings, by what. Raises
        Unfit, Unavailable."""
        try:
            await self.store.change(lambda now: merged(now, named(now)), who, NOTE.format(step=place.value))
        except InvalidSettings as invalid:
            raise _unfit(invalid) from None


def entries(settings: Settings, section: str) -> Entries:
    """As a file names them."""
    return list(dumped(settings, plainly).get(section, []))


def _first(settings: Settings, section: str, values: Mapping[str, Any], without: tuple[str, ...]) -> Entries:
    known = entries(settings, section)
    first: dict[str, Any] = known[0] if known else {"name": "main"}
    for name, value in values.items():
        inner = first.get(name)
        first[name] = {**inner, **value} if isinstance(inner, dict) and isinstance(value, dict) else value
    return [{name: value for name, value in first.items() if name not in without}, *known[1:]]


def _unfit(invalid: InvalidSettings) -> Unfit:
    return Unfit(tuple(mistake.reason for mistake in invalid.mistakes))
