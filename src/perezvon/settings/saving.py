"""How settings are saved, whoever does it: `perezvon config apply` and the pages do the same.

What is asked for is laid over what is there (`planned`), the fields of `[[crm.field]]` are looked up in the portal
(`check_fields`, which takes some seconds), and `save` writes a new version: into another database where the settings name
one, whose address then counts from the next start on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from perezvon.bitrix24.client import Portal
from perezvon.bitrix24.crm_fields import known_crm
from perezvon.bitrix24.errors import PortalError
from perezvon.rules.field_check import CrmKnown, wrong_fields
from perezvon.rules.vocabulary import Reason
from perezvon.settings.changes import Change, changes
from perezvon.settings.crm import field_rules
from perezvon.settings.errors import InvalidSettings, Mistake, SettingsError
from perezvon.settings.load import Named, dumped, merged, plainly, settings_from
from perezvon.settings.model import Settings
from perezvon.settings.place import database_url, keep_database_url
from perezvon.settings.portal import PortalSettings
from perezvon.settings.secrets import SecretBox
from perezvon.settings.store import EMPTY, Saved, SettingsStore
from perezvon.settings.urls import OwnDatabaseUrl
from perezvon.storage.database import Database
from perezvon.storage.errors import StorageError

PATIENCE = 15.0

OpenPortal = Callable[[Settings, PortalSettings], AbstractAsyncContextManager[Portal | None]]
"""A portal as these settings describe it; None while it is not installed. Raises PortalError, SettingsError, StorageError,
ValueError."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a save would make of `before` (both with the address of our own database). `moved`: it is another database."""

    before: Settings
    after: Settings
    moved: bool

    @property
    def changes(self) -> tuple[Change, ...]:
        return tuple(changes(self.before, self.after))


class Saving:
    """Settings of one data directory. `box` opens its secrets."""

    def __init__(self, data_dir: Path, box: SecretBox, store: SettingsStore, open_portal: OpenPortal) -> None:
        self._data_dir = data_dir
        self._box = box
        self._store = store
        self._open_portal = open_portal

    def with_place(self, settings: Settings) -> Settings:
        """With the address of our own database, which the versions do not hold. Raises KeyLost."""
        return with_url(settings, database_url(self._data_dir, self._box))

    def planned(self, before: Settings, after: Settings) -> Plan:
        """Raises KeyLost."""
        before = self.with_place(before)
        return Plan(before, after, before.database.url != after.database.url)

    def merged(self, before: Settings, named: Named, *, text: str = "", source: str = "", replace: bool = False) -> Plan:
        """What `named` names replaces that of `before`; with `replace` what it does not name becomes the default, but for
        the place of the database. Raises InvalidSettings, KeyLost."""
        before = self.with_place(EMPTY if replace else before)
        after = merged(before, named, text=text, source=source)
        return Plan(before, after, before.database.url != after.database.url)

    async def save(self, plan: Plan, who: str, note: str, *, on: int | None = None) -> Saved:
        """`on`: the version that `before` is of; when somebody has saved another one meanwhile, raises SavedMeanwhile."""
        if not plan.moved:
            return await self._store.apply(plan.after, who, note, on=on)
        url = plan.after.database.url
        async with await Database.open(self._data_dir if url is None else url.reveal(), own=False) as other:
            saved = await SettingsStore(other, self._box).apply(plan.after, who, note)
        keep_database_url(self._data_dir, self._box, url)
        return saved

    async def check_fields(
        self, settings: Settings, source: str = "", *, named: bool, line: Callable[[int], int | None] = lambda _: None
    ) -> list[Reason]:
        """Warnings. Raises InvalidSettings for fields that are not there, or cannot be filled so, if they are `named` in
        what is being saved. `line`: where the field with that place stands in it."""
        rules = field_rules(settings.crm, CrmKnown())
        warnings: list[Reason] = []
        for portal in settings.portal if rules else ():
            try:
                async with asyncio.timeout(PATIENCE), self._open_portal(settings, portal) as client:
                    if client is None:
                        warnings.append(_later(portal, "the application is not installed yet"))
                        continue
                    known = await known_crm(client, [rule.of for rule in rules])
            except (PortalError, SettingsError, StorageError, ValueError, TimeoutError) as error:
                warnings.append(_later(portal, str(error) or "no answer in time"))
                continue
            wrong = list(wrong_fields(rules, known))
            if wrong and named:
                mistakes = [Mistake(f"crm.field[{place}]", line(place), why) for place, why in wrong]
                raise InvalidSettings(mistakes, source)
            warnings += [why for _, why in wrong]
        return warnings


def with_url(settings: Settings, url: OwnDatabaseUrl | None) -> Settings:
    """The same with this address of our own database."""
    if settings.database.url == url:
        return settings
    named = {key: value for key, value in dumped(settings, plainly).items() if key != "database"}
    return settings_from(named if url is None else {**named, "database": {"url": url.raw}})


def _later(portal: PortalSettings, why: str) -> Reason:
    args = {"portal": portal.name, "why": why}
    return Reason("the fields are not checked yet (portal {portal}: {why}): the service and the doctor do it later", args)
