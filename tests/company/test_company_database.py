"""A database of the company while a caller waits: quick when it is well, never longer than the patience when it is not."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from company_tables import TABLES, run
from hung_server import silent, way_to
from sqlalchemy import text

from perezvon.company import CompanyDatabase, DatabaseAddress, DatabaseTrouble, Fault, Statement
from perezvon.company import database as room
from perezvon.settings.ivr import QUERY

MENU = Statement.parse(QUERY, ("phone",))
PATIENCE = 0.6
LATE = 0.25
"""Seconds that a busy machine may add."""


def statement(sql: str) -> Statement:
    return Statement.parse(sql, ("phone",))


@asynccontextmanager
async def asked(address: str, patience: float = PATIENCE) -> AsyncIterator[CompanyDatabase]:
    database = CompanyDatabase(DatabaseAddress.parse(address), setting="ivr.database", query="ivr.query", patience=patience)
    try:
        yield database
    finally:
        await database.close()


@contextmanager
def within(seconds: float, at_least: float = 0.0) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert at_least <= time.monotonic() - began < seconds + LATE


async def refused(database: CompanyDatabase, sql: Statement = MENU) -> DatabaseTrouble:
    with pytest.raises(DatabaseTrouble) as raised:
        await database.first(sql, ["70000000002"])
    assert "hunter" not in f"{raised.value!r} {raised.value} {raised.value.__cause__}"
    return raised.value


# ---- SQLite


@pytest.fixture
async def sqlite(tmp_path: Path) -> str:
    await run(f"sqlite+aiosqlite:///{tmp_path / 'pbx.db'}", *TABLES)
    return f"sqlite:///{tmp_path / 'pbx.db'}"


async def test_the_first_value_that_has_rows(sqlite: str) -> None:
    async with asked(sqlite) as database:
        answer = await database.first(MENU, ["+70000000002", "70000000002", "70000000001"])
        assert answer is not None
        assert answer.value == "70000000002"
        assert answer.columns == ("scenario", "scenarioMsg", "keyNum", "msgMp3", "transferTo")
        assert answer.rows[1] == ("shop", "welcome.mp3", "2", "pref.mp3", "79160000012")
        assert await database.first(MENU, ["70000000000", "' OR 1 = 1 --"]) is None
        assert database.trouble is None


async def test_an_sqlite_file_in_trouble(sqlite: str, tmp_path: Path) -> None:
    async with asked(sqlite) as database:
        found = await refused(database, statement("SELECT 1 FROM other WHERE x = ?"))
        assert found.fault is Fault.NO_TABLE
        assert "make the table, or write the statement of your own tables into the setting ivr.query" in str(found)
        assert (
            await refused(database, statement("SELECT nope FROM sAsterisk_ivr WHERE phone = ?"))
        ).fault is Fault.NO_COLUMN
        assert (await refused(database, statement("SELECT FROM FROM x WHERE phone = ?"))).fault is Fault.BAD_SQL
    async with asked(f"sqlite:///{tmp_path / 'none.db'}") as database:
        assert (await refused(database)).fault is Fault.NO_DATABASE
    assert not (tmp_path / "none.db").exists()


async def test_a_slow_sqlite_statement_is_ended(sqlite: str) -> None:
    """Not only left: it would go on in its thread."""
    count = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c WHERE n = ?"
    async with asked(sqlite, 0.3) as database:
        with within(0.3, 0.3):
            assert (await refused(database, statement(count))).fault is Fault.TOO_SLOW
        assert database.sore
        assert (await database.first(MENU, ["70000000002"])) is not None
        assert not database.sore


async def test_text_of_another_encoding(tmp_path: Path) -> None:
    await run(
        f"sqlite+aiosqlite:///{tmp_path / 'pbx.db'}",
        *TABLES,
        "INSERT INTO sAsterisk_ivr VALUES (9, '79', 'x', CAST(X'cff0e8e2e5f2' AS TEXT))",
    )
    async with asked(f"sqlite:///{tmp_path / 'pbx.db'}") as database:
        answer = await database.first(MENU, ["79"])
        assert answer is not None
        assert answer.rows[0][1] == "Привет"


# ---- dead and hung, without a server


@pytest.mark.parametrize("kind", ["mysql", "mariadb", "postgresql"])
async def test_nobody_listens(kind: str) -> None:
    async with asked(f"{kind}://reader:hunter2@127.0.0.1:9/pbx") as database:
        with within(0.1):
            assert (await refused(database)).fault is Fault.UNREACHABLE


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mysql", "postgresql"])
async def test_a_server_that_takes_the_connection_and_says_nothing(kind: str) -> None:
    async with silent() as port, asked(f"{kind}://reader:hunter2@127.0.0.1:{port}/pbx") as database:
        before = handles()
        with within(PATIENCE, PATIENCE):
            found = await asyncio.gather(*(refused(database) for _ in range(30)))
        assert {one.fault for one in found} == {Fault.TOO_SLOW}
        assert database.sore
        with within(5.0):
            await database.close()
        await until(lambda: handles() <= before)
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("company-database")]


# ---- real servers


@pytest.fixture(
    params=[pytest.param("mariadb", marks=pytest.mark.mariadb), pytest.param("postgresql", marks=pytest.mark.postgresql)]
)
async def server(request: pytest.FixtureRequest) -> tuple[str, str, int]:
    """The address to write to; that to ask at, with PORT in it; the port. With the tables of document 004."""
    url = str(request.getfixturevalue("mariadb_url" if request.param == "mariadb" else "postgres_url"))
    await run(url, *TABLES)
    head, _, tail = url.partition("@127.0.0.1:")
    port, _, name = tail.partition("/")
    scheme, user = ("mysql", "tests:hunter2") if request.param == "mariadb" else ("postgresql", "perezvon:hunter2")
    assert head
    return url, f"{scheme}://{user}@127.0.0.1:PORT/{name}", int(port)


def handles() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


SLEEP = {"mysql": "SELECT SLEEP(30), ?", "postgresql": "SELECT pg_sleep(30), CAST(:phone AS text)"}


async def test_a_real_server(server: tuple[str, str, int]) -> None:
    _, address, port = server
    async with asked(address.replace("PORT", str(port)), 5.0) as database:
        answer = await database.first(MENU, ["+70000000002", "70000000002"])
        assert answer is not None
        assert [row[2:] for row in answer.rows] == [("1", "msg.mp3", "79160000011"), ("2", "pref.mp3", "79160000012")]
        assert await database.first(MENU, ["70000000000", "' OR ''='"]) is None
        assert (await refused(database, statement("SELECT 1 FROM other WHERE x = ?"))).fault is Fault.NO_TABLE
        assert (await refused(database, statement("SELECT no FROM sAsterisk_ivr WHERE phone = ?"))).fault is Fault.NO_COLUMN
        assert (await refused(database, statement("SELECT SELECT 1 WHERE x = ?"))).fault is Fault.BAD_SQL
    async with asked(address.replace("PORT", str(port)).replace("/test_", "/no_test_"), 5.0) as database:
        assert (await refused(database)).fault is Fault.NO_DATABASE


async def test_a_look_up_takes_milliseconds(server: tuple[str, str, int]) -> None:
    _, address, port = server
    forms = ["+70000000002", "74", "75", "76", "77", "70000000002"]
    async with asked(address.replace("PORT", str(port)), 5.0) as database:
        await database.first(MENU, forms)
        took: list[float] = []
        for _ in range(100):
            began = time.perf_counter()
            assert await database.first(MENU, forms) is not None
            took.append(time.perf_counter() - began)
        print(f"six forms: median {statistics.median(took) * 1000:.2f} ms, slowest {max(took) * 1000:.1f} ms")
        assert statistics.median(took) < 0.02
        began = time.perf_counter()
        answers = await asyncio.gather(*(database.first(MENU, forms) for _ in range(50)))
        print(f"50 at once: {(time.perf_counter() - began) * 1000:.0f} ms")
        assert all(answers)


async def test_it_cannot_be_written(server: tuple[str, str, int]) -> None:
    """A statement of the settings begins with SELECT; here the engine itself is asked."""
    url, address, port = server
    async with asked(address.replace("PORT", str(port)), 5.0) as database:
        for sql in ("DELETE FROM sAsterisk_ivr WHERE phone = :value", "UPDATE sAsterisk_ivr SET phone = :value"):
            found = await refused(database, Statement(sql, text(sql)))
            assert found.fault is Fault.BAD_SQL
            assert "read" in str(found).lower()
    assert url


async def test_a_statement_that_hangs(server: tuple[str, str, int]) -> None:
    """The server ends it too: nothing goes on there for nobody."""
    url, address, port = server
    kind = address.partition(":")[0]
    async with asked(address.replace("PORT", str(port))) as database:
        with within(PATIENCE, PATIENCE * 0.9):
            assert (await refused(database, statement(SLEEP[kind]))).fault is Fault.TOO_SLOW
        answer = await database.first(MENU, ["70000000002"])
        assert answer is not None
    running = {
        "mysql": "SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'",
        "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'",
    }[kind]
    await until(lambda: none_of(url, running))


async def none_of(url: str, sql: str) -> bool:
    return await count(url, sql) == 0


async def some_of(url: str, sql: str) -> bool:
    return await count(url, sql) > 0


async def until(condition: Callable[[], Awaitable[bool]] | Callable[[], bool]) -> None:
    """For what a server does by itself, and tells nobody."""
    async with asyncio.timeout(5):
        while not (done if isinstance(done := condition(), bool) else await done):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def count(url: str, sql: str) -> int:
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(url)
    try:
        async with engine.connect() as conn:
            return int((await conn.execute(text(sql))).scalar_one())
    finally:
        await engine.dispose()


async def test_a_warm_connection_that_is_half_dead(server: tuple[str, str, int]) -> None:
    """Nothing comes through it any more, nothing is closed: a fresh one answers, within the patience."""
    _, address, port = server
    async with way_to(port) as way, asked(address.replace("PORT", str(way.port)), 1.5) as database:
        assert await database.first(MENU, ["70000000002"])
        assert way.taken == 1
        way.freeze()
        with within(1.0, 0.4):
            assert await database.first(MENU, ["70000000002"])
        assert way.taken == 2
        with within(0.1):
            assert await database.first(MENU, ["70000000002"])


async def test_connections_that_were_closed(server: tuple[str, str, int]) -> None:
    """The server was restarted, or has ended what was idle: the caller does not notice."""
    _, address, port = server
    async with way_to(port) as way, asked(address.replace("PORT", str(way.port)), 1.5) as database:
        assert await database.first(MENU, ["70000000002"])
        way.cut()
        with within(0.3):
            assert await database.first(MENU, ["70000000002"])
        assert way.taken == 2


async def test_killed_in_the_middle(server: tuple[str, str, int]) -> None:
    _, address, port = server
    kind = address.partition(":")[0]
    async with way_to(port) as way, asked(address.replace("PORT", str(way.port)), 5.0) as database:
        question = asyncio.create_task(refused(database, statement(SLEEP[kind])))
        running = {
            "mysql": "SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP(30)%'",
            "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(30)%'",
        }[kind]
        await until(lambda: some_of(server[0], running))
        with within(0.5):
            way.close()
            assert (await question).fault is Fault.UNREACHABLE
        with within(0.1):
            assert (await refused(database)).fault is Fault.UNREACHABLE
        await way.open()
        assert await database.first(MENU, ["70000000002"])
        assert database.trouble is None


async def test_kept_warm(server: tuple[str, str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection is there before the first caller; one that has died meanwhile is replaced before the next one."""
    monkeypatch.setattr(room, "EVERY", 0.05)
    monkeypatch.setattr(room, "SORE", 0.05)
    _, address, port = server
    async with way_to(port) as way, asked(address.replace("PORT", str(way.port)), 1.5) as database:
        keeper = asyncio.create_task(database.keep_warm())
        await until(lambda: bool(database._idle))  # pyright: ignore[reportPrivateUsage]
        assert await database.first(MENU, ["70000000002"])
        assert way.taken == 1
        way.cut()
        await until(lambda: way.taken >= 2)
        way.close()
        await until(lambda: database.trouble is not None)
        assert database.trouble is not None
        assert database.trouble.fault is Fault.UNREACHABLE
        await way.open()
        await until(lambda: database.trouble is None)
        await database.close()
        async with asyncio.timeout(2):
            await keeper


@pytest.mark.mariadb
async def test_mariadb_refuses(mariadb_url: str) -> None:
    name = mariadb_url.rpartition("/")[2]
    address = mariadb_url.replace("mysql+asyncmy", "mysql")
    await run(
        mariadb_url,
        *TABLES,
        f"CREATE USER stranger_{name}@'127.0.0.1' IDENTIFIED BY 'hunter3'",
        f"GRANT CREATE ON {name}.* TO stranger_{name}@'127.0.0.1'",
    )
    async with asked(address.replace("hunter2", "hunter4"), 5.0) as database:
        found = await refused(database)
        assert found.fault is Fault.REFUSED
        assert "in the setting ivr.database; the user needs: GRANT SELECT ON sAsterisk_ivr, sAsterisk_ivr_button" in str(
            found
        )
    async with asked(address.replace("tests:hunter2", f"stranger_{name}:hunter3"), 5.0) as database:
        assert (await refused(database)).fault is Fault.NO_RIGHT


@pytest.mark.mariadb
async def test_mariadb_columns_of_numbers(mariadb_url: str) -> None:
    await numbers(mariadb_url, mariadb_url.replace("mysql+asyncmy", "mysql"))


@pytest.mark.postgresql
async def test_postgresql_columns_of_numbers(postgres_url: str) -> None:
    """There a number is no text: what is asked for becomes one."""
    await numbers(postgres_url, postgres_url.replace("postgresql+asyncpg://perezvon@", "postgresql://perezvon:x@"))


async def numbers(url: str, address: str) -> None:
    await run(url, "CREATE TABLE menus (phone BIGINT, digit INT)", "INSERT INTO menus VALUES (70000000002, 1)")
    async with asked(address, 5.0) as database:
        sql = statement("SELECT digit FROM menus WHERE phone = ?")
        for _ in range(2):
            answer = await database.first(sql, ["multifon-in", "+70000000002"])
            assert answer is not None
            assert answer.rows == ((1,),)
        assert await database.first(sql, ["74951234567"]) is None


def test_of_what_kind_codes_are() -> None:
    """Each code has one meaning."""
    from perezvon.company.trouble import CODES

    seen: dict[Any, Fault] = {}
    for fault, codes in CODES.items():
        for code in codes:
            assert seen.setdefault(code, fault) is fault
