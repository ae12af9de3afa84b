"""`GET /recordings/TOKEN`: a recording, for whoever has its address. Ranges of bytes, so that players can jump; one log
line a download. Nothing is listed, and the file comes from the database, never out of the address.

Sources: RFC 9110, sections 13 (conditions) and 14 (ranges).
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import structlog
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from perezvon.web.links import BadLink, OldLink
from perezvon.web.peers import host_of
from perezvon.web.throttle import source

PIECE = 64 * 1024
AT_ONCE = 32
AT_ONCE_EACH = 6
"""Downloads at once: in all, and of one address. More get 503, and come again."""
A_MINUTE = 240.0
BAD_A_MINUTE = 60.0
"""Requests a minute with one address, and with wrong ones from one machine. More get 429."""
MOST_COUNTED = 5000

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
_HEADERS = {
    "Accept-Ranges": "bytes",
    "Cache-Control": "private, no-cache",
    "Content-Security-Policy": "default-src 'none'; media-src 'self'; style-src 'unsafe-inline'; sandbox",
    "X-Robots-Tag": "noindex",
}

log = structlog.get_logger(__name__)


class Gone(Exception):
    """The recording was there, and has been deleted, or its file is away."""


@dataclass(frozen=True, slots=True)
class Shelved:
    """`name`: for whoever saves it. `media`: its type."""

    path: Path
    name: str
    media: str
    recording: int
    call: str


class Shelf(Protocol):
    async def find(self, token: str) -> Shelved:
        """Raises BadLink, OldLink, Gone, Unavailable."""
        ...


class Pace:
    """So many a minute for each of a bounded number of names. `clock`: monotonic seconds."""

    def __init__(self, a_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._a_minute = a_minute
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    def allows(self, name: str) -> bool:
        now = self._clock()
        left, since = self._left.pop(name, (self._a_minute, now))
        left = min(self._a_minute, left + (now - since) * self._a_minute / 60)
        while len(self._left) >= MOST_COUNTED:
            del self._left[next(iter(self._left))]
        self._left[name] = (max(left - 1, 0.0), now)
        return left >= 1


class _Unsatisfiable(Exception):
    pass


def routes(shelf: Shelf) -> APIRouter:
    router = APIRouter()
    asked, wrong, under_way = Pace(A_MINUTE), Pace(BAD_A_MINUTE), Counter[str]()

    def refused(request: Request, status: int, why: str) -> Response:
        """Whoever tries addresses out learns nothing from the answer, and fills no log."""
        peer = host_of(request)
        if not wrong.allows(source(peer)):
            return PlainTextResponse("too many requests", 429, {"Retry-After": "60"})
        log.warning("recording refused", peer=peer, why=why)
        return PlainTextResponse("there is no such recording" if status == 404 else why, status)

    @router.api_route("/recordings/{token}", methods=["GET", "HEAD"], include_in_schema=False)
    async def recording(token: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        try:
            found = await shelf.find(token)
        except BadLink:
            return refused(request, 404, "the address is none of ours")
        except OldLink:
            return refused(request, 410, "the address has expired")
        except Gone:
            return refused(request, 410, "the recording is not kept any more")
        if not asked.allows(token):
            return PlainTextResponse("too many requests", 429, {"Retry-After": "15"})
        if under_way.total() >= AT_ONCE or under_way[token] >= AT_ONCE_EACH:
            return PlainTextResponse("too many downloads", 503, {"Retry-After": "5"})
        try:
            file = await asyncio.to_thread(found.path.open, "rb")
        except OSError as error:
            log.warning("recording not readable", recording=found.recording, call=found.call, error=str(error))
            return PlainTextResponse("the recording is not kept any more", 410)
        try:
            return await _answer(request, found, file, under_way, token)
        except BaseException:
            file.close()
            raise

    return router


async def _answer(request: Request, found: Shelved, file: BinaryIO, under_way: Counter[str], token: str) -> Response:
    size, changed = await asyncio.to_thread(_look, file)
    tag, modified = f'"{found.recording}-{size:x}-{int(changed * 1000):x}"', formatdate(changed, usegmt=True)
    headers = {
        **_HEADERS,
        "ETag": tag,
        "Last-Modified": modified,
        "Content-Disposition": f'inline; filename="{re.sub(r"[^A-Za-z0-9._-]", "_", found.name)}"',
    }
    if request.headers.get("if-none-match", "").strip() in (tag, "*"):
        file.close()
        return Response(None, 304, headers)
    first, last, status = 0, size - 1, 200
    try:
        asked = _range(request, size, tag, changed)
    except _Unsatisfiable:
        file.close()
        return PlainTextResponse("no such range", 416, {**headers, "Content-Range": f"bytes */{size}"})
    if asked is not None:
        (first, last), status = asked, 206
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    headers["Content-Length"] = str(last - first + 1)
    told = _Told(request, found, status, last - first + 1)
    if request.method == "HEAD":
        file.close()
        told.over(0)
        return Response(None, status, headers, media_type=found.media)
    under_way[token] += 1
    return _Download(file, first, last - first + 1, headers, told, lambda: _leave(under_way, token))


def _range(request: Request, size: int, tag: str, changed: float) -> tuple[int, int] | None:
    """First and last byte; None for all of it: no range, one that is not understood (several are not), or of an older file.
    Raises _Unsatisfiable."""
    asked = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", "").lower())
    condition = request.headers.get("if-range", "").strip()
    if asked is None or request.method not in ("GET", "HEAD") or (condition and not _same(condition, tag, changed)):
        return None
    begin, end = asked.groups()
    if not begin and not end:
        return None
    if not begin:
        if not int(end):
            raise _Unsatisfiable
        return max(0, size - int(end)), size - 1
    if end and int(end) < int(begin):
        return None
    if int(begin) >= size:
        raise _Unsatisfiable
    return int(begin), min(int(end), size - 1) if end else size - 1


def _same(condition: str, tag: str, changed: float) -> bool:
    if condition.startswith(('"', "W/")):
        return condition == tag
    try:
        return int(parsedate_to_datetime(condition).timestamp()) == int(changed)
    except (ValueError, TypeError, OverflowError):
        return False


class _Told:
    """The log line of a download, when it is over."""

    def __init__(self, request: Request, found: Shelved, status: int, size: int) -> None:
        self._line: dict[str, Any] = {
            "recording": found.recording,
            "call": found.call,
            "peer": host_of(request),
            "by": request.headers.get("user-agent", "")[:120],
            "method": request.method,
            "status": status,
        }
        self.status = status
        self.media = found.media
        self._size = size
        self._began = time.monotonic()

    def over(self, sent: int, *, left: bool = False) -> None:
        """`sent`: bytes; `left`: the reader went away before."""
        took = round(time.monotonic() - self._began, 2)
        log.info("recording fetched", **self._line, sent=sent, whole=sent == self._size and not left, took=took)


class _Download(Response):
    """Sends the bytes as they are read; ends as soon as the reader has left."""

    def __init__(
        self, file: BinaryIO, first: int, length: int, headers: dict[str, str], told: _Told, leave: Callable[[], None]
    ) -> None:
        super().__init__(None, told.status, headers, media_type=told.media)
        self._file, self._first, self._length = file, first, length
        self._told, self._leave = told, leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent = 0
        left = asyncio.create_task(_left(receive), name="reader left")
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await asyncio.to_thread(self._file.seek, self._first)
            while sent < self._length and not left.done():
                piece = await asyncio.to_thread(self._file.read, min(PIECE, self._length - sent))
                if not piece:
                    break
                sent += len(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": sent < self._length})
        finally:
            left.cancel()
            self._file.close()
            self._leave()
            self._told.over(sent, left=left.done() and not left.cancelled())


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _leave(under_way: Counter[str], token: str) -> None:
    under_way[token] -= 1
    if under_way[token] <= 0:
        del under_way[token]


def _look(file: BinaryIO) -> tuple[int, float]:
    size = file.seek(0, 2)
    return size, Path(f"/proc/self/fd/{file.fileno()}").stat().st_mtime
