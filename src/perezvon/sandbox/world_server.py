"""The outside world by HTTP, for the buttons on the portal's page: `POST /call`, `POST /hangup`, `GET /phones`,
`POST /phone/{extension}`. Bodies and answers are JSON; the shapes are those that the page's world API names.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from perezvon.sandbox.pbx import Leg, Party, SandboxError, World
from perezvon.sandbox.pbx.layout import EMPLOYEES

Json = Any


class WorldServer:
    """`origin`: the address of the page, which may call us from the browser."""

    def __init__(self, world: World, origin: str) -> None:
        self._world = world
        self._origin = origin
        self._behaviours = dict.fromkeys(EMPLOYEES, "answer")
        self._callers: list[Leg] = []

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._with_cors])
        app.router.add_get("/phones", self._phones)
        app.router.add_post("/call", self._call)
        app.router.add_post("/hangup", self._hang_up)
        app.router.add_post("/phone/{extension}", self._behave)
        app.router.add_route("OPTIONS", "/{any:.*}", self._preflight)
        return app

    @web.middleware
    async def _with_cors(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            response = await handler(request)
        except (SandboxError, KeyError, ValueError) as error:
            response = web.json_response({"error": str(error)}, status=400)
        response.headers["Access-Control-Allow-Origin"] = self._origin
        response.headers["Access-Control-Allow-Headers"] = "Content-Type"
        return response

    async def _preflight(self, _request: web.Request) -> web.Response:
        return web.Response()

    async def _phones(self, _request: web.Request) -> web.Response:
        phones = [
            {
                "extension": extension,
                "behaviour": behaviour,
                "busy": any(leg.alive for leg in self._world.phone(extension).legs),
            }
            for extension, behaviour in self._behaviours.items()
        ]
        return web.json_response({"phones": phones, "calls": [self._told(leg) for leg in self._callers if leg.alive]})

    async def _call(self, request: web.Request) -> web.Response:
        wanted: dict[str, Json] = await request.json()
        leg = await self._world.call(
            frm=_digits(str(wanted["from"])), to=_digits(str(wanted["to"])), name=str(wanted.get("name", ""))
        )
        self._callers = [*(old for old in self._callers if old.alive), leg]
        return web.json_response(self._told(leg))

    async def _hang_up(self, request: web.Request) -> web.Response:
        """One caller's call when `from` names it, else everybody's."""
        wanted: dict[str, Json] = await request.json() if request.can_read_body else {}
        number = _digits(str(wanted.get("from", "")))
        chosen = [leg for leg in self._callers if leg.alive and number in ("", leg.number)]
        for leg in chosen:
            await leg.hangup()
        return web.json_response({"hung_up": len(chosen)})

    async def _behave(self, request: web.Request) -> web.Response:
        phone: Party = self._world.phone(request.match_info["extension"])
        wanted: dict[str, Json] = await request.json()
        behaviour = str(wanted["behaviour"])
        match behaviour:
            case "answer":
                await phone.answers(after=float(wanted.get("after") or 2.0))
            case "ring":
                await phone.rings()
            case "busy":
                await phone.busy()
            case "reject":
                await phone.rejects()
            case "pick_up":
                await phone.answer()
                return web.json_response({})
            case "hang_up":
                await phone.hangup()
                return web.json_response({})
            case _:
                raise ValueError(f"there is no behaviour {behaviour}: answer, ring, busy, reject, pick_up, hang_up")
        self._behaviours[phone.number] = behaviour
        return web.json_response({})

    def _busy(self, extension: str) -> bool:
        return any(leg.alive for leg in self._world.phone(extension).legs)

    def _told(self, leg: Leg) -> dict[str, Json]:
        return {"from": leg.number, "alive": leg.alive, "talking": leg.up}


@asynccontextmanager
async def world_server(world: World, origin: str, port: int = 0) -> AsyncGenerator[str]:
    """Serves on 127.0.0.1 and gives the address."""
    runner = web.AppRunner(WorldServer(world, origin).application())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _digits(number: str) -> str:
    return "".join(char for char in number if char.isdigit())
