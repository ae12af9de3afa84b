"""Who may write: one process for a data directory or a PostgreSQL database.

Who is first is decided outside our tables: on SQLite by a lock on a file of the data directory, on PostgreSQL by an
advisory lock of the writer's own session (it ends with the session, so a lost connection gives it up). The `owner` row
carries the epoch, raised at every take-over; each transaction of an owner reads it first and holds it shared until its
COMMIT, so that a process which was taken over (a paused machine that wakes up) cannot write any more.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from sqlalchemy import bindparam, func, null, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.storage.errors import AlreadyOwned, OwnershipLost
from perezvon.storage.insert import insert
from perezvon.storage.schema import owner

SERVICE = "service"
LOCK_FILE = "perezvon.lock"


class DirectoryLock:
    """`flock` on a file of the data directory; the kernel frees it when the process is gone, however it went.

    A forked child drops its copy at once, so that a worker that outlives a killed service does not keep the lock.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOCK_FILE
        self._file: TextIO | None = None
        _locks.add(self)

    def acquire(self) -> None:
        """AlreadyOwned when another process has it. The file holds the owner's process id, for people."""
        file = self.path.open("a+", encoding="ascii")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise AlreadyOwned(
                f"{self.path.parent} is in use by another perezvon (process {holder}): "
                "stop it first, or use another --data-dir"
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._file = file

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


_locks: weakref.WeakSet[DirectoryLock] = weakref.WeakSet()


def _forget_locks() -> None:
    for lock in _locks:
        lock.release()


os.register_at_fork(after_in_child=_forget_locks)


_OWNED = select(owner.c.epoch, owner.c.holder).where(owner.c.resource == bindparam("of"))
_CHECK = _OWNED.add_columns(null().label("number"))
_CHECK_POSTGRESQL = _OWNED.add_columns(func.txid_current().label("number")).with_for_update(read=True)


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to write `resource`, as long as its epoch has not been raised by somebody else."""

    resource: str
    epoch: int

    async def check(self, conn: AsyncConnection) -> int | None:
        """At the beginning of a transaction. OwnershipLost when the epoch has moved on. Gives PostgreSQL's number of the
        transaction."""
        query = _CHECK_POSTGRESQL if conn.dialect.name == "postgresql" else _CHECK
        found = (await conn.execute(query, {"of": self.resource})).one_or_none()
        if found is None or found.epoch != self.epoch:
            by = f" by {found.holder}" if found else ""
            raise OwnershipLost(f"{self.resource} was taken over{by}: this process must stop, it writes nothing any more")
        return found.number


async def take_over(conn: AsyncConnection, resource: str, holder: str, now: float) -> Claim:
    """Raises the epoch, in the caller's transaction. Call it only while holding the lock."""
    row = {"resource": resource, "epoch": 1, "taken": now, "holder": holder}
    await conn.execute(insert(conn, owner).values(row).on_conflict_do_nothing(index_elements=["resource"]))
    raised = update(owner).where(owner.c.resource == resource)
    raised = raised.values(epoch=owner.c.epoch + 1, taken=now, holder=holder).returning(owner.c.epoch)
    return Claim(resource, (await conn.execute(raised)).scalar_one())


async def lock_session(conn: AsyncConnection, resource: str) -> bool:
    """PostgreSQL's advisory lock for this session, which is given up when the session ends. False when it is taken."""
    schema = (await conn.execute(text("SELECT current_schema()"))).scalar_one()
    digest = hashlib.sha256(f"perezvon:{schema}:{resource}".encode()).digest()
    key = int.from_bytes(digest[:8], "big", signed=True)
    return bool((await conn.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": key})).scalar_one())
