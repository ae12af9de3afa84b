"""Brings the tables to this version's form (Alembic, migrations/versions/), with a copy of an SQLite file kept before."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from perezvon.storage.errors import CannotOpen, NewerThanCode

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

log = structlog.get_logger(__name__)

HEAD = "0014"
"""The revision that this code works with. Alembic is large, and is loaded only for a database that is of another one."""


def configuration() -> Config:
    from alembic.config import Config  # noqa: PLC0415  see HEAD

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


async def behind(engine: AsyncEngine) -> bool:
    """Whether the tables are absent or older than this code. NewerThanCode when they are newer."""
    async with engine.connect() as conn:
        revision = await conn.run_sync(_revision)
    if revision == HEAD:
        return False
    _check(revision)
    return True


async def upgrade(engine: AsyncEngine, file: Path | None, now: float) -> None:
    """All steps in one transaction. `file`: the SQLite file, copied beside itself before tables with content are changed.
    The engine must not enforce foreign keys on SQLite: a table that is made anew there would take its children along."""
    if not await behind(engine):
        return
    async with engine.connect() as conn:
        revision = await conn.run_sync(_revision)
    if revision is not None and file is not None:
        moment = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
        copy = file.with_name(f"{file.stem}-{revision}-{moment}{file.suffix}")
        await backup_sqlite(file, copy)
        log.info("storage: copy kept before the upgrade", file=str(copy))
    async with engine.begin() as conn:
        await conn.run_sync(_run, "head")
        if file is not None:
            broken = (await conn.execute(text("PRAGMA foreign_key_check"))).all()
            if broken:
                raise CannotOpen(
                    f"the upgrade would leave {len(broken)} rows without their parents; nothing was changed: {broken[:3]}"
                )
    log.info("storage: tables upgraded", before=revision or "empty", after=HEAD)


async def backup_sqlite(source: Path, target: Path) -> None:
    """A consistent copy, while others read and write. CannotOpen when the target exists or cannot be written."""

    def copy() -> None:
        if target.exists():
            raise CannotOpen(f"{target} exists already: choose another file")
        with sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True) as conn:
            conn.execute("VACUUM INTO ?", (str(target),))
        conn.close()

    try:
        await asyncio.to_thread(copy)
    except sqlite3.Error as error:
        raise CannotOpen(f"{source} cannot be copied to {target}: {error}") from error


def _scripts() -> ScriptDirectory:
    from alembic.script import ScriptDirectory  # noqa: PLC0415  see HEAD

    return ScriptDirectory.from_config(configuration())


def _run(conn: Connection, revision: str) -> None:
    from alembic import command  # noqa: PLC0415  see HEAD

    config = configuration()
    config.attributes["connection"] = conn
    command.upgrade(config, revision)


def _revision(conn: Connection) -> str | None:
    if not inspect(conn).has_table("alembic_version"):
        return None
    return conn.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _check(revision: str | None) -> None:
    known = {script.revision for script in _scripts().walk_revisions()}
    if revision is not None and revision not in known:
        raise NewerThanCode(
            f"the database is of a later version of perezvon (tables {revision}, this code knows {HEAD}): "
            "install that version again, or restore the copy that was kept before the upgrade"
        )
