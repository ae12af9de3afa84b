"""What a portal sends to us: `POST /bitrix24/{portal}/events`, `/bitrix24/{portal}/robot` and
`/bitrix24/{portal}/install`.

The body is not understood here: it is capped, read within a deadline and passed on as bytes. The portal is answered fast;
it does not send an event twice.
"""

from __future__ import annotations

import asyncio

import structlog
from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from perezvon.storage.errors import Unavailable
from perezvon.web.peers import host_of
from perezvon.web.sink import EventSink, Received

LARGEST_BODY = 256 * 1024
SLOWEST_BODY = 10.0
"""Seconds for the whole body to come."""

log = structlog.get_logger(__name__)


def routes(sink: EventSink) -> APIRouter:
    router = APIRouter()

    @router.post("/bitrix24/{portal}/events", include_in_schema=False)
    async def events(portal: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _passed_on(request, portal, sink)

    @router.post("/bitrix24/{portal}/robot", include_in_schema=False)
    async def robot(portal: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _passed_on(request, portal, sink, robot=True)

    @router.post("/bitrix24/{portal}/install", include_in_schema=False)
    async def install(portal: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _passed_on(request, portal, sink, install=True)

    return router


async def _passed_on(
    request: Request, portal: str, sink: EventSink, *, install: bool = False, robot: bool = False
) -> Response:
    peer = host_of(request)
    kind = request.headers.get("content-type", "")
    try:
        async with asyncio.timeout(SLOWEST_BODY):
            body = await read_body(request, LARGEST_BODY)
    except TimeoutError:
        log.warning("portal event refused", portal=portal[:50], peer=peer, why="the body came too slowly")
        return PlainTextResponse("too slow", 408)
    except ClientDisconnect:
        return PlainTextResponse("", 400)
    if body is None:
        log.warning("portal event refused", portal=portal[:50], peer=peer, why=f"larger than {LARGEST_BODY} bytes")
        return PlainTextResponse("too large", 413, headers={"Connection": "close"})
    try:
        if install:
            received = await sink.install(portal, request.query_params, body, kind)
        elif robot:
            received = await sink.robot(portal, body, kind)
        else:
            received = await sink.event(portal, body, kind)
    except Unavailable as error:
        log.error("portal event refused", portal=portal[:50], peer=peer, why=str(error))  # noqa: TRY400  told, no traceback
        return PlainTextResponse("try again later", 503)
    if received is not Received.ACCEPTED:
        log.warning("portal event refused", portal=portal[:50], peer=peer, why=received.name.lower())
    return PlainTextResponse(received.name.lower(), received.value)


async def read_body(request: Request, largest: int) -> bytes | None:
    """None when it is larger than so many bytes. Nothing beyond the cap is kept in memory."""
    told = request.headers.get("content-length", "0")
    if not told.isascii() or not told.isdigit() or int(told) > largest:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > largest:
            return None
    return bytes(body)
