"""The portal's pages that have pages of applications in frames: a call's card with its tabs, the call statistics, the
application. The browser posts the user's tokens into each frame, as the real portal does (frames.py).

Which applications there are is looked up when the page is loaded, and not again: users have to reload, as documented.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from perezvon.sandbox.portal.face.texts import TEXTS, choose_language
from perezvon.sandbox.portal.frames import PAGE, OpenedFrame, card_options, frames, opened
from perezvon.sandbox.portal.state import PortalState

if TYPE_CHECKING:
    from perezvon.sandbox.portal.server import PortalServer

Json = Any
_ENVIRONMENT = Environment(
    loader=PackageLoader("perezvon.sandbox.portal.face"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


def inside_page(server: PortalServer) -> Callable[[Request], Awaitable[Response]]:
    """`/inside/card?user=&call=`, `/inside/report?user=`, `/inside/app?user=`: as this user sees them."""

    async def page(request: Request) -> Response:
        portal = server.state
        language = choose_language(request.query_params.get("lang"), request.headers.get("accept-language", ""))
        asked = request.query_params.get("user", "")
        user = portal.people.active(int(asked)) if asked.isascii() and asked.isdigit() else None
        call = portal.book.calls.get(request.query_params.get("call", ""))
        what = request.path_params["what"]
        if user is None or what not in ("card", "report", "app") or (what == "card" and call is None):
            return PlainTextResponse("no such user, call or page", 404)
        found = _frames(portal, user.id, what, call, language)
        origins = " ".join(sorted({one.origin for one in found})) or "'none'"
        html = _ENVIRONMENT.get_template("inside.html").render(
            lang=language, t=TEXTS[language], what=what, user=user, call=call, frames=found
        )
        policy = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; "
            f"frame-src {origins}; form-action {origins}; frame-ancestors 'none'"
        )
        return HTMLResponse(html, headers={"Content-Security-Policy": policy, "Cache-Control": "no-store"})

    return page


def _frames(portal: PortalState, user: int, what: str, call: Any, language: str) -> list[OpenedFrame]:
    if what == "card":
        return frames(portal, user, "CALL_CARD", card_options(portal, call, user), language)
    if what == "report":
        return frames(portal, user, "TELEPHONY_ANALYTICS_MENU", {"URI": "/telephony/"}, language)
    own = [
        opened(portal, app, user, PAGE, app.redirect_uri, {"any": f"{app.id}/"}, language)
        for app in portal.authority.apps.values()
        if app.redirect_uri and app.installed and not app.removed and user not in app.denied
    ]
    return own + frames(portal, user, "LEFT_MENU", {"URI": "/marketplace/"}, language)
