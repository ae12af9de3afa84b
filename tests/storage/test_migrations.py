"""The migrations lead to the schema and keep what is stored; a copy is left behind; other versions are refused."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from perezvon.storage import Database, NeedsUpgrade, NewerThanCode
from perezvon.storage import upgrade as upgrading
from perezvon.storage.schema import metadata
from perezvon.storage.upgrade import HEAD, configuration

REVISIONS = [script.revision for script in reversed(list(ScriptDirectory.from_config(configuration()).walk_revisions()))]

# A later migration that makes a table with children anew, which SQLite does by dropping it.
LATER = """
import sqlalchemy as sa
from alembic import op
revision = "later"
down_revision = {head!r}
def upgrade():
    with op.batch_alter_table("call", recreate="auto") as batch:
        batch.alter_column("portal", new_column_name="office", existing_type=sa.String(100))
"""


async def test_an_empty_database_becomes_the_schema(place: str) -> None:
    async with await Database.open(place) as database, database.read() as conn:
        assert await conn.run_sync(_differences) == []
        assert (await conn.execute(text("SELECT version_num FROM alembic_version"))).scalar_one() == HEAD == REVISIONS[-1]


@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_migration_keeps_what_is_stored(place: str, revision: str) -> None:
    """From the revision before, with a row in each of its tables."""
    before = REVISIONS[: REVISIONS.index(revision)]
    async with await Database.open(place) as made:
        url = made.url
    engine = create_async_engine(url)
    try:
        async with engine.begin() as conn:
            await conn.run_sync(metadata.drop_all)
            await conn.execute(text("DELETE FROM alembic_version"))
            if before:
                await conn.run_sync(_migrate, before[-1])
                await conn.run_sync(_populate)
        async with engine.begin() as conn:
            rows = await conn.run_sync(_rows)
            await conn.run_sync(_migrate, revision)
            kept = await conn.run_sync(_rows)
            assert {table: kept[table] for table in rows} == rows
            await conn.run_sync(_populate)  # the new form takes rows too
    finally:
        await engine.dispose()


async def test_an_upgrade_keeps_the_rows_and_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with await Database.open(tmp_path) as database:
        await database.write(_populate_all)
    (tmp_path / "later.py").write_text(LATER.format(head=HEAD))
    _know_later(monkeypatch, tmp_path)

    async with await Database.open(tmp_path, clock=lambda: 0.0) as database, database.read() as conn:
        assert (await conn.execute(text("SELECT office FROM call"))).scalar_one() == "x"
        assert (await conn.execute(text("SELECT call FROM fact"))).scalar_one() == "x"

    with sqlite3.connect(f"file:{tmp_path}/perezvon-{REVISIONS[-1]}-19700101T000000Z.sqlite3?mode=ro", uri=True) as kept:
        assert kept.execute("SELECT portal FROM call").fetchall() == [("x",)]
    kept.close()


async def test_an_upgrade_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with await Database.open(tmp_path) as database:
        await database.write(_populate_all)
    (tmp_path / "later.py").write_text(LATER.format(head=HEAD) + "    raise RuntimeError('half-way')\n")
    with monkeypatch.context() as patch:
        _know_later(patch, tmp_path)
        with pytest.raises(RuntimeError, match="half-way"):
            await Database.open(tmp_path)
    async with await Database.open(tmp_path) as database, database.read() as conn:
        assert (await conn.execute(text("SELECT portal FROM call"))).scalar_one() == "x"


async def test_a_later_version_is_refused(place: str) -> None:
    async with await Database.open(place) as database:
        await database.write(lambda conn: _set_revision(conn, "9999"))
    with pytest.raises(NewerThanCode, match=r"later version of perezvon \(tables 9999"):
        await Database.open(place)


async def test_a_command_beside_the_service_does_not_upgrade(place: str) -> None:
    async with await Database.open(place) as service:
        await service.write(lambda conn: _set_revision(conn, None))
        with pytest.raises(NeedsUpgrade, match="restart the service"):
            await Database.open(place, own=False)


async def test_a_command_makes_the_tables_when_no_service_runs(place: str) -> None:
    async with await Database.open(place, own=False):
        pass
    async with await Database.open(place) as database, database.read() as conn:
        assert await conn.run_sync(_differences) == []


async def test_a_backup_is_a_whole_database(tmp_path: Path) -> None:
    async with await Database.open(tmp_path / "data") as database:
        await database.write(_populate_all)
        (tmp_path / "copy").mkdir()
        await database.backup(tmp_path / "copy" / "perezvon.sqlite3")
        with pytest.raises(Exception, match="exists already"):
            await database.backup(tmp_path / "copy" / "perezvon.sqlite3")
    async with await Database.open(tmp_path / "copy") as copy, copy.read() as conn:
        assert (await conn.execute(text("SELECT count(*) FROM step"))).scalar_one() == 1


def _know_later(patch: pytest.MonkeyPatch, folder: Path) -> None:
    def with_later() -> Config:
        config = configuration()
        ours = f"{config.get_main_option('script_location')}/versions"
        config.set_main_option("version_locations", os.pathsep.join([ours, str(folder)]))
        return config

    patch.setattr(upgrading, "configuration", with_later)
    patch.setattr(upgrading, "HEAD", "later")


def _differences(conn: Connection) -> list[object]:
    context = MigrationContext.configure(conn, opts={"compare_type": True, "compare_server_default": True})
    return list(compare_metadata(context, metadata))


def _migrate(conn: Connection, revision: str) -> None:
    config = configuration()
    config.attributes["connection"] = conn
    command.upgrade(config, revision)


async def _set_revision(conn: AsyncConnection, revision: str | None) -> None:
    await conn.execute(text("DELETE FROM alembic_version"))
    if revision is not None:
        await conn.execute(text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": revision})


def _tables(conn: Connection) -> MetaData:
    found = MetaData()
    found.reflect(conn)
    found.remove(found.tables["alembic_version"])
    return found


def _rows(conn: Connection) -> dict[str, int]:
    tables = _tables(conn).tables
    return {name: conn.execute(select(func.count()).select_from(table)).scalar_one() for name, table in tables.items()}


def _populate(conn: Connection) -> None:
    """One row in each table that has none; parents are called "x"."""
    values: dict[type, Any] = {str: "x", int: 1, float: 1.0, bool: True, bytes: b"x"}
    for table in _tables(conn).sorted_tables:
        if conn.execute(select(func.count()).select_from(table)).scalar_one() == 0:
            conn.execute(table.insert().values({column.name: values[column.type.python_type] for column in table.columns}))


async def _populate_all(conn: AsyncConnection) -> None:
    await conn.run_sync(_populate)
