"""Who is let in without a name (gate.py): with a password, whoever knows it; without one, and while nobody has been added,
this machine alone.

The pages tell who called whom. Requests that a proxy passes on are not "this machine", and a foreign Host is refused, so
that no web page of somebody else can read ours through the administrator's browser.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
from collections.abc import Callable
from enum import Enum, auto
from urllib.parse import urlsplit

from starlette.requests import Request

FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "x-forwarded-host")


class Verdict(Enum):
    WELCOME = auto()
    PASSWORD_WANTED = auto()
    THIS_MACHINE_ONLY = auto()


class Access:
    """`password` gives the present one, "" for none."""

    def __init__(self, password: Callable[[], str]) -> None:
        self._password = password

    def judge(self, request: Request, *, local: bool = True) -> Verdict:
        """`local`: this machine is let in when no password is set."""
        password = self._password()
        if password:
            given = _basic(request.headers.get("authorization", ""))
            right = hmac.compare_digest(given.encode("utf-8", "replace"), password.encode("utf-8", "replace"))
            return Verdict.WELCOME if right else Verdict.PASSWORD_WANTED
        here = request.client is not None and _is_loopback(request.client.host) and _is_loopback(request.url.hostname or "")
        passed_on = any(name in request.headers for name in FORWARDED)
        return Verdict.WELCOME if here and local and not passed_on else Verdict.THIS_MACHINE_ONLY


def is_foreign(request: Request) -> bool:
    """Whether a page of somebody else has made the browser ask. Programs send neither header.

    Browsers tell Sec-Fetch-Site over https and on this machine, Origin with every POST; pages can forge neither. A proxy
    has to pass the Host on as it came.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower()


def _basic(header: str) -> str:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
