"""Lets a planned fault happen to a request that is being answered: refusals, broken connections, answers that never
come."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from perezvon.sandbox.portal.contract import contract
from perezvon.sandbox.portal.faults import Fault, Planned
from perezvon.sandbox.portal.journal import Entry
from perezvon.sandbox.portal.registry import RestError
from perezvon.sandbox.portal.state import PortalState

BreakConnection = Callable[[Scope, bool], None]
WORK_FIRST = frozenset({Fault.LOST_ANSWER, Fault.DROPPED_ANSWER, Fault.MALFORMED, Fault.SLOW, Fault.HOLES})
HTML_PAGE = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)


@dataclass(frozen=True, slots=True)
class Mishaps:
    """`break_connection(scope, reset)` breaks the connection a request came by."""

    portal: PortalState
    break_connection: BreakConnection

    def planned(self, entry: Entry, methods: list[str]) -> Planned | None:
        """The fault that hits this request, noted in its journal entry."""
        planned = self.portal.faults.strike(methods)
        if planned is not None:
            entry.fault = planned.fault.value
            self.portal.publish("fault", fault=planned.fault.value, method=entry.method)
        return planned

    async def refuse(
        self, request: Request, entry: Entry, planned: Planned, respond: Callable[[RestError, int], Response]
    ) -> Response | None:
        """A fault that strikes before the work; None when there is nobody left to answer. `respond(failure, reset_at)`
        writes an error in the form of the address asked."""
        reset_at = 0
        match planned.fault:
            case Fault.RESET:
                return await self._leave(request, entry, reset=True)
            case Fault.HTML:
                entry.http = planned.http or 502
                return Response(HTML_PAGE, entry.http, media_type="text/html")
            case Fault.UNAVAILABLE:
                failure = system_error("QUERY_LIMIT_EXCEEDED")
            case Fault.OVERLOADED:
                failure = system_error("OVERLOAD_LIMIT")
            case Fault.EXPIRED_TOKEN:
                failure = system_error("expired_token")
            case Fault.OPERATING:
                failure = RestError("OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit.", 429)
                reset_at = int(self.portal.now() + planned.seconds)
            case Fault.ERROR:
                failure = RestError(planned.code or "ERROR_CORE", planned.description, planned.http or 400)
            case _:
                failure = system_error("INTERNAL_SERVER_ERROR")
        entry.http, entry.error, entry.description = failure.http, failure.code, failure.description
        return respond(failure, reset_at)

    async def spoil(self, request: Request, entry: Entry, planned: Planned, done: Response) -> Response | None:
        """A fault that strikes after the work was done, on its answer `done`."""
        match planned.fault:
            case Fault.SLOW:
                await asyncio.sleep(planned.seconds)
                return done
            case Fault.MALFORMED:
                return Response(bytes(done.body)[: len(done.body) // 2], media_type="application/json; charset=utf-8")
            case Fault.HOLES:
                return Response(
                    _with_holes(bytes(done.body)), done.status_code, media_type="application/json; charset=utf-8"
                )
            case Fault.LOST_ANSWER:
                entry.answered = False
                await _gone(request, planned.seconds)
            case _:
                pass
        return await self._leave(request, entry, reset=False)

    async def _leave(self, request: Request, entry: Entry, *, reset: bool) -> None:
        entry.answered = False
        self.break_connection(request.scope, reset)
        await _gone(request, 5)


def _with_holes(body: bytes) -> bytes:
    answer = json.loads(body)
    parts = answer.get("result")
    if isinstance(parts, dict) and "result_error" in parts:
        batch = cast("dict[str, Any]", parts)
        told = [key for part in ("result", "result_error") for key in batch[part]]
        for key in sorted(told)[::2]:
            for part in batch.values():
                if key in part:
                    del part[key]
    return json.dumps(answer).encode()


def command_failure(planned: Planned) -> RestError:
    """What a command inside a batch is answered that a fault strikes."""
    if planned.fault is Fault.OPERATING:
        return RestError("OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit.", 429)
    return RestError(planned.code or "ERROR_CORE", planned.description, planned.http or 400)


def system_error(code: str) -> RestError:
    """A documented error of the portal as a whole."""
    error = contract().system_error(code)
    return RestError(error.code, error.description, error.http)


async def _gone(request: Request, seconds: float) -> None:
    """Wait until the client went away, at most so long."""
    try:
        async with asyncio.timeout(seconds):
            while (await request.receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return
