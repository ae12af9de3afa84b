"""Where a PBX keeps its channel event log (CEL), a file or a database, behind one face.

    /var/log/asterisk/cel-custom/Master.csv
    mysql://reader:secret@host/asteriskcdrdb?table=cel&timezone=Europe/Moscow    also mariadb:, postgresql:, sqlite:////file

`table` is `cel` unless told otherwise, `schema.table` where it is not in the user's own; `timezone`: of times that are
stored without one (FreePBX), this machine's unless told otherwise.
"""

from __future__ import annotations

import asyncio
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from perezvon.asterisk.cel import LARGEST, Row, newest, read_back

if TYPE_CHECKING:
    from collections.abc import Mapping

PORTS: Mapping[str, int] = {"mysql": 3306, "mariadb": 3306, "postgresql": 5432, "sqlite": 0}
TABLE = "cel"

_TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)?")


class CelSource(Protocol):
    """`name`: for people, without secrets."""

    @property
    def name(self) -> str: ...

    async def read(self, since: float, until: float = math.inf) -> list[Row]:
        """The rows of the period (POSIX seconds), in order of time. Raises CelUnreadable."""
        ...

    async def newest(self) -> Row | None:
        """The last row. Raises CelUnreadable."""
        ...


@dataclass(frozen=True, slots=True)
class CelFile:
    """`largest`: bytes that are read at most, from the end back."""

    path: Path
    largest: int = LARGEST

    @property
    def name(self) -> str:
        return str(self.path)

    async def read(self, since: float, until: float = math.inf) -> list[Row]:
        return await asyncio.to_thread(read_back, self.path, since, until, largest=self.largest)

    async def newest(self) -> Row | None:
        return await asyncio.to_thread(newest, self.path)


@dataclass(frozen=True, slots=True)
class CelAddress:
    """The parts of a database's address, percent-decoded; `database` of SQLite is the file's path. `zone`: None for this
    machine's."""

    kind: str
    host: str
    port: int
    user: str
    password: str
    database: str
    table: str = TABLE
    zone: ZoneInfo | None = None

    @classmethod
    def parse(cls, text: str) -> CelAddress:
        """Raises ValueError, whose message never has the password in it."""
        parts = urlsplit(text)
        kind = parts.scheme
        if kind not in PORTS:
            raise ValueError(f"the address must begin with one of {', '.join(f'{name}://' for name in PORTS)}")
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        if unknown := sorted(options.keys() - {"table", "timezone"}):
            raise ValueError(f"the address has an unknown option {unknown[0][:30]}; known are table and timezone")
        table = options.get("table", TABLE)
        if _TABLE.fullmatch(table) is None:
            raise ValueError(
                "the table's name may have Latin letters, digits, _ and $ only, with its schema and a dot before it"
            )
        database = unquote(parts.path).removeprefix("/")
        if not database or (kind == "sqlite" and (parts.netloc or not database.startswith("/"))):
            form = (
                "sqlite:////var/lib/asterisk/master.db" if kind == "sqlite" else f"{kind}://reader:PASSWORD@host/database"
            )
            raise ValueError(f"the address names no database: {form}")
        return cls(
            kind=kind,
            host=parts.hostname or "",
            port=parts.port or PORTS[kind],
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            database=database,
            table=table,
            zone=_zone(options.get("timezone", "")),
        )

    def __repr__(self) -> str:
        return f"CelAddress({self.name})"

    @property
    def name(self) -> str:
        """For people: without user and password."""
        where = "" if self.kind == "sqlite" else f"{self.host}:{self.port}/"
        return f"{self.kind}://{where}{self.database}, table {self.table}"


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("the time zone is not known: write it like Europe/Moscow") from None


def cel_source(place: str, *, largest: int = LARGEST) -> CelSource:
    """The log at this place, nothing of which is touched yet. `largest`: of a file, in bytes. Raises ValueError."""
    if place.startswith("/"):
        return CelFile(Path(place), largest)
    from perezvon.asterisk.cel_database import CelDatabase  # noqa: PLC0415  it needs a driver, a file does not

    return CelDatabase(CelAddress.parse(place))
