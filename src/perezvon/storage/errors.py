"""What can go wrong with the database, sorted by what the caller can do about it.

StorageError
├── CannotOpen           tell the administrator and stop
│   ├── AlreadyOwned     another process works with this data
│   ├── NewerThanCode    the data was written by a later version
│   └── NeedsUpgrade     the data is of an earlier version and its owner has to upgrade it
├── OwnershipLost        another process has taken over: stop at once, nothing of this process may be written any more
├── Closed               the database was closed by ourselves
└── Unavailable          nothing of the transaction was kept; it may be tried again later
    ├── DatabaseGone     no connection
    ├── DiskFull
    ├── Locked           another program holds the file, or a deadlock
    └── Damaged          I/O error, unreadable or read-only file: a human has to look

Defects of the SQL itself (IntegrityError, ProgrammingError…) stay SQLAlchemy's own exceptions.
"""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError, InterfaceError, ResourceClosedError
from sqlalchemy.exc import TimeoutError as PoolTimeout


class StorageError(Exception):
    pass


class CannotOpen(StorageError):
    pass


class AlreadyOwned(CannotOpen):
    pass


class NewerThanCode(CannotOpen):
    pass


class NeedsUpgrade(CannotOpen):
    pass


class OwnershipLost(StorageError):
    pass


class Closed(StorageError):
    pass


class Unavailable(StorageError):
    pass


class DatabaseGone(Unavailable):
    pass


class DiskFull(Unavailable):
    pass


class Locked(Unavailable):
    pass


class Damaged(Unavailable):
    pass


# Primary result codes, https://www.sqlite.org/rescode.html
_SQLITE: dict[int, tuple[type[Unavailable], str]] = {
    sqlite3.SQLITE_FULL: (DiskFull, "the disk with the data directory is full: make room, nothing else is needed"),
    sqlite3.SQLITE_BUSY: (Locked, "another program holds the database: close it"),
    sqlite3.SQLITE_LOCKED: (Locked, "another program holds the database: close it"),
    sqlite3.SQLITE_IOERR: (
        Damaged,
        "the disk with the data directory fails, or the quota of its user is used up: look at the kernel's log",
    ),
    sqlite3.SQLITE_CANTOPEN: (Damaged, "the database cannot be opened: check owner, rights and the number of open files"),
    sqlite3.SQLITE_READONLY: (Damaged, "the database is read-only: check the rights of the data directory and the mount"),
    sqlite3.SQLITE_PERM: (Damaged, "no permission for the database: check owner and rights of the data directory"),
    sqlite3.SQLITE_CORRUPT: (Damaged, "the database is damaged: stop, and restore the last backup"),
    sqlite3.SQLITE_NOTADB: (Damaged, "the file is not a database: stop, and restore the last backup"),
}

# https://www.postgresql.org/docs/current/errcodes-appendix.html, by SQLSTATE or its class (first two characters)
_POSTGRESQL: dict[str, tuple[type[Unavailable], str]] = {
    "08": (DatabaseGone, "the connection to PostgreSQL is lost"),
    "25006": (DatabaseGone, "PostgreSQL is read-only (a standby?)"),
    "40": (Locked, "PostgreSQL has rolled the transaction back in favour of another one"),
    "53100": (DiskFull, "PostgreSQL's disk is full"),
    "53": (DatabaseGone, "PostgreSQL is out of connections or memory"),
    "55P03": (Locked, "another program holds a lock in PostgreSQL"),
    "57": (DatabaseGone, "PostgreSQL is shutting down or has cut us off"),
    "58": (Damaged, "PostgreSQL reports a system error: look at its log"),
    "XX": (Damaged, "PostgreSQL reports an internal error: look at its log"),
}


def trouble(error: BaseException) -> Unavailable | None:
    """The database's own trouble behind an exception, or None when the fault is the statement's or the caller's."""
    if isinstance(error, Unavailable):
        return error
    if isinstance(error, (PoolTimeout, ResourceClosedError)):
        return DatabaseGone(f"no free connection to the database ({error})")
    if not isinstance(error, DBAPIError):
        return None
    cause: BaseException | None = error.orig
    while cause is not None:
        told = _told(cause)
        if told is not None:
            kind, text = told
            return kind(f"{text} ({_first_line(cause)})")
        cause = cause.__cause__
    if isinstance(error.orig and error.orig.__cause__, ValueError):
        return None  # asyncpg found a parameter that does not fit: the caller's fault, though an InterfaceError
    if error.connection_invalidated or isinstance(error, InterfaceError):
        return DatabaseGone(f"the connection to the database is lost ({_first_line(error.orig or error)})")
    return None


def _told(cause: BaseException) -> tuple[type[Unavailable], str] | None:
    code = getattr(cause, "sqlite_errorcode", None)
    if isinstance(code, int):
        return _SQLITE.get(code & 0xFF)
    state = getattr(cause, "sqlstate", None)
    if isinstance(state, str):
        return _POSTGRESQL.get(state) or _POSTGRESQL.get(state[:2])
    if isinstance(cause, (OSError, TimeoutError)):
        return DatabaseGone, "the connection to the database is lost"
    return None


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
