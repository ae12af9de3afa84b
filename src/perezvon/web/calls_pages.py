"""The journal: all calls with filters, page after page, and the page that explains one call."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import structlog
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse

from perezvon.bitrix24.redaction import redact
from perezvon.calls.call import Direction, Outcome
from perezvon.recordings.errors import NotAudio
from perezvon.recordings.loudness import peaks
from perezvon.storage import audit, recordings, search
from perezvon.storage.database import Database
from perezvon.storage.recordings import Recording
from perezvon.storage.search import Filter
from perezvon.web.asked_of_portal import asking, shown
from perezvon.web.call_desk import CallDesk, check
from perezvon.web.call_story import sentences, timeline
from perezvon.web.call_support import lines_of
from perezvon.web.calls_export import exported
from perezvon.web.deeds import Deed
from perezvon.web.deliveries_pages import told_of
from perezvon.web.frame import Frame
from perezvon.web.gate import visitor_of
from perezvon.web.kept_call import kept_call
from perezvon.web.refusals import NOT_THERE, Refused
from perezvon.web.rights import Right, needs
from perezvon.web.switchroom import Switchroom
from perezvon.web.translations import catalog

log = structlog.get_logger(__name__)

PAGE = 50
LIVE = "live"
"""Besides the outcomes: calls under way."""

FIELDS = ("client", "line", "employee", "direction", "outcome", "since", "until")


def routes(
    database: Database, frame: Frame, room: Switchroom | None = None, now: Callable[[], float] = time.time
) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    desk = CallDesk(database, room, now)

    @router.get("/calls")
    @needs(Right.CALLS)
    async def page(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        form = narrowing(request)
        async with database.read() as conn:
            rows = await search.found(conn, asked(form, request.query_params.get("after", "")), PAGE + 1)
            names = await search.names(conn, {row.last_talker for row in rows if row.last_talker})
        last = rows[PAGE - 1] if len(rows) > PAGE else None
        further = {name: value for name, value in form.items() if value}
        older = f"/calls?{urlencode(further | {'after': f'{last.started!r} {last.id}'})}" if last is not None else ""
        values: dict[str, Any] = {"calls": rows[:PAGE], "names": names, "form": form, "older": older}
        values["file"] = f"/calls.csv?{urlencode(further)}"
        values |= {"outcomes": [*Outcome], "directions": [*Direction], "narrowed": bool(further)}
        return frame.page(request, "calls.html", **values)

    @router.get("/calls.csv")
    @needs(Right.EXPORTS)
    async def file(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        form = narrowing(request)
        word = catalog(frame.spoken(request)).gettext
        narrowed = "; ".join(f"{name}: {value}" for name, value in form.items() if value)
        visitor = visitor_of(request)
        entry = visitor.actor.did(now(), Deed.EXPORTED, "CSV", narrowed)
        await database.write(lambda conn: audit.note(conn, entry))
        headers = {"Content-Disposition": 'attachment; filename="calls.csv"'}
        return StreamingResponse(exported(database, asked(form, ""), word), media_type="text/csv", headers=headers)

    @router.get("/calls/{call}")
    @needs(Right.CALLS)
    async def one(call: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        check(call)
        kept = await kept_call(database, call)
        row, facts, visitor = kept.row, kept.facts, visitor_of(request)
        events = room.events(row) if room is not None else ()
        said = room.said(call) if room is not None else ()
        ended = row.ended if row.ended is not None else now()
        playable = await asyncio.to_thread(_whole, kept.recordings) if visitor.may(Right.RECORDINGS) else []

        def drawn() -> Response:
            values: dict[str, Any] = {
                "call": row,
                "named": kept.named,
                "record": kept.record,
                "timeline": timeline(kept.record, facts, row.started, ended, row.client),
                "facts": sentences(facts, row.started, kept.named, catalog(frame.spoken(request)).gettext),
                "decisions": kept.decisions,
                "asked": [asking(step) for step in kept.steps],
                "told": told_of(request),
                "events": lines_of(events),
                "said": [replace(one, printed=redact(one.printed)) for one in said],
                "may_ask": room is not None and not row.live and row.direction is not Direction.INTERNAL,
                "delivers": room is not None and visitor.may(Right.DELIVER),
                "by_key": {step.key: step for step in kept.steps},
                "recordings": kept.recordings,
                "playable": playable,
            }
            return frame.page(request, "call.html", **values)

        # In a thread: of a queue's call thousands of facts are told, and ringing phones do not wait for that.
        return await asyncio.to_thread(drawn)

    @router.get("/calls/{call}/what-if")
    @needs(Right.CALLS)
    async def what_if(call: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """What would happen with the new settings: nothing is sent."""
        return frame.page(request, "call_what_if.html", found=await desk.what_if(call), shown=shown)

    @router.get("/calls/{call}/support.json")
    @needs(Right.EXPORTS)
    async def support(call: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        masked = request.query_params.get("masked", "") == "1"
        text = await desk.support(visitor_of(request).actor, call, masked=masked)
        name = re.sub(r"[^A-Za-z0-9._-]", "_", call)
        headers = {"Content-Disposition": f'attachment; filename="call-{name}.json"'}
        return Response(text, media_type="application/json", headers=headers)

    @router.get("/calls/{call}/recordings/{number}/peaks")
    @needs(Right.RECORDINGS)
    async def waveform(call: str, number: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        check(call)
        async with database.read() as conn:
            known = await recordings.of_call(conn, call)
        for one in await asyncio.to_thread(_whole, known):
            if str(one.id) == number:
                return JSONResponse(await asyncio.to_thread(_peaks, Path(one.joined or one.file)))
        raise Refused(NOT_THERE)

    @router.get("/calls/{call}/recordings/{number}")
    @needs(Right.RECORDINGS)
    async def sound(call: str, number: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        check(call)
        async with database.read() as conn:
            known = await recordings.of_call(conn, call)
        for one in await asyncio.to_thread(_whole, known):
            if str(one.id) == number:
                return FileResponse(one.joined or one.file, media_type="audio/mpeg", content_disposition_type="inline")
        raise Refused(NOT_THERE)

    return router


def _peaks(file: Path) -> list[int]:
    """Empty where the file is not to be read: then there is the plain player."""
    try:
        stat = file.stat()
        return _kept_peaks(file, stat.st_mtime_ns, stat.st_size)
    except (OSError, NotAudio) as error:
        log.info("no waveform", file=str(file), why=str(error))
        return []


@lru_cache(maxsize=500)
def _kept_peaks(file: Path, _changed: int, _size: int) -> list[int]:
    return peaks(file)


def narrowing(request: Request) -> dict[str, str]:
    """What is looked for, as it was typed: for `asked`."""
    return {name: request.query_params.get(name, "").replace("\0", "").strip()[:100] for name in FIELDS}


def asked(form: Mapping[str, str], after: str) -> Filter:
    """What a form means; what it does not understand does not narrow. Days are those of this machine's time zone."""
    started, _, last = after.partition(" ")
    outcome = form["outcome"]
    until = _day(form["until"])
    return Filter(
        client=digits(form["client"]),
        line=digits(form["line"]),
        employee=form["employee"],
        direction=next((one for one in Direction if one.value == form["direction"]), None),
        outcome=next((one for one in Outcome if one.value == outcome), None),
        live=outcome == LIVE,
        since=_stamp(_day(form["since"])),
        until=_stamp(until + timedelta(days=1)) if until is not None else None,
        after=(float(started), last)
        if last.isprintable() and last and re.fullmatch(r"\d{1,12}(\.\d{1,9})?", started, re.ASCII)
        else None,
    )


def digits(told: str) -> str:
    """Of a number or a part of one, as people write it. A Russian number may begin with 8."""
    found = "".join(re.findall(r"\d", told, re.ASCII))
    return found[1:] if len(found) == 11 and found.startswith("8") else found


def _day(told: str) -> datetime | None:
    try:
        day = datetime.strptime(told, "%Y-%m-%d")  # noqa: DTZ007  of this machine's zone
        return day.astimezone() if 1970 <= day.year <= 9000 else None
    except ValueError:
        return None


def _stamp(day: datetime | None) -> float | None:
    return None if day is None else day.timestamp()


def _whole(known: list[Recording]) -> list[Recording]:
    """Those that can be played: of parts that were joined, the first stands for all."""
    seen: set[str] = set()
    whole: list[Recording] = []
    for one in known:
        file = one.joined or one.file
        if file.endswith(".mp3") and file not in seen and Path(file).is_file():
            seen.add(file)
            whole.append(one)
    return whole
