"""Where the scenario of a number comes from, and that a caller never waits for a database in trouble."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from company_tables import SHOP, TABLES, run
from hung_server import silent, way_to

from perezvon.company import Fault
from perezvon.ivr import source as room
from perezvon.ivr.source import Found, Origin, ScenarioSource
from perezvon.settings import Settings
from perezvon.settings.load import settings_from
from perezvon.storage import Database, answers, menus
from perezvon.storage.menus import Menu, MenuButton
from perezvon.storage.schema import company_answer

OWN = Menu("+74951234567", "night", "night.mp3", (MenuButton("1", "a.mp3", "101"), MenuButton("2", "b.mp3", "102")))


def settings(database: object = "", *, patience: float = 5.0, query: str = "", **more: object) -> Settings:
    ivr = {"patience": patience, **({"database": str(database)} if database else {}), **({"query": query} if query else {})}
    return settings_from({"ivr": ivr, **more})


@asynccontextmanager
async def source(storage: Database, set_up: Settings, *, remember: bool = True) -> AsyncIterator[ScenarioSource]:
    made = ScenarioSource(storage, set_up, remember=remember)
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Database]:
    async with await Database.open(tmp_path / "data") as database:
        await database.write(lambda conn: menus.replace(conn, [OWN], 1.0))
        yield database


@pytest.fixture
async def pbx(tmp_path: Path) -> str:
    await run(f"sqlite+aiosqlite:///{tmp_path / 'pbx.db'}", *TABLES)
    return f"sqlite:///{tmp_path / 'pbx.db'}"


def buttons(found: Found) -> tuple[tuple[str, str, str], ...]:
    assert found.scenario is not None, found
    return tuple((button.key, button.prompt, button.to) for button in found.scenario.buttons)


async def stored(storage: Database) -> int:
    async with storage.read() as conn:
        return len((await conn.execute(company_answer.select())).all())


async def test_the_test_numbers_of_document_004(storage: Database, pbx: str) -> None:
    async with source(storage, settings(pbx)) as made:
        nothing = await made.find("70000000000")
        assert (nothing.scenario, nothing.origin, nothing.trouble) == (None, Origin.NONE, None)
        one = await made.find("70000000001")
        assert one.scenario is not None
        assert one.scenario.alone is not None
        assert (one.origin, one.scenario.alone.to) == ("database", "79160000001")
        several = await made.find("+7 000 000-00-02")
        assert (several.form, buttons(several)) == ("70000000002", SHOP)
        assert several.scenario is not None
        assert several.scenario.intro == "welcome.mp3"


async def test_names_of_a_line(storage: Database, pbx: str) -> None:
    lines = [{"number": "+70000000002", "aliases": ["multifon-in"]}, {"number": "70000000001", "menu": False}]
    async with source(storage, settings(pbx, line=lines)) as made:
        assert buttons(await made.find("multifon-in")) == SHOP
        assert (await made.find("80000000001")).origin is Origin.NONE  # its menu is switched off
        for number in ("", " ", "other-in", "x" * 5000, "'; DROP TABLE sAsterisk_ivr; --", "\0", "…"):
            assert (await made.find(number)).scenario is None


async def test_our_own_tables(storage: Database, pbx: str) -> None:
    expected = (("1", "a.mp3", "101"), ("2", "b.mp3", "102"))
    for set_up in (settings(), settings(pbx), settings("mysql://r:p@127.0.0.1:9/pbx")):
        async with source(storage, set_up) as made:
            found = await made.find("84951234567")
            assert (found.origin, found.form, buttons(found)) == ("own", "+74951234567", expected)


async def test_the_last_good_scenario(storage: Database, pbx: str, tmp_path: Path) -> None:
    """In this process, in the next one, and until the database says something else."""
    async with source(storage, settings(pbx)) as made:
        assert (await made.find("70000000002")).origin is Origin.DATABASE
        (tmp_path / "pbx.db").rename(tmp_path / "away.db")
        found = await made.find("+70000000002")
        assert (found.origin, buttons(found)) == ("cache", SHOP)
        assert found.trouble is not None
        assert (await made.find("70000000001")).origin is Origin.NONE
    async with source(storage, settings(pbx)) as made:
        found = await made.find("80000000002")
        assert (found.origin, buttons(found), found.form) == ("cache", SHOP, "70000000002")
        (tmp_path / "away.db").rename(tmp_path / "pbx.db")
        await run(f"sqlite+aiosqlite:///{tmp_path / 'pbx.db'}", "DELETE FROM sAsterisk_ivr WHERE phone = '70000000002'")
        assert (await made.find("70000000002")).origin is Origin.NONE
        (tmp_path / "pbx.db").unlink()
        assert (await made.find("70000000002")).origin is Origin.NONE
    async with source(storage, settings(pbx)) as made:
        assert (await made.find("70000000002")).origin is Origin.NONE


async def test_what_is_stored(storage: Database, pbx: str) -> None:
    """Once for each scenario, not for each call; numbers without one are not kept; other settings have other answers."""
    async with source(storage, settings(pbx), remember=False) as made:
        await made.find("70000000002")
    assert await stored(storage) == 0
    async with source(storage, settings(pbx)) as made:
        for _ in range(5):
            await made.find("70000000002")
            await made.find("79991112233")
        writes = storage.writer.writes
        await made.find("70000000002")
        await made.find("+70000000002")
        await made.find("79991112233")
        await asyncio.sleep(0)
        assert storage.writer.writes == writes
    assert await stored(storage) == 1
    other = "SELECT scenarioMsg, 1 AS keyNum, '' AS msgMp3, 5 AS transferTo FROM sAsterisk_ivr WHERE phone = ?"
    async with source(storage, settings(pbx, query=other)) as made:
        assert buttons(await made.find("70000000002")) == (("1", "", "5"),)
    assert await stored(storage) == 1


async def test_new_settings(storage: Database, pbx: str, tmp_path: Path) -> None:
    await run(f"sqlite+aiosqlite:///{tmp_path / 'new.db'}", *TABLES, "UPDATE sAsterisk_ivr_button SET transferTo = '8'")
    async with source(storage, settings(pbx)) as made:
        keeper = asyncio.create_task(made.keep_warm())
        assert buttons(await made.find("70000000002")) == SHOP
        await made.configure(settings(f"sqlite:///{tmp_path / 'new.db'}"))
        assert {to for _, _, to in buttons(await made.find("70000000002"))} == {"8"}
        await made.configure(settings())
        assert (await made.find("70000000002")).origin is Origin.NONE
        await made.configure(settings(pbx))
        assert buttons(await made.find("70000000002")) == SHOP
        keeper.cancel()
        with pytest.raises(asyncio.CancelledError):
            await keeper


async def test_a_password_that_is_not_there(storage: Database, tmp_path: Path) -> None:
    async with source(storage, settings(f"mysql://r:file:{tmp_path}/none@127.0.0.1:9/pbx")) as made:
        found = await made.find("70000000002")
        assert found.trouble is not None
        assert f"{tmp_path}/none cannot be read" in str(found.trouble)
        (tmp_path / "none").write_text("hunter2")
        found = await made.find("70000000002")
        assert found.trouble is not None
        assert found.trouble.fault is Fault.UNREACHABLE


async def test_a_hung_server(storage: Database) -> None:
    """30 callers at once, each within the patience; the next one, whose scenario is known, does not wait at all."""
    async with silent() as port:
        set_up = settings(f"mysql://r:p@127.0.0.1:{port}/pbx", patience=0.6)
        async with source(storage, set_up) as made:
            question = made._company.kept_under  # pyright: ignore[reportPrivateUsage]
            kept = room._Kept("70000000002", ("keyNum", "transferTo"), (("1", "79"), ("2", "78")))  # pyright: ignore[reportPrivateUsage]
            await storage.write(lambda conn: answers.remember(conn, question, "+70000000002", kept.body(), 1.0))
            found = await asyncio.gather(*(made.find("70000000002") for _ in range(30)))
            assert {one.origin for one in found} == {Origin.CACHE}
            assert max(one.seconds for one in found) < 0.6 + 0.25
            again = await made.find("70000000002")
            assert (again.origin, buttons(again)) == ("cache", (("1", "", "79"), ("2", "", "78")))
            assert again.seconds < 0.1
            assert again.trouble is not None
            assert again.trouble.fault is Fault.TOO_SLOW


async def test_a_defect_sends_the_caller_on(storage: Database, pbx: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with source(storage, settings(pbx)) as made:
        monkeypatch.setattr(room, "forms", lambda *_: 1 / 0)
        found = await made.find("70000000002")
        assert (found.scenario, found.origin) == (None, Origin.NONE)
        assert found.trouble is not None


async def test_our_own_tables_are_gone(storage: Database, pbx: str) -> None:
    """The company's database is enough."""
    async with source(storage, settings(pbx)) as made:
        await storage.close()
        assert buttons(await made.find("70000000002")) == SHOP
        assert (await made.find("84951234567")).origin in (Origin.NONE, Origin.OWN)


# ---- real servers


@pytest.mark.mariadb
async def test_mariadb(storage: Database, mariadb_url: str) -> None:
    await run(mariadb_url, *TABLES)
    await through(storage, mariadb_url.replace("mysql+asyncmy", "mysql"), "SELECT SLEEP(20), ?", mariadb_url)


@pytest.mark.postgresql
async def test_postgresql(storage: Database, postgres_url: str) -> None:
    """Where names without quotes are in small letters."""
    await run(postgres_url, *TABLES)
    address = postgres_url.replace("postgresql+asyncpg://perezvon@", "postgresql://perezvon:x@")
    await through(storage, address, "SELECT pg_sleep(20), CAST(:phone AS text)", postgres_url)


async def through(storage: Database, address: str, sleep: str, writing: str) -> None:
    """Well, hung, dead, back."""
    head, _, tail = address.rpartition("127.0.0.1:")
    port, _, name = tail.partition("/")
    async with way_to(int(port)) as way:
        set_up = settings(f"{head}127.0.0.1:{way.port}/{name}", patience=1.0)
        async with source(storage, set_up) as made:
            assert buttons(await made.find("+70000000002")) == SHOP
            took = [(await made.find("+70000000002")).seconds for _ in range(50)]
            print(f"warm: median {statistics.median(took) * 1000:.2f} ms, slowest {max(took) * 1000:.1f} ms")
            assert statistics.median(took) < 0.02
            way.close()
            found = await made.find("+70000000002")
            assert (found.origin, buttons(found)) == ("cache", SHOP)
            assert found.seconds < 0.1
            await way.open()
            await run(writing, "UPDATE sAsterisk_ivr_button SET transferTo = '79169999999' WHERE id = 3")
            found = await made.find("+70000000002")
            assert (found.origin, buttons(found)[1]) == ("database", ("2", "pref.mp3", "79169999999"))
    async with source(storage, settings(address, patience=0.6, query=sleep)) as made:
        began = time.monotonic()
        found = await made.find("+70000000002")
        assert time.monotonic() - began < 0.6 + 0.25
        assert (found.scenario, found.origin) == (None, Origin.NONE)
        assert found.trouble is not None
        assert found.trouble.fault is Fault.TOO_SLOW
