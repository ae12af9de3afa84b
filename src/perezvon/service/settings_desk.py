"""The settings as the pages see them: read, checked, saved; the running parts are told at once."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from perezvon.bitrix24 import Portal
from perezvon.customisation import POINTS, Fate, Point
from perezvon.customisation.answer import difference
from perezvon.rules.number_trial import NumberTrial
from perezvon.rules.vocabulary import Reason
from perezvon.service import crm_knowledge, settings_trials
from perezvon.service.customisation_trial import TrialUnfit, tried
from perezvon.service.house import House
from perezvon.service.visiting import visited
from perezvon.settings.model import Settings
from perezvon.settings.portal import PortalSettings
from perezvon.settings.saving import Saving
from perezvon.settings.secrets import SecretBox
from perezvon.settings.store import HistoryEntry, Saved, SettingsStore, Version
from perezvon.storage import employees
from perezvon.storage.database import Database
from perezvon.web.settings_desk import NothingToTry, PointTrial, TaskPreview
from perezvon.web.settings_offers import Offers, PortalTold, offers_of

PATIENCE = 2.0
"""Seconds that a page waits for the first list of a portal's fields."""


class SettingsOffice:
    """Implements web/settings_desk.py."""

    def __init__(
        self, data_dir: Path, box: SecretBox, store: SettingsStore, database: Database, house: Callable[[], House | None]
    ) -> None:
        self._data_dir = data_dir
        self._box = box
        self._store = store
        self._database = database
        self._house = house
        self._saving = Saving(data_dir, box, store, self._open_portal)

    async def now(self) -> Version:
        return self._whole(await self._store.refresh())

    async def version(self, number: int) -> Version:
        return self._whole(await self._store.get(number))

    async def history(self, limit: int, before: int | None = None) -> list[HistoryEntry]:
        return await self._store.history(limit, before)

    async def check(self, before: Settings, after: Settings) -> list[Reason]:
        if after.crm == before.crm and after.portal == before.portal:
            return []
        return await self._saving.check_fields(after, named=after.crm != before.crm)

    async def save(self, on: Version, after: Settings, who: str, note: str) -> Saved:
        return await self._saving.save(self._saving.planned(on.settings, after), who, note, on=on.id)

    async def offers(self, *, crm: bool) -> Offers:
        house, told = self._house(), list[PortalTold]()
        for portal in self._store.current.settings.portal:
            link = house.portals.get(portal.name) if house is not None else None
            async with self._database.read() as conn:
                people, _ = await employees.load(conn, portal.name)
            listed = await crm_knowledge.listed(self._database, portal.name) if crm else crm_knowledge.NOTHING_LISTED
            if crm and link is not None and await link.crm.list_fields(0 if listed.sources else PATIENCE):
                listed = await crm_knowledge.listed(self._database, portal.name)
            told.append(PortalTold(portal.name, people, listed.fields, listed.sources))
        return offers_of(told)

    def try_number(self, settings: Settings, number: str, line: str) -> NumberTrial:
        return settings_trials.try_number(settings, number, line)

    def preview_tasks(self, settings: Settings) -> tuple[TaskPreview, ...]:
        return settings_trials.preview_tasks(settings, time.time())

    async def try_point(self, point: Point, call: str) -> list[PointTrial]:
        try:
            found = await tried(self._database, self._store.current.settings, self._data_dir, point, call)
        except TrialUnfit as unfit:
            raise NothingToTry(unfit.reason) from None
        subject = POINTS[point].subject
        return [
            PointTrial(
                one.answer.fate,
                difference(one.given.get(subject, {}), one.answer.value) if one.answer.fate is Fate.CHANGED else "",
                one.answer.note,
                one.answer.printed,
                one.answer.seconds,
            )
            for one in found
        ]

    def seal(self, plain: bytes) -> bytes:
        return self._box.seal(plain)

    def unseal(self, sealed: bytes) -> bytes:
        return self._box.unseal(sealed)

    def _whole(self, version: Version) -> Version:
        return replace(version, settings=self._saving.with_place(version.settings))

    @asynccontextmanager
    async def _open_portal(self, settings: Settings, portal: PortalSettings) -> AsyncGenerator[Portal | None]:
        """The connection that there is, unless the settings would lead elsewhere."""
        house = self._house()
        link = house.portals.get(portal.name) if house is not None else None
        if link is not None and link.settings == portal:
            yield link.client if link.installed else None
            return
        async with visited(self._database, self._box, settings, portal) as client:
            yield client
