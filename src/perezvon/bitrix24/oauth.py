"""The authorization server: codes and refresh tokens become access tokens. The only place that sends `client_secret`.

Source: contract.json "oauth". A code lives 30 s, an access token 3600 s, a refresh token 180 days; every refresh gives a
new refresh token. Refreshing without need may get an application blocked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast
from urllib.parse import urlencode, urlsplit

from perezvon.bitrix24.address import DEFAULT_AUTHORIZATION_SERVER, OAuthGrant, root
from perezvon.bitrix24.answers import read_answer, tolerant_json
from perezvon.bitrix24.errors import Ambiguous, AuthRefused, PortalError, TokenExpired, refusal
from perezvon.bitrix24.wire import Reply, Wire

REFRESH_TOKEN_LIFE = 180 * 86400.0
IDLE_REFRESH_AFTER = 150 * 86400.0
TRUSTED_SERVERS = frozenset({"oauth.bitrix.info", "oauth.bitrix24.tech"})
_REINSTALL = "reinstall the application in the portal"


class AuthorizationServer:
    """`trusted`: further hosts (`host` or `host:port`) that may get the client secret (a forged event may name any)."""

    def __init__(
        self, *, wire: Wire | None = None, trusted: frozenset[str] = frozenset(), clock: Callable[[], float] = time.time
    ) -> None:
        self._wire = wire or Wire(total=30.0, max_bytes=1024 * 1024)
        self._trusted = TRUSTED_SERVERS | trusted
        self._clock = clock
        self.requests = 0

    async def close(self) -> None:
        await self._wire.close()

    def trusts(self, server_endpoint: str) -> bool:
        return urlsplit(server_endpoint).netloc.lower() in self._trusted

    async def exchange_code(self, grant: OAuthGrant, code: str) -> OAuthGrant:
        """The code of a redirect to our address becomes tokens. Raises a PortalError; AuthRefused for an old code."""
        query = {"grant_type": "authorization_code", "code": code}
        return await self._token(grant, query, "the code is no longer good (it lives 30 s): open the application again")

    async def refresh(self, grant: OAuthGrant) -> OAuthGrant:
        """New tokens. Store them before use: the old refresh token may be worthless from now on. Raises a PortalError."""
        if not grant.refresh_token:
            raise AuthRefused(f"there is no refresh token for {grant.domain}: {_REINSTALL}")
        query = {"grant_type": "refresh_token", "refresh_token": grant.refresh_token}
        return await self._token(grant, query, f"the refresh token is no longer good: {_REINSTALL}")

    def due(self, grant: OAuthGrant) -> bool:
        """Whether an idle application should refresh now to keep its grant (never within 150 days of the last refresh)."""
        return bool(grant.refresh_token) and 0 < grant.refreshed_at <= self._clock() - IDLE_REFRESH_AFTER

    async def _token(self, grant: OAuthGrant, query: Mapping[str, str], dead: str) -> OAuthGrant:
        what = f"authorization server ({query['grant_type']})"
        endpoint = grant.server_endpoint or DEFAULT_AUTHORIZATION_SERVER
        if not self.trusts(endpoint):
            host = urlsplit(endpoint).netloc
            raise AuthRefused(f"{what}: {host} is not a known authorization server: it does not get the client secret")
        full = {**query, "client_id": grant.client_id, "client_secret": grant.client_secret}
        self.requests += 1
        reply = await self._wire.exchange("GET", f"{root(endpoint)}/oauth/token/?{urlencode(full)}", what=what)
        outcome = reply if isinstance(reply, PortalError) else self._read(grant, reply, what, dead)
        if isinstance(outcome, PortalError):
            raise outcome.scrub((*grant.secrets, query.get("code", "")))
        return outcome

    def _read(self, grant: OAuthGrant, reply: Reply, what: str, dead: str) -> OAuthGrant | PortalError:
        data = tolerant_json(reply.body)
        if not isinstance(data, dict):
            outcome = read_answer(reply.body, reply.status, reply.content_type, what)
            return (
                outcome if isinstance(outcome, PortalError) else Ambiguous(f"{what}: no tokens in the answer", method=what)
            )
        answer = cast("dict[str, Any]", data)
        if "error" in answer:
            code, told = str(answer.get("error") or ""), str(answer.get("error_description") or "")
            if code.lower() in ("invalid_grant", "expired_token", "invalid_token"):
                return AuthRefused(
                    f"{what}: {dead} ({code})", code=code, description=told, status=reply.status, method=what
                )
            error = refusal(code=code, description=told, status=reply.status, method=what)
            if isinstance(error, TokenExpired):
                return AuthRefused(f"{what}: {dead}", code=code, description=told, status=reply.status, method=what)
            return error
        if not answer.get("access_token") or not answer.get("refresh_token"):
            return Ambiguous(f"{what}: no tokens in the answer (HTTP {reply.status})", status=reply.status, method=what)
        told_member = str(answer.get("member_id") or "")
        if grant.member_id and told_member and told_member != grant.member_id:
            return AuthRefused(f"{what}: the tokens are for another portal ({told_member}): {_REINSTALL}", method=what)
        return self._merged(grant, answer)

    def _merged(self, grant: OAuthGrant, answer: dict[str, Any]) -> OAuthGrant:
        """`client_endpoint` is where the portal is now; `domain` of the answer is the authorization server's own."""
        now = self._clock()
        server = str(answer.get("server_endpoint") or "")
        rest = _place(grant, str(answer.get("client_endpoint") or ""))
        return replace(
            grant,
            domain=urlsplit(rest).netloc if rest else grant.domain,
            access_token=str(answer["access_token"]),
            refresh_token=str(answer["refresh_token"]),
            member_id=grant.member_id or str(answer.get("member_id") or ""),
            expires_at=expiry(answer, now),
            refreshed_at=now,
            client_endpoint=rest or grant.client_endpoint,
            server_endpoint=server if self.trusts(server) else grant.server_endpoint,
            scope=scopes(answer.get("scope")) or grant.scope,
            user_id=str(answer.get("user_id") or grant.user_id),
        )


def _place(grant: OAuthGrant, rest: str) -> str:
    """The portal's REST address as an answer names it; "" for none that may be used (no way leads from https to http)."""
    try:
        scheme = urlsplit(root(rest)).scheme
    except ValueError:
        return ""
    known = urlsplit(grant.client_endpoint).scheme
    return f"{rest.rstrip('/')}/" if scheme == "https" or known != "https" else ""


def expiry(answer: Mapping[str, Any], now: float) -> float:
    """POSIX seconds at which the access token ends, by our own clock (`expires_in` before `expires`)."""
    for name, start in (("expires_in", now), ("expires", 0.0)):
        try:
            value = float(answer.get(name) or 0)
        except (TypeError, ValueError):
            continue
        if 0 < value < 1e11:
            return start + value
    return now + 3600.0


def scopes(value: Any) -> tuple[str, ...]:
    """Comma separated in tokens, space separated in the install event, sometimes a list."""
    if isinstance(value, (list, tuple)):
        return tuple(str(item) for item in cast("list[Any]", value))
    return tuple(str(value or "").replace(",", " ").split())
