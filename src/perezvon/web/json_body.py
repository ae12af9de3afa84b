"""The body of what programs post: one JSON object, capped, and read within a deadline."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.requests import ClientDisconnect, Request

from perezvon.rules.vocabulary import Reason
from perezvon.web.intake import read_body
from perezvon.web.refusals import TOO_LARGE, TOO_SLOW, Refusal, Refused

NOT_JSON = Refusal(415, "json_wanted", Reason("the body must be JSON: Content-Type: application/json"))
NO_OBJECT = Refusal(400, "malformed", Reason("the body must be one JSON object"))

BODY_ANSWERS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The body is not what is wanted here"},
    408: {"description": "The body came too slowly"},
    413: {"description": "The body is too large"},
    415: {"description": "The body is no JSON"},
}
"""What whoever posts a body may be answered, besides what everybody may be."""


async def object_of(request: Request, largest: int, seconds: float) -> dict[str, Any]:
    """`largest`: bytes; `seconds`: for the whole of it to come. Raises Refused."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":  # a form of a foreign page cannot have it
        raise Refused(NOT_JSON)
    try:
        async with asyncio.timeout(seconds):
            body = await read_body(request, largest)
    except TimeoutError:
        raise Refused(TOO_SLOW) from None
    except ClientDisconnect:  # nobody will read the answer
        raise Refused(NO_OBJECT) from None
    if body is None:
        raise Refused(TOO_LARGE)
    try:
        given: Any = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise Refused(NO_OBJECT) from None
    if not isinstance(given, dict):
        raise Refused(NO_OBJECT)
    return given  # pyright: ignore[reportUnknownVariableType]


def described_body(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    """Of an object with these properties and no others, for the description of the API."""
    schema = {"type": "object", "additionalProperties": False, "properties": properties, "required": list(required)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
