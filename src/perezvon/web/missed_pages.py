"""Clients who called and with whom nobody has talked since: who waits longest, how often he called, who is to call back;
and calling back with one click."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from perezvon.rules.missed import Missed
from perezvon.rules.orders import Order, Ordered
from perezvon.rules.vocabulary import Reason
from perezvon.storage import audit, missed, orders
from perezvon.storage.clicks import ClickState
from perezvon.storage.database import Database
from perezvon.storage.orders import StoredOrder
from perezvon.web.deeds import Deed
from perezvon.web.frame import Frame, remember
from perezvon.web.gate import form_of, visitor_of
from perezvon.web.refusals import NOT_THERE, Refused
from perezvon.web.rights import Right, needs
from perezvon.web.switchroom import Switchroom, Telephone

MOST = 200
HOUR = 3600.0
"""For so long it is told what became of a call back."""

COOKIE = "telephone"
"""Whose telephone rings first; empty: that of the responsible."""

NO_PHONE = Reason("whoever is responsible has no telephone here: choose whose telephone shall ring")
NOT_HIS = Reason("this employee has no telephone any more: choose another one")
OLD_PAGE = Reason("this page is too old: load it again")


@dataclass(frozen=True, slots=True)
class Cell:
    """What can be done about a client, and what is being done. `why`: it was refused. `state`: of the last order."""

    portal: str
    client: str
    ticket: str
    state: str = ""
    who: str = ""
    call: str = ""
    why: Reason | None = None

    @property
    def under_way(self) -> bool:
        return self.state in (ClickState.NEW, ClickState.DIALLING, ClickState.CALLING)

    @property
    def look(self) -> str:
        return f"/missed/call-back?portal={quote(self.portal)}&client={quote(self.client)}"


def routes(
    database: Database, frame: Frame, room: Switchroom | None = None, clock: Callable[[], float] = time.time
) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/missed")
    @needs(Right.CALLS)
    async def page(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        now = clock()
        async with database.read() as conn:
            waiting = await missed.waiting(conn, now - missed.WEEK, MOST)
            back = await missed.called_back(conn, now - missed.DAY, MOST)
            people = await missed.responsible(conn, {one.responsible for one in (*waiting, *back) if one.responsible})
            ordered = await _ordered(conn, {one.portal for one in waiting}, now)
        may = room is not None and visitor_of(request).may(Right.CALL_BACK)
        cells = {(one.portal, one.client): _cell(one.portal, one.client, ordered) for one in waiting}
        values: dict[str, Any] = {"waiting": waiting, "back": back, "people": people, "now": now, "may": may}
        values |= {"cells": cells, "telephones": _telephones(waiting) if may else []}
        values["follows"] = room is None or bool(waiting) or room.follows_missed()
        values["chosen"] = request.cookies.get(COOKIE, "")
        return frame.page(request, "missed.html", **values)

    @router.get("/missed/call-back")
    @needs(Right.CALL_BACK)
    async def look(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        portal, client = (request.query_params.get(name, "")[:100] for name in ("portal", "client"))
        async with database.read() as conn:
            ordered = await _ordered(conn, {portal}, clock())
        return frame.page(request, "missed_cell.html", cell=_cell(portal, client, ordered))

    @router.post("/missed/call-back")
    @needs(Right.CALL_BACK)
    async def call_back(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        form, visitor, now = await form_of(request), visitor_of(request), clock()
        portal, client = form.get("portal", "")[:100], form.get("client", "")[:40]
        async with database.read() as conn:
            episode = await missed.latest(conn, portal, client)
        if episode is None or room is None:
            raise Refused(NOT_THERE)
        phone = _phone(form.get("telephone", ""), episode)
        ticket = form.get("ticket", "")
        refused = phone if isinstance(phone, Reason) else None
        if refused is None and not _fresh(ticket, now):
            refused = OLD_PAGE
        if refused is None and isinstance(phone, Telephone):
            order = Order(f"page:{ticket}", Ordered.PAGE, client, phone.user)
            entry = visitor.actor.did(
                now, Deed.CALLED_BACK, client, f"{portal}: {phone.extension} {phone.name}, {order.key}"
            )
            refused = await room.call_back(portal, order)
            if refused is None:
                await database.write(lambda conn: audit.note(conn, entry))
        async with database.read() as conn:
            ordered = await _ordered(conn, {portal}, now)
        cell = _cell(portal, client, ordered, refused)
        if request.headers.get("hx-request") == "true" or refused is not None:
            answer: Response = frame.page(request, "missed_cell.html", cell=cell)
        else:
            answer = RedirectResponse("/missed", 303)
        if not isinstance(phone, Reason):
            remember(request, answer, COOKIE, phone.user if form.get("telephone") else "")
        return answer

    def _telephones(waiting: Sequence[Missed]) -> list[Telephone]:
        found = [one for portal in dict.fromkeys(one.portal for one in waiting) for one in _of(portal)]
        return list(dict.fromkeys(found))

    def _of(portal: str) -> Sequence[Telephone]:
        return room.telephones(portal) if room is not None else ()

    def _phone(chosen: str, episode: Missed) -> Telephone | Reason:
        user = chosen or episode.responsible
        found = next((one for one in _of(episode.portal) if one.user == user), None)
        return found or (NOT_HIS if chosen else NO_PHONE)

    def _cell(
        portal: str, client: str, ordered: Mapping[tuple[str, str], StoredOrder], refused: Reason | None = None
    ) -> Cell:
        ticket = f"{clock():010.0f}:{secrets.token_hex(8)}"
        last = ordered.get((portal, client))
        if last is None or refused is not None:
            return Cell(portal, client, ticket, why=refused)
        phone = next((one for one in _of(portal) if one.user == last.order.user), None)
        who = f"{phone.extension} {phone.name}".strip() if phone is not None else ""
        why = None
        if last.state is ClickState.DROPPED and room is not None:
            why = room.refusal(portal, last.order.key) or Reason("{why}", {"why": last.error})
        return Cell(portal, client, ticket, last.state.value, who, last.call, why)

    return router


async def _ordered(conn: AsyncConnection, portals: set[str], now: float) -> dict[tuple[str, str], StoredOrder]:
    """The last order of the page, by portal and client."""
    found: dict[tuple[str, str], StoredOrder] = {}
    for portal in portals:
        for one in await orders.since(conn, portal, f"page:{now - HOUR:010.0f}"):
            found.setdefault((portal, one.order.number), one)
    return found


def _fresh(ticket: str, now: float) -> bool:
    """Made by us not long ago: with it two clicks are one."""
    made = re.fullmatch(r"(\d{10}):[0-9a-f]{16}", ticket, re.ASCII)
    return made is not None and now - 12 * HOUR < float(made[1]) <= now + 60
