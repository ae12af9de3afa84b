"""Reads the channel event log (CEL) that Asterisk keeps in a database: cel_odbc and FreePBX in MariaDB or MySQL, cel_pgsql,
cel_sqlite3_custom. Only reads, over a connection of its own that cannot write, for as long as a question lasts.

The tables of PBXs are large, and few have an index on the time. What they have is a number that grows (`id`): the period's
first row is found by halving, then rows are read in its order. A table without it is asked by time.
Sources: Asterisk's configs/samples/cel_odbc.conf.sample, cel_pgsql.conf.sample, cel_sqlite3_custom.conf.sample; the numbers
of event types are those of include/asterisk/cel.h since Asterisk 12.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnClause,
    DateTime,
    TableClause,
    bindparam,
    column,
    false,
    func,
    literal_column,
    select,
    table,
    text,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from perezvon.asterisk.cel import DISORDER, CelUnreadable, Row, extra_of, moment
from perezvon.asterisk.cel_source import CelAddress
from perezvon.asterisk.cel_trouble import CelDatabaseTrouble, trouble
from perezvon.company.engine import read_only_engine
from perezvon.company.trouble import is_database_error
from perezvon.rules.vocabulary import Reason

CONNECT = 10.0
"""Seconds to connect."""

PATIENCE = 60.0
"""Seconds for all that one question needs."""

PAGE = 5000
MOST = 250_000
"""Rows of one answer: some 250 MB."""

CLOSE = 2000
"""Rows to read more than needed rather than to halve on."""

SHIFTED = 7200.0
"""Seconds by which local times may go back when clocks are put back, or a server's clock is set."""

NAMES: Mapping[str, tuple[str, ...]] = {
    "kind": ("eventtype",),
    "at": ("eventtime",),
    "caller": ("cid_name", "cidname"),
    "number": ("cid_num", "cidnum"),
    "exten": ("exten",),
    "context": ("context",),
    "channel": ("channame",),
    "app": ("appname",),
    "data": ("appdata",),
    "uniqueid": ("uniqueid",),
    "linkedid": ("linkedid",),
    "extra": ("extra", "eventextra"),
}
"""Field of Row -> how the modules call the column."""

KINDS = (
    *("", "CHAN_START", "CHAN_END", "HANGUP", "ANSWER", "APP_START", "APP_END", "BRIDGE_ENTER", "BRIDGE_EXIT"),
    *("PARK_START", "PARK_END", "BLINDTRANSFER", "ATTENDEDTRANSFER", "USER_DEFINED", "LINKEDID_END", "PICKUP", "FORWARD"),
    *("LOCAL_OPTIMIZE", "LOCAL_OPTIMIZE_BEGIN", "STREAM_BEGIN", "STREAM_END", "DTMF"),
)
"""Event types by number."""


@dataclass(frozen=True, slots=True)
class _Table:
    """`columns`: field of Row -> column. `key`: the growing number, None where there is none."""

    clause: TableClause
    columns: Mapping[str, ColumnClause[Any]]
    key: ColumnClause[int] | None


class CelDatabase:
    def __init__(self, address: CelAddress) -> None:
        self.address = address
        self._engine: AsyncEngine | None = None

    @property
    def name(self) -> str:
        return self.address.name

    async def read(self, since: float, until: float = math.inf) -> list[Row]:
        async with self._asking() as conn:
            found = await self._table(conn)
            rows = [row async for row in self._rows(conn, found, since, until)]
        return sorted((row for row in rows if since <= row.at <= until), key=lambda row: row.at)

    async def newest(self) -> Row | None:
        async with self._asking() as conn:
            found = await self._table(conn)
            order = found.columns["at"] if found.key is None else found.key
            query = select(*found.columns.values()).select_from(found.clause).order_by(order.desc()).limit(20)
            rows = self._read(found, (await conn.execute(query)).all())
        return max(rows, key=lambda row: row.at, default=None)

    # ---- the connection, and what goes wrong with it

    @asynccontextmanager
    async def _asking(self) -> AsyncGenerator[AsyncConnection]:
        """Raises CelDatabaseTrouble."""
        try:
            async with asyncio.timeout(PATIENCE):
                engine = self._made()
                async with asyncio.timeout(CONNECT):
                    conn = await engine.connect()
                try:
                    yield conn
                finally:
                    await conn.close()
        except CelUnreadable:
            raise
        except Exception as error:
            if not is_database_error(error):
                raise
            raise trouble(error, self.address) from error

    def _made(self) -> AsyncEngine:
        if self._engine is None:
            self._engine = read_only_engine(self.address, connect=CONNECT, statement=PATIENCE)
        return self._engine

    # ---- the table

    async def _table(self, conn: AsyncConnection) -> _Table:
        schema, _, name = self.address.table.rpartition(".")
        clause = table(name, schema=schema or None)
        result = await conn.execute(select(text("*")).select_from(clause).where(false()))
        have = {str(key).lower(): str(key) for key in result.keys()}  # noqa: SIM118  a result is no mapping
        columns: dict[str, ColumnClause[Any]] = {}
        missing: list[str] = []
        for field, names in NAMES.items():
            known = next((have[one] for one in names if one in have), None)
            if known is None:
                missing.append(names[0])
            else:
                columns[field] = column(known)
        if missing:
            told = {"log": self.name, "table": self.address.table, "columns": ", ".join(missing)}
            seen = Reason("the channel event log {log} lacks columns: {columns}", told)
            fix = Reason(
                "add them to the table {table} (text; ALTER TABLE … ADD COLUMN), and see that Asterisk fills them "
                "(installing.md, 'So that nothing is lost')",
                told,
            )
            raise CelDatabaseTrouble(seen, fix)
        if conn.dialect.name == "sqlite":
            return _Table(clause, columns, literal_column("rowid"))
        return _Table(clause, columns, column(have["id"]) if "id" in have else None)

    async def _rows(self, conn: AsyncConnection, found: _Table, since: float, until: float) -> AsyncGenerator[Row]:
        key = found.key
        low = high = None
        if key is not None:
            query = select(func.min(key), func.max(key)).select_from(found.clause)
            low, high = (await conn.execute(query)).one()
        if key is None or not isinstance(low, int) or not isinstance(high, int):
            async for row in self._by_time(conn, found, since, until):
                yield row
            return
        at = await self._first(conn, found, key, low, high, since - SHIFTED)
        count = 0
        while True:
            wanted = key >= bindparam("at", at, BigInteger())
            query = select(key.label("key"), *found.columns.values()).select_from(found.clause)
            page = (await conn.execute(query.where(wanted).order_by(key).limit(PAGE))).all()
            rows = list(self._read(found, page, skip=1))
            for row in rows:
                if since <= row.at <= until:
                    count += 1
                    yield row
            self._bounded(count)
            if len(page) < PAGE or (rows and min(row.at for row in rows) > until + SHIFTED):
                return
            at = int(page[-1][0]) + 1

    async def _first(
        self, conn: AsyncConnection, found: _Table, key: ColumnClause[int], low: int, high: int, since: float
    ) -> int:
        """A number before which no row is of the period, found by halving."""
        while high - low > CLOSE:
            middle = (low + high) // 2
            query = select(key.label("key"), found.columns["at"]).select_from(found.clause)
            query = query.where(key >= bindparam("at", middle, BigInteger())).order_by(key).limit(1)
            row = (await conn.execute(query)).one()
            at = self._moment(row[1])
            if at is not None and at < since - DISORDER:
                low = middle
            else:
                high = middle
        return low

    async def _by_time(self, conn: AsyncConnection, found: _Table, since: float, until: float) -> AsyncGenerator[Row]:
        at = found.columns["at"]
        sample = (
            await conn.execute(select(at).select_from(found.clause).order_by(at.desc()).limit(1))
        ).scalar_one_or_none()
        if sample is None:
            return
        query = select(*found.columns.values()).select_from(found.clause).where(at >= self._like(sample, since))
        if until < math.inf:
            query = query.where(at <= self._like(sample, until + 1.0))
        page = (await conn.execute(query.order_by(at).limit(MOST + 1))).all()
        self._bounded(len(page))
        for row in self._read(found, page):
            yield row

    def _bounded(self, count: int) -> None:
        if count > MOST:
            seen = Reason(
                "the channel event log {log} has more than {rows} rows in that time", {"log": self.name, "rows": str(MOST)}
            )
            raise CelDatabaseTrouble(seen, Reason("read it in shorter periods: perezvon backfill --from … --to …"))

    # ---- values

    def _read(self, found: _Table, rows: Iterable[Any], *, skip: int = 0) -> Iterable[Row]:
        """The rows that can be understood; `skip`: columns before those of `found`."""
        for values in rows:
            value = dict(zip(found.columns, values[skip:], strict=True))
            at = self._moment(value["at"])
            kind = _kind(value["kind"])
            channel, uniqueid = _text(value["channel"]), _text(value["uniqueid"])
            if at is None or not kind or not channel or not uniqueid:
                continue
            yield Row(
                kind=kind,
                at=at,
                caller=_text(value["caller"]),
                number=_text(value["number"]),
                exten=_text(value["exten"]),
                context=_text(value["context"]),
                channel=channel,
                app=_text(value["app"]),
                data=_text(value["data"]),
                uniqueid=uniqueid,
                linkedid=_text(value["linkedid"]) or uniqueid,
                extra=extra_of(_text(value["extra"])),
            )

    def _moment(self, value: object) -> float | None:
        match value:
            case datetime():
                return (value if value.tzinfo else value.replace(tzinfo=self.address.zone)).timestamp()
            case int() | float() | Decimal():
                return float(value)
            case str():
                return moment(value, self.address.zone)
            case _:
                return None

    def _like(self, sample: object, at: float) -> Any:
        """The moment as this table writes it."""
        match sample:
            case datetime(tzinfo=None):
                return datetime.fromtimestamp(at, self.address.zone).replace(tzinfo=None)
            case datetime():
                return bindparam(None, datetime.fromtimestamp(at, UTC), DateTime(timezone=True))
            case str() if "-" in sample:
                return datetime.fromtimestamp(at, self.address.zone).strftime(f"%Y-%m-%d{sample[10:11]}%H:%M:%S")
            case str():
                return f"{at:.6f}"
            case Decimal():
                return Decimal(f"{at:.6f}")
            case int():
                return int(at)
            case _:
                return at


def _text(value: object) -> str:
    return "" if value is None else value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _kind(value: object) -> str:
    """`3` and `HANGUP` are the same."""
    name = _text(value)
    return KINDS[int(name)] if name.isascii() and name.isdigit() and int(name) < len(KINDS) else name
