"""Whom a code means: the company's database, its last good answer, our own codes. And the script that the dialplan asks.

A manager waits, and a client with him: `find` never raises and takes no longer than the patience of the settings. What
comes out is what the PBX can dial (dialable.py), whatever the table says.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.calls import Numbering
from perezvon.company import CompanyDatabase, DatabaseTrouble, Fault, Statement
from perezvon.conference.dialable import dialable, written
from perezvon.rules.vocabulary import Reason
from perezvon.settings.conference import PLACES
from perezvon.settings.errors import SecretMissing
from perezvon.settings.model import Settings
from perezvon.storage import answers, menus
from perezvon.storage.database import Database
from perezvon.storage.errors import StorageError

T = TypeVar("T")

OWN_SHARE = 0.15
"""Part of the patience that our own tables get, behind the company's database."""

MOST_KEPT = 10_000
"""Codes in memory."""

_CODE = re.compile(r"[0-9]{1,20}", re.ASCII)
_LIKE = "code:"

log = structlog.get_logger(__name__)


class Origin(StrEnum):
    DATABASE = "database"
    CACHE = "cache"
    OWN = "own"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Found:
    """`number`: as the PBX dials it, "" when there is none. `trouble`: of the company's database, also when the cache has
    helped; `unfit`: what the table says, where that is no number. `seconds`: that it took."""

    number: str
    origin: Origin
    trouble: DatabaseTrouble | None = None
    unfit: str = ""
    seconds: float = 0.0


class Asked(Protocol):
    """What the script needs of an `AgiCall`."""

    @property
    def args(self) -> tuple[str, ...]: ...

    async def set(self, name: str, value: str) -> None: ...


class CodeLookup:
    """Its owner runs `keep_warm`, tells it new settings, and awaits `close` at the end."""

    def __init__(
        self, storage: Database, settings: Settings, *, remember: bool = True, clock: Callable[[], float] = time.time
    ) -> None:
        """`remember`: whether answers are stored for a restart."""
        self._storage = storage
        self._remember = remember
        self._clock = clock
        self._last: dict[str, str | None] = {}  # None: it is known to have none
        self._tasks: set[asyncio.Task[Any]] = set()
        self._changed = asyncio.Event()
        self._database: CompanyDatabase | None = None
        self._take(settings)

    def _take(self, settings: Settings) -> None:
        self._settings = settings
        self._numbering = Numbering(extension_pattern=settings.calls.extension_pattern, region=settings.calls.region)
        self._statement = Statement.parse(settings.conference.query, PLACES)

    async def configure(self, settings: Settings) -> None:
        """From the next code on."""
        new, old = settings.conference, self._settings.conference
        same = (new.database, new.query, new.patience) == (old.database, old.query, old.patience)
        self._take(settings)
        if same:
            return
        self._last.clear()
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
        """Keeps the company's database at hand, until cancelled. A database that is taken away by new settings ends by
        itself: the next is kept warm then."""
        while True:
            changed = self._changed
            try:
                database = self._company()
            except DatabaseTrouble as trouble:
                log.warning("conference: the codes cannot be asked for", why=str(trouble.seen), fix=str(trouble.fix))
                database = None
            async with asyncio.TaskGroup() as tasks:
                warming = tasks.create_task(database.keep_warm(), name="conference-warm") if database is not None else None
                await changed.wait()
                if warming is not None:
                    warming.cancel()

    async def close(self) -> None:
        if self._database is not None:
            await self._database.close()
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    # ---- asking

    async def third(self, call: Asked) -> None:
        """The script of the dialplan: sets PEREZVON_TO to whom the code means, or nothing. Raises what the call raises."""
        code = call.args[0] if call.args else ""
        found = await self.find(code)
        if found.number:
            await call.set("PEREZVON_TO", found.number)
        log.info(
            "conference: a code was asked for",
            code=code[:20],
            number=found.number,
            origin=str(found.origin),
            seconds=round(found.seconds, 4),
            **({"trouble": str(found.trouble)} if found.trouble is not None else {}),
            **({"unfit": found.unfit} if found.unfit else {}),
        )

    async def find(self, code: str) -> Found:
        began = time.monotonic()
        try:
            found = await self._find(code)
        except Exception:
            log.exception("conference: a code cannot be looked up", code=code[:20])
            seen = Reason("an error of Perezvon itself; its log tells more")
            found = Found("", Origin.NONE, DatabaseTrouble(Fault.OTHER, seen, Reason("report it")))
        return Found(found.number, found.origin, found.trouble, found.unfit, time.monotonic() - began)

    async def _find(self, code: str) -> Found:
        if _CODE.fullmatch(code) is None:
            return Found("", Origin.NONE)
        trouble: DatabaseTrouble | None = None
        if self._settings.conference.database is not None:
            try:
                if (told := await self._from_database(code)) is not None:
                    return self._found(told, Origin.DATABASE)
            except DatabaseTrouble as error:
                trouble = error
                if (told := await self._last_good(code)) is not None:
                    return self._found(told, Origin.CACHE, trouble)
        own = await self._read(lambda conn: menus.find_code(conn, code))
        return self._found(own, Origin.OWN, trouble) if own else Found("", Origin.NONE, trouble)

    def _found(self, told: str, origin: Origin, trouble: DatabaseTrouble | None = None) -> Found:
        number = dialable(told, self._settings.calls.region, self._numbering.is_extension)
        return Found(number, origin, trouble, "" if number else told[:60] or "(empty)")

    # ---- the company's database

    async def _from_database(self, code: str) -> str | None:
        """None when it has no row. Raises DatabaseTrouble."""
        database = self._company()
        assert database is not None
        if database.sore and database.trouble is not None and self._last.get(code) is not None:
            raise database.trouble  # it has just kept a manager waiting for nothing
        answer = await database.first(self._statement, [code], self._settings.conference.patience * (1 - OWN_SHARE))
        told = None if answer is None else next((text for row in answer.rows if (text := written(row[0]))), "")
        self._learn(code, told)
        return told

    def _company(self) -> CompanyDatabase | None:
        """Raises DatabaseTrouble when the address is a reference that leads to nothing."""
        url = self._settings.conference.database
        if self._database is None and url is not None:
            try:
                address = url.place()
            except SecretMissing as missing:
                fix = Reason("make the secret readable, or write it anew")
                raise DatabaseTrouble(Fault.REFUSED, missing.reason, fix) from missing
            self._database = CompanyDatabase(
                address,
                setting="conference.database",
                query="conference.query",
                patience=self._settings.conference.patience,
            )
        return self._database

    # ---- what it told last

    def _question(self) -> str:
        where = self._database.name if self._database is not None else ""
        return _LIKE + hashlib.sha256(f"{where}\n{self._statement.sql}".encode()).hexdigest()[:32]

    def _learn(self, code: str, told: str | None) -> None:
        known = code in self._last
        before = self._last.pop(code, None)
        if len(self._last) >= MOST_KEPT:
            del self._last[next(iter(self._last))]
        self._last[code] = told
        if self._remember and (told != before or not known):
            self._save(code, told)

    def _save(self, code: str, told: str | None) -> None:
        question, at = self._question(), self._clock()

        async def work(conn: AsyncConnection) -> None:
            await answers.forget_other_questions(conn, _LIKE, question)
            if told is None:
                await answers.forget(conn, question, code)
            else:
                await answers.remember(conn, question, code, told, at)

        async def save() -> None:
            try:
                await self._storage.write(work)
            except StorageError as error:
                log.warning("conference: a number is not kept for a restart", code=code, why=str(error))

        self._own_task(save(), "conference-remember")

    def _own_task(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _last_good(self, code: str) -> str | None:
        if code in self._last:
            return self._last[code]
        stored = await self._read(lambda conn: answers.recall(conn, self._question(), code))
        if stored is None:
            return None
        self._last[code] = stored.body
        return stored.body

    async def _read(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T | None:
        """Out of our own tables; None when they cannot be read in time."""

        async def read() -> T:
            async with self._storage.glance() as conn:
                return await work(conn)

        task = self._own_task(read(), "conference-own-tables")
        try:
            await asyncio.wait({task}, timeout=self._settings.conference.patience * OWN_SHARE / 2)
        finally:
            if not task.done():
                task.cancel()
        if not task.done():
            log.warning("conference: our own tables do not answer in time")
            return None
        try:
            return task.result()
        except StorageError as error:
            log.warning("conference: our own tables cannot be read", why=str(error))
            return None
