"""Where the scenario of a number comes from: the company's database, its last good answer, our own tables.

A caller waits, so `find` never raises and never takes longer than the patience of the settings. With the database dead,
slow or hung the menu is played as it last was, also after a restart (asking/).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from perezvon.asking import CompanyQuestion, Origin, OwnTables, own_defect
from perezvon.company import Answer, DatabaseTrouble
from perezvon.ivr.numbers import canonical, forms, line_of, names
from perezvon.ivr.scenario import COLUMNS, Scenario, plain, scenario
from perezvon.settings.ivr import PLACES
from perezvon.settings.model import Settings
from perezvon.storage import answers, menus
from perezvon.storage.database import Database

LONGEST = 64
"""Characters of a number."""

__all__ = ["Found", "Origin", "ScenarioSource", "own_scenario"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """`scenario`: None for straight to Bitrix24. `trouble`: of the company's database, also when the cache has helped.
    `form`: how the number was written where it was found. `seconds`: that it took."""

    scenario: Scenario | None
    origin: Origin
    trouble: DatabaseTrouble | None = None
    form: str = ""
    seconds: float = 0.0


class ScenarioSource:
    """Its owner runs `keep_warm`, tells it new settings, and awaits `close` at the end."""

    def __init__(
        self, storage: Database, settings: Settings, *, remember: bool = True, clock: Callable[[], float] = time.time
    ) -> None:
        """`remember`: whether answers are stored for a restart (a test of the menu does not)."""
        self._own = OwnTables(storage, "ivr")
        self._company = CompanyQuestion("ivr", settings.ivr, self._own, places=PLACES, remember=remember, clock=clock)
        self.keep_warm = self._company.keep_warm
        self._take(settings)

    def _take(self, settings: Settings) -> None:
        self._region = settings.calls.region
        self._lines = [(line.number, *line.aliases) for line in settings.line]
        self._silent = frozenset(
            form
            for line in settings.line
            if not line.menu
            for name in (line.number, *line.aliases)
            for form in (name, *forms(name, settings.calls.region))
        )

    async def configure(self, settings: Settings) -> None:
        """From the next caller on."""
        self._take(settings)
        await self._company.configure(settings.ivr)

    @property
    def trouble(self) -> DatabaseTrouble | None:
        """Of the company's database now."""
        return self._company.trouble

    async def close(self) -> None:
        await self._company.close()
        await self._own.close()

    async def find(self, number: str) -> Found:
        """What a caller of this number of the company gets. `number`: as the PBX has it."""
        began = time.monotonic()
        try:
            found = await self._find(number.strip()[:LONGEST])
        except Exception:
            log.exception("ivr: the scenario cannot be told, the call goes on to Bitrix24", number=number)
            found = Found(None, Origin.NONE, own_defect())
        return Found(found.scenario, found.origin, found.trouble, found.form, time.monotonic() - began)

    async def _find(self, number: str) -> Found:
        wanted = forms(number, self._region, self._lines)
        if not wanted or not self._silent.isdisjoint(wanted):
            return Found(None, Origin.NONE)
        deadline = self._company.deadline()
        told = await self._company.ask(self._key(number), wanted, deadline, lambda answer: _Kept.of(answer).body())
        if told.body is not None:
            kept = _Kept.read(told.body)
            found = kept.scenario()
            if told.new and found.troubles:
                troubles = [str(trouble) for trouble in found.troubles]
                log.warning("ivr: a scenario is not as it should be", number=kept.form, troubles=troubles)
            return Found(found, told.origin, told.trouble, kept.form)
        lines = [canonical(name, self._region) for name in names(number, self._region, self._lines)]
        menu = await self._own.read(lambda conn: menus.find(conn, lines), deadline)
        if menu is None:
            return Found(None, Origin.NONE, told.trouble)
        own = own_scenario(menu)
        return Found(own, Origin.OWN, told.trouble, own.line)

    def _key(self, number: str) -> str:
        """One for all forms and names of a line."""
        return canonical(line_of(number, self._region, self._lines)[0], self._region)[: answers.LONGEST]


def own_scenario(menu: menus.Menu) -> Scenario:
    rows = [(menu.intro, button.key, button.prompt, button.target) for button in menu.buttons]
    return scenario(menu.line, COLUMNS, rows or [(menu.intro, "", "", "")])


@dataclass(frozen=True, slots=True)
class _Kept:
    """An answer as text."""

    form: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, answer: Answer) -> _Kept:
        return cls(answer.value, answer.columns, tuple(tuple(plain(value) for value in row) for row in answer.rows))

    @classmethod
    def read(cls, body: str) -> _Kept:
        form, columns, rows = json.loads(body)
        return cls(form, tuple(columns), tuple(tuple(row) for row in rows))

    def body(self) -> str:
        return json.dumps([self.form, self.columns, self.rows], ensure_ascii=False)

    def scenario(self) -> Scenario:
        return scenario(self.form, self.columns, self.rows)
