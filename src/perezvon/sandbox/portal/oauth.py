"""Identities of the pretend portal: applications with their tokens, inbound webhooks.

The authorization server and the portal live on one address here; in reality they are two hosts.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Json = Any
CODE_TTL = 30.0


class OAuthError(Exception):
    """An answer of the authorization server: {error, error_description}. The documentation is silent on the HTTP status."""

    def __init__(self, code: str, description: str, http: int = 400) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description
        self.http = http


@dataclass(slots=True)
class App:
    """A local application. `installed` False: its events and widgets are inert. `denied`: users without access to it."""

    id: int
    client_id: str
    client_secret: str
    name: str
    scopes: frozenset[str]
    install_url: str = ""
    redirect_uri: str = ""
    application_token: str = field(default_factory=lambda: secrets.token_hex(16))
    installed: bool = True
    removed: bool = False
    version: int = 1
    denied: set[int] = field(default_factory=set[int])
    options: dict[str, Json] = field(default_factory=dict[str, Json])
    user_options: dict[int, dict[str, Json]] = field(default_factory=dict[int, dict[str, Json]])


@dataclass(slots=True)
class Webhook:
    id: int
    user_id: int
    secret: str
    scopes: frozenset[str]
    removed: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """An access token, refresh token or code: whose, of which application, until when (POSIX seconds)."""

    client_id: str
    user_id: int
    expires: float


class Authority:
    """Issues and checks tokens. `rotations` counts refreshes that succeeded, `refused` those that did not."""

    def __init__(self, now: Callable[[], float], access_ttl: float, refresh_ttl: float) -> None:
        self._now = now
        self.access_ttl = access_ttl
        self.refresh_ttl = refresh_ttl
        self.apps: dict[str, App] = {}
        self.webhooks: list[Webhook] = []
        self.access: dict[str, Grant] = {}
        self.refresh: dict[str, Grant] = {}
        self.codes: dict[str, Grant] = {}
        self.confirmed: set[str] = set()
        """Access tokens for which an administrator approved the methods that need it (voximplant.user.get)."""
        self.denied: set[str] = set()
        self.rotations = 0
        self.refused = 0

    def webhook(self, user_id: int, secret: str) -> Webhook | None:
        for hook in self.webhooks:
            if hook.user_id == user_id and secrets.compare_digest(hook.secret, secret) and not hook.removed:
                return hook
        return None

    def grant(self, access_token: str) -> Grant | None:
        """Whose token this is, also when it has expired; None when it was never issued or was revoked."""
        return self.access.get(access_token)

    def new_access(self, app: App, user_id: int) -> str:
        token = secrets.token_hex(35)
        self.access[token] = Grant(app.client_id, user_id, self._now() + self.access_ttl)
        return token

    def new_pair(self, app: App, user_id: int) -> tuple[str, str]:
        """(access token, refresh token)."""
        refresh = secrets.token_hex(35)
        self.refresh[refresh] = Grant(app.client_id, user_id, self._now() + self.refresh_ttl)
        return self.new_access(app, user_id), refresh

    def new_code(self, app: App, user_id: int) -> str:
        code = secrets.token_hex(16)
        self.codes[code] = Grant(app.client_id, user_id, self._now() + CODE_TTL)
        return code

    def app_of(self, client_id: str, client_secret: str) -> App:
        app = self.apps.get(client_id)
        if app is None or app.removed or not secrets.compare_digest(app.client_secret.encode(), client_secret.encode()):
            raise OAuthError("invalid_client", "Client not found or its secret is wrong", 401)
        return app

    def by_code(self, app: App, code: str) -> tuple[str, str, int]:
        """A code is good once, for 30 s. (access, refresh, user id)."""
        grant = self.codes.pop(code, None)
        if grant is None or grant.client_id != app.client_id or grant.expires <= self._now():
            raise OAuthError("invalid_grant", "The authorization code is invalid or has expired")
        return *self.new_pair(app, grant.user_id), grant.user_id

    def by_refresh(self, app: App, refresh_token: str) -> tuple[str, str, int]:
        """Every refresh gives a new refresh token; the old one is dead. (access, refresh, user id)."""
        grant = self.refresh.get(refresh_token)
        if grant is None or grant.client_id != app.client_id or grant.expires <= self._now():
            self.refused += 1
            raise OAuthError("invalid_grant", "Invalid grant: the refresh token is unknown, used or expired")
        del self.refresh[refresh_token]
        self.rotations += 1
        return *self.new_pair(app, grant.user_id), grant.user_id

    def expire_access(self) -> None:
        """Every access token issued so far is from now on expired."""
        now = self._now()
        self.access = {token: Grant(g.client_id, g.user_id, min(g.expires, now)) for token, g in self.access.items()}

    def revoke(self, client_id: str) -> None:
        """All tokens of an application are forgotten: 401 for the access tokens, invalid_grant for the refresh tokens."""
        self.access = {token: grant for token, grant in self.access.items() if grant.client_id != client_id}
        self.refresh = {token: grant for token, grant in self.refresh.items() if grant.client_id != client_id}
