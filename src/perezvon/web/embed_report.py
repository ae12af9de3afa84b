"""The report in the portal's call statistics: calls that were missed, and how long it took until somebody called back.

Made of the journal; a client who called several times before anybody called him back counts once, from his first call.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from starlette.responses import Response

from perezvon.storage.database import Database
from perezvon.storage.missed_report import Share, shares
from perezvon.web.calls_export import harmless
from perezvon.web.inside_sessions import Guest
from perezvon.web.portal_door import PortalDoor

DAYS = (1, 7, 30)


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the report. `missed`: calls; `clients`: who called; `back`: of them, called back; `after`: seconds until
    then, on average (None: nobody was), `longest`. `share`: of the largest row, 0 to 100, and of `back` in it."""

    name: str
    missed: int = 0
    clients: int = 0
    back: int = 0
    after: float | None = None
    longest: float | None = None
    share: float = 0.0
    share_back: float = 0.0

    @property
    def waiting(self) -> int:
        return self.clients - self.back


class ReportPage:
    def __init__(self, door: PortalDoor, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._door = door
        self._database = database
        self._clock = clock

    async def values(self, guest: Guest, query: Mapping[str, str]) -> dict[str, Any]:
        days = next((one for one in DAYS if str(one) == query.get("days", "")), 7)
        now = datetime.fromtimestamp(self._clock()).astimezone()
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        begins = [(midnight - timedelta(days=days - 1 - day)).astimezone() for day in range(days)]
        async with self._database.read() as conn:
            found = await shares(conn, guest.portal, [day.timestamp() for day in begins], now.timestamp() + 1)
        names = self._door.names(guest.portal)

        def employee(extension: str) -> str:
            return f"{names[extension]} ({extension})" if names.get(extension) else extension

        dates = [str(day.date()) for day in begins]
        return {
            "days": days,
            "choices": DAYS,
            "whole": next(iter(grouped(found, lambda one: "")), Line("")),
            "by_day": grouped(found, lambda one: dates[one.day], dates),
            "moments": {str(day.date()): day.timestamp() for day in begins},
            "by_line": grouped(found, lambda one: one.line),
            "by_employee": grouped([one for one in found if one.by], lambda one: employee(one.by)),
        }

    async def file(self, guest: Guest, query: Mapping[str, str], word: Callable[[str], str]) -> Response:
        values = await self.values(guest, query)
        text = io.StringIO()
        out = csv.writer(text, delimiter=";", lineterminator="\r\n")
        titles = ("By", "Name", "Missed calls", "Clients", "Called back", "Mean seconds", "Longest, seconds")
        out.writerow([word(title) for title in titles])
        for title, lines in (("Day", "by_day"), ("Line", "by_line"), ("Employee", "by_employee")):
            for line in values[lines]:
                after = "" if line.after is None else str(round(line.after))
                longest = "" if line.longest is None else str(round(line.longest))
                row = [word(title), line.name, str(line.missed), str(line.clients), str(line.back), after, longest]
                out.writerow([harmless(cell) for cell in row])
        body = b"\xef\xbb\xbf" + text.getvalue().encode("utf-8", "replace")
        headers = {"Content-Disposition": 'attachment; filename="missed.csv"'}
        return Response(body, media_type="text/csv", headers=headers)


def grouped(found: Sequence[Share], key: Callable[[Share], str], order: Sequence[str] = ()) -> list[Line]:
    """In the given order (with rows for what is not there), else the most missed first."""
    together: dict[str, list[Share]] = {name: [] for name in order}
    for one in found:
        together.setdefault(key(one), []).append(one)
    lines: list[Line] = []
    for name, some in together.items():
        clients, back = sum(one.clients for one in some), sum(one.back for one in some)
        after = sum(one.seconds for one in some) / back if back else None
        longest = max(one.longest for one in some) if back else None
        lines.append(Line(name, sum(one.calls for one in some), clients, back, after, longest))
    if not order:
        lines.sort(key=lambda line: (-line.clients, line.name))
    most = max((line.clients for line in lines), default=0)
    return [_scaled(line, most) for line in lines]


def _scaled(line: Line, most: int) -> Line:
    if not most:
        return line
    share, back = line.clients / most * 100, line.back / most * 100
    return Line(line.name, line.missed, line.clients, line.back, line.after, line.longest, round(share, 2), round(back, 2))
