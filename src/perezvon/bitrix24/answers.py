"""The portal's answers, read: success, error, and whatever PHP, nginx or a proxy put in their place. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urljoin, urlsplit

from perezvon.bitrix24.address import root
from perezvon.bitrix24.encoding import Command
from perezvon.bitrix24.errors import (
    Ambiguous,
    AuthRefused,
    BadParameters,
    NotSent,
    Permanent,
    PortalBlocked,
    PortalError,
    PortalMoved,
    Temporary,
    refusal,
)
from perezvon.bitrix24.values import Json, keyed, real, rows, text, whole
from perezvon.rules.vocabulary import Reason

_JUNK_BEFORE_JSON = 20_000
_LONGEST = 2000  # of what a portal says about an error, in characters
_ANSWER = re.compile(r'\{\s*"(?:result|error)"\s*:')


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
    found = cast("dict[str, Json]", data)
    if found.get("error") or ("error" in found and "result" not in found):
        return read_refusal(found, status, method, _timing(found.get("time")))
    if "result" not in found:
        if status >= 400:
            return refusal(code="", description="", status=status, method=method)
        told = Reason(
            "{method}: the answer (HTTP {status}) has neither a result nor an error",
            {"method": method, "status": str(status)},
        )
        return Ambiguous(told, status=status, method=method)
    return Answer(found["result"], whole(found.get("total")), whole(found.get("next")), _timing(found.get("time")))


def read_refusal(data: dict[str, Json], status: int, method: str, timing: Timing) -> PortalError:
    """`{error, error_description, argument}`, or the third version's `{error: {code, message, validation}}`."""
    error = data.get("error")
    if isinstance(error, dict):
        inner = cast("dict[str, Json]", error)
        code, description = text(inner.get("code"))[:_LONGEST], text(inner.get("message"))[:_LONGEST]
        argument = ", ".join(
            text(cast("dict[str, Json]", row).get("field"))
            for row in rows(inner.get("validation"))
            if isinstance(row, dict)
        )
    else:
        code, description = text(error)[:_LONGEST], text(data.get("error_description"))[:_LONGEST]
        argument = text(data.get("argument"))[:_LONGEST]
    reset = timing.operating_reset_at
    return refusal(code=code, description=description, status=status, method=method, argument=argument, reset_at=reset)


def read_batch(answer: Answer, commands: Sequence[Command], *, halt: bool) -> list[Answer | PortalError]:
    """The batch's answer cut into one for each command, in the order of the commands."""
    body = keyed(answer.result)
    results, errors = keyed(body.get("result")), keyed(body.get("result_error"))
    totals, nexts, times = keyed(body.get("result_total")), keyed(body.get("result_next")), keyed(body.get("result_time"))
    read: list[Answer | PortalError] = []
    failed = False
    for command in commands:
        key, method = command.key, command.method
        timing = _timing(times.get(key))
        if key in errors:
            error = errors[key]
            data = cast("dict[str, Json]", error) if isinstance(error, dict) else {"error": text(error)}
            read.append(read_refusal(data, 200, method, timing))
            failed = True
        elif key in results:
            read.append(Answer(results[key], whole(totals.get(key)), whole(nexts.get(key)), timing))
        elif halt and failed:
            read.append(
                NotSent(
                    Reason("{method}: not run, because an earlier command of the batch failed", {"method": method}),
                    method=method,
                )
            )
        else:
            read.append(Ambiguous(f"{method}: the batch's answer says nothing about this command", method=method))
    return read


def read_redirect(url: str, location: str, status: int, method: str) -> PortalError:
    """A renamed portal points to the same path at another host: PortalMoved. Anything else (a login page, a way from https
    to plain http) is not to be followed: PortalBlocked."""
    rest: dict[str, Any] = {"status": status, "method": method}
    try:
        target = urljoin(url, location)
        new_root = root(target)
    except ValueError:
        return PortalBlocked(
            Reason("{method}: the portal redirects to an address that is none", {"method": method}), **rest
        )
    if urlsplit(target).path.rstrip("/") != urlsplit(url).path.rstrip("/") or new_root == root(url):
        return PortalBlocked(
            Reason(
                "{method}: the portal redirects to a page ({root}): check the portal's address",
                {"method": method, "root": new_root},
            ),
            **rest,
        )
    if url.startswith("https:") and not new_root.startswith("https:"):
        return PortalBlocked(
            Reason(
                "{method}: the portal redirects to plain http ({root}), not followed", {"method": method, "root": new_root}
            ),
            **rest,
        )
    return PortalMoved(
        Reason("{method}: the portal has moved to {root}", {"method": method, "root": new_root}), location=new_root, **rest
    )


def tolerant_json(body: bytes) -> Json:
    """The JSON value of a body, also between PHP's warnings or behind a byte order mark; None when there is none.

    A truncated answer is none: only the first object that begins like an answer counts, never one inside it.
    """
    content = body.decode("utf-8-sig", "replace").strip()
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        pass
    start = _ANSWER.search(content[:_JUNK_BEFORE_JSON])
    if start is None:
        return None
    try:
        value, _ = json.JSONDecoder().raw_decode(content, start.start())
    except (ValueError, RecursionError):
        return None
    return value


def _no_json(body: bytes, status: int, content_type: str, method: str) -> PortalError:
    """An HTML page or nothing: the web server, a proxy or a firewall speaks, not Bitrix24."""
    seen = f"HTTP {status}, {content_type or 'no content type'}, {len(body)} bytes{_title(body)}"
    rest: dict[str, Any] = {"status": status, "method": method}
    match status:
        case 401 | 407:
            return AuthRefused(
                Reason(
                    "{method}: a server before the portal wants a login ({seen}): check proxy and address",
                    {"method": method, "seen": seen},
                ),
                **rest,
            )
        case 408 | 425 | 429 | 503:
            return Temporary(
                Reason("{method}: the web server is busy ({seen})", {"method": method, "seen": seen}),
                retry_after=10.0,
                **rest,
            )
        case 413:
            return Permanent(
                Reason("{method}: the web server finds the request too large ({seen})", {"method": method, "seen": seen}),
                **rest,
            )
        case 414 | 431:
            return BadParameters(
                Reason("{method}: the web server finds the address too long ({seen})", {"method": method, "seen": seen}),
                **rest,
            )
        case _ if 300 <= status < 400:
            return PortalBlocked(
                Reason(
                    "{method}: the web server redirects without saying where ({seen})", {"method": method, "seen": seen}
                ),
                **rest,
            )
        case _ if 400 <= status < 500:
            return PortalBlocked(
                Reason(
                    "{method}: not Bitrix24 but something else answers ({seen}): check the portal's address",
                    {"method": method, "seen": seen},
                ),
                **rest,
            )
        case _:
            return Ambiguous(
                Reason("{method}: the answer is not readable ({seen})", {"method": method, "seen": seen}), **rest
            )


def _title(body: bytes) -> str:
    match = re.search(rb"<title[^>]*>([^<]{1,200})", body[:_JUNK_BEFORE_JSON], re.IGNORECASE)
    return f", {' '.join(match[1].decode('utf-8', 'replace').split())!r}" if match else ""


def _timing(block: Json) -> Timing:
    data = keyed(block)
    return Timing(
        duration=real(data.get("duration")),
        finish=real(data.get("finish")),
        operating=real(data.get("operating")),
        operating_reset_at=real(data.get("operating_reset_at")),
    )
