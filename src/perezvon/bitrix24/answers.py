"""The portal's answers, read: success, error, and whatever PHP, nginx or a proxy put in their place. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from perezvon.bitrix24.encoding import Command
from perezvon.bitrix24.errors import (
    Ambiguous,
    AuthRefused,
    BadParameters,
    NotSent,
    Permanent,
    PortalBlocked,
    PortalError,
    Temporary,
    refusal,
)

Json = Any
_JUNK_BEFORE_JSON = 20_000


@dataclass(frozen=True, slots=True)
class Timing:
    """The `time` block. `operating`: seconds of working time counted for the method; `operating_reset_at`: POSIX seconds.

    Both are None where the portal does not count (self-hosted). `duration`: seconds inside the portal.
    """

    duration: float | None = None
    finish: float | None = None
    operating: float | None = None
    operating_reset_at: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """`total` and `next` (the next page's `start`) only for lists."""

    result: Json
    total: int | None = None
    next: int | None = None
    time: Timing = Timing()


def read_answer(body: bytes, status: int, content_type: str, method: str) -> Answer | PortalError:
    """One answer to one request. Nothing is raised."""
    data = tolerant_json(body)
    if not isinstance(data, dict):
        return _no_json(body, status, content_type, method)
    whole = cast("dict[str, Json]", data)
    if whole.get("error") not in (None, "", [], {}) or ("error" in whole and "result" not in whole):
        return read_refusal(whole, status, method, _timing(whole.get("time")))
    if "result" not in whole:
        if status >= 400:
            return refusal(code="", description="", status=status, method=method)
        return Ambiguous(
            f"{method}: the answer (HTTP {status}) has neither a result nor an error", status=status, method=method
        )
    return Answer(whole["result"], _int(whole.get("total")), _int(whole.get("next")), _timing(whole.get("time")))


def read_refusal(data: dict[str, Json], status: int, method: str, timing: Timing) -> PortalError:
    """`{error, error_description, argument}`, or the third version's `{error: {code, message, validation}}`."""
    error = data.get("error")
    if isinstance(error, dict):
        inner = cast("dict[str, Json]", error)
        code, description = _text(inner.get("code")), _text(inner.get("message"))
        argument = ", ".join(
            _text(cast("dict[str, Json]", row).get("field"))
            for row in _list(inner.get("validation"))
            if isinstance(row, dict)
        )
    else:
        code, description = _text(error), _text(data.get("error_description"))
        argument = _text(data.get("argument"))
    reset = timing.operating_reset_at
    return refusal(code=code, description=description, status=status, method=method, argument=argument, reset_at=reset)


def read_batch(answer: Answer, commands: Sequence[Command], *, halt: bool) -> list[Answer | PortalError]:
    """The batch's answer cut into one for each command, in the order of the commands."""
    body = _map(answer.result)
    results, errors = _map(body.get("result")), _map(body.get("result_error"))
    totals, nexts, times = _map(body.get("result_total")), _map(body.get("result_next")), _map(body.get("result_time"))
    read: list[Answer | PortalError] = []
    failed = False
    for command in commands:
        key, method = command.key, command.method
        timing = _timing(times.get(key))
        if key in errors:
            error = errors[key]
            data = cast("dict[str, Json]", error) if isinstance(error, dict) else {"error": _text(error)}
            read.append(read_refusal(data, 200, method, timing))
            failed = True
        elif key in results:
            read.append(Answer(results[key], _int(totals.get(key)), _int(nexts.get(key)), timing))
        elif halt and failed:
            read.append(NotSent(f"{method}: not run, because an earlier command of the batch failed", method=method))
        else:
            read.append(Ambiguous(f"{method}: the batch's answer says nothing about this command", method=method))
    return read


def tolerant_json(body: bytes) -> Json:
    """The JSON value of a body, also behind a byte order mark or PHP's warnings; None when there is none."""
    text = body.decode("utf-8-sig", "replace").strip()
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    for match in re.finditer(r"\{\s*\"", text[:_JUNK_BEFORE_JSON]):
        try:
            value, end = json.JSONDecoder().raw_decode(text, match.start())
        except (ValueError, RecursionError):
            continue
        if not text[end:].lstrip().startswith((",", "}", "]")):  # an inner object is not the answer
            return value
    return None


def _no_json(body: bytes, status: int, content_type: str, method: str) -> PortalError:
    """An HTML page or nothing: the web server, a proxy or a firewall speaks, not Bitrix24."""
    seen = f"HTTP {status}, {content_type or 'no content type'}, {len(body)} bytes{_title(body)}"
    rest: dict[str, Any] = {"status": status, "method": method}
    match status:
        case 401 | 407:
            return AuthRefused(
                f"{method}: a server before the portal wants a login ({seen}): check proxy and address", **rest
            )
        case 408 | 425 | 429 | 503:
            return Temporary(f"{method}: the web server is busy ({seen})", retry_after=10.0, **rest)
        case 413:
            return Permanent(f"{method}: the web server finds the request too large ({seen})", **rest)
        case 414 | 431:
            return BadParameters(f"{method}: the web server finds the address too long ({seen})", **rest)
        case _ if 300 <= status < 400:
            return PortalBlocked(f"{method}: the web server redirects without saying where ({seen})", **rest)
        case _ if 400 <= status < 500:
            return PortalBlocked(
                f"{method}: not Bitrix24 but something else answers ({seen}): check the portal's address", **rest
            )
        case _:
            return Ambiguous(f"{method}: the answer is not readable ({seen})", **rest)


def _title(body: bytes) -> str:
    match = re.search(rb"<title[^>]*>([^<]{1,200})", body[:_JUNK_BEFORE_JSON], re.IGNORECASE)
    return f", {' '.join(match[1].decode('utf-8', 'replace').split())!r}" if match else ""


def _timing(block: Json) -> Timing:
    data = _map(block)
    return Timing(
        duration=_float(data.get("duration")),
        finish=_float(data.get("finish")),
        operating=_float(data.get("operating")),
        operating_reset_at=_float(data.get("operating_reset_at")),
    )


def _map(value: Json) -> dict[str, Json]:
    """PHP writes an empty map as `[]`, and one with the keys 0, 1, 2… as a list."""
    if isinstance(value, dict):
        return cast("dict[str, Json]", value)
    return {str(index): item for index, item in enumerate(_list(value))}


def _list(value: Json) -> list[Json]:
    return cast("list[Json]", value) if isinstance(value, list) else []


def _text(value: Json) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _float(value: Json) -> float | None:
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            return None
        return number if math.isfinite(number) else None
    return None


def _int(value: Json) -> int | None:
    number = _float(value)
    return None if number is None else int(number)


__all__ = ["Answer", "Json", "Timing", "read_answer", "read_batch", "tolerant_json"]
