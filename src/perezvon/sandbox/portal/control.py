"""The control API under /sandbox/: what a test, the demo or the face does to the portal from outside. JSON in, JSON out.

GET  /sandbox/state                 addresses, limits, counters, who has which card on the screen
GET  /sandbox/calls[?live=1]        one record for each registered call
GET  /sandbox/journal[?since=N]     requests, oldest first
GET  /sandbox/employees             POST: add one, or change the one with this "id"
GET  /sandbox/crm/{type}            objects of one type
GET  /sandbox/events                bindings, offline rows, deliveries
POST /sandbox/click                 {"user_id", "number", "line"?}
POST /sandbox/own-call              {"user_id", "number", "line"?, "incoming"?}: over the portal's own SIP line
POST /sandbox/callback              {"number", "line"?, "crm_type"?, "crm_id"?}
POST /sandbox/card/close            {"user_id", "call_id"}
POST /sandbox/install               {} -> tokens; /sandbox/uninstall
POST /sandbox/faults                {"fault", "method"?, "times"?, "seconds"?, "skip"?, "http"?, "code"?, "description"?,
"wait"?, "inside"?};
                                    fault "outage" takes "seconds"; GET lists, DELETE clears
POST /sandbox/move                  {"host", "leaves"?: "redirect" | "deleted" | "stranger"}: the portal gets another name
POST /sandbox/backup                keeps a copy of calls, CRM, people, handlers; POST /sandbox/restore: all is as then
POST /sandbox/clock                 {"advance": seconds} | {"stop": true} | {"start": true}
POST /sandbox/limits                {"per_second", "block_above"} | {"unlimited": true}; {"empty": true} drains the buckets
POST /sandbox/tokens/expire         every access token is expired from now on
POST /sandbox/reset                 forget journal, counters and faults; people, CRM and calls stay
GET  /sandbox/feed                  server-sent events: cards, calls, CRM, requests, faults
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from perezvon.sandbox.portal import desk
from perezvon.sandbox.portal.backup import Backup
from perezvon.sandbox.portal.config import Rate
from perezvon.sandbox.portal.people import User

if TYPE_CHECKING:
    from perezvon.sandbox.portal.server import PortalServer

Json = Any
EMPLOYEE_FIELDS = {
    "name": str,
    "last_name": str,
    "second_name": str,
    "extension": str,
    "active": bool,
    "admin": bool,
    "email": str,
    "position": str,
    "work_phone": str,
    "mobile": str,
    "personal_phone": str,
    "user_type": str,
    "timeman_status": str,
    "online": bool,
}


class ControlError(Exception):
    """A control request that makes no sense; the text says which field and what it should be."""


def control_routes(server: PortalServer) -> list[Mount]:
    control = Control(server)
    paths = {
        "state": {"GET": control.state},
        "calls": {"GET": control.calls},
        "journal": {"GET": control.journal},
        "employees": {"GET": control.employees, "POST": control.set_employee},
        "crm/{type}": {"GET": control.crm},
        "events": {"GET": control.events},
        "click": {"POST": control.click},
        "own-call": {"POST": control.own_call},
        "callback": {"POST": control.callback},
        "card/close": {"POST": control.close_card},
        "install": {"POST": control.install},
        "uninstall": {"POST": control.uninstall},
        "faults": {"GET": control.faults, "POST": control.plan_fault, "DELETE": control.clear_faults},
        "move": {"POST": control.move},
        "backup": {"POST": control.backup},
        "restore": {"POST": control.restore},
        "clock": {"POST": control.clock},
        "limits": {"POST": control.limits},
        "tokens/expire": {"POST": control.expire_tokens},
        "reset": {"POST": control.reset},
    }
    routes = [
        Route(f"/{path}", _guarded(handler), methods=[verb])
        for path, handlers in paths.items()
        for verb, handler in handlers.items()
    ]
    return [Mount("/sandbox", routes=[*routes, Route("/feed", control.feed, methods=["GET"])])]


Action = Callable[[Request, dict[str, Json]], Json]


def _guarded(action: Action) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            return JSONResponse(action(request, _object(await request.body())))
        except (ControlError, desk.DeskError, ValueError, KeyError, TypeError) as problem:
            text = f"{problem} is missing" if isinstance(problem, KeyError) else str(problem)
            return JSONResponse({"error": text}, 400)

    return answer


def _object(body: bytes) -> dict[str, Json]:
    given: Json = json.loads(body) if body else {}
    if not isinstance(given, dict):
        raise ControlError("the body should be a JSON object")
    return cast("dict[str, Json]", given)


class Control:
    """One method for each address."""

    def __init__(self, server: PortalServer) -> None:
        self._server = server
        self._portal = server.state
        self._backup: Backup | None = None

    def state(self, request: Request, given: dict[str, Json]) -> Json:
        del request, given
        portal, config = self._portal, self._portal.config
        return {
            "url": self._server.url,
            "control_url": self._server.control_url,
            "webhook_url": self._server.webhook_url,
            "client_id": config.client_id,
            "member_id": config.member_id,
            "open": self._server.is_open,
            "now": portal.now(),
            "rate": None
            if portal.buckets.rate is None
            else {"per_second": portal.buckets.rate.per_second, "block_above": portal.buckets.rate.block_above},
            "http_requests": portal.journal.http_requests,
            "refused": portal.buckets.refused,
            "methods": portal.journal.counts(),
            "calls": {
                "registered": len(portal.book.calls),
                "live": sum(call.live for call in portal.calls()),
                "recorded": sum(call.recording is not None for call in portal.calls()),
            },
            "cards": {str(user): list(calls) for user, calls in portal.book.on_screen.items() if calls},
            "faults": [planned.as_json() for planned in portal.faults.planned],
        }

    def calls(self, request: Request, given: dict[str, Json]) -> Json:
        del given
        live_only = request.query_params.get("live", "") in {"1", "true"}
        return [call.as_json() for call in self._portal.calls() if call.live or not live_only]

    def journal(self, request: Request, given: dict[str, Json]) -> Json:
        del given
        since = int(request.query_params.get("since", "0"))
        return [entry.as_json() for entry in self._portal.journal.since(since)]

    def employees(self, request: Request, given: dict[str, Json]) -> Json:
        del request, given
        return [employee(user) for user in self._portal.people.users.values()]

    def set_employee(self, request: Request, given: dict[str, Json]) -> Json:
        del request
        users = self._portal.people.users
        unknown = set(given) - set(EMPLOYEE_FIELDS) - {"id"}
        if unknown:
            raise ControlError(f"an employee has no {', '.join(sorted(unknown))}; known: {', '.join(EMPLOYEE_FIELDS)}")
        number = int(given.get("id") or max(users, default=0) + 1)
        user = users.get(number)
        if user is None:
            user = self._portal.people.add(User(number, str(given["name"]), str(given.get("last_name", ""))))
        for name, kind in EMPLOYEE_FIELDS.items():
            if name in given:
                if not isinstance(given[name], kind):
                    raise ControlError(f"{name} should be {kind.__name__}")
                setattr(user, name, given[name])
        self._portal.publish("employee", user=employee(user))
        return employee(user)

    def crm(self, request: Request, given: dict[str, Json]) -> Json:
        del given
        return [entity.fields for entity in self._portal.crm.of(request.path_params["type"].upper())]

    def events(self, request: Request, given: dict[str, Json]) -> Json:
        del request, given
        bus = self._portal.events
        return {
            "bindings": [_plain(binding) for binding in bus.bindings],
            "offline": [_plain(row) for row in bus.rows],
            "deliveries": [_plain(delivery) for delivery in bus.deliveries],
        }

    def click(self, request: Request, given: dict[str, Json]) -> Json:
        del request
        call = self._server.click(int(given["user_id"]), str(given["number"]), given.get("line"))
        return call.as_json()

    def own_call(self, request: Request, given: dict[str, Json]) -> Json:
        del request
        line, incoming = str(given.get("line", "")), bool(given.get("incoming", True))
        return desk.own_call(self._portal, int(given["user_id"]), str(given["number"]), line, incoming=incoming).as_json()

    def callback(self, request: Request, given: dict[str, Json]) -> Json:
        del request
        crm_id = int(given.get("crm_id") or 0)
        self._server.callback(str(given["number"]), str(given.get("line", "")), str(given.get("crm_type", "")), crm_id)
        return {}

    def close_card(self, request: Request, given: dict[str, Json]) -> Json:
        del request
        desk.close_card(self._portal, int(given["user_id"]), str(given["call_id"]))
        return {}

    def install(self, request: Request, given: dict[str, Json]) -> Json:
        del request, given
        access, refresh = self._server.install()
        return {"access_token": access, "refresh_token": refresh, "application_token": self._server.app.application_token}

    def uninstall(self, request: Request, given: dict[str, Json]) -> Json:
        del request, given
        desk.uninstall(self._portal)
        return {}

    def faults(self, request: Request, given: dict[str, Json]) -> Json:
        del request, given
        return [planned.as_json() for planned in self._portal.faults.planned]

    def plan_fault(self, request: Request, given: dict[str, Json]) -> Json:
        del request
        kind = str(given.pop("fault"))
        if kind == "outage":
            self._server.outage(float(given["seconds"]))
            return {"fault": "outage", "seconds": given["seconds"]}
        return self._portal.faults.plan(kind, **given).as_json()

    def clear_faults(self, request: Request, given: dict[str, Json]) -> Json:
        del request, given
        self._portal.faults.clear()
        return {}

    def move(self, request: Request, given: dict[str, Json]) -> Json:
        del request
        leaves = given.get("leaves", "redirect")
        if leaves not in ("redirect", "deleted", "stranger"):
            raise ControlError("leaves should be redirect, deleted or stranger")
        self._server.rename(str(given["host"]), leaves)
        return {"url": self._server.url}

    def backup(self, request: Request, given: dict[str, Json]) -> Json:
        del request, given
        self._backup = self._server.backup()
        return {"calls": len(self._portal.book.calls)}

    def restore(self, request: Request, given: dict[str, Json]) -> Json:
        del request, given
        if self._backup is None:
            raise ControlError("there is no backup: POST /sandbox/backup first")
        self._server.restore(self._backup)
        return {"calls": len(self._portal.book.calls)}

    def clock(self, request: Request, given: dict[str, Json]) -> Json:
        del request
        clock = self._portal.clock
        if given.get("stop"):
            clock.stop()
        if given.get("start"):
            clock.start()
        clock.advance(float(given.get("advance", 0)))
        return {"now": clock.time()}

    def limits(self, request: Request, given: dict[str, Json]) -> Json:
        del request
        buckets = self._portal.buckets
        if given.get("unlimited"):
            buckets.rate = None
        elif "per_second" in given:
            buckets.rate = Rate(float(given["per_second"]), int(given["block_above"]))
        if given.get("empty"):
            buckets.empty()
            self._portal.operating.empty()
        return {}

    def expire_tokens(self, request: Request, given: dict[str, Json]) -> Json:
        del request, given
        self._portal.authority.expire_access()
        return {}

    def reset(self, request: Request, given: dict[str, Json]) -> Json:
        del request, given
        self._portal.journal.clear()
        self._portal.faults.clear()
        self._portal.buckets.empty()
        self._portal.operating.empty()
        self._portal.events.deliveries.clear()
        return {}

    async def feed(self, request: Request) -> Response:
        del request

        async def lines() -> AsyncIterator[bytes]:
            with self._portal.feed.subscribed() as news:
                yield b": listening\n\n"
                async for item in news:
                    data = json.dumps(item.as_json(), ensure_ascii=False, default=str)
                    yield f"event: {item.kind}\ndata: {data}\n\n".encode()

        return StreamingResponse(lines(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


def employee(user: User) -> dict[str, Json]:
    return {"id": user.id, **{name: getattr(user, name) for name in EMPLOYEE_FIELDS}}


def _plain(value: Any) -> dict[str, Json]:
    return {name: getattr(value, name) for name in value.__slots__}
