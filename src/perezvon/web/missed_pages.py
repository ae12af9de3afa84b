"""Clients who called and with whom nobody has talked since: who waits longest, how often he called, who is to call back;
and calling back with one click."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from perezvon.rules.missed import Missed
from perezvon.web.call_back_desk import CallBackDesk
from perezvon.web.frame import Frame, remember
from perezvon.web.gate import form_of, visitor_of
from perezvon.web.rights import Right, needs
from perezvon.web.switchroom import Switchroom, Telephone

COOKIE = "telephone"
"""Whose telephone rings first; empty: that of the responsible."""


def routes(
    desk: CallBackDesk, frame: Frame, room: Switchroom | None = None, clock: Callable[[], float] = time.time
) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/missed")
    @needs(Right.CALLS)
    async def page(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        now, seen = clock(), await desk.look()
        waiting = seen.waiting
        may = room is not None and visitor_of(request).may(Right.CALL_BACK)
        cells = {(one.portal, one.client): desk.cell(one.portal, one.client, seen.ordered) for one in waiting}
        values: dict[str, Any] = {"waiting": waiting, "back": seen.back, "people": seen.people, "now": now, "may": may}
        values |= {"cells": cells, "telephones": _telephones(waiting) if may else []}
        values["follows"] = room is None or bool(waiting) or room.follows_missed()
        values["chosen"] = request.cookies.get(COOKIE, "")
        return frame.page(request, "missed.html", **values)

    @router.get("/missed/call-back")
    @needs(Right.CALL_BACK)
    async def look(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        portal, client = (request.query_params.get(name, "")[:100] for name in ("portal", "client"))
        return frame.page(request, "missed_cell.html", cell=desk.cell(portal, client, await desk.ordered(portal)))

    @router.post("/missed/call-back")
    @needs(Right.CALL_BACK)
    async def call_back(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        form = await form_of(request)
        portal, client = form.get("portal", "")[:100], form.get("client", "")[:40]
        chosen, ticket = form.get("telephone", ""), form.get("ticket", "")
        phone, refused = await desk.call_back(visitor_of(request).actor, portal, client, chosen, ticket)
        cell = desk.cell(portal, client, await desk.ordered(portal), refused)
        if request.headers.get("hx-request") == "true" or refused is not None:
            answer: Response = frame.page(request, "missed_cell.html", cell=cell)
        else:
            answer = RedirectResponse("/missed", 303)
        if phone is not None:
            remember(request, answer, COOKIE, phone.user if chosen else "")
        return answer

    def _telephones(waiting: Sequence[Missed]) -> list[Telephone]:
        found = [one for portal in dict.fromkeys(one.portal for one in waiting) for one in desk.telephones(portal)]
        return list(dict.fromkeys(found))

    return router
