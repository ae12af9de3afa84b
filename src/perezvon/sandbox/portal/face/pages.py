"""The face over HTTP: the page, its static files, the stream of snapshots, and the way to the outside world.

Everything a visitor changes goes through the control API (`/sandbox/…`) or, for real calls, through `/face/world/…`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any, cast

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from perezvon.sandbox.portal.face.inside import inside_page
from perezvon.sandbox.portal.face.snapshot import snapshot
from perezvon.sandbox.portal.face.texts import LANGUAGES, TEXTS, choose_language
from perezvon.sandbox.portal.face.world import WorldClient, WorldError

if TYPE_CHECKING:
    from perezvon.sandbox.portal.feed import News
    from perezvon.sandbox.portal.server import PortalServer

Json = Any
BETWEEN_SNAPSHOTS = 0.08
LOOK_AGAIN = 1.0
MEDIA_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_ENVIRONMENT = Environment(
    loader=PackageLoader("perezvon.sandbox.portal.face"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


def face_routes(world_url: str = "") -> Callable[[PortalServer], Sequence[BaseRoute]]:
    """What `PortalServer(face=…)` takes. `world_url`: where the outside world listens (`sandbox/world_api.py`); without it
    the page has no buttons for real calls."""

    def routes(server: PortalServer) -> Sequence[BaseRoute]:
        face = Face(server, WorldClient(world_url) if world_url else None)
        return [
            Route("/", face.page, methods=["GET"]),
            Route("/inside/{what}", inside_page(server), methods=["GET"]),
            Route("/face/feed", face.feed, methods=["GET"]),
            Route("/face/static/{name}", face.static, methods=["GET"]),
            Route("/face/world/call", face.world_call, methods=["POST"]),
            Route("/face/world/hangup", face.world_hang_up, methods=["POST"]),
            Route("/face/world/phone/{extension}", face.world_phone, methods=["POST"]),
        ]

    return routes


class Face:
    """One method for each address."""

    def __init__(self, server: PortalServer, world: WorldClient | None) -> None:
        self._server = server
        self._world = world

    async def page(self, request: Request) -> Response:
        language = choose_language(request.query_params.get("lang"), request.headers.get("accept-language", ""))
        texts = TEXTS[language]
        html = _ENVIRONMENT.get_template("portal.html").render(
            lang=language,
            zone=self._server.config.time_zone,
            languages=LANGUAGES.items(),
            t=texts,
            texts=texts,
            domain=self._server.url.split("://", 1)[1],
            world=self._world is not None,
        )
        return HTMLResponse(html, headers={**HEADERS, "Vary": "Accept-Language"})

    async def static(self, request: Request) -> Response:
        name = request.path_params["name"]
        file = resources.files(__package__ or "").joinpath("static", name)
        kind = MEDIA_TYPES.get(name.rpartition(".")[2])
        if kind is None or "/" in name or not file.is_file():
            return PlainTextResponse("no such file", 404)
        return Response(file.read_bytes(), media_type=kind, headers=HEADERS)

    async def feed(self, request: Request) -> Response:
        """Server-sent events named `snapshot`, the first at once, further ones when something changed."""
        del request
        return StreamingResponse(self._snapshots(), media_type="text/event-stream", headers=HEADERS)

    async def _snapshots(self) -> AsyncIterator[bytes]:
        sent, revision = "", 0
        yield b"retry: 1000\n\n"
        with self._server.state.feed.subscribed() as news:
            pending = _reader(news)
            try:
                while True:
                    shown = snapshot(self._server)
                    clock = shown.pop("now")
                    shown["world"] = await self._world.state() if self._world else None
                    text = json.dumps(shown, ensure_ascii=False)
                    if text != sent:
                        sent, revision = text, revision + 1
                        whole = json.dumps({"now": clock, "revision": revision, **shown}, ensure_ascii=False)
                        yield f"event: snapshot\ndata: {whole}\n\n".encode()
                        await asyncio.sleep(BETWEEN_SNAPSHOTS)
                    else:
                        yield b": nothing new\n\n"
                    await asyncio.wait({pending}, timeout=LOOK_AGAIN)
                    while pending.done():
                        if pending.exception() is not None:
                            return
                        pending = _reader(news)
                        await asyncio.sleep(0)
            finally:
                pending.cancel()
                await asyncio.wait({pending})

    # ----- the outside world

    async def world_call(self, request: Request) -> Response:
        return await self._passed_on(request, lambda world, wanted: world.call(wanted))

    async def world_hang_up(self, request: Request) -> Response:
        return await self._passed_on(request, lambda world, wanted: world.hang_up(wanted))

    async def world_phone(self, request: Request) -> Response:
        extension = request.path_params["extension"]
        return await self._passed_on(request, lambda world, wanted: world.behave(extension, wanted))

    async def _passed_on(
        self, request: Request, ask: Callable[[WorldClient, dict[str, Json]], Awaitable[Json]]
    ) -> Response:
        if self._world is None:
            return JSONResponse({"error": "this portal was started without an outside world (world_url)"}, 404)
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return JSONResponse({"error": "the body should be JSON, with Content-Type: application/json"}, 415)
        try:
            wanted = json.loads(await request.body())
            if not isinstance(wanted, dict):
                raise WorldError("the body should be a JSON object")
            told = await ask(self._world, cast("dict[str, Json]", wanted))
        except (WorldError, ValueError) as problem:
            return JSONResponse({"error": str(problem)}, 400)
        self._server.state.publish("world")
        return JSONResponse(told)


def _reader(news: AsyncIterator[News]) -> asyncio.Task[News]:
    async def following() -> News:
        return await anext(news)

    return asyncio.create_task(following(), name="portal page waits for news")
