"""Whom a code means: found quickly or not at all, and never anything that a dial string could be broken with."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from company_tables import run
from hypothesis import given
from hypothesis import strategies as st

from perezvon.calls import Numbering
from perezvon.company import Fault
from perezvon.conference import CodeLookup, Origin
from perezvon.conference.dialable import dialable, written
from perezvon.settings import Settings
from perezvon.settings.load import settings_from
from perezvon.storage import Database, menus

CODES = {
    "1": "74952223344",
    "2": "8 (495) 222-33-45",
    "3": "102",
    "4": "102&PJSIP/666@carrier",
    "5": "74952223344,,,",
    "6": "${SHELL(reboot)}",
    "7": None,
    "8": "+44 20 7946 0018",
    "9": "74952223344, 74952223355",
    "10": "  4952223346 ",
}


def table(phone: str = "VARCHAR(60)") -> list[str]:
    rows = [f"INSERT INTO sAsterisk_prefix VALUES ('{code}', {_sql(number)})" for code, number in CODES.items()]
    return [f"CREATE TABLE sAsterisk_prefix (pref VARCHAR(20), phone {phone})", *rows]


def _sql(value: str | None) -> str:
    return "NULL" if value is None else f"'{value}'"


@pytest.fixture
async def pbx(tmp_path: Path) -> str:
    await run(f"sqlite+aiosqlite:///{tmp_path / 'pbx.db'}", *table())
    return f"sqlite:///{tmp_path / 'pbx.db'}"


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Database]:
    async with await Database.open(tmp_path / "data") as database:
        await database.write(lambda conn: menus.replace_codes(conn, {"77": "+74957777777", "1": "74950000000"}, 1.0))
        yield database


def settings(database: object = "", *, patience: float = 1.5, query: str = "") -> Settings:
    wanted = {"patience": patience, **({"database": str(database)} if database else {})}
    return settings_from({"conference": wanted | ({"query": query} if query else {})})


@asynccontextmanager
async def lookup(storage: Database, set_up: Settings, *, remember: bool = True) -> AsyncIterator[CodeLookup]:
    made = CodeLookup(storage, set_up, remember=remember)
    try:
        yield made
    finally:
        await made.close()


class Asked:
    """A dialplan that waits."""

    def __init__(self, *args: str) -> None:
        self.args = args
        self.variables: dict[str, str] = {}

    async def set(self, name: str, value: str) -> None:
        self.variables[name] = value


async def test_the_companys_table(storage: Database, pbx: str) -> None:
    async with lookup(storage, settings(pbx)) as made:
        found = {code: await made.find(code) for code in CODES}
        numbers = {code: one.number for code, one in found.items() if one.number}
        assert numbers == {
            "1": "74952223344",
            "2": "74952223345",
            "3": "102",
            "8": "442079460018",
            "10": "74952223346",
        }
        assert {one.origin for one in found.values()} == {Origin.DATABASE}
        assert {code for code, one in found.items() if one.unfit} == {"4", "5", "6", "7", "9"}


async def test_the_script(storage: Database, pbx: str) -> None:
    async with lookup(storage, settings(pbx)) as made:
        for args, expected in [
            (("1",), {"PEREZVON_TO": "74952223344"}),
            (("999",), {}),
            (("4",), {}),
            ((), {}),
            (("1' OR '1'='1",), {}),
            (("*3",), {}),
            (("1" * 21,), {}),
        ]:
            asked = Asked(*args)
            await made.third(asked)
            assert asked.variables == expected, args


async def test_our_own_codes_come_behind(storage: Database, pbx: str) -> None:
    async with lookup(storage, settings(pbx)) as made:
        assert (await made.find("77")).number == "74957777777"
        assert (await made.find("77")).origin is Origin.OWN
        assert (await made.find("1")).number == "74952223344"
    for nothing_to_ask in (settings(), settings("mysql://r:hunter2@127.0.0.1:9/pbx")):
        async with lookup(storage, nothing_to_ask) as made:
            assert ((await made.find("77")).number, (await made.find("1")).number) == ("74957777777", "74950000000")


async def test_the_last_good_answer(storage: Database, pbx: str, tmp_path: Path) -> None:
    """In this process, in the next one, and until the table says something else."""
    async with lookup(storage, settings(pbx)) as made:
        assert (await made.find("2")).origin is Origin.DATABASE
        (tmp_path / "pbx.db").rename(tmp_path / "away.db")
        found = await made.find("2")
        assert (found.number, found.origin) == ("74952223345", Origin.CACHE)
        assert found.trouble is not None
        assert found.trouble.fault is Fault.NO_DATABASE
        unknown = await made.find("3")
        assert (unknown.number, unknown.origin, unknown.trouble is None) == ("", Origin.NONE, False)
    async with lookup(storage, settings(pbx)) as made:
        assert (await made.find("2")).number == "74952223345"
        (tmp_path / "away.db").rename(tmp_path / "pbx.db")
        await run(f"sqlite+aiosqlite:///{tmp_path / 'pbx.db'}", "DELETE FROM sAsterisk_prefix WHERE pref = '2'")
        assert (await made.find("2")).origin is Origin.NONE
        (tmp_path / "pbx.db").unlink()
        assert (await made.find("2")).origin is Origin.NONE


async def test_a_manager_does_not_wait_for_a_database_that_hangs(storage: Database) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with lookup(storage, settings(f"mysql://reader:hunter2@127.0.0.1:{port}/pbx", patience=0.4)) as made:
        began = time.monotonic()
        found = await made.find("77")
        assert time.monotonic() - began < 0.4 + 0.2
        assert (found.number, found.origin) == ("74957777777", Origin.OWN)
        assert found.trouble is not None
        assert found.trouble.fault is Fault.TOO_SLOW
        assert "hunter2" not in str(found)
    server.close()


async def test_other_settings(storage: Database, pbx: str) -> None:
    async with lookup(storage, settings()) as made:
        task = asyncio.create_task(made.keep_warm())
        assert (await made.find("3")).number == ""
        await made.configure(settings(pbx))
        assert (await made.find("3")).number == "102"
        await made.configure(settings(pbx, query="SELECT '103' FROM sAsterisk_prefix WHERE pref = :code"))
        assert (await made.find("3")).number == "103"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _on_a_server(storage: Database, kind: str, url: str) -> None:
    await run(url, *table())
    async with lookup(storage, settings(re.sub(r"^\w+\+\w+", kind, url))) as made:
        found = await made.find("2")
        assert (found.number, found.origin) == ("74952223345", Origin.DATABASE)
        assert (await made.find("4")).number == ""


@pytest.mark.mariadb
async def test_mariadb(storage: Database, mariadb_url: str) -> None:
    await _on_a_server(storage, "mysql", mariadb_url)


@pytest.mark.postgresql
async def test_postgresql(storage: Database, postgres_url: str) -> None:
    await _on_a_server(storage, "postgresql", postgres_url.replace("//perezvon@", "//perezvon:x@"))


# ---- what may be dialled


IS_EXTENSION = Numbering().is_extension


@pytest.mark.parametrize(
    ("told", "region", "expected"),
    [
        ("84952223344", "RU", "74952223344"),
        ("+7 (495) 222-33-44", "RU", "74952223344"),
        ("(495) 222 33 44", "RU", "74952223344"),
        ("495.222.33.44", "RU", "74952223344"),
        ("70000000002", "RU", "70000000002"),
        ("101", "RU", "101"),
        ("+101", "RU", "101"),
        ("066 123 45 67", "UA", "380661234567"),
        ("0171 1234567", "DE", "491711234567"),
        ("+1 650 253 0000", "RU", "16502530000"),
        ("112", "RU", "112"),
        ("1", "RU", ""),
        ("12345678901234567890", "RU", ""),
        ("", "RU", ""),
        ("доб. 12", "RU", ""),
        ("74952223344 доб. 12", "RU", ""),
        ("74952223344#1", "RU", ""),
        ("74952223344/x", "RU", ""),
        ("7495222\n3344", "RU", ""),
        ("７４９５２２２３３４４", "RU", ""),
    ],
)
def test_what_people_write(told: str, region: str, expected: str) -> None:
    assert dialable(told, region, IS_EXTENSION) == expected


@given(st.one_of(st.text(), st.text("0123456789+&/,()$ -.@x\n\r\0;{}")), st.sampled_from(["RU", "KZ", "DE", "US"]))
def test_nothing_else_gets_out(told: str, region: str) -> None:
    assert re.fullmatch(r"[0-9]{0,15}", dialable(told, region, IS_EXTENSION), re.ASCII)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (74952223344, "74952223344"),
        (74952223344.0, "74952223344"),
        (Decimal(74952223344), "74952223344"),
        (b"74952223344", "74952223344"),
        ("  1 ", "1"),
        (None, ""),
        (True, ""),
        (1.5, ""),
        (float("nan"), ""),
        (float("inf"), ""),
        ([1], ""),
    ],
)
def test_cells(cell: object, expected: str) -> None:
    assert written(cell) == expected
