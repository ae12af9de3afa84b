"""Where the scenario of a number comes from: the company's database, its last good answer, our own tables.

A caller waits, so `find` never raises and never takes longer than the patience of the settings. What the company's
database has told is kept in memory and in our own tables: with the database dead, slow or hung the menu is played as it
last was, also after a restart.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.company.database import Answer, CompanyDatabase
from perezvon.company.statement import Statement
from perezvon.company.trouble import DatabaseTrouble, Fault
from perezvon.ivr.numbers import canonical, forms, line_of, names
from perezvon.ivr.scenario import COLUMNS, Scenario, plain, scenario
from perezvon.rules.vocabulary import Reason
from perezvon.settings.errors import SecretMissing
from perezvon.settings.ivr import PLACES
from perezvon.settings.model import Settings
from perezvon.storage import answers, menus
from perezvon.storage.database import Database
from perezvon.storage.errors import StorageError

T = TypeVar("T")

LONGEST = 64
"""Characters of a number."""

OWN_SHARE = 0.15
"""Part of the patience that our own tables get, behind the company's database."""

MOST_ABSENT = 10_000
"""Numbers without a scenario that are remembered, so that only the first call of each is written down."""

log = structlog.get_logger(__name__)


class Origin(StrEnum):
    DATABASE = "database"
    CACHE = "cache"
    OWN = "own"
    NONE = "none"


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
        self._storage = storage
        self._remember = remember
        self._clock = clock
        self._kept: dict[str, _Kept] = {}
        self._absent: set[str] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._changed = asyncio.Event()
        self._database: CompanyDatabase | None = None
        self._take(settings)

    def _take(self, settings: Settings) -> None:
        self._settings = settings
        self._lines = [(line.number, *line.aliases) for line in settings.line]
        self._silent = frozenset(
            form
            for line in settings.line
            if not line.menu
            for name in (line.number, *line.aliases)
            for form in (name, *forms(name, settings.calls.region))
        )
        self._statement = Statement.parse(settings.ivr.query, PLACES)

    async def configure(self, settings: Settings) -> None:
        """From the next caller on."""
        same = (settings.ivr.database, settings.ivr.query, settings.ivr.patience) == (
            self._settings.ivr.database,
            self._settings.ivr.query,
            self._settings.ivr.patience,
        )
        self._take(settings)
        if same:
            return
        self._kept.clear()
        self._absent.clear()
        before, self._database = self._database, None
        self._changed.set()
        self._changed = asyncio.Event()
        if before is not None:
            await before.close()

    @property
    def trouble(self) -> DatabaseTrouble | None:
        """Of the company's database now."""
        return None if self._database is None else self._database.trouble

    async def keep_warm(self) -> None:
        """Keeps the company's database at hand, until cancelled."""
        while True:
            changed = self._changed
            database = None
            try:
                database = self._company()
            except DatabaseTrouble as trouble:
                log.warning("ivr: the company's database cannot be asked", why=str(trouble.seen), fix=str(trouble.fix))
            if database is not None:
                await database.keep_warm()
            else:
                await changed.wait()

    async def close(self) -> None:
        if self._database is not None:
            await self._database.close()
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    async def find(self, number: str) -> Found:
        """What a caller of this number of the company gets. `number`: as the PBX has it."""
        began = time.monotonic()
        try:
            found = await self._find(number.strip()[:LONGEST])
        except Exception:
            log.exception("ivr: the scenario cannot be told, the call goes on to Bitrix24", number=number)
            seen = Reason("an error of Perezvon itself; its log tells more")
            found = Found(None, Origin.NONE, DatabaseTrouble(Fault.OTHER, seen, Reason("report it")))
        return Found(found.scenario, found.origin, found.trouble, found.form, time.monotonic() - began)

    async def _find(self, number: str) -> Found:
        wanted = forms(number, self._settings.calls.region, self._lines)
        if not wanted or not self._silent.isdisjoint(wanted):
            return Found(None, Origin.NONE)
        key = self._key(number)
        deadline = asyncio.get_running_loop().time() + self._settings.ivr.patience
        trouble: DatabaseTrouble | None = None
        stored = self._own_task(self._stored(key, deadline), "ivr-recall")  # while the other database is asked
        try:
            if (found := await self._from_database(key, wanted)) is not None:
                return found
        except DatabaseTrouble as error:
            trouble = error
            if (kept := self._kept.get(key) or await stored) is not None:
                return Found(kept.scenario(), Origin.CACHE, trouble, kept.form)
        own = await self._own(number, deadline)
        return Found(own, Origin.OWN if own else Origin.NONE, trouble, own.line if own else "")

    def _key(self, number: str) -> str:
        """One for all forms and names of a line."""
        region = self._settings.calls.region
        return canonical(line_of(number, region, self._lines)[0], region)[: answers.LONGEST]

    # ---- the company's database

    async def _from_database(self, key: str, wanted: Sequence[str]) -> Found | None:
        """None when it has no rows, or there is none. Raises DatabaseTrouble."""
        database = self._company()
        if database is None:
            return None
        if database.sore and database.trouble is not None and key in self._kept:
            raise database.trouble  # it has just kept a caller waiting for nothing
        answer = await database.first(self._statement, wanted, self._settings.ivr.patience * (1 - OWN_SHARE))
        if answer is None:
            self._learn(key, None)
            return None
        kept = _Kept.of(answer)
        self._learn(key, kept)
        return Found(kept.scenario(), Origin.DATABASE, None, kept.form)

    def _company(self) -> CompanyDatabase | None:
        """None when none is set. Raises DatabaseTrouble when the address is a reference that leads to nothing."""
        url = self._settings.ivr.database
        if self._database is None and url is not None:
            try:
                address = url.place()
            except SecretMissing as missing:
                fix = Reason("make the secret readable, or write it anew")
                raise DatabaseTrouble(Fault.REFUSED, missing.reason, fix) from missing
            patience = self._settings.ivr.patience
            self._database = CompanyDatabase(address, setting="ivr.database", query="ivr.query", patience=patience)
        return self._database

    # ---- what it told last

    def _question(self) -> str:
        url = self._settings.ivr.database
        where = "" if url is None else url.masked()
        return "ivr:" + hashlib.sha256(f"{where}\n{self._statement.sql}".encode()).hexdigest()[:32]

    def _learn(self, key: str, now: _Kept | None) -> None:
        before = self._kept.get(key)
        if now is None:
            self._kept.pop(key, None)
            if key in self._absent:
                return
            if len(self._absent) >= MOST_ABSENT:
                self._absent.clear()
            self._absent.add(key)
        else:
            self._kept[key] = now
            self._absent.discard(key)
            if now == before:
                return
            if troubles := now.scenario().troubles:
                log.warning("ivr: a scenario is not as it should be", number=now.form, troubles=[str(t) for t in troubles])
        if self._remember:
            self._save(key, now)

    def _save(self, key: str, now: _Kept | None) -> None:
        question, at = self._question(), self._clock()

        async def work(conn: AsyncConnection) -> None:
            await answers.forget_other_questions(conn, "ivr:", question)
            if now is None:
                await answers.forget(conn, question, key)
            else:
                await answers.remember(conn, question, key, now.body(), at)

        async def save() -> None:
            try:
                await self._storage.write(work)
            except StorageError as error:
                log.warning("ivr: the scenario is not kept for a restart", number=key, why=str(error))

        self._own_task(save(), "ivr-remember")

    def _own_task(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _stored(self, key: str, deadline: float) -> _Kept | None:
        """What was kept for a restart; asked once."""
        if self._settings.ivr.database is None or key in self._kept or key in self._absent:
            return None
        question = self._question()
        stored = await self._read(lambda conn: answers.recall(conn, question, key), deadline)
        if stored is None or question != self._question():
            return None
        kept = _Kept.read(stored.body)
        if key not in self._absent:
            self._kept.setdefault(key, kept)
        return kept

    # ---- our own tables

    async def _own(self, number: str, deadline: float) -> Scenario | None:
        region = self._settings.calls.region
        lines = [canonical(name, region) for name in names(number, region, self._lines)]
        menu = await self._read(lambda conn: menus.find(conn, lines), deadline)
        return None if menu is None else own_scenario(menu)

    async def _read(self, work: Callable[[AsyncConnection], Awaitable[T]], deadline: float) -> T | None:
        """None also when our own tables do not answer in time."""

        async def read() -> T:
            async with self._storage.glance() as conn:
                return await work(conn)

        task = self._own_task(read(), "ivr-own-tables")
        try:
            await asyncio.wait({task}, timeout=max(0.0, deadline - asyncio.get_running_loop().time()))
        finally:
            if not task.done():
                task.cancel()
        if not task.done():
            log.warning("ivr: our own tables do not answer in time")
            return None
        try:
            return task.result()
        except StorageError as error:
            log.warning("ivr: our own tables cannot be read", why=str(error))
            return None


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
