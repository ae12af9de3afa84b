"""Tables of channel events as PBXs have them, filled from the CSV files of `record_cel.py`."""

from __future__ import annotations

import csv
import gzip
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

KEPT = Path(__file__).parent / "cel"
COLUMNS = (
    *("eventtype", "eventtime", "cid_name", "cid_num", "cid_ani", "cid_rdnis", "cid_dnid", "exten", "context", "channame"),
    *("appname", "appdata", "amaflags", "accountcode", "uniqueid", "linkedid", "peer", "userfield", "userdeftype", "extra"),
)
TEXTS = ", ".join(f"{name} VARCHAR(512)" for name in COLUMNS if name not in ("eventtime", "amaflags"))
FREEPBX = f"CREATE TABLE cel (id INT AUTO_INCREMENT PRIMARY KEY, eventtime DATETIME NOT NULL, amaflags INT, {TEXTS}) CHARSET utf8mb4"
PGSQL = f"CREATE TABLE cel (id SERIAL PRIMARY KEY, eventtime TIMESTAMP WITH TIME ZONE NOT NULL, amaflags INT, {TEXTS})"
PGSQL_PLAIN = f"CREATE TABLE cel (eventtime TIMESTAMP NOT NULL, amaflags INT, {TEXTS})"
SQLITE = f"CREATE TABLE cel (AcctId INTEGER PRIMARY KEY, eventtime, amaflags, {TEXTS})"
SQLITE_SAMPLE = SQLITE.replace("cid_name", "cidname").replace("cid_num", "cidnum").replace(" extra ", " eventextra ")


def rows_of(story: str) -> list[dict[str, Any]]:
    """Values by column; `eventtime` is the text of POSIX seconds."""
    written = gzip.decompress((KEPT / f"{story}.csv.gz").read_bytes()).decode()
    return [dict(zip(COLUMNS, values, strict=True)) for values in csv.reader(io.StringIO(written))]


def zoned(text: str) -> datetime:
    return datetime.fromtimestamp(float(text), UTC)


def local(text: str) -> datetime:
    return datetime.fromtimestamp(float(text))  # noqa: DTZ006  that is how these tables have it


def whole_seconds(text: str) -> datetime:
    return local(text).replace(microsecond=0)


async def make(url: str, create: str, rows: list[dict[str, Any]], time: Any = str, *more: str) -> None:
    """`create`: the table; `time`: how it has the moment; `more`: statements afterwards."""
    engine = create_async_engine(url)
    async with engine.begin() as conn:
        await conn.execute(text(create))
        if rows:
            names = [_name(name, create) for name in COLUMNS]
            insert = f"INSERT INTO cel ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in COLUMNS)})"
            values = [{**row, "eventtime": time(row["eventtime"]), "amaflags": int(row["amaflags"] or 0)} for row in rows]
            await conn.execute(text(insert), values)
        for statement in more:
            await conn.execute(text(statement))
    await engine.dispose()


def _name(name: str, create: str) -> str:
    other = {"cid_name": "cidname", "cid_num": "cidnum", "extra": "eventextra"}.get(name, name)
    return other if f" {other} " in create else name
