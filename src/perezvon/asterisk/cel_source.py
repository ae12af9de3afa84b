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
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from perezvon.asterisk.cel import LARGEST, Row, newest, read_back
from perezvon.company.address import DatabaseAddress, parts_of
from perezvon.company.unfit import Unfit
from perezvon.rules.vocabulary import Reason

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


@dataclass(frozen=True, slots=True, repr=False)
class CelAddress(DatabaseAddress):
    """`zone`: None for this machine's."""

    table: str = TABLE
    zone: ZoneInfo | None = None

    @classmethod
    def parse(cls, text: str) -> CelAddress:
        """Raises Unfit, whose message never has the password in it."""
        where, options = parts_of(text, ("table", "timezone"))
        table = options.get("table", TABLE)
        if _TABLE.fullmatch(table) is None:
            raise Unfit(
                Reason("the table's name may have Latin letters, digits, _ and $ only, with its schema and a dot before it")
            )
        return cls(
            kind=where.kind,
            host=where.host,
            port=where.port,
            user=where.user,
            password=where.password,
            database=where.database,
            table=table,
            zone=_zone(options.get("timezone", "")),
        )

    @property
    def name(self) -> str:
        """For people: without user and password."""
        # A slotted class is made anew, and a bare super() knows the old one.
        return f"{super(CelAddress, self).name}, table {self.table}"


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Unfit(Reason("the time zone is not known: write it like Europe/Moscow")) from None


def cel_source(place: str, *, largest: int = LARGEST) -> CelSource:
    """The log at this place, nothing of which is touched yet. `largest`: of a file, in bytes. Raises Unfit."""
    if place.startswith("/"):
        return CelFile(Path(place), largest)
    from perezvon.asterisk.cel_database import CelDatabase  # noqa: PLC0415  it needs a driver, a file does not

    return CelDatabase(CelAddress.parse(place))
