"""The channel event log in a database: what PBXs' tables look like, and what goes wrong with them. Against real servers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cel_tables import (
    FREEPBX,
    PGSQL,
    PGSQL_PLAIN,
    SQLITE,
    SQLITE_SAMPLE,
    local,
    make,
    rows_of,
    whole_seconds,
    zoned,
)

from perezvon.asterisk import cel_database
from perezvon.asterisk.cel import Row, parse
from perezvon.asterisk.cel_database import KINDS
from perezvon.asterisk.cel_events import events_of
from perezvon.asterisk.cel_source import CelAddress, cel_source
from perezvon.asterisk.cel_trouble import CelDatabaseTrouble
from perezvon.calls import CallEnded, Numbering, Tracker

STORY = "blind_by_code"
NUMBERING = Numbering(trunks=frozenset({"carrier", "bitrix24"}), lines=frozenset({"+74951234567"}))


def from_file(story: str = STORY) -> list[Row]:
    lines = [",".join('"' + value.replace('"', '""') + '"' for value in row.values()) for row in rows_of(story)]
    return sorted(parse(line.encode() for line in lines), key=lambda row: row.at)


def call_of(rows: Sequence[Row]) -> dict[str, Any]:
    tracker = Tracker("pbx", NUMBERING)
    facts = [fact for event in events_of(rows) for fact in tracker.feed(event)]
    (record,) = [fact.record for fact in facts if isinstance(fact, CallEnded) and not fact.record.absorbed_into]
    told = record.as_json()
    return {name: told[name] for name in ("id", "client", "line", "outcome", "talkers", "last_talker", "transfers", "rung")}


def sqlite(path: Path) -> tuple[str, str]:
    """For us to write, and as the setting has it."""
    return f"sqlite+aiosqlite:///{path}", f"sqlite:///{path}"


@pytest.mark.parametrize("page", [7, 5000])
@pytest.mark.parametrize("create", [SQLITE, SQLITE_SAMPLE])
@pytest.mark.parametrize("time", [str, float, lambda text: str(local(text))])
async def test_sqlite(tmp_path: Path, create: str, time: Any, page: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cel_database, "PAGE", page)
    written, read = sqlite(tmp_path / "master.db")
    await make(written, create, rows_of(STORY), time)
    source = cel_source(read)
    expected = from_file()
    rows = await source.read(0.0)
    assert [(row.kind, row.uniqueid, row.extra) for row in rows] == [(r.kind, r.uniqueid, r.extra) for r in expected]
    assert [row.at for row in rows] == pytest.approx([row.at for row in expected], abs=1e-3)
    assert rows[0].caller == expected[0].caller
    newest = await source.newest()
    assert newest is not None
    assert newest.at == pytest.approx(expected[-1].at, abs=1e-3)
    middle = expected[len(expected) // 2].at - 1e-4
    assert len(await source.read(middle)) == sum(row.at >= middle for row in expected)
    assert len(await source.read(0.0, middle)) == sum(row.at <= middle for row in expected)


@pytest.mark.slow
async def test_a_large_table_is_halved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 60 000 rows of two months the first page that is read begins just before the wanted hour."""
    written, read = sqlite(tmp_path / "master.db")
    first = rows_of(STORY)[0]
    start = float(first["eventtime"])
    rows = [{**first, "eventtime": str(start + n * 90.0), "uniqueid": f"{start + n * 90:.0f}.{n}"} for n in range(60_000)]
    await make(written, SQLITE, rows)
    begun: list[int] = []
    find = cel_database.CelDatabase._first  # pyright: ignore[reportPrivateUsage]

    async def first_row(self: Any, *args: Any) -> int:
        begun.append(await find(self, *args))
        return begun[-1]

    monkeypatch.setattr(cel_database.CelDatabase, "_first", first_row)
    since = start + 30_000 * 90.0
    assert [row.at for row in await cel_source(read).read(since, since + 3600.0)] == [since + n * 90.0 for n in range(41)]
    assert 30_000 - 80 - cel_database.CLOSE <= begun[0] <= 30_000
    monkeypatch.setattr(cel_database, "MOST", 100)
    with pytest.raises(CelDatabaseTrouble, match="more than 100 rows in that time: read it in shorter periods"):
        await cel_source(read).read(0.0)


async def test_event_types_by_number(tmp_path: Path) -> None:
    written, read = sqlite(tmp_path / "master.db")
    numbered = [{**row, "eventtype": KINDS.index(row["eventtype"])} for row in rows_of(STORY)]
    await make(written, SQLITE.replace("eventtype VARCHAR(512)", "eventtype INTEGER"), numbered)
    assert [row.kind for row in await cel_source(read).read(0.0)] == [row.kind for row in from_file()]


async def test_times_of_another_zone(tmp_path: Path) -> None:
    written, read = sqlite(tmp_path / "master.db")
    await make(written, SQLITE, rows_of(STORY), lambda text: f"{zoned(text):%Y-%m-%d %H:%M:%S.%f}")
    rows = await cel_source(f"{read}?timezone=Etc/UTC").read(0.0)
    assert [row.at for row in rows] == pytest.approx([row.at for row in from_file()], abs=1e-3)
    east = await cel_source(f"{read}?timezone=Asia/Yekaterinburg").read(0.0)
    assert east[0].at == pytest.approx(rows[0].at - 5 * 3600)


async def test_sqlite_in_trouble(tmp_path: Path) -> None:
    written, read = sqlite(tmp_path / "master.db")
    with pytest.raises(CelDatabaseTrouble, match="there is no such database: correct the setting cel"):
        await cel_source(read).read(0.0)
    assert not (tmp_path / "master.db").exists(), "made by reading"
    await make(written, SQLITE.replace(", extra VARCHAR(512)", ""), [])
    with pytest.raises(CelDatabaseTrouble, match="lacks columns: extra: add them to the table cel"):
        await cel_source(read).newest()
    with pytest.raises(CelDatabaseTrouble, match=r"no such table: other: name the table in the setting cel"):
        await cel_source(f"{read}?table=other").newest()
    (tmp_path / "text").write_text("this is no database at all" * 100)
    with pytest.raises(CelDatabaseTrouble, match="there is no such database"):
        await cel_source(f"sqlite:///{tmp_path / 'text'}").newest()


async def test_sqlite_is_only_read(tmp_path: Path) -> None:
    written, read = sqlite(tmp_path / "master.db")
    await make(written, SQLITE, rows_of(STORY))
    (tmp_path / "master.db").chmod(0o400)
    before = (tmp_path / "master.db").read_bytes()
    assert await cel_source(read).read(0.0)
    assert (tmp_path / "master.db").read_bytes() == before


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("mysql://u:hunter2@h/db?tabel=x", "unknown option tabel"),
        ("mysql://u:hunter2@h/db?table=x;drop", "Latin letters"),
        ("mysql://u:hunter2@h/db?timezone=Mars", "Europe/Moscow"),
        ("mysql://u:hunter2@h/", "names no database: mysql://reader"),
        ("sqlite:///relative.db", "names no database: sqlite:////"),
        ("oracle://u:hunter2@h/db", "must begin with one of mysql://"),
    ],
)
def test_addresses_that_cannot_be(address: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as raised:
        CelAddress.parse(address)
    assert "hunter2" not in str(raised.value)


def test_an_address_in_parts() -> None:
    found = CelAddress.parse("mariadb://reader:hun%40ter2@h/asteriskcdrdb?table=old.cel&timezone=Europe/Moscow")
    assert (found.host, found.port, found.user, found.password) == ("h", 3306, "reader", "hun@ter2")
    assert (found.database, found.table, str(found.zone)) == ("asteriskcdrdb", "old.cel", "Europe/Moscow")
    assert "ter2" not in repr(found)
    assert "reader" not in found.name


async def test_nobody_listens() -> None:
    for kind in ("mysql", "mariadb", "postgresql"):
        with pytest.raises(CelDatabaseTrouble, match="cannot be reached: see that the database server runs") as raised:
            await cel_source(f"{kind}://reader:hunter2@127.0.0.1:9/asteriskcdrdb").newest()
        assert "hunter2" not in f"{raised.value!r} {raised.value}"


# ---- PostgreSQL


def setting(url: str, user: str = "perezvon", options: str = "") -> str:
    return url.replace("postgresql+asyncpg://perezvon@", f"postgresql://{user}:hunter2@") + options


@pytest.mark.postgresql
@pytest.mark.parametrize(("create", "time"), [(PGSQL, zoned), (PGSQL_PLAIN, local)])
async def test_postgresql(postgres_url: str, create: str, time: Any) -> None:
    await make(postgres_url, create, rows_of(STORY), time)
    source = cel_source(setting(postgres_url))
    expected = from_file()
    rows = await source.read(0.0)
    assert [row.at for row in rows] == pytest.approx([row.at for row in expected], abs=1e-3)
    assert call_of(rows) == call_of(expected)
    middle = expected[len(expected) // 2].at - 1e-4
    assert len(await source.read(middle)) == sum(row.at >= middle for row in expected)
    assert await source.read(middle, expected[-1].at - 1e-4)
    newest = await source.newest()
    assert newest is not None
    assert newest.at == pytest.approx(expected[-1].at, abs=1e-3)


@pytest.mark.postgresql
async def test_postgresql_in_trouble(postgres_url: str) -> None:
    grants = ("CREATE ROLE stranger LOGIN", "CREATE SCHEMA old", "CREATE TABLE old.cel (eventtype text)")
    try:
        await make(postgres_url, PGSQL, rows_of(STORY), zoned, *grants)
        with pytest.raises(CelDatabaseTrouble, match="may not read the table: check the user"):
            await cel_source(setting(postgres_url, "stranger")).newest()
        with pytest.raises(CelDatabaseTrouble, match="refuses the user or the password"):
            await cel_source(setting(postgres_url, "nobody_here")).newest()
        with pytest.raises(CelDatabaseTrouble, match="no such table"):
            await cel_source(setting(postgres_url, options="?table=other.cel")).newest()
        with pytest.raises(CelDatabaseTrouble, match="lacks columns: eventtime, cid_name"):
            await cel_source(setting(postgres_url, options="?table=old.cel")).newest()
        with pytest.raises(CelDatabaseTrouble, match="no such database"):
            await cel_source(setting(postgres_url).replace("/test_", "/no_test_")).newest()
    finally:
        await make(postgres_url, "REVOKE ALL ON cel FROM stranger", [], str, "DROP ROLE stranger")


# ---- MariaDB


@pytest.mark.mariadb
@pytest.mark.parametrize("scheme", ["mysql", "mariadb"])
async def test_freepbx(mariadb_url: str, scheme: str) -> None:
    """Times of whole seconds: the order of the rows tells what was first."""
    await make(mariadb_url, FREEPBX, rows_of(STORY), whole_seconds)
    source = cel_source(mariadb_url.replace("mysql+asyncmy", scheme))
    expected = from_file()
    rows = await source.read(0.0)
    assert [row.at for row in rows] == [float(int(row.at)) for row in expected]
    assert call_of(rows) == call_of(expected)
    assert rows[0].caller == expected[0].caller
    middle = float(int(expected[len(expected) // 2].at))
    assert len(await source.read(middle)) == sum(row.at >= middle for row in expected)
    newest = await source.newest()
    assert newest is not None
    assert newest.at == int(expected[-1].at)


@pytest.mark.mariadb
async def test_mariadb_in_trouble(mariadb_url: str) -> None:
    database = mariadb_url.rpartition("/")[2]
    place = mariadb_url.replace("mysql+asyncmy", "mysql")
    user = f"CREATE USER stranger_{database}@'127.0.0.1' IDENTIFIED BY 'hunter3'"
    grant = f"GRANT CREATE ON {database}.* TO stranger_{database}@'127.0.0.1'"
    await make(mariadb_url, FREEPBX, [], whole_seconds, user, grant)
    assert await cel_source(place).newest() is None
    stranger = place.replace("tests:hunter2@", f"stranger_{database}:hunter3@")
    with pytest.raises(CelDatabaseTrouble, match="may not read the table: check the user"):
        await cel_source(stranger).newest()
    with pytest.raises(CelDatabaseTrouble, match="refuses the user or the password") as raised:
        await cel_source(place.replace("hunter2", "hunter4")).newest()
    assert "hunter" not in f"{raised.value!r} {raised.value}"
    with pytest.raises(CelDatabaseTrouble, match="no such database"):
        await cel_source(f"{place}_not").newest()
    with pytest.raises(CelDatabaseTrouble, match="no such table"):
        await cel_source(f"{place}?table=other").newest()


@pytest.mark.mariadb
async def test_mariadb_is_only_read(mariadb_url: str) -> None:
    await make(mariadb_url, FREEPBX, rows_of(STORY), whole_seconds)
    source = cel_database.CelDatabase(CelAddress.parse(mariadb_url.replace("mysql+asyncmy", "mysql")))
    with pytest.raises(CelDatabaseTrouble, match="READ ONLY"):
        async with source._asking() as conn:  # pyright: ignore[reportPrivateUsage]
            await conn.exec_driver_sql("DELETE FROM cel")
