"""Live news as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

`state` comes first, and again whenever a slow reader has missed something: everything that he may see. Then `call` for each
change of a call and `pbx` for each change of a PBX's connection. Whoever connects again gets `state` again, whatever
Last-Event-ID says: it is small, and always right.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from perezvon.conference import Change, Closed, News, Onlooker, Operator, Whole
from perezvon.web.desk import ConferenceDesk

KEEP_ALIVE = 15.0
"""Seconds without news after which a comment is sent: no proxy cuts the stream, and a reader who is gone is noticed."""

RETRY = 2000
"""Milliseconds after which a browser connects again."""

MOST_STREAMS = 60
MOST_FOR_ONE = 10

HEADERS = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}
"""nginx is not to keep anything back."""


def frame(name: str, told: Any, number: int) -> bytes:
    """JSON has no line breaks of its own, so that one `data` line holds it."""
    return f"event: {name}\nid: {number}\ndata: {json.dumps(told, ensure_ascii=False)}\n\n".encode()


class EventStream(StreamingResponse):
    """`refused` tells why the reader may not look on any more (his badge is out of date), None while he may."""

    media_type = "text/event-stream"

    def __init__(
        self,
        desk: ConferenceDesk,
        who: Operator,
        refused: Callable[[], Awaitable[dict[str, str] | None]],
        keep_alive: float,
    ) -> None:
        super().__init__(self._frames(), headers=HEADERS)
        self._desk = desk
        self._who = who
        self._refused = refused
        self._keep_alive = keep_alive
        self._onlooker: Onlooker | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._desk.onlooker(self._who) as self._onlooker:
            await super().__call__(scope, receive, send)

    async def _frames(self) -> AsyncGenerator[bytes]:
        assert self._onlooker is not None
        number = 0
        yield f"retry: {RETRY}\n\n".encode()
        while True:
            try:
                news = await self._onlooker.next(self._keep_alive)
            except Closed:
                return
            if (refused := await self._refused()) is not None:
                yield frame("refused", refused, number + 1)
                return
            if news is None:
                yield b": still here\n\n"
                continue
            number += 1
            yield frame(_name(news), news.as_json(), number)


def _name(news: News) -> str:
    match news:
        case Whole():
            return "state"
        case Change():
            return "call"
        case _:
            return "pbx"


def crowded(desk: ConferenceDesk, who: Operator) -> bool:
    """Whether one more stream would be too many: there must be room for the portal's events."""
    his, all_of_them = desk.onlookers(who)
    return his >= MOST_FOR_ONE or all_of_them >= MOST_STREAMS
