"""Serves the outside world to the portal's page over HTTP: the API of `world_api`, on top of a real `World`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from perezvon.sandbox.pbx import Leg, Party, SandboxError, World
from perezvon.sandbox.pbx.layout import EMPLOYEES
from perezvon.sandbox.world_api import Behaviour, WorldCall, WorldPhone, WorldState

Json = Any

LINES = (
    ("+74951234567", "ring group: 101, 102, 103"),
    ("+74950000101", "employee 101"),
    ("+74950000104", "employee 104"),
    ("+74950000300", "queue: 101, 102"),
    ("+74950000400", "voice menu"),
    ("+74950000600", "employee 105, whose phone is off"),
)


class WorldServer:
    def __init__(self, world: World) -> None:
        self._world = world
        self._behaviours: dict[str, Behaviour] = dict.fromkeys(EMPLOYEES, "answer")
        self._callers: list[tuple[Leg, str]] = []

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._told_errors])
        app.router.add_get("/phones", self._phones)
        app.router.add_post("/call", self._call)
        app.router.add_post("/hangup", self._hang_up)
        app.router.add_post("/phone/{extension}", self._behave)
        return app

    @web.middleware
    async def _told_errors(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            return await handler(request)
        except (SandboxError, KeyError, ValueError) as error:
            return web.json_response({"error": str(error)}, status=400)

    async def _phones(self, _request: web.Request) -> web.Response:
        state: WorldState = {
            "phones": [self._phone(extension, behaviour) for extension, behaviour in self._behaviours.items()],
            "calls": [_told(leg, to) for leg, to in self._callers if leg.alive],
            "lines": [{"number": number, "title": title} for number, title in LINES],
        }
        return web.json_response(state)

    async def _call(self, request: web.Request) -> web.Response:
        wanted: dict[str, Json] = await request.json()
        to = _digits(str(wanted["to"]))
        leg = await self._world.call(frm=_digits(str(wanted["from"])), to=to, name=str(wanted.get("name", "")))
        self._callers = [*(old for old in self._callers if old[0].alive), (leg, to)]
        return web.json_response(_told(leg, to))

    async def _hang_up(self, request: web.Request) -> web.Response:
        """One caller's calls when `from` names him, else everybody's."""
        wanted: dict[str, Json] = await request.json() if request.can_read_body else {}
        number = _digits(str(wanted.get("from", "")))
        chosen = [leg for leg, _ in self._callers if leg.alive and number in ("", leg.number)]
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

    def _phone(self, extension: str, behaviour: Behaviour) -> WorldPhone:
        alive = [leg for leg in self._world.phone(extension).legs if leg.alive]
        state = "idle" if not alive else "talking" if any(leg.up for leg in alive) else "ringing"
        return {"extension": extension, "behaviour": behaviour, "busy": bool(alive), "state": state}


def _told(leg: Leg, to: str) -> WorldCall:
    return {"from": f"+{leg.number}", "to": f"+{to}", "alive": leg.alive, "talking": leg.up}


@asynccontextmanager
async def world_server(world: World, port: int = 0) -> AsyncGenerator[str]:
    """Serves on 127.0.0.1 and gives the address."""
    runner = web.AppRunner(WorldServer(world).application())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _digits(number: str) -> str:
    return "".join(char for char in number if char.isdigit())
