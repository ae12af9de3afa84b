"""Remote control of conferences as a JSON API, for the buttons of a call's card and for programs. docs/conference-api.md.

Reads a request, finds out who asks and whether a page of somebody else made him ask, and passes the order on. What an
operator may do with a call is checked by the service. Every order is logged with who gave it, refused ones too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import structlog
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from perezvon.conference import (
    Add,
    Back,
    CodeUnknown,
    ConferenceError,
    Consult,
    Drop,
    Invite,
    Join,
    LookupFailed,
    Mute,
    NoSuchCall,
    NotDialable,
    NotInRoom,
    NotNow,
    NotReached,
    Order,
    PbxAway,
    PbxRefused,
    PbxSilent,
    RoomGone,
)
from perezvon.rules.vocabulary import Reason
from perezvon.settings.errors import told
from perezvon.web.desk import ConferenceDesk
from perezvon.web.event_stream import KEEP_ALIVE, EventStream, crowded
from perezvon.web.gate import Gate, visitor_of
from perezvon.web.json_body import BODY_ANSWERS, described_body, object_of
from perezvon.web.peers import host_of
from perezvon.web.refusals import NOT_YOURS, Refusal, Refused
from perezvon.web.rights import Right, needs
from perezvon.web.translations import Language, catalog

LARGEST_BODY = 4096
SLOWEST_BODY = 5.0
"""Seconds for the whole body to come."""

LONGEST_TEXT = 200
PER_SECOND = 5.0
BURST = 20.0
"""Orders of one operator."""

ERRORS: Mapping[type[ConferenceError], tuple[int, str]] = {
    NoSuchCall: (404, "no_such_call"),
    RoomGone: (409, "conference_over"),
    NotInRoom: (409, "not_in_conference"),
    NotNow: (409, "not_now"),
    NotReached: (409, "not_reached"),
    CodeUnknown: (422, "code_unknown"),
    NotDialable: (422, "not_dialable"),
    LookupFailed: (503, "codes_unreadable"),
    PbxRefused: (502, "pbx_refused"),
    PbxAway: (503, "pbx_away"),
    PbxSilent: (504, "pbx_silent"),
}
"""What an error is told as: the status and the code."""

log = structlog.get_logger(__name__)


TOO_MANY = Refusal(429, "too_many", Reason("too many requests: wait a second"), {"Retry-After": "1"})
CROWDED = Refusal(503, "too_many_streams", Reason("too many streams are open: close one"), {"Retry-After": "10"})
NO_ACTION = Refusal(404, "no_such_action", Reason("there is no such action"))

_FIELDS = Reason("the body of this action has these fields: {fields}")
_ONE_OF = Refusal(400, "malformed", Reason("give either number or code"))

ACTIONS: Mapping[str, tuple[str, ...]] = {
    "consult": (),
    "add": ("number", "code"),
    "invite": ("number", "code"),
    "join": (),
    "back": (),
    "drop": ("channel",),
    "mute": ("channel",),
    "unmute": ("channel",),
}
"""What can be posted, and the fields of each."""

ORDERS: dict[str, Any] = {
    **described_body(
        {
            name: {"type": "string", "maxLength": LONGEST_TEXT}
            for name in sorted({field for fields in ACTIONS.values() for field in fields})
        }
    ),
    "x-actions": {action: list(fields) for action, fields in ACTIONS.items()},
}
"""The body of an order, for the description of the API."""


ORDERS_ANSWERS: dict[int | str, dict[str, Any]] = {
    **BODY_ANSWERS,
    202: {"description": "Somebody is being invited", "content": {"application/json": {}}},
    409: {"description": "It cannot be done now"},
    422: {"description": "The number or code leads nowhere"},
    429: {"description": "Too many orders"},
    502: {"description": "The PBX refuses it"},
    504: {"description": "The PBX does not answer"},
}
"""What an order is answered with, besides what everything is."""


class Pace:
    """How many orders each operator may still give. Refills by itself; knows only those who gave one lately."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    def allows(self, name: str) -> bool:
        now = self._clock()
        if len(self._left) > 1000:
            self._left = {one: known for one, known in self._left.items() if self._now(known, now) < BURST}
        left = self._now(self._left.get(name, (BURST, now)), now)
        if left < 1:
            return False
        self._left[name] = (left - 1, now)
        return True

    def _now(self, known: tuple[float, float], now: float) -> float:
        left, at = known
        return min(BURST, left + (now - at) * PER_SECOND)


def routes(
    desk: ConferenceDesk, gate: Gate, spoken: Callable[[Request], Language], *, keep_alive: float = KEEP_ALIVE
) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["conferences"])
    pace = Pace()

    def refused(request: Request, refusal: Refusal, who: str = "", call: str = "", order: str = "") -> Response:
        peer = host_of(request)
        asked = {"who": who, "peer": peer, "call": call[:100], "order": order[:20]}
        log.warning("conference: refused", code=refusal.code, path=request.url.path[:200], **asked)
        return JSONResponse(_told(request, refusal), refusal.status, dict(refusal.headers))

    def _told(request: Request, refusal: Refusal) -> dict[str, str]:
        return {"error": refusal.code, "message": told(refusal.reason, catalog(spoken(request)).gettext)}

    @router.get("/calls", summary="Calls in which a client and an employee talk")
    @needs(Right.CONFERENCE)
    async def calls(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return JSONResponse(desk.whole(visitor_of(request).operator).as_json())

    @router.get("/calls/{call}", summary="One of these calls")
    @needs(Right.CONFERENCE)
    async def one(call: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        try:
            return JSONResponse({"call": desk.look(visitor_of(request).operator, call).as_json()})
        except ConferenceError as error:
            return refused(request, _refusal(error), call=call)

    @router.post("/calls/{call}/{action}", summary="Do something in a call", openapi_extra=ORDERS, responses=ORDERS_ANSWERS)
    @needs(Right.CONFERENCE)
    async def order(call: str, action: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        who = visitor_of(request).operator
        name = who.name
        try:
            if not pace.allows(name):
                raise Refused(TOO_MANY)
            wanted = order_of(action, await object_of(request, LARGEST_BODY, SLOWEST_BODY))
            seen = await desk.order(who, call, wanted)
        except Refused as no:
            return refused(request, no.refusal, name, call, action)
        except ConferenceError as error:
            return refused(request, _refusal(error), name, call, action)
        peer = host_of(request)
        stage = seen.room.stage.value if seen is not None else "none"
        log.info("conference: ordered", who=name, peer=peer, call=call, order=repr(wanted), stage=stage)
        return JSONResponse({"call": seen.as_json() if seen is not None else None}, 202 if action == "invite" else 200)

    @router.get(
        "/events",
        summary="Everything, then each change, as server-sent events",
        response_class=Response,
        responses={200: {"content": {"text/event-stream": {}}}},
    )
    @needs(Right.CONFERENCE)
    async def events(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        who = visitor_of(request).operator

        async def no_more() -> dict[str, str] | None:
            try:
                if not (await gate.identify(request)).may(Right.CONFERENCE):
                    raise Refused(NOT_YOURS)
            except Refused as no:
                return _told(request, no.refusal)
            return None

        if crowded(desk, who):
            return refused(request, CROWDED, who.name)
        return EventStream(desk, who, no_more, keep_alive)

    return router


def order_of(action: str, given: Mapping[str, Any]) -> Order:
    """Raises Refused."""
    fields = ACTIONS.get(action)
    if fields is None:
        raise Refused(NO_ACTION)
    texts = {name: value.strip() for name, value in given.items() if isinstance(value, str) and len(value) <= LONGEST_TEXT}
    if len(texts) < len(given) or not texts.keys() <= set(fields):
        raise _malformed(fields)
    number, code, channel = (texts.get(name, "") for name in ("number", "code", "channel"))
    if "number" in fields and bool(number) == bool(code):
        raise Refused(_ONE_OF)
    if "channel" in fields and not channel:
        raise _malformed(fields)
    match action:
        case "add":
            return Add(number, code)
        case "invite":
            return Invite(number, code)
        case "join":
            return Join()
        case "back":
            return Back()
        case "drop":
            return Drop(channel)
        case "mute" | "unmute":
            return Mute(channel, action == "mute")
        case _:
            return Consult()


def _malformed(fields: Iterable[str]) -> Refused:
    return Refused(Refusal(400, "malformed", Reason(_FIELDS.text, {"fields": ", ".join(fields) or "—"})))


def _refusal(error: ConferenceError) -> Refusal:
    status, code = ERRORS[type(error)]
    return Refusal(status, code, error.reason)
