"""The web application: the status page, the same as JSON and as metrics, the doctor, control of conferences, and what
portals send to us."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Literal

import structlog
from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from perezvon.doctor.check import Check, worst
from perezvon.storage.errors import Unavailable
from perezvon.web import conference_api, intake, metrics, recordings
from perezvon.web.access import Access, Verdict
from perezvon.web.badges import Badges
from perezvon.web.desk import ConferenceDesk
from perezvon.web.intake import EventSink
from perezvon.web.pages import Page
from perezvon.web.status import StatusSource
from perezvon.web.translations import LANGUAGES, Language, catalog, wanted
from perezvon.web.troubles import troubles

STATIC = Path(__file__).parent / "static"

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

Doctor = Callable[[], Awaitable[Sequence[Check]]]

log = structlog.get_logger(__name__)


class SafeHeaders:
    """Adds HEADERS to every answer, and touches nothing else: streams pass as they come."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_safely)


def create_app(
    status: StatusSource,
    events: EventSink,
    *,
    desk: ConferenceDesk | None = None,
    badges: Badges | None = None,
    doctor: Doctor | None = None,
    shelf: recordings.Shelf | None = None,
    password: Callable[[], str] = lambda: "",
    language: Callable[[], Literal["auto", "ru", "en"]] = lambda: "auto",
) -> FastAPI:
    """`password` and `language` are asked at every request, so that a change of the settings applies at once."""
    app = FastAPI(title="Perezvon", docs_url=None, redoc_url=None, openapi_url=None)
    access = Access(password)
    examining = asyncio.Lock()

    def spoken(request: Request) -> Language:
        asked = request.query_params.get("lang", "")
        for ours in LANGUAGES:
            if asked == ours:
                return ours
        fixed = language()
        return wanted(request.headers.get("accept-language", "")) if fixed == "auto" else fixed

    def refusal(request: Request) -> Response | None:
        match access.judge(request):
            case Verdict.WELCOME:
                return None
            case Verdict.PASSWORD_WANTED:
                return PlainTextResponse(
                    "password, please", 401, {"WWW-Authenticate": 'Basic realm="Perezvon", charset="UTF-8"'}
                )
            case Verdict.THIS_MACHINE_ONLY:
                page = Page("closed.html", spoken(request), {})
                return HTMLResponse(page.html(), 403)

    app.add_middleware(SafeHeaders)

    @app.exception_handler(Unavailable)
    async def no_database(request: Request, error: Exception) -> Response:  # pyright: ignore[reportUnusedFunction]
        return JSONResponse({"error": "the database is not available", "why": str(error)}, 503)

    @app.exception_handler(HTTPException)
    async def told_shortly(request: Request, error: Exception) -> Response:  # pyright: ignore[reportUnusedFunction]
        assert isinstance(error, HTTPException)
        return PlainTextResponse(str(error.detail), error.status_code, error.headers)

    @app.exception_handler(Exception)
    async def defect(request: Request, error: Exception) -> Response:  # pyright: ignore[reportUnusedFunction]
        log.error("request failed", path=request.url.path, exc_info=error)
        return PlainTextResponse("internal error: see the log", 500, HEADERS)

    @app.get("/")
    async def page(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        if refused := refusal(request):
            return refused
        now = await status.status()
        values = {"status": now, "troubles": troubles(now), "doctor": doctor is not None}
        return HTMLResponse(Page("status.html", spoken(request), values).html())

    @app.get("/status")
    async def plain(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        if refused := refusal(request):
            return refused
        now = await status.status()
        translate = catalog(spoken(request)).gettext if "lang" in request.query_params else catalog("en").gettext
        told = [trouble.as_json(translate) for trouble in troubles(now)]
        return JSONResponse({**now.as_json(), "troubles": told})

    @app.get("/metrics")
    async def numbers(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        if refused := refusal(request):
            return refused
        return Response(metrics.exposition(await status.status()), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/health")
    async def health() -> Response:  # pyright: ignore[reportUnusedFunction]
        """For load balancers and watchdogs: tells nothing but that we answer."""
        return JSONResponse({"status": "ok"})

    if doctor is not None:

        @app.post("/doctor")
        async def examine(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
            """One examination at a time: it takes requests of the portal's limit."""
            if refused := refusal(request):
                return refused
            async with examining:
                checks = await doctor()
            chosen = spoken(request)
            if "application/json" in request.headers.get("accept", ""):
                translate = catalog(chosen).gettext
                told = [check.as_json(translate) for check in checks]
                return JSONResponse({"state": worst(checks).value, "checks": told})
            return HTMLResponse(Page("doctor.html", chosen, {"checks": checks}).html())

    if desk is not None:
        app.include_router(conference_api.routes(desk, access, badges, spoken))
    if shelf is not None:
        app.include_router(recordings.routes(shelf))
    app.include_router(intake.routes(events))
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app
