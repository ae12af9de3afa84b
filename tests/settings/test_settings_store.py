"""Saved versions of the settings, on the real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select

from perezvon.settings import KeyLost, SecretBox, Settings, SettingsStore
from perezvon.settings.load import parse
from perezvon.settings.place import database_place, database_url, keep_database_url
from perezvon.settings.store import NoSuchVersion
from perezvon.settings.urls import OwnDatabaseUrl
from perezvon.storage.database import Database
from perezvon.storage.schema import setting_version

PBX = "[[asterisk]]\nname='main'\nami='tcp://u:hunter2@h'\n"


@pytest.fixture
async def database(place: str) -> AsyncIterator[Database]:
    async with await Database.open(place) as database:
        yield database


@pytest.fixture
def box(tmp_path: Path) -> SecretBox:
    return SecretBox.open(tmp_path)


@pytest.fixture
def store(database: Database, box: SecretBox) -> SettingsStore:
    return SettingsStore(database, box, clock=lambda: 1_800_000_000.0)


async def test_nothing_saved_is_the_empty_settings(store: SettingsStore) -> None:
    version = await store.load()
    assert (version.id, version.settings) == (0, Settings())


async def test_a_save_is_a_version_and_the_same_content_is_none(store: SettingsStore) -> None:
    saved = await store.merge(parse(PBX), "anna", "first")
    assert (saved.version.id, saved.version.who, saved.version.note) == (1, "anna", "first")
    assert [str(change) for change in saved.changes][:2] == [
        '+ asterisk[main].name = "main"',
        '+ asterisk[main].ami = "tcp://u:********@h"',
    ]
    again = await store.merge(parse(PBX), "boris")
    assert (again.version.id, again.changes) == (1, ())
    default = await store.merge(parse("[log]\nlevel='info'\n"), "boris")
    assert (default.version.id, default.changes) == (1, ())


async def test_secrets_are_sealed_in_the_table(store: SettingsStore, database: Database) -> None:
    await store.merge(parse(PBX), "anna")
    async with database.read() as conn:
        body = (await conn.execute(select(setting_version.c.body))).scalar_one()
    assert "hunter2" not in body
    assert (await store.load()).settings.asterisk[0].ami.reveal() == "tcp://u:hunter2@h"


async def test_history_tells_who_changed_what_and_hides_secrets(store: SettingsStore) -> None:
    await store.merge(parse(PBX), "anna", "first")
    await store.merge(parse(PBX.replace("hunter2", "hunter3") + "[log]\nlevel='debug'\n"), "boris", "second")
    newest, oldest = await store.history()
    assert (newest.id, newest.who, newest.note, oldest.who) == (2, "boris", "second", "anna")
    assert newest.changes is not None
    assert [(change.path, change.before, change.after, change.secret) for change in newest.changes] == [
        ("asterisk[main].ami", '"tcp://u:********@h"', '"tcp://u:********@h"', True),
        ("log.level", '"info"', '"debug"', False),
    ]
    assert (await store.history(1)) == [newest]


async def test_undo_saves_the_version_before_anew(store: SettingsStore) -> None:
    with pytest.raises(NoSuchVersion, match="nothing to undo"):
        await store.undo("anna")
    await store.merge(parse(PBX), "anna")
    await store.merge(parse("[log]\nlevel='debug'\n"), "anna")
    undone = await store.undo("boris")
    assert (undone.version.id, undone.version.settings.log.level) == (3, "info")
    redone = await store.undo("boris")
    assert (redone.version.id, redone.version.settings.log.level) == (4, "debug")
    first = await store.undo("boris", to=1)
    assert (first.version.id, first.version.settings.log.level, first.version.note) == (
        5,
        "info",
        "undo: back to version 1",
    )
    with pytest.raises(NoSuchVersion, match="no version 77"):
        await store.undo("boris", to=77)


async def test_undo_of_the_first_version_goes_back_to_nothing(store: SettingsStore) -> None:
    await store.merge(parse(PBX), "anna")
    assert (await store.undo("anna")).version.settings == Settings()


async def test_listeners_hear_of_changes_and_one_that_fails_stops_nobody(store: SettingsStore) -> None:
    heard: list[tuple[str, str]] = []

    async def failing(before: Settings, after: Settings) -> None:
        raise RuntimeError("no")

    async def hearing(before: Settings, after: Settings) -> None:
        heard.append((before.log.level, after.log.level))

    store.listen(failing)
    store.listen(hearing)
    await store.merge(parse("[log]\nlevel='debug'\n"), "anna")
    await store.merge(parse("[log]\nlevel='debug'\n"), "anna")
    assert heard == [("info", "debug")]


async def test_a_save_of_another_process_is_noticed(store: SettingsStore, place: str, box: SecretBox) -> None:
    changed: asyncio.Future[Settings] = asyncio.get_running_loop().create_future()

    async def hearing(before: Settings, after: Settings) -> None:
        changed.set_result(after)

    await store.load()
    store.listen(hearing)
    following = asyncio.create_task(store.follow(interval=30))
    async with await Database.open(place, own=False) as beside:
        await SettingsStore(beside, box).merge(parse("[log]\nlevel='debug'\n"), "cli")
    store.wake()
    async with asyncio.timeout(10):
        assert (await changed).log.level == "debug"
    following.cancel()
    await asyncio.wait([following])


async def test_a_lost_key_stops_reading_and_saving_all_anew_helps(
    store: SettingsStore, database: Database, tmp_path: Path
) -> None:
    await store.merge(parse(PBX), "anna")
    other = SettingsStore(database, SecretBox.open(tmp_path / "elsewhere"))
    with pytest.raises(KeyLost):
        await other.load()
    with pytest.raises(KeyLost):
        await other.merge(parse("[log]\nlevel='debug'\n"), "anna")
    saved = await other.apply(Settings.model_validate_json('{"log": {"level": "debug"}}'), "anna")
    assert saved.version.id == 2
    assert [entry.changes for entry in await other.history()] == [None, None]


async def test_preview_saves_nothing(store: SettingsStore) -> None:
    assert [change.path for change in await store.preview(parse("[log]\nlevel='debug'\n"))] == ["log.level"]
    assert (await store.load()).id == 0


async def test_the_databases_own_address_is_no_part_of_the_history(store: SettingsStore) -> None:
    saved = await store.merge(parse("[database]\nurl='postgresql://u:p@h/db'\n[log]\nlevel='debug'\n"), "anna")
    assert saved.version.settings.database.url is None
    assert [change.path for change in saved.changes] == ["log.level"]


def test_the_databases_own_address_is_kept_sealed_in_the_data_directory(tmp_path: Path, box: SecretBox) -> None:
    assert database_place(tmp_path, box) == tmp_path
    keep_database_url(tmp_path, box, OwnDatabaseUrl("postgresql://u:hunter2@h/db"))
    assert database_place(tmp_path, box) == "postgresql://u:hunter2@h/db"
    assert "hunter2" not in (tmp_path / "database.url").read_text()
    keep_database_url(tmp_path, box, OwnDatabaseUrl("postgresql://u:env:DB@h/db"))
    assert (tmp_path / "database.url").read_text() == "postgresql://u:env:DB@h/db\n"
    keep_database_url(tmp_path, box, None)
    assert database_url(tmp_path, box) is None
