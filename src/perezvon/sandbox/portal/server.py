"""The pretend portal as a running server: in the caller's event loop (`PortalServer`), on one or two loopback ports.

The main port is the portal: REST, OAuth, the face, the control API. The control port serves the same and stays open
during an outage.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Literal, Self

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from perezvon.sandbox.portal import desk
from perezvon.sandbox.portal.authorization import authorization_routes
from perezvon.sandbox.portal.backup import Backup
from perezvon.sandbox.portal.calls import PortalCall
from perezvon.sandbox.portal.clock import Clock
from perezvon.sandbox.portal.config import PortalConfig
from perezvon.sandbox.portal.control import control_routes
from perezvon.sandbox.portal.dispatch import Dispatcher
from perezvon.sandbox.portal.listener import Listener
from perezvon.sandbox.portal.mishap import Mishaps, system_error
from perezvon.sandbox.portal.rest import Rest
from perezvon.sandbox.portal.seed import plant_crm, plant_identities, plant_people
from perezvon.sandbox.portal.state import PortalState

Json = Any
Leaves = Literal["redirect", "deleted", "stranger"]
log = structlog.get_logger(__name__)


class PortalServer:
    """`async with PortalServer(PortalConfig(...)) as portal:` serves on 127.0.0.1 until the block ends.

    `state` is the portal's memory. `face` gives the routes of its pages (`face.face_routes`); they come first, so that they
    may take `/`.
    """

    def __init__(
        self,
        config: PortalConfig | None = None,
        *,
        clock: Clock | None = None,
        face: Callable[[PortalServer], Sequence[BaseRoute]] | None = None,
    ) -> None:
        self.config = config or PortalConfig()
        self.state = PortalState(self.config, clock)
        self.app = plant_identities(self.state)
        if self.config.seed:
            plant_people(self.state)
            plant_crm(self.state)
        self._moved_from: dict[str, Leaves] = {}
        self._face: list[BaseRoute] = list(face(self)) if face else []
        self._stop = asyncio.Event()
        self._ready = asyncio.Event()
        self._main: asyncio.Task[None] | None = None
        self._outages: asyncio.Queue[float] = asyncio.Queue()
        mishaps = Mishaps(self.state, self._break)
        self.asgi = self._application(mishaps)
        self._listener = Listener(self.asgi, self.config.host, self.config.port)
        self._control = Listener(self.asgi, self.config.host, self.config.control_port)

    # ----- where it is

    @property
    def url(self) -> str:
        """The portal's address, without a trailing slash; a rename changes it."""
        return self.state.base_url

    @property
    def control_url(self) -> str:
        """The second address, which an outage does not close."""
        return self._control.url

    @property
    def webhook_url(self) -> str:
        """The inbound webhook, as the portal's page shows it."""
        return f"{self.url}/rest/{self.config.webhook_user}/{self.config.webhook_secret}/"

    # ----- running

    async def __aenter__(self) -> Self:
        self._main = asyncio.create_task(self._run(), name="pretend portal")
        ready = asyncio.create_task(self._ready.wait(), name="pretend portal ready")
        await asyncio.wait({self._main, ready}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._main.done():
            await self._main
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._main is not None:
            await self._main

    async def _run(self) -> None:
        await self._listener.open()
        await self._control.open()
        self.state.base_url = self._listener.url
        log.info("pretend portal listens", url=self._listener.url, control=self._control.url)
        async with asyncio.TaskGroup() as tasks:
            workers = [
                tasks.create_task(self.state.events.send(), name="portal event sender"),
                tasks.create_task(self._serve_outages(), name="portal outages"),
                tasks.create_task(self._do_chores(), name="portal chores"),
            ]
            self._ready.set()
            await self._stop.wait()
            self.state.feed.close()
            await self._listener.close()
            await self._control.close()
            for worker in workers:
                worker.cancel()

    async def _do_chores(self) -> None:
        while True:
            _, chore = await self.state.chores.get()
            await chore()

    async def _serve_outages(self) -> None:
        while True:
            seconds = await self._outages.get()
            self._listener.shut()
            self.state.publish("fault", fault="outage", seconds=seconds)
            await asyncio.sleep(seconds)
            await self._listener.open()
            self.state.publish("fault", fault="outage over")

    # ----- what tests and the face ask of it

    def outage(self, seconds: float) -> None:
        """Close the main port (connection refused) and break its connections, for so long. Control stays."""
        self._outages.put_nowait(seconds)

    @property
    def is_open(self) -> bool:
        return self._listener.is_open

    def calls(self) -> list[PortalCall]:
        return self.state.calls()

    def click(self, user_id: int, number: str, line: str | None = None, *, call_list: int = 0) -> PortalCall:
        return desk.click(self.state, user_id, number, line, call_list=call_list)

    def callback(
        self, number: str, line: str = "", crm_type: str = "", crm_id: int = 0, text: str = "Заказан обратный звонок"
    ) -> None:
        desk.callback(self.state, number, text, line=line, crm_type=crm_type, crm_id=crm_id)

    def install(self) -> tuple[str, str]:
        """(access token, refresh token) for the configured application and its user."""
        return desk.install(self.state)

    def rename(self, host: str, leaves: Leaves = "redirect") -> None:
        """The portal moves to another host name (same port). `leaves`: what the old one answers from now on: 302 to the new
        one as documented, PORTAL_DELETED, or somebody else's page. `localhost` does for 127.0.0.1."""
        self._moved_from[self.url.split("://", 1)[1]] = leaves
        self.state.base_url = f"http://{host}:{self._listener.port}"
        self._moved_from.pop(self.url.split("://", 1)[1], None)
        self.state.publish("fault", fault="moved", to=self.url)

    def backup(self) -> Backup:
        """What the portal keeps now, for `restore`."""
        return Backup.of(self.state)

    def restore(self, backup: Backup) -> None:
        """The portal is brought back to the moment of the backup."""
        backup.restore(self.state)

    # ----- addresses

    def _application(self, mishaps: Mishaps) -> Moved:
        routes: list[BaseRoute] = [
            *self._face,
            Route("/rest/download/{file_id:int}/{key}/{name}", self._download),
            Route("/rest/{path:path}", Rest(self.state, Dispatcher(self.state), mishaps)),
            *authorization_routes(self.state, mishaps),
            *control_routes(self),
        ]
        return Moved(Starlette(routes=routes), self._moved_from, self.state)

    async def _download(self, request: Request) -> Response:
        file = self.state.files.get(request.path_params["file_id"])
        if file is None or file.key != request.path_params["key"]:
            return PlainTextResponse("no such file", 404)
        headers = {"Accept-Ranges": "bytes", "Content-Disposition": "inline"}
        wanted = request.headers.get("range", "").removeprefix("bytes=")
        first, dash, last = wanted.partition("-")
        if not dash or not first.isdigit():
            return Response(file.content, media_type=file.media_type, headers=headers)
        start = int(first)
        stop = min(int(last) + 1 if last.isdigit() else len(file.content), len(file.content))
        if start >= stop:
            return Response(status_code=416, headers={"Content-Range": f"bytes */{len(file.content)}"})
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(file.content)}"
        return Response(file.content[start:stop], 206, media_type=file.media_type, headers=headers)

    def _break(self, scope: Scope, reset: bool) -> None:
        for listener in (self._listener, self._control):
            if listener.break_connection(scope, reset=reset):
                return


class Moved:
    """Answers whoever comes for REST by a host name that the portal no longer has. `moved_from`: host -> what it says."""

    def __init__(self, inner: Starlette, moved_from: dict[str, Leaves], portal: PortalState) -> None:
        self._inner, self._moved_from, self._portal = inner, moved_from, portal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        leaves = None
        if self._moved_from and scope["type"] == "http" and scope["path"].startswith("/rest/"):
            leaves = self._moved_from.get(Request(scope).headers.get("host", ""))
        answer = self._inner if leaves is None else self._answer(Request(scope), leaves)
        await answer(scope, receive, send)

    def _answer(self, request: Request, leaves: Leaves) -> Response:
        if leaves == "deleted":
            gone = system_error("PORTAL_DELETED")
            return JSONResponse({"error": gone.code, "error_description": gone.description}, gone.http)
        if leaves == "stranger":
            return HTMLResponse("<html><head><title>This name is for sale</title></head></html>", 404)
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{self._portal.base_url}{request.url.path}{query}", 302)
