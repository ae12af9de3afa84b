"""The web application: pages, the state as JSON and as metrics, control of conferences, and what portals send to us.

Each room of pages adds its routes here; the gate stands before all of them (gate.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, Literal
from urllib.parse import urlencode

import structlog
from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from perezvon.doctor.check import Check, worst
from perezvon.settings.errors import KeyLost, told
from perezvon.storage.database import Database
from perezvon.storage.errors import Unavailable
from perezvon.web import (
    account_pages,
    audit_api,
    calls_pages,
    conference_api,
    deliveries_api,
    deliveries_pages,
    door_pages,
    embed_pages,
    intake,
    journal_api,
    live_pages,
    metrics,
    missed_api,
    missed_pages,
    people_pages,
    recordings,
    settings_api,
    settings_pages,
    setup_pages,
)
from perezvon.web.access import Access
from perezvon.web.badges import Badges
from perezvon.web.call_back_desk import CallBackDesk
from perezvon.web.delivery_desk import DeliveryDesk
from perezvon.web.described import described
from perezvon.web.desk import ConferenceDesk
from perezvon.web.frame import THEMES, Frame, local_path, policy, remember
from perezvon.web.gate import Gate, SecondFactor, is_secure, wants_page
from perezvon.web.inside_sessions import InsideSessions
from perezvon.web.intake import EventSink
from perezvon.web.pages import STATIC
from perezvon.web.peers import host_of
from perezvon.web.people import People
from perezvon.web.portal_door import PortalDoor
from perezvon.web.refusals import CODE_WANTED, ELSEWHERE, NOT_THERE, SIGN_IN, Refused
from perezvon.web.rights import Right, needs
from perezvon.web.settings_desk import SettingsDesk
from perezvon.web.setup_desk import SetupDesk
from perezvon.web.status import StatusSource
from perezvon.web.switchroom import Switchroom
from perezvon.web.translations import LANGUAGES, catalog
from perezvon.web.troubles import troubles
from perezvon.web.verdict import verdict

HEADERS = {
    "Content-Security-Policy": policy(),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
KEPT = "public, max-age=31536000, immutable"
"""For static files: another content has another address (`pages.asset`)."""

IN_WORDS_TOO: dict[int | str, dict[str, Any]] = {200: {"content": {"text/html": {}}}}
"""JSON for who accepts it."""

Doctor = Callable[[], Awaitable[Sequence[Check]]]

log = structlog.get_logger(__name__)


ONLY_SAFELY = "max-age=31536000; includeSubDomains"
"""For browsers that came by https."""


class SafeHeaders:
    """Adds HEADERS to every answer, and touches nothing else: streams pass as they come."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if scope["path"].startswith("/static/") and b"v=" in scope["query_string"]:
                    headers.setdefault("Cache-Control", KEPT)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if is_secure(HTTPConnection(scope)):
                    headers.setdefault("Strict-Transport-Security", ONLY_SAFELY)
                if scope["path"].startswith("/api/") and headers.get("content-type", "") == "application/json":
                    headers.setdefault("Content-Disposition", 'attachment; filename="api.json"')
            await send(message)

        await self._app(scope, receive, send_safely)


def create_app(
    status: StatusSource,
    events: EventSink,
    *,
    desk: ConferenceDesk | None = None,
    badges: Badges | None = None,
    people: People | None = None,
    database: Database | None = None,
    doctor: Doctor | None = None,
    shelf: recordings.Shelf | None = None,
    switchroom: Switchroom | None = None,
    settings: SettingsDesk | None = None,
    setup: SetupDesk | None = None,
    portals: tuple[PortalDoor, InsideSessions] | None = None,
    password: Callable[[], str] = lambda: "",
    language: Callable[[], Literal["auto", "ru", "en"]] = lambda: "auto",
    second_factor: Callable[[], SecondFactor] = lambda: "offered",
) -> FastAPI:
    """`password` and `language` are asked at every request, so that a change of the settings applies at once. Without
    `people` nobody can sign in."""
    gate = Gate(Access(password), people, badges, desk, second_factor)
    app = FastAPI(title="Perezvon", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(gate.guard)])
    known: list[frozenset[str]] = []

    def paths() -> frozenset[str]:
        if not known:
            known.append(frozenset(path for _, path, _ in endpoints(app.routes)))
        return known[0]

    def description() -> dict[str, Any]:
        return described(app.openapi(), endpoints(app.routes))

    frame = Frame(language, paths)
    examining = asyncio.Lock()
    app.add_middleware(SafeHeaders)
    _tell_errors(app, frame)

    @app.get("/", include_in_schema=False)
    @needs(Right.STATUS)
    async def page(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        now = await status.status()
        found = troubles(now)
        return frame.page(
            request,
            "status.html",
            status=now,
            troubles=found,
            verdict=verdict(now, found),
            doctor=doctor is not None,
            journal=database is not None,
            setup=setup is not None and setup_pages.wanted(now),
        )

    @app.get("/status", tags=["state"], summary="The state of everything")
    @needs(Right.STATUS)
    async def plain(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        now = await status.status()
        translate = catalog(frame.spoken(request) if "lang" in request.query_params else "en").gettext
        found = troubles(now)
        told = [trouble.as_json(translate) for trouble in found]
        return JSONResponse({**now.as_json(), "verdict": verdict(now, found).as_json(), "troubles": told})

    @app.get("/metrics", tags=["state"], summary="Numbers for Prometheus", response_class=PlainTextResponse)
    @needs(Right.STATUS)
    async def numbers() -> Response:  # pyright: ignore[reportUnusedFunction]
        return Response(metrics.exposition(await status.status()), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/health", tags=["state"], summary="Answers as long as the service does")
    async def health() -> Response:  # pyright: ignore[reportUnusedFunction]
        """For load balancers and watchdogs: tells nothing but that we answer."""
        return JSONResponse({"status": "ok"})

    @app.get("/preferences", include_in_schema=False)
    async def preferences(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Remembers language, light or dark in cookies; then back to where one was."""
        answer = RedirectResponse(local_path(request.query_params.get("back", "/")), 303)
        for name, choices in (("lang", LANGUAGES), ("theme", THEMES)):
            if (chosen := request.query_params.get(name)) in choices:
                remember(request, answer, name, str(chosen))
        return answer

    if doctor is not None:

        @app.post("/doctor", tags=["state"], summary="Examine everything", responses=IN_WORDS_TOO)
        @needs(Right.DOCTOR)
        async def examine(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
            """One examination at a time: it takes requests of the portal's limit."""
            async with examining:
                checks = await doctor()
            if "application/json" in request.headers.get("accept", ""):
                translate = catalog(frame.spoken(request)).gettext
                told = [check.as_json(translate) for check in checks]
                return JSONResponse({"state": worst(checks).value, "checks": told})
            return frame.page(request, "doctor.html", checks=checks)

    if database is not None:
        app.include_router(calls_pages.routes(database, frame, switchroom))
        calling_back = CallBackDesk(database, switchroom, time.time)
        app.include_router(missed_pages.routes(calling_back, frame, switchroom))
        app.include_router(journal_api.routes(database, frame.spoken, switchroom))
        app.include_router(missed_api.routes(calling_back, frame.spoken))
    if switchroom is not None:
        app.include_router(live_pages.routes(switchroom, gate, frame))
    if switchroom is not None and database is not None:
        deliveries = DeliveryDesk(database, switchroom, time.time)
        app.include_router(deliveries_pages.routes(deliveries, frame))
        app.include_router(deliveries_api.routes(deliveries, frame.spoken))
    if settings is not None and database is not None:
        app.include_router(settings_pages.routes(settings, database, status, frame))
        app.include_router(settings_api.routes(settings, frame.spoken))
    if people is not None:
        app.include_router(door_pages.routes(people, gate, frame))
        app.include_router(account_pages.routes(people, frame, description))
        app.include_router(people_pages.routes(people, frame))
        app.include_router(audit_api.routes(people))
    if desk is not None:
        app.include_router(conference_api.routes(desk, gate, frame.spoken))
    if setup is not None:
        app.include_router(setup_pages.routes(setup, frame))
    if shelf is not None:
        app.include_router(recordings.routes(shelf))
    if portals is not None and badges is not None and database is not None:
        app.include_router(embed_pages.routes(*portals, badges, database, status, frame))
    app.include_router(intake.routes(events))
    app.mount("/static", GZipMiddleware(StaticFiles(directory=STATIC)), name="static")
    return app


def _tell_errors(app: FastAPI, frame: Frame) -> None:
    @app.exception_handler(Unavailable)
    async def no_database(request: Request, error: Exception) -> Response:  # pyright: ignore[reportUnusedFunction]
        return JSONResponse({"error": "the database is not available", "why": str(error)}, 503)

    @app.exception_handler(KeyLost)
    async def no_key(request: Request, error: Exception) -> Response:  # pyright: ignore[reportUnusedFunction]
        assert isinstance(error, KeyLost)
        log.error("stored secrets cannot be opened", path=request.url.path[:200], why=str(error))
        if wants_page(request):
            return frame.page(request, "key_lost.html", 503, why=error.reason)
        return PlainTextResponse(error.told(catalog(frame.spoken(request)).gettext), 503)

    @app.exception_handler(HTTPException)
    async def told_shortly(request: Request, error: Exception) -> Response:  # pyright: ignore[reportUnusedFunction]
        assert isinstance(error, HTTPException)
        return PlainTextResponse(str(error.detail), error.status_code, error.headers)

    @app.exception_handler(RequestValidationError)
    async def no_such(request: Request, error: Exception) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Parts of an address that are of the wrong kind: bodies are read by the rooms themselves."""
        return await refused(request, Refused(NOT_THERE))

    @app.exception_handler(Exception)
    async def defect(request: Request, error: Exception) -> Response:  # pyright: ignore[reportUnusedFunction]
        log.error("request failed", path=request.url.path, exc_info=error)
        return PlainTextResponse("internal error: see the log", 500, HEADERS)

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Exception) -> Response:  # pyright: ignore[reportUnusedFunction]
        assert isinstance(error, Refused)
        refusal = error.refusal
        if refusal is SIGN_IN and wants_page(request):
            return _to_the_door(request)
        if refusal is CODE_WANTED and wants_page(request):
            return RedirectResponse("/account/second-factor", 303)
        peer = host_of(request)
        about = "conference: refused" if request.url.path.startswith(("/api/calls", "/api/events")) else "web: refused"
        log.warning(about, code=refusal.code, path=request.url.path[:200], peer=peer)
        if refusal is ELSEWHERE and not request.url.path.startswith("/api/"):
            return frame.page(request, "closed.html", refusal.status)
        if wants_page(request) and refusal.status in (403, 404):
            return frame.page(request, "refused.html", refusal.status, why=refusal.reason)
        message = told(refusal.reason, catalog(frame.spoken(request)).gettext)
        if request.url.path.startswith("/api/"):
            return JSONResponse({"error": refusal.code, "message": message}, refusal.status, dict(refusal.headers))
        return PlainTextResponse(message, refusal.status, dict(refusal.headers))


def _to_the_door(request: Request) -> Response:
    """To the page where one signs in, and then back."""
    query = f"?{request.url.query}" if request.url.query else ""
    back = local_path(request.url.path + query) if request.method == "GET" else "/"
    if request.headers.get("hx-request") == "true":
        return Response(status_code=204, headers={"HX-Redirect": "/login"})
    return RedirectResponse(f"/login?{urlencode({'back': back})}" if back != "/" else "/login", 303)


def endpoints(routes: Iterable[Any]) -> Iterator[tuple[str, str, object]]:
    """Method, path and function of every route, those of the rooms too; mounted applications (static files) are not.
    HEAD is told only where there is no GET: the gate takes one for the other."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from endpoints(inner.routes)
        elif (endpoint := getattr(route, "endpoint", None)) is not None:
            for method in sorted(route.methods or ()):
                if method != "HEAD" or "GET" not in route.methods:
                    yield method, route.path, endpoint
