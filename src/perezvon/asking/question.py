"""A question to the company's database that somebody waits for: its answer, or the last good one, within the patience of
the settings. What it has told is kept in memory and in our own tables, so that it is known also after a restart."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.asking.own_tables import OwnTables
from perezvon.company import Answer, CompanyDatabase, DatabaseTrouble, Fault, Statement
from perezvon.rules.vocabulary import Reason
from perezvon.settings.errors import SecretMissing
from perezvon.settings.urls import CompanyDatabaseUrl
from perezvon.storage import answers

OWN_SHARE = 0.15
"""Part of the patience that our own tables get, behind the company's database."""

MOST_KEPT = 10_000
"""Answers in memory."""

log = structlog.get_logger(__name__)


class Origin(StrEnum):
    """Where something was found."""

    DATABASE = "database"
    CACHE = "cache"
    OWN = "own"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Told:
    """`body`: what the answer means, as its owner writes it down; None: nothing is known. `trouble`: of the database, also
    when the last good answer has helped. `new`: it says something else than before."""

    body: str | None
    origin: Origin = Origin.NONE
    trouble: DatabaseTrouble | None = None
    new: bool = False


class Section(Protocol):
    """The settings that have such a question."""

    @property
    def database(self) -> CompanyDatabaseUrl | None: ...
    @property
    def query(self) -> str: ...
    @property
    def patience(self) -> float: ...


class CompanyQuestion:
    """Its owner runs `keep_warm`, tells it new settings, and awaits `close` before that of `own`."""

    def __init__(
        self,
        name: str,
        section: Section,
        own: OwnTables,
        *,
        places: Collection[str],
        remember: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`name`: of the section, for the log and the words of troubles. `places`: how the place of the value may be called
        in the statement. `remember`: whether answers are stored for a restart (a test of the menu does not)."""
        self._name = name
        self._own = own
        self._places = places
        self._remember = remember
        self._clock = clock
        self._last: dict[str, str | None] = {}  # None: it is known to have none
        self._changed = asyncio.Event()
        self._database: CompanyDatabase | None = None
        self._take(section)

    def _take(self, section: Section) -> None:
        self._section = section
        self._statement = Statement.parse(section.query, self._places)

    async def configure(self, section: Section) -> None:
        """From the next one who asks on."""
        before = self._section
        self._take(section)
        if (section.database, section.query, section.patience) == (before.database, before.query, before.patience):
            return
        self._last.clear()
        database, self._database = self._database, None
        self._changed.set()
        self._changed = asyncio.Event()
        if database is not None:
            await database.close()

    @property
    def trouble(self) -> DatabaseTrouble | None:
        """Of the company's database now."""
        return None if self._database is None else self._database.trouble

    async def keep_warm(self) -> None:
        """Keeps the company's database at hand, until cancelled. One that new settings take away ends by itself: the next
        is kept warm then."""
        while True:
            changed, database = self._changed, None
            try:
                database = self._company()
            except DatabaseTrouble as trouble:
                why, fix = str(trouble.seen), str(trouble.fix)
                log.warning("the company's database cannot be asked", asked_for=self._name, why=why, fix=fix)
            async with asyncio.TaskGroup() as tasks:
                warming = None if database is None else tasks.create_task(database.keep_warm(), name=f"{self._name}-warm")
                await changed.wait()
                if warming is not None:
                    warming.cancel()

    async def close(self) -> None:
        if self._database is not None:
            await self._database.close()

    # ---- asking

    def deadline(self) -> float:
        """Of somebody who begins to wait now, on the loop's clock."""
        return asyncio.get_running_loop().time() + self._section.patience

    async def ask(self, key: str, values: Sequence[str], deadline: float, written: Callable[[Answer], str]) -> Told:
        """The answer for the first of the values that has one. `key`: under which it is kept, one for all values of the
        same thing, at most `answers.LONGEST` characters. `written`: an answer as the body that is kept."""
        if self._section.database is None:
            return Told(None)
        stored = self._own.begin(self._stored(key, deadline), "recall")  # while the other database is asked
        try:
            answer = await self._answer(key, values)
        except DatabaseTrouble as trouble:
            body = self._last[key] if key in self._last else await stored
            return Told(body, Origin.NONE if body is None else Origin.CACHE, trouble)
        body = None if answer is None else written(answer)
        new = self._learn(key, body)
        return Told(body, Origin.NONE if body is None else Origin.DATABASE, None, new)

    async def _answer(self, key: str, values: Sequence[str]) -> Answer | None:
        """None when it has no row. Raises DatabaseTrouble."""
        database = self._company()
        assert database is not None
        if database.sore and database.trouble is not None and self._last.get(key) is not None:
            raise database.trouble  # it has just kept somebody waiting for nothing
        return await database.first(self._statement, values, self._section.patience * (1 - OWN_SHARE))

    def _company(self) -> CompanyDatabase | None:
        """None when none is set. Raises DatabaseTrouble when the address is a reference that leads to nothing."""
        url = self._section.database
        if self._database is None and url is not None:
            try:
                address = url.place()
            except SecretMissing as missing:
                fix = Reason("make the secret readable, or write it anew")
                raise DatabaseTrouble(Fault.REFUSED, missing.reason, fix) from missing
            setting, query = f"{self._name}.database", f"{self._name}.query"
            self._database = CompanyDatabase(address, setting=setting, query=query, patience=self._section.patience)
        return self._database

    # ---- what it told last

    @property
    def kept_under(self) -> str:
        """What is asked, and where: another database or statement has other answers."""
        url = self._section.database
        where = "" if url is None else url.masked()
        asked = hashlib.sha256(f"{where}\n{self._statement.sql}".encode())
        return f"{self._name}:{asked.hexdigest()[:32]}"

    def _learn(self, key: str, body: str | None) -> bool:
        """Whether it says something else than before."""
        new = key not in self._last or self._last[key] != body
        self._last.pop(key, None)
        if len(self._last) >= MOST_KEPT:
            del self._last[next(iter(self._last))]
        self._last[key] = body
        if new and self._remember:
            self._save(key, body)
        return new

    def _save(self, key: str, body: str | None) -> None:
        question, at = self.kept_under, self._clock()

        async def work(conn: AsyncConnection) -> None:
            await answers.forget_other_questions(conn, f"{self._name}:", question)
            if body is None:
                await answers.forget(conn, question, key)
            else:
                await answers.remember(conn, question, key, body, at)

        self._own.write(work, f"the last answer for {key}")

    async def _stored(self, key: str, deadline: float) -> str | None:
        """What was kept for a restart; asked once."""
        if key in self._last:
            return None
        question = self.kept_under
        stored = await self._own.read(lambda conn: answers.recall(conn, question, key), deadline)
        if stored is None or question != self.kept_under:
            return None
        return self._last.setdefault(key, stored.body)


def own_defect() -> DatabaseTrouble:
    """In place of an answer, when we have failed ourselves."""
    return DatabaseTrouble(Fault.OTHER, Reason("an error of Perezvon itself; its log tells more"), Reason("report it"))
