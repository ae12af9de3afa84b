"""The one writer: closures that wait are run in one transaction, in order of arrival, and all resolve after its COMMIT.

Those for which a phone rings (`urgent`) go first; the others let them pass, but not for longer than `_LET_PASS`.

A lone write costs one COMMIT and waits for nothing; while a COMMIT is under way the next writes gather, so that under load
one COMMIT serves many (group commit). When a closure of a group fails, the group is rolled back and its closures are run
again one by one, so that the failing one hurts nobody else (a SAVEPOINT for each would cost three times as much, always).

When the database itself is in trouble (Unavailable), nothing of the group was kept: its closures are run again, one by one,
until `patience` is over; then they get the error. So a closure may be run more than once and must touch nothing but its
connection. While nobody writes, the writer itself looks whether the trouble is over. Whether a COMMIT that got no answer
was done is asked of PostgreSQL (`txid_status`); on SQLite it was not.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.storage.errors import Closed, DatabaseGone, DiskFull, OwnershipLost, StorageError, Unavailable, trouble

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[T]]

LARGEST_GROUP = 200
MOST_CALM = 40
"""Writes in one transaction, and of those that are not urgent: an urgent one that comes meanwhile waits for them."""

_LET_PASS = 0.25
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0
_LOOK_AGAIN = 5.0
"""Seconds after which a database that was in trouble is tried again, though nobody wants to write."""

log = structlog.get_logger(__name__)


class Session(Protocol):
    """How the writer gets at the database."""

    async def connect(self) -> AsyncConnection:
        """A connection with no transaction under way. Unavailable when there is none."""
        ...

    async def fence(self, conn: AsyncConnection) -> int | None:
        """First in each transaction. OwnershipLost when this process may not write any more.

        Gives PostgreSQL's number of the transaction, by which its fate can be asked for after the connection was lost.
        """
        ...

    async def touch(self, conn: AsyncConnection) -> None:
        """Writes something that changes nothing."""
        ...

    def relieve(self) -> bool:
        """The disk is full. True when room was made, so that it is worth trying at once."""
        ...


@dataclass(slots=True, eq=False)
class _Job(Generic[T]):
    work: Work[T]
    done: asyncio.Future[T]
    since: float


class Writer:
    def __init__(self, session: Session, *, patience: float = 30.0) -> None:
        """`patience`: seconds for which a write is tried again while the database is in trouble."""
        self._session = session
        self._patience = patience
        self._urgent: deque[_Job[Any]] = deque()
        self._calm: deque[_Job[Any]] = deque()
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._closing = False
        self._last_try = math.inf
        self._ended: StorageError | None = None
        self._conn: AsyncConnection | None = None
        self.transactions = 0
        self.writes = 0
        self.trouble: Unavailable | None = None

    async def write(self, work: Work[T], *, urgent: bool = False) -> T:
        """What `work` returns, once it is safely stored. Raises what `work` raises (then nothing of it is stored),
        Unavailable, OwnershipLost or Closed. A caller that is cancelled does not stop a write that has begun."""
        if self._ended is not None:
            raise self._ended
        if self._closing:
            raise Closed("the database is being closed")
        job = _Job(work, asyncio.get_running_loop().create_future(), time.monotonic())
        (self._urgent if urgent else self._calm).append(job)
        self._wake.set()
        return await job.done

    async def run(self) -> None:
        """Until `close`. Raises OwnershipLost; every write then and later gets it too."""
        try:
            while await self._next():
                await self._store(self._group())
        except OwnershipLost as lost:
            self._end(lost)
            log.critical("storage: owner -> lost", error=str(lost))
            raise
        finally:
            self._end(Closed("the database is closed"))
            await self._disconnect()

    def close(self, within: float) -> None:
        """What waits is still written; then `run` returns. A database in trouble is given up after `within` seconds."""
        self._closing = True
        self._last_try = time.monotonic() + within
        self._wake.set()
        self._hurry.set()

    async def _next(self) -> bool:
        while not self._urgent and not self._calm and not self._closing:
            self._wake.clear()
            try:
                async with asyncio.timeout(None if self.trouble is None else _LOOK_AGAIN):
                    await self._wake.wait()
            except TimeoutError:
                self._calm.append(self._look())
        return bool(self._urgent or self._calm)

    def _look(self) -> _Job[None]:
        job = _Job(self._session.touch, asyncio.get_running_loop().create_future(), time.monotonic())
        job.done.add_done_callback(lambda done: done.exception())  # `trouble` tells it
        return job

    def _group(self) -> list[_Job[Any]]:
        group = _taken(self._urgent, LARGEST_GROUP)
        if not group or (self._calm and self._calm[0].since + _LET_PASS < time.monotonic()):
            group += _taken(self._calm, MOST_CALM)
        return group

    def _end(self, error: StorageError) -> None:
        self._ended = self._ended or error
        for waiting in (self._urgent, self._calm):
            _fail(_taken(waiting, len(waiting)), self._ended)

    async def _store(self, group: Sequence[_Job[Any]]) -> None:
        try:
            try:
                if len(group) == 1 or not await self._together(group):
                    for job in group:
                        await self._alone(job)
            except Unavailable as error:
                await self._insist([job for job in group if not job.done.done()], error)
            else:
                self._recovered()
        except OwnershipLost as lost:
            _fail(group, lost)
            raise
        except BaseException:
            _fail(group, Closed("the database is closed; whether this was written is not known"))
            raise

    async def _together(self, group: Sequence[_Job[Any]]) -> bool:
        """False when a closure failed: nothing was kept then."""
        try:
            results = await self._transact(group)
        except StorageError:
            raise
        except Exception as error:
            log.info("storage: a write failed, its group is written one by one", writes=len(group), error=str(error))
            return False
        _resolve(results)
        return True

    async def _alone(self, job: _Job[Any]) -> None:
        try:
            _resolve(await self._transact([job]))
        except (Unavailable, OwnershipLost):
            raise
        except Exception as error:
            _fail([job], error)

    async def _insist(self, group: Sequence[_Job[Any]], error: Unavailable) -> None:
        """One by one, so that a closure which is itself the trouble holds up nobody else for longer than `patience`."""
        deadline = time.monotonic() + self._patience
        pause = _FIRST_PAUSE
        for job in group:
            while True:
                self._troubled(error)
                if time.monotonic() > self._last_try:
                    _fail([job], error)
                    break
                if not (isinstance(error, DiskFull) and self._session.relieve()):
                    await self._pause(pause)
                try:
                    await self._alone(job)
                except Unavailable as again:
                    error = again
                    pause = min(pause * 2, _LONGEST_PAUSE)
                    if time.monotonic() + pause > deadline:
                        _fail([job], error)
                        pause = _FIRST_PAUSE
                        break
                else:
                    self._recovered()
                    break

    async def _pause(self, seconds: float) -> None:
        """Shorter when we are being closed."""
        if self._closing:
            await asyncio.sleep(min(seconds, _FIRST_PAUSE))
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()

    def _troubled(self, error: Unavailable) -> None:
        if self.trouble is None:
            log.error("storage: working -> in trouble", error=str(error))
        self.trouble = error

    def _recovered(self) -> None:
        if self.trouble is not None:
            log.info("storage: in trouble -> working", was=str(self.trouble))
            self.trouble = None

    async def _transact(self, group: Sequence[_Job[Any]]) -> list[tuple[_Job[Any], Any]]:
        """One transaction, committed. Raises Unavailable, or what a closure raised; then nothing was kept."""
        try:
            conn = await self._connection()
            mark = await self._session.fence(conn)
            # A job that is done already was cancelled by its caller.
            results = [(job, await job.work(conn)) for job in group if not job.done.done()]
            await self._commit(conn, mark)
        except Exception as error:
            why = trouble(error)
            await (self._disconnect() if isinstance(why, DatabaseGone) else self._roll_back())
            if why is None or why is error:
                raise
            raise why from error
        except BaseException:
            await self._disconnect()
            raise
        self.transactions += 1
        self.writes += len(results)
        return results

    async def _commit(self, conn: AsyncConnection, mark: int | None) -> None:
        try:
            await conn.commit()
        except Exception as error:
            why = trouble(error)
            if mark is None or not isinstance(why, DatabaseGone):
                raise
            # PostgreSQL may or may not have got it.
            await self._disconnect()
            if not await self._was_committed(mark):
                raise why from error

    async def _was_committed(self, mark: int) -> bool:
        """Asked until PostgreSQL tells, because a guess would lose or double."""
        pause = _FIRST_PAUSE
        while True:
            try:
                conn = await self._session.connect()
                try:
                    status = (await conn.execute(text("SELECT txid_status(:mark)"), {"mark": mark})).scalar_one()
                finally:
                    await conn.close()
            except Exception as error:
                if (why := trouble(error)) is None:
                    raise
                self._troubled(why)
            else:
                if status != "in progress":
                    return status == "committed"
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _connection(self) -> AsyncConnection:
        if self._conn is None:
            self._conn = await self._session.connect()
        return self._conn

    async def _roll_back(self) -> None:
        if self._conn is not None:
            try:
                await self._conn.rollback()
            except Exception as error:
                log.warning("storage: rollback failed, connecting anew", error=str(error))
                await self._disconnect()

    async def _disconnect(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            with suppress(Exception):  # it is being thrown away; what matters has been reported
                await conn.invalidate()
            with suppress(Exception):
                await conn.close()


def _taken(waiting: deque[_Job[Any]], most: int) -> list[_Job[Any]]:
    return [waiting.popleft() for _ in range(min(len(waiting), most))]


def _resolve(results: Sequence[tuple[_Job[Any], Any]]) -> None:
    for job, value in results:
        if not job.done.done():
            job.done.set_result(value)


def _fail(jobs: Sequence[_Job[Any]], error: Exception) -> None:
    for job in jobs:
        if not job.done.done():
            job.done.set_exception(error)
