"""The live board: who rings, who talks with whom, since when; kept up to date by server-sent events.

Rows are made here, in the reader's language, once for all who read it: the page's script only puts them in their places
and counts the seconds. `state` comes first and has everything; then `change`: rows that are new or different, and calls
that are over; `alive` now and then, so that a page notices a connection that is dead; `refused` when the reader may not
look on any more.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import lru_cache
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from perezvon.conference.onlookers import Closed
from perezvon.web.conference_api import CROWDED
from perezvon.web.event_stream import HEADERS, MOST_FOR_ONE, MOST_STREAMS, RETRY, frame
from perezvon.web.frame import Frame
from perezvon.web.gate import Gate, visitor_of
from perezvon.web.live import Board, Row, Watcher
from perezvon.web.pages import Page
from perezvon.web.refusals import NOT_YOURS, Refused
from perezvon.web.rights import Right, needs
from perezvon.web.switchroom import Switchroom
from perezvon.web.translations import Language

ALIVE = 10.0
"""Seconds without news after which `alive` is sent; and after which it is looked whether the reader still may look on,
however much news there is."""


def routes(room: Switchroom, gate: Gate, pages: Frame, *, alive: float = ALIVE) -> APIRouter:
    router = APIRouter()

    @router.get("/live", include_in_schema=False)
    @needs(Right.CALLS)
    async def page(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return pages.page(request, "live.html", board=room.board())

    @router.get("/live/events", include_in_schema=False)
    @needs(Right.CALLS)
    async def events(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        visitor = visitor_of(request)
        who = visitor.session or visitor.name
        his, all_of_them = room.watchers(who)
        if his >= MOST_FOR_ONE or all_of_them >= MOST_STREAMS:
            raise Refused(CROWDED)

        async def may() -> bool:
            try:
                if not (await gate.identify(request)).may(Right.CALLS):
                    raise Refused(NOT_YOURS)
            except Refused:
                return False
            return True

        return _Stream(room, who, pages.spoken(request), may, alive)

    @router.get("/api/live", tags=["calls"], summary="The calls that go on just now")
    @needs(Right.CALLS)
    async def now() -> Response:  # pyright: ignore[reportUnusedFunction]
        return JSONResponse(room.board().as_json())

    return router


class _Stream(StreamingResponse):
    media_type = "text/event-stream"

    def __init__(
        self, room: Switchroom, who: str, language: Language, may: Callable[[], Awaitable[bool]], alive: float
    ) -> None:
        super().__init__(self._frames(), headers=HEADERS)
        self._room = room
        self._who = who
        self._language: Language = language
        self._may = may
        self._alive = alive
        self._watcher: Watcher | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._room.watcher(self._who) as self._watcher:
            await super().__call__(scope, receive, send)

    async def _frames(self) -> AsyncGenerator[bytes]:
        assert self._watcher is not None
        number, asked = 0, time.monotonic()
        yield f"retry: {RETRY}\n\n".encode()
        while True:
            try:
                news = await self._watcher.next(self._alive)
            except Closed:
                return
            number += 1
            if news is None or time.monotonic() - asked >= self._alive:
                if not await self._may():
                    yield frame("refused", {}, number)
                    return
                asked = time.monotonic()
            if news is None:
                yield frame("alive", {}, number)
                continue
            rows = [{"id": row.id, "html": _html(row, self._language)} for row in news.rows]
            told: dict[str, Any] = {"rows": rows}
            if isinstance(news, Board):
                yield frame("state", told | {"now": news.at, "deaf": list(news.deaf)}, number)
            else:
                yield frame("change", told | {"gone": list(news.gone)}, number)


@lru_cache(maxsize=2000)
def _html(row: Row, language: Language) -> str:
    return Page("live_row.html", language, {"row": row}).html()
