"""Clients who called and with whom nobody has talked since: who waits longest, how often he called, who is to call back."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from perezvon.storage import missed
from perezvon.storage.database import Database
from perezvon.web.frame import Frame
from perezvon.web.rights import Right, needs

MOST = 200


def routes(database: Database, frame: Frame, clock: Callable[[], float] = time.time) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/missed")
    @needs(Right.CALLS)
    async def page(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        now = clock()
        async with database.read() as conn:
            waiting = await missed.waiting(conn, now - missed.WEEK, MOST)
            back = await missed.called_back(conn, now - missed.DAY, MOST)
            people = await missed.responsible(conn, {one.responsible for one in (*waiting, *back) if one.responsible})
        values: dict[str, Any] = {"waiting": waiting, "back": back, "people": people, "now": now}
        return frame.page(request, "missed.html", **values)

    return router
