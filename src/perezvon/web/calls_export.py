"""The calls that were found, as a file for spreadsheets: CSV with semicolons, UTF-8 with a mark, as Excel reads it.

Read page after page while it is sent, so that a hundred thousand calls take no memory.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from datetime import datetime

from perezvon.storage import search
from perezvon.storage.calls import StoredCall
from perezvon.storage.database import Database
from perezvon.storage.search import Filter

AT_ONCE = 500
_NUMBER = re.compile(r"\+?\d*", re.ASCII)


async def exported(database: Database, wanted: Filter, word: Callable[[str], str]) -> AsyncGenerator[bytes]:
    """`word`: a word of ours in the reader's language. Times are of this machine's zone."""
    titles = ("When", "PBX", "Direction", "Client", "Line", "Outcome", "Talk", "Extension", "Employee", "Portal")
    yield b"\xef\xbb\xbf" + _lines([[word(title) for title in titles]])
    while True:
        async with database.read() as conn:
            rows = await search.found(conn, wanted, AT_ONCE)
            names = await search.names(conn, {row.last_talker for row in rows if row.last_talker})
        if rows:
            yield _lines([_cells(row, names.get(row.last_talker, ""), word) for row in rows])
        if len(rows) < AT_ONCE:
            return
        wanted = replace(wanted, after=(rows[-1].started, rows[-1].id))


def _cells(row: StoredCall, name: str, word: Callable[[str], str]) -> list[str]:
    return [
        datetime.fromtimestamp(row.started).astimezone().strftime("%Y-%m-%d %H:%M:%S"),
        row.pbx,
        word(row.direction.value),
        row.client,
        row.line,
        word(row.outcome.value) if row.outcome else word("under way"),
        str(round(row.duration)),
        row.last_talker,
        name,
        row.portal,
    ]


def _lines(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=";", lineterminator="\r\n").writerows([harmless(cell) for cell in row] for row in rows)
    return text.getvalue().encode("utf-8", "replace")


def harmless(cell: str) -> str:
    """What a spreadsheet would take for a formula begins with an apostrophe; plain numbers stay as they are."""
    return cell if _NUMBER.fullmatch(cell) or not cell.startswith(("=", "+", "-", "@", "\t", "\r")) else f"'{cell}"
