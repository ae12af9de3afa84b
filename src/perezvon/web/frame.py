"""What every page has around it: navigation, language, light or dark, the session's form token, the headers of safety.

A room of pages asks for `Frame.page(request, template, …)`. With `hosts` the page is one for the inside of those portals:
it has no navigation, and they alone may put it into a frame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from perezvon.web.gate import is_secure, visitor_of
from perezvon.web.pages import Page
from perezvon.web.rights import Right
from perezvon.web.translations import LANGUAGES, Language, wanted

THEMES = ("auto", "light", "dark")
YEAR = 365 * 86400


@dataclass(frozen=True, slots=True)
class Entry:
    """One of the navigation: shown to who may see it, once there is a page at `path`."""

    path: str
    title: str
    icon: str
    right: Right


def _(text: str) -> str:
    """Marks a text for translation."""
    return text


NAVIGATION = (
    Entry("/live", _("Live"), "bell-ringing", Right.CALLS),
    Entry("/", _("Status"), "activity", Right.STATUS),
    Entry("/calls", _("Calls"), "phone", Right.CALLS),
    Entry("/missed", _("Missed"), "phone-x", Right.CALLS),
    Entry("/setup", _("Setup"), "plug", Right.SETTINGS),
    Entry("/settings", _("Settings"), "settings", Right.SETTINGS),
    Entry("/deliveries", _("Deliveries"), "send", Right.DELIVERIES),
    Entry("/people", _("People"), "users", Right.PEOPLE),
    Entry("/audit", _("Changes"), "history", Right.AUDIT),
)


def policy(hosts: Sequence[str] = ()) -> str:
    """Content-Security-Policy; `hosts` of portals, or origins, may put the page into a frame. Tabler's styles have
    pictures in them."""
    frames = " ".join(host if "://" in host else f"https://{host}" for host in hosts) or "'none'"
    return (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; media-src 'self'; "
        f"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors {frames}"
    )


class Frame:
    """`language`: of the settings. `paths`: gives the addresses of all pages there are."""

    def __init__(self, language: Callable[[], Literal["auto", "ru", "en"]], paths: Callable[[], frozenset[str]]) -> None:
        self._language = language
        self._paths = paths

    def spoken(self, request: Request) -> Language:
        """As the address says, as was chosen, as the settings say, as the browser wants."""
        for told in (request.query_params.get("lang", ""), request.cookies.get("lang", ""), self._language()):
            for ours in LANGUAGES:
                if told == ours:
                    return ours
        return wanted(request.headers.get("accept-language", ""))

    def has(self, path: str) -> bool:
        return path in self._paths()

    def page(
        self,
        request: Request,
        template: str,
        code: int = 200,
        *,
        hosts: Sequence[str] = (),
        language: Language | None = None,
        **values: Any,
    ) -> HTMLResponse:
        visitor = visitor_of(request)
        path = request.url.path
        there = self._paths()
        around = {
            "layout": "embed.html" if hosts else "layout.html",
            "visitor": visitor,
            "csrf": visitor.csrf,
            "theme": theme_of(request),
            "path": path,
            "here": path if request.method == "GET" and "/welcome/" not in path else "/",
            "navigation": [
                (entry, path == entry.path or (entry.path != "/" and path.startswith(entry.path + "/")))
                for entry in NAVIGATION
                if entry.path in there and visitor.may(entry.right)
            ],
        }
        html = Page(template, language or self.spoken(request), around | values).html()
        return HTMLResponse(html, code, {"Content-Security-Policy": policy(hosts)} if hosts else None)


def theme_of(request: Request) -> str:
    chosen = request.cookies.get("theme", "")
    return chosen if chosen in THEMES else "auto"


def remember(request: Request, response: Response, name: str, value: str) -> None:
    """A choice that is no secret, for a year."""
    response.set_cookie(name, value, max_age=YEAR, path="/", secure=is_secure(request), httponly=True, samesite="lax")


def local_path(told: str) -> str:
    """An address of ours to go back to; "/" instead of one of somebody else's."""
    plain = told.startswith("/") and not told.startswith(("//", "/\\")) and told.isprintable() and "\\" not in told
    return told if plain and len(told) < 500 else "/"
