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
from sqlalchemy import Column, Connection, MetaData, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from perezvon.storage import Database, NeedsUpgrade, NewerThanCode, recordings
from perezvon.storage import upgrade as upgrading
from perezvon.storage.schema import metadata
from perezvon.storage.upgrade import HEAD, configuration

pytestmark = pytest.mark.slow

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


async def test_an_empty_database_becomes_the_schema(empty: str) -> None:
    async with await Database.open(empty) as database, database.read() as conn:
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


@pytest.mark.parametrize("revision", REVISIONS[:-1])
async def test_an_old_database_opens_with_all_that_it_held(place: str, revision: str) -> None:
    """As that version made it, through all later migrations; and it is the present schema then, ready to be written."""
    async with await Database.open(place) as made:
        url = made.url
    engine = create_async_engine(url)
    try:
        async with engine.begin() as conn:
            await conn.run_sync(metadata.drop_all)
            await conn.execute(text("DELETE FROM alembic_version"))
            await conn.run_sync(_migrate, revision)
            await conn.run_sync(_fill)
            before = await conn.run_sync(_content)
    finally:
        await engine.dispose()
    assert all(len(rows) == 3 for rows in before.values())

    async with await Database.open(place) as database:
        async with database.read() as conn:
            after = await conn.run_sync(_content)
            assert await conn.run_sync(_differences) == []
            (recorded, *_) = await recordings.of_call(conn, "id-0")
        for table, rows in before.items():
            kept = [{name: row[name] for name in rows[0]} for row in after[table]]
            opened = table in ("owner", "installation")  # a row of its own comes with the opening
            assert [row for row in kept if row in rows or not opened] == rows, table
        assert recorded.path == "path-0"
        assert recorded.mode == ("upload" if revision < "0006" else "mode-0")
        await database.write(_write_more)


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


def _fill(conn: Connection) -> None:
    """Three rows in each table, each column with words or numbers of its own."""
    for table in _tables(conn).sorted_tables:
        for number in range(3):
            row = {column.name: _value(column, number, place) for place, column in enumerate(table.columns)}
            if isinstance(row.get("id"), int):
                del row["id"]  # the database counts
            conn.execute(table.insert().values(row))


def _value(column: Column[Any], number: int, place: int) -> object:
    if column.foreign_keys:
        (parent,) = column.foreign_keys
        return number + 1 if parent.column.type.python_type is int else f"{parent.column.name}-{number}"
    match column.type.python_type:
        case kind if kind is str:
            given = {"state": "new", "talkers": "[]"} if column.table.name == "recording" else {}
            return given.get(column.name, f"{column.name}-{number}")
        case kind if kind is bool:
            return number % 2 == 1
        case kind if kind is bytes:
            return f"{column.name}-{number}".encode()
        case kind:
            return kind(100 * place + number + 1)


def _content(conn: Connection) -> dict[str, list[dict[str, Any]]]:
    return {
        name: [dict(row) for row in conn.execute(select(table).order_by(*table.primary_key)).mappings()]
        for name, table in _tables(conn).tables.items()
    }


async def _write_more(conn: AsyncConnection) -> None:
    """Ids go on after those that were there."""
    told = [("id-0", "another.wav")]
    await recordings.add(conn, pbx="pbx-0", portal="portal-0", paths=told, now=1.0)
    found = await recordings.of_call(conn, "id-0")
    assert [one.path for one in found] == ["path-0", "another.wav"]


def _populate(conn: Connection) -> None:
    """One row in each table that has none; parents are called "x"."""
    values: dict[type, Any] = {str: "x", int: 1, float: 1.0, bool: True, bytes: b"x"}
    for table in _tables(conn).sorted_tables:
        if conn.execute(select(func.count()).select_from(table)).scalar_one() == 0:
            conn.execute(table.insert().values({column.name: values[column.type.python_type] for column in table.columns}))


async def _populate_all(conn: AsyncConnection) -> None:
    await conn.run_sync(_populate)
