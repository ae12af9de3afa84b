"""A database of the company, asked while a caller waits: by a connection kept warm, and within a bound that always holds.

A question runs in a task of its own. Whoever asks waits for the task, not for the database: when the time is over he goes
on, and the task is ended behind his back (a driver that says good-bye to a dead server may take its time). A warm
connection that does not answer within a third of the time may be half dead: a fresh one is asked beside it, and the first
answer counts.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from perezvon.company.address import DatabaseAddress
from perezvon.company.engine import read_only_engine
from perezvon.company.statement import VALUE, Statement
from perezvon.company.trouble import DatabaseTrouble, Fault, is_database_error, trouble

WARM = 2
"""Connections that are kept, once a crowd is over."""

MOST = 8
"""Connections at the same time: it is somebody else's server."""

ROWS = 1000
"""Rows of an answer that are read."""

SECOND_TRY = 1 / 3
"""Part of the time after which a warm connection is thought to be dead."""

SORE = 3.0
"""Seconds for which a database that gave no answer in time is `sore`."""

EVERY = 20.0
"""Seconds between two looks whether the warm connections live; in trouble, SORE."""

_OF_THE_SERVER = frozenset({Fault.UNREACHABLE, Fault.REFUSED, Fault.TOO_SLOW, Fault.NO_DATABASE})
"""Troubles that are over when it answers anything."""

_PING = Statement("SELECT 1", text("SELECT 1"))

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows, and the value for which they came."""

    value: str
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]


class CompanyDatabase:
    """Its owner runs `keep_warm` if answers shall come in milliseconds, and awaits `close` at the end."""

    def __init__(self, address: DatabaseAddress, *, setting: str, query: str = "", patience: float = 1.5) -> None:
        """`setting`, `query`: the settings of the address and of the statement, for the words of troubles. `patience`: the
        seconds that a question may take."""
        self.address = address
        self.patience = patience
        self._told = {"place": address.name, "setting": setting, "query": query}
        self._engine: AsyncEngine | None = None
        self._idle: deque[AsyncConnection] = deque()
        self._room = asyncio.Semaphore(MOST)
        self._numeric: set[str] = set()
        self._burials: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()
        self._trouble: DatabaseTrouble | None = None
        self._sore_until = 0.0

    @property
    def name(self) -> str:
        """For people: without user and password."""
        return self.address.name

    @property
    def trouble(self) -> DatabaseTrouble | None:
        """Of the last question."""
        return self._trouble

    @property
    def sore(self) -> bool:
        """Whether it has just given no answer in time: who can do without it need not wait for it."""
        return time.monotonic() < self._sore_until

    async def first(self, statement: Statement, values: Sequence[str], patience: float | None = None) -> Answer | None:
        """The rows for the first of the values that has any; None when none has. Raises DatabaseTrouble, after `patience`
        seconds at the latest."""
        try:
            answer = await self._hedged(statement, values, self.patience if patience is None else patience)
        except Exception as error:
            if not is_database_error(error):
                raise
            found = trouble(error, {**self._told, "table": statement.tables})
            if found.fault is Fault.TOO_SLOW:
                self._sore_until = time.monotonic() + SORE
            self._note(found)
            raise found from error
        self._sore_until = 0.0
        self._note(None)
        return answer

    async def keep_warm(self) -> None:
        """Keeps connections alive until cancelled or closed; tells the log when the database comes and goes."""
        own: DatabaseTrouble | None = None
        while not self._closing.is_set():
            try:
                while len(self._idle) > WARM:
                    self._say_good_bye(self._idle.popleft())
                for _ in range(max(1, len(self._idle))):
                    self._idle.rotate(1)  # the oldest is asked
                    await self._hedged(_PING, [""], self.patience)
                if self._trouble is not None and (self._trouble is own or self._trouble.fault in _OF_THE_SERVER):
                    self._note(None)
            except Exception as error:
                if not is_database_error(error):
                    raise
                own = trouble(error, self._told)
                self._note(own)
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY if self._trouble is None else SORE):
                    await self._closing.wait()

    async def close(self) -> None:
        self._closing.set()
        while self._idle:
            self._say_good_bye(self._idle.pop())
        while self._burials:
            await asyncio.wait(list(self._burials))

    # ---- one question

    async def _hedged(self, statement: Statement, values: Sequence[str], patience: float) -> Answer | None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        questions = [self._ask(statement, values, patience)]
        failed: BaseException | None = None
        try:
            await asyncio.wait({questions[0].task}, timeout=patience * SECOND_TRY)
            if questions[0].warm and not questions[0].answered:
                questions.append(self._ask(statement, values, patience, fresh=True))
            pending = {question.task for question in questions}
            while pending and (left := deadline - loop.time()) > 0:
                done, pending = await asyncio.wait(pending, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    if (failed := task.exception()) is None:
                        return task.result()
            raise failed if failed is not None and not pending else TimeoutError
        finally:
            for question in questions:
                self._bury(question)

    def _ask(self, statement: Statement, values: Sequence[str], patience: float, *, fresh: bool = False) -> _Question:
        question = _Question()
        work = self._answer(question, statement, values, patience, fresh=fresh)
        question.task = asyncio.create_task(work, name="company-database-question")
        return question

    async def _answer(
        self, question: _Question, statement: Statement, values: Sequence[str], patience: float, *, fresh: bool
    ) -> Answer | None:
        async with self._room:
            try:
                if self._idle and not fresh:
                    question.conn, question.warm = self._idle.pop(), True
                else:
                    question.conn = await self._connected(patience)
                found = None
                for value in values:
                    if (found := await self._rows(question.conn, statement, value)) is not None:
                        break
            except BaseException:
                if question.conn is not None:
                    await _left(question.conn, abruptly=True)
                raise
            if self._closing.is_set() or self.address.kind == "sqlite":  # its file may be replaced by another one
                await _left(question.conn)
            else:
                self._idle.append(question.conn)
            return found

    async def _connected(self, patience: float) -> AsyncConnection:
        if self.address.kind == "sqlite" and not await asyncio.to_thread(os.access, self.address.database, os.R_OK):
            # aiosqlite would say so too, and leave its thread behind
            raise sqlite3.OperationalError("unable to open database file")
        if self._engine is None:
            self._engine = read_only_engine(self.address, connect=patience, statement=self.patience, autocommit=True)
        return await self._engine.connect()

    async def _rows(self, conn: AsyncConnection, statement: Statement, value: str) -> Answer | None:
        bound: object = value
        if statement.sql in self._numeric and (bound := _number(value)) is None:
            return None
        parameters = {} if statement is _PING else {VALUE: bound}
        try:
            result = await conn.execute(statement.clause, parameters)
        except DBAPIError as error:
            # PostgreSQL says what it compares with; a column of numbers wants a number.
            if statement.sql in self._numeric or not _wants_a_number(error):
                raise
            self._numeric.add(statement.sql)
            return await self._rows(conn, statement, value)
        if not result.returns_rows:
            return None
        rows = tuple(tuple(row) for row in result.fetchmany(ROWS))
        return Answer(value, tuple(str(key) for key in result.keys()), rows) if rows else None  # noqa: SIM118  a result is no mapping

    # ---- what nobody waits for any more

    def _bury(self, question: _Question, *, cancel: bool = True) -> None:
        if question.task.done():
            if not question.task.cancelled():
                question.task.exception()  # looked at: it has been told, or came too late
            return
        burial = asyncio.create_task(_buried(question, self.name, cancel=cancel), name="company-database-burial")
        self._burials.add(burial)
        burial.add_done_callback(self._burials.discard)

    def _say_good_bye(self, conn: AsyncConnection) -> None:
        question = _Question(asyncio.create_task(_left(conn), name="company-database-close"))
        self._bury(question, cancel=False)

    def _note(self, now: DatabaseTrouble | None) -> None:
        before, self._trouble = self._trouble, now
        if (before and before.fault) != (now and now.fault):
            states = {"before": str(before.fault) if before else "well", "after": str(now.fault) if now else "well"}
            tell = log.warning if now else log.info
            why = {"why": str(now.seen), "fix": str(now.fix)} if now else {}
            tell("company database: {before} -> {after}".format_map(states), database=self.name, **why)


class _Question:
    """`conn`: once there is one; `warm`: it was there already."""

    def __init__(self, task: asyncio.Task[Any] | None = None) -> None:
        self.conn: AsyncConnection | None = None
        self.warm = False
        if task is not None:
            self.task: asyncio.Task[Any] = task

    @property
    def answered(self) -> bool:
        return self.task.done() and self.task.exception() is None


async def _buried(question: _Question, name: str, *, cancel: bool) -> None:
    """The first cancellation ends the question, the next ones end a good-bye that nobody answers. SQLite's thread is told
    to stop instead: it would go on, and then nobody would be there to hear of it."""
    if question.conn is not None and question.conn.dialect.name == "sqlite":
        with suppress(Exception):  # it may be over meanwhile
            raw = await question.conn.get_raw_connection()
            await raw.driver_connection.interrupt()  # pyright: ignore[reportOptionalMemberAccess]
            cancel = False
    for turn in range(4):
        if cancel or turn:
            question.task.cancel()
        done, _ = await asyncio.wait({question.task}, timeout=1.0)
        if done:
            if not question.task.cancelled():
                question.task.exception()
            return
    log.warning("company database: a connection does not end", database=name)


async def _left(conn: AsyncConnection, *, abruptly: bool = False) -> None:
    try:
        if abruptly:
            await conn.invalidate()
        await conn.close()
    except Exception as error:
        if not is_database_error(error):
            raise


def _number(value: str) -> int | None:
    digits = value.removeprefix("+")
    return int(digits) if digits.isascii() and digits.isdigit() else None


def _wants_a_number(error: DBAPIError) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if "invalid input for query argument" in str(cause) and "str" in str(cause):
            return True
        cause = cause.__cause__ or getattr(cause, "orig", None)
    return False
