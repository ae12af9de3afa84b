"""Our pages inside a portal: its application's page, the tab in a call's card, the report in the call statistics.

The portal opens each with a POST from the user's browser, which anybody could have sent: what it says of the user is not
believed, the token that it brings is held against the portal (portal_door.py). Then a session of the page's own begins
(inside_sessions.py). Only that portal may put these pages into a frame.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

import structlog
from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from perezvon.bitrix24 import forms
from perezvon.bitrix24.errors import AuthRefused, PortalError
from perezvon.bitrix24.events import Forged
from perezvon.bitrix24.visitor import Opened
from perezvon.rules.vocabulary import Reason
from perezvon.settings.errors import told
from perezvon.storage.database import Database
from perezvon.web.badges import Badges
from perezvon.web.embed_card import CardPage, spoken
from perezvon.web.embed_report import ReportPage
from perezvon.web.embed_state import StatePage
from perezvon.web.frame import Frame
from perezvon.web.inside_sessions import UNKNOWN, Guest, InsideSessions
from perezvon.web.intake import read_body
from perezvon.web.peers import host_of
from perezvon.web.portal_door import CardContext, PortalDoor
from perezvon.web.refusals import NOT_THERE, SLOW_DOWN, TOO_LARGE, Refusal, Refused
from perezvon.web.status import StatusSource
from perezvon.web.throttle import FREE_OF_PEER, Throttle, source
from perezvon.web.translations import LANGUAGES, Language, catalog

LARGEST_BODY = 64 * 1024
SLOWEST_BODY = 10.0
PAGES = ("app", "card", "analytics")
LONGEST_OPTIONS = 8192

FORGED = Refusal(
    403,
    "not_from_portal",
    Reason("the portal does not confirm who you are: reload the portal's page; if that does not help, its administrator "
    "should install the application anew"),
)  # fmt: skip
UNSURE = Refusal(
    503, "portal_silent", Reason("the portal could not be asked who you are: try again in a minute"), {"Retry-After": "30"}
)
GONE = Refusal(403, "not_active", Reason("you are not among the active employees of the portal any more"))

log = structlog.get_logger(__name__)


def routes(
    door: PortalDoor,
    sessions: InsideSessions,
    badges: Badges,
    database: Database,
    status: StatusSource,
    frame: Frame,
    clock: Callable[[], float] = time.time,
) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    throttle = Throttle()
    card = CardPage(door, database)
    report = ReportPage(door, database, clock)
    state = StatePage(door, database, status, clock)

    def closed(request: Request, portal: str, language: Language, refusal: Refusal, why: str) -> Response:
        peer = host_of(request)
        log.warning("page inside the portal refused", portal=portal[:50], peer=peer, code=refusal.code, why=why)
        hosts = (door.origin(portal),)
        page = frame.page(request, "embed_closed.html", refusal.status, hosts=hosts, language=language, why=refusal.reason)
        page.headers.update(refusal.headers)
        return page

    async def opened(request: Request, portal: str, page: str) -> Response:
        """What the portal opens a page with: Opened and Guest, or why not."""
        if not door.origin(portal):
            raise Refused(NOT_THERE)
        form = await _form(request)
        language = _language(request, form) or frame.spoken(request)
        posted = _opened(form)
        peer = source(host_of(request))
        proven = door.proves(portal, posted.application_token)
        if not proven and not throttle.takes(peer, FREE_OF_PEER):
            return closed(request, portal, language, SLOW_DOWN, "too many without proof")
        try:
            user = await door.admit(portal, posted)
        except (Forged, AuthRefused) as error:
            return closed(request, portal, language, FORGED, str(error))
        except PortalError as error:
            return closed(request, portal, language, UNSURE, str(error))
        if not proven:
            throttle.take_back(peer)
        if not door.stands(portal, user.user):
            return closed(request, portal, language, GONE, "not active")
        number = posted.options.get("PHONE_NUMBER", "")[:50]
        call = posted.options.get("CALL_ID", "")[:100]
        guest = Guest(portal, user.user, user.name, user.admin, page, language, clock(), call, number)
        log.info("page inside the portal opened", portal=portal, user=user.user, page=page)
        values: dict[str, Any] = await content(guest, {})
        values |= {"guest": guest, "once": sessions.code(guest), "now": clock()}
        hosts = (door.origin(portal),)
        return frame.page(request, f"embed_{page}.html", hosts=hosts, language=language, **values)

    async def content(guest: Guest, query: Mapping[str, str]) -> dict[str, Any]:
        match guest.page:
            case "card":
                return await card.values(guest)
            case "analytics":
                return await report.values(guest, query)
            case _:
                return await state.values(guest)

    @router.post("/bitrix24/{portal}/app")
    async def app(portal: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await opened(request, portal, "app")

    @router.post("/bitrix24/{portal}/card")
    async def tab(portal: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await opened(request, portal, "card")

    @router.post("/bitrix24/{portal}/analytics")
    async def analytics(portal: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await opened(request, portal, "analytics")

    def admitted(request: Request, portal: str) -> Guest:
        """Raises Refused."""
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise Refused(UNKNOWN)
        guest = sessions.read(bearer.strip(), portal)
        if not door.stands(portal, guest.user):
            raise Refused(GONE)
        return guest

    def told_shortly(request: Request, refusal: Refusal) -> Response:
        message = told(refusal.reason, catalog(frame.spoken(request)).gettext)
        return JSONResponse({"error": refusal.code, "message": message}, refusal.status, dict(refusal.headers))

    @router.post("/bitrix24/{portal}/session")
    async def session(portal: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """A one-time code, or a bearer that is good still, becomes a new bearer."""
        try:
            code = request.headers.get("x-one-time-code", "")
            if code:
                guest = sessions.exchange(code[:100], portal)
                if not door.stands(portal, guest.user):
                    raise Refused(GONE)
            else:
                guest = admitted(request, portal)
        except Refused as no:
            return told_shortly(request, no.refusal)
        found = None
        if guest.page == "card":
            found = await door.call_of(portal, guest.user, CardContext(guest.portal_call, guest.number, guest.call))
            guest = replace(guest, call=found.id if found is not None else guest.call)
        bearer, seconds = sessions.bearer(guest)
        badge = badges.issue(found.badge, seconds) if found is not None and found.talk is not None else ""
        return JSONResponse({"bearer": bearer, "seconds": seconds, "call": guest.call, "badge": badge})

    @router.get("/bitrix24/{portal}/inside/{part}")
    async def inside(portal: str, part: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """A part of the page, fresh."""
        try:
            guest = admitted(request, portal)
            if part == "people" and guest.page == "card":
                found = card.people(guest, request.query_params.get("q", ""))
                return frame.page(request, "embed_people.html", language=_spoken(guest), **found)
            if part == "report.csv" and guest.page == "analytics":
                return await report.file(guest, request.query_params, catalog(_spoken(guest)).gettext)
            if part != guest.page:
                raise Refused(NOT_THERE)
        except Refused as no:
            return told_shortly(request, no.refusal)
        values = await content(guest, request.query_params)
        template = f"embed_{part}_live.html"
        return frame.page(request, template, language=_spoken(guest), guest=guest, now=clock(), **values)

    return router


def _spoken(guest: Guest) -> Language:
    return spoken(guest.language)


def _language(request: Request, form: Mapping[str, str]) -> Language | None:
    """Of the portal's user."""
    asked = (request.query_params.get("LANG", "") or form.get("LANG", ""))[:2].lower()
    return spoken(asked) if asked in LANGUAGES else None


async def _form(request: Request) -> dict[str, str]:
    """Raises Refused."""
    try:
        async with asyncio.timeout(SLOWEST_BODY):
            body = await read_body(request, LARGEST_BODY)
        decoded = forms.decode(body) if body is not None else None
    except (TimeoutError, ClientDisconnect, forms.BadForm):
        raise Refused(FORGED) from None
    if decoded is None:
        raise Refused(TOO_LARGE)
    return {name: value for name, value in decoded.items() if isinstance(value, str)}


def _opened(form: Mapping[str, str]) -> Opened:
    """What is not needed (the refresh token above all) is left where it is."""
    options: dict[str, str] = {}
    told_options = form.get("PLACEMENT_OPTIONS", "")
    if len(told_options) <= LONGEST_OPTIONS:
        try:
            given: Any = json.loads(told_options or "{}")
        except (ValueError, RecursionError):
            given = {}
        if isinstance(given, dict):
            items = cast("dict[str, Any]", given)
            options = {str(name): str(value) for name, value in items.items() if isinstance(value, str | int)}
    return Opened(
        access_token=form.get("AUTH_ID", ""),
        member_id=form.get("member_id", ""),
        application_token=form.get("APPLICATION_TOKEN", "")[:200],
        placement=form.get("PLACEMENT", "")[:60],
        options=options,
    )
