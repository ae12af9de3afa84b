"""The database: opened, upgraded, owned; read through a pool, written by one writer.

SQLite in `DIR/perezvon.sqlite3` by default (WAL, synchronous=FULL), PostgreSQL by `postgresql+asyncpg://…`. Its users see
two doors: `read()` gives a connection that cannot write, `write(work)` runs a closure in the writer's next transaction.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import structlog
from sqlalchemy import URL, event, func, make_url, select, update
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from perezvon.storage import quick_sqlite
from perezvon.storage.errors import AlreadyOwned, CannotOpen, DatabaseGone, NeedsUpgrade, Unavailable, trouble
from perezvon.storage.ownership import SERVICE, Claim, DirectoryLock, lock_session, take_over
from perezvon.storage.reserve import Reserve
from perezvon.storage.schema import owner
from perezvon.storage.upgrade import backup_sqlite, behind, upgrade
from perezvon.storage.writer import Work, Writer

T = TypeVar("T")

SQLITE_FILE = "perezvon.sqlite3"
READERS = 4
CLOSING = 3.0
"""Seconds that a database in trouble gets for what waits to be written, when it is closed."""

_CUT = 1.0
_LOCK_PATIENCE = 10.0  # seconds: PostgreSQL needs a moment to notice that a killed owner is gone

log = structlog.get_logger(__name__)


class Database:
    """Made by `open`. `watch` returns when it is closed and raises when it cannot go on; a supervisor awaits it.

    `reserve`: room that is given up when the disk is full; the owner sets it.
    """

    def __init__(self, url: URL, lock: DirectoryLock | None, patience: float) -> None:
        self.url = url
        self.claim: Claim | None = None
        self._lock = lock
        self._readers = _engine(url, writes=False)
        self._glancers = self._readers if _is_postgresql(url) else _engine(url, writes=False, quick=True)
        self._engine = _engine(url, writes=True, busy=min(1.0, patience))
        self._ready: AsyncConnection | None = None  # PostgreSQL: the connection that took the session lock
        self._session_locked = False
        self.writer = Writer(self, patience=patience)
        self.reserve: Reserve | None = None
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        place: str | Path,
        *,
        own: bool = True,
        holder: str = "",
        patience: float = 30.0,
        clock: Callable[[], float] = time.time,
    ) -> Self:
        """`place`: a data directory (made when absent), or a database URL. `patience`: seconds (writer.py).

        The owner (`own`) is the one process that runs calls and sends to the portals: it upgrades the tables, raises the
        epoch, and a later owner ends it (OwnershipLost). Without `own`, for commands beside a running service: nothing
        is taken, and an empty or old database is upgraded only while no service runs on it.
        Raises CannotOpen (AlreadyOwned, NewerThanCode, NeedsUpgrade).
        """
        url, folder = _locate(place)
        database = cls(url, DirectoryLock(folder) if folder is not None else None, patience)
        holder = holder or f"{socket.gethostname()}:{os.getpid()}"
        try:
            if folder is not None:
                await database._open_sqlite(own, holder, clock())
            else:
                await database._open_postgresql(own, holder, clock())
        except Exception as error:
            await database._dispose()
            if isinstance(why := _connecting(error), Unavailable):
                raise CannotOpen(f"{url.render_as_string()}: {why}") from error
            raise
        except BaseException:
            await database._dispose()
            raise
        database._task = asyncio.create_task(database.writer.run(), name="storage-writer")
        return database

    async def _open_sqlite(self, own: bool, holder: str, now: float) -> None:
        assert self._lock is not None
        file = Path(self.url.database or "")
        plain = _engine(self.url, writes=True, foreign_keys=False)
        try:
            if not own and not await behind(plain):
                return
            try:
                self._lock.acquire()
            except AlreadyOwned as error:
                if own:
                    raise
                raise NeedsUpgrade(f"{file} is of an earlier version: restart the service, which upgrades it") from error
            await upgrade(plain, file, now)
            if not own:
                self._lock.release()
                return
            async with plain.begin() as conn:
                self.claim = await take_over(conn, SERVICE, holder, now)
        finally:
            await plain.dispose()

    async def _open_postgresql(self, own: bool, holder: str, now: float) -> None:
        if not own and not await behind(self._engine):
            return
        self._ready = conn = await self._engine.connect()
        if not await _locked(conn, _LOCK_PATIENCE if own else 0.0):
            if own:
                raise AlreadyOwned(f"the database {self.url.database} is in use by another perezvon: stop it first")
            raise NeedsUpgrade(
                f"the database {self.url.database} is of an earlier version: restart the service, which upgrades it"
            )
        await upgrade(self._engine, None, now)
        if own:
            self.claim = await take_over(conn, SERVICE, holder, now)
            await conn.commit()
            self._session_locked = True
        else:
            self._ready = None
            await conn.invalidate()  # ends the session, and its lock with it
            await conn.close()

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection that sees what is committed and cannot write. Raises Unavailable."""
        return self._reading(self._readers)

    def glance(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """The same for queries of microseconds, by an index, in the way of a call (see quick_sqlite.py)."""
        return self._reading(self._glancers)

    @asynccontextmanager
    async def _reading(self, engine: AsyncEngine) -> AsyncGenerator[AsyncConnection]:
        try:
            conn = await engine.connect()
        except Exception as error:
            raise _connecting(error) from error
        try:
            yield conn
        except Exception as error:
            if (why := trouble(error)) is None:
                raise
            raise why from error
        finally:
            await _let_go(conn)

    async def write(self, work: Work[T], *, urgent: bool = False) -> T:
        """`await work(conn)` in a transaction of the writer, soon; what it returns, once that is stored (see writer.py).

        `urgent`: somebody's card waits for it.
        """
        return await self.writer.write(work, urgent=urgent)

    async def watch(self) -> None:
        """Returns when the database has been closed; raises OwnershipLost when another process has taken over."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def close(self) -> None:
        """What waits to be written still is; a database in trouble, or one that does not answer, gets `CLOSING` seconds."""
        self.writer.close(CLOSING)
        try:
            if self._task is not None and not (await asyncio.wait([self._task], timeout=CLOSING + _CUT))[0]:
                log.warning("storage: the database does not answer, what waits is not written")
                self._task.cancel()
                await asyncio.wait([self._task], timeout=_CUT)
        finally:
            await self._dispose()
        if self._task is None or not self._task.done() or self._task.cancelled():
            return
        if (error := self._task.exception()) is not None:
            log.warning("storage: the writer had ended before it was closed", error=str(error))

    async def _dispose(self) -> None:
        closing = [engine.dispose() for engine in (self._engine, self._readers, self._glancers)]
        if self._ready is not None:
            closing.append(self._ready.close())
        try:
            async with asyncio.timeout(_CUT):
                await asyncio.gather(*closing)
        except TimeoutError:
            log.warning("storage: connections cut off, the database does not answer")
        finally:
            if self._lock is not None:
                self._lock.release()

    async def backup(self, target: Path) -> None:
        """A consistent copy of the SQLite database while it is being used. PostgreSQL has its own tools."""
        if self.url.get_backend_name() != "sqlite":
            raise CannotOpen("the data is in PostgreSQL: copy it with pg_dump")
        await backup_sqlite(Path(self.url.database or ""), target)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def connect(self) -> AsyncConnection:
        """For the writer (writer.Session)."""
        if self._ready is not None:
            conn, self._ready = self._ready, None
            return conn
        self._session_locked = False
        try:
            return await self._engine.connect()
        except Exception as error:
            raise _connecting(error) from error

    async def touch(self, conn: AsyncConnection) -> None:
        """For the writer (writer.Session)."""
        await conn.execute(update(owner).values(holder=owner.c.holder))

    def relieve(self) -> bool:
        """For the writer (writer.Session)."""
        return self.reserve is not None and self.reserve.give_up()

    async def fence(self, conn: AsyncConnection) -> int | None:
        """For the writer (writer.Session)."""
        if self.claim is None:
            return (await conn.execute(select(func.txid_current()))).scalar_one() if _is_postgresql(self.url) else None
        if _is_postgresql(self.url) and not self._session_locked:
            # After a lost connection our own dead session may hold the lock for a while; meanwhile the epoch alone decides.
            self._session_locked = await lock_session(conn, self.claim.resource)
        return await self.claim.check(conn)


async def _locked(conn: AsyncConnection, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while not await lock_session(conn, SERVICE):
        await conn.rollback()
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.2)
    await conn.commit()
    return True


def _locate(place: str | Path) -> tuple[URL, Path | None]:
    if isinstance(place, str) and "://" in place:
        try:
            url = make_url(place)
        except ArgumentError as error:
            raise CannotOpen(
                "the database address cannot be understood: postgresql+asyncpg://USER:PASSWORD@HOST/NAME"
            ) from error
        if url.get_backend_name() != "postgresql":
            raise CannotOpen(
                f"{url.get_backend_name()} is not supported here: give a data directory, or postgresql+asyncpg://…"
            )
        return url.set(drivername="postgresql+asyncpg"), None
    folder = Path(place)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    except OSError as error:
        raise CannotOpen(f"the data directory {folder} cannot be made: {error}") from error
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise CannotOpen(
            f"the data directory {folder} cannot be written by this user (uid {os.getuid()}): change its owner"
        )
    return URL.create("sqlite+aiosqlite", database=str(folder.resolve() / SQLITE_FILE)), folder


def _is_postgresql(url: URL) -> bool:
    return url.get_backend_name() == "postgresql"


def _engine(url: URL, *, writes: bool, quick: bool = False, foreign_keys: bool = True, busy: float = 5.0) -> AsyncEngine:
    """`quick`: statements are not sent to a thread (quick_sqlite.py; always so for writing). `busy`: seconds for which
    SQLite itself waits for another program's lock."""
    pool: dict[str, Any] = {"pool_size": 1 if writes else READERS, "max_overflow": 1 if writes else READERS}
    if _is_postgresql(url):
        server = {"application_name": "perezvon", "timezone": "UTC"}
        if not writes:
            server["default_transaction_read_only"] = "on"
        options = {"timeout": 10, "command_timeout": 60, "server_settings": server}
        try:
            return create_async_engine(url, connect_args=options, pool_pre_ping=not writes, **pool)
        except (NoSuchModuleError, ModuleNotFoundError) as error:
            raise CannotOpen('PostgreSQL needs the asyncpg package: pip install "perezvon[postgresql]"') from error
    # isolation_level None: the driver begins no transactions of its own, we do (docs: SQLAlchemy, "SQLite transactions").
    if not writes:  # each statement sees what is committed, as on PostgreSQL: no BEGIN, and nothing to roll back
        pool["pool_reset_on_return"] = None
    if writes or quick:
        engine = create_async_engine(url, async_creator=lambda: quick_sqlite.connect(url.database or "", busy), **pool)
    else:
        engine = create_async_engine(url, connect_args={"isolation_level": None, "timeout": busy}, **pool)

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: Any, _record: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute(f"PRAGMA foreign_keys={'ON' if foreign_keys else 'OFF'}")
        if not writes:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    if writes:

        @event.listens_for(engine.sync_engine, "begin")
        def begin(conn: Any) -> None:  # pyright: ignore[reportUnusedFunction]
            conn.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


async def _let_go(conn: AsyncConnection) -> None:
    """Gives a reader's connection back. One that the database cuts just then is thrown away: what was read, was read."""
    try:
        await conn.close()
    except Exception as error:
        if trouble(error) is None:
            raise
        with suppress(Exception):
            await conn.invalidate()
            await conn.close()


def _connecting(error: Exception) -> Exception:
    """What drivers raise raw while they connect, in our words; anything else as it is."""
    if isinstance(error, (OSError, TimeoutError)):
        return DatabaseGone(f"no connection to the database ({error})")
    if getattr(error, "sqlstate", None) is not None:  # asyncpg's own class, e.g. too many clients, wrong password
        return DatabaseGone(f"the database refuses the connection ({error})")
    return trouble(error) or error
