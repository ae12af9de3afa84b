"""The authorization server over HTTP: /oauth/authorize/ (a user's consent) and /oauth/token/ (code and refresh)."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from perezvon.sandbox.portal import desk
from perezvon.sandbox.portal.mishap import WORK_FIRST, Mishaps
from perezvon.sandbox.portal.oauth import OAuthError
from perezvon.sandbox.portal.php import parse_query
from perezvon.sandbox.portal.registry import RestError
from perezvon.sandbox.portal.state import PortalState

Json = Any
AUTHORIZATION_DOMAIN = "oauth.portal.invalid"
"""`domain` of a token answer is the authorization server's, not the portal's: who takes it for the portal fails here at
once."""


def authorization_routes(portal: PortalState, mishaps: Mishaps) -> list[Route]:
    async def authorize(request: Request) -> Response:
        """A browser of the signed-in user (sandbox: `user`, default the application's owner); the consent is always
        given."""
        query = request.query_params
        try:
            user = int(query.get("user", portal.config.app_user))
            return RedirectResponse(desk.authorize(portal, query.get("client_id", ""), user, query.get("state", "")), 302)
        except (desk.DeskError, ValueError) as problem:
            return PlainTextResponse(str(problem), 400)

    return [
        Route("/oauth/authorize/", authorize, methods=["GET"]),
        Route("/oauth/token/", TokenEndpoint(portal, mishaps)),
    ]


class TokenEndpoint:
    """GET (or POST) /oauth/token/: an ASGI application."""

    def __init__(self, portal: PortalState, mishaps: Mishaps) -> None:
        self._portal = portal
        self._mishaps = mishaps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        response = await self._answer(request)
        if response is not None:
            await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response | None:
        portal = self._portal
        values = parse_query(request.url.query) | parse_query((await request.body()).decode("utf-8", "replace"))
        peer = request.client.host if request.client else ""
        entry = portal.journal.open(portal.now(), portal.monotonic(), "oauth.token", values, "application", peer)
        fault = self._mishaps.planned(entry, ["oauth.token"])
        if fault is not None and fault.fault not in WORK_FIRST:
            return await self._mishaps.refuse(request, entry, fault, lambda failure, _: _refusal(failure))
        if portal.config.delay:
            await asyncio.sleep(portal.config.delay)
        try:
            answer = grant_tokens(portal, {str(name): str(value) for name, value in values.items()})
            entry.http = 200
            response: Response = JSONResponse(answer)
        except OAuthError as problem:
            entry.http, entry.error, entry.description = problem.http, problem.code, problem.description
            response = _refusal(problem)
        entry.ms = round((portal.monotonic() - entry.monotonic) * 1000, 3)
        return response if fault is None else await self._mishaps.spoil(request, entry, fault, response)


def _refusal(problem: OAuthError | RestError) -> Response:
    return JSONResponse({"error": problem.code, "error_description": problem.description}, problem.http)


def grant_tokens(portal: PortalState, query: dict[str, str]) -> dict[str, Json]:
    """The answer of /oauth/token/; raises OAuthError."""
    authority = portal.authority
    kind = query.get("grant_type", "")
    needed = {"authorization_code": "code", "refresh_token": "refresh_token"}.get(kind)
    if needed is None:
        raise OAuthError("invalid_request", f"unknown grant_type {kind!r}")
    for name in ("client_id", "client_secret", needed):
        if not query.get(name):
            raise OAuthError("invalid_request", f"{name} is missing")
    app = authority.app_of(query["client_id"], query["client_secret"])
    grant = authority.by_code if kind == "authorization_code" else authority.by_refresh
    access, refresh, user_id = grant(app, query[needed])
    answer: dict[str, Json] = {
        "access_token": access,
        "refresh_token": refresh,
        "expires_in": int(authority.access_ttl),
        "client_endpoint": f"{portal.base_url}/rest/",
        "server_endpoint": f"{portal.base_url}/rest/",
        "domain": AUTHORIZATION_DOMAIN,
        "member_id": portal.config.member_id,
        "scope": ",".join(sorted(app.scopes)),
        "status": "L",
    }
    if kind == "refresh_token":
        answer |= {"expires": int(portal.now() + authority.access_ttl), "user_id": user_id}
    return answer
