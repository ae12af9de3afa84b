"""Where a portal is and in whose name we speak: an inbound webhook or the grant of a local application. Values only.

Both give `rest` (the address that a method's name is appended to), `host` and `secrets` (for redaction).
`repr` shows no secret.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields, replace
from typing import Any
from urllib.parse import urlsplit

from perezvon.bitrix24.redaction import HIDDEN

DEFAULT_AUTHORIZATION_SERVER = "https://oauth.bitrix.info/rest/"
_WEBHOOK = re.compile(r"^(?P<rest>.*?/rest/(?P<user>\d+)/(?P<secret>[^/]+)/)[^/]*$")


def root(url: str) -> str:
    """Scheme, host and port of an http(s) address, in lower case. ValueError when it is none."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("an address has to start with https:// and a host name")
    port = parts.port  # ValueError when it is no port
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")


@dataclass(frozen=True, slots=True, repr=False)
class Webhook:
    """An inbound webhook: `https://portal/rest/<user>/<secret>/` (a method's name at the end is dropped)."""

    rest: str
    user_id: str
    secret: str

    @classmethod
    def parse(cls, url: str) -> Webhook:
        """ValueError, without the address itself, when it does not have the shape of a webhook."""
        text = url.strip()
        try:
            base = root(text)
        except ValueError as error:
            raise ValueError(f"webhook: {error}") from None
        match = _WEBHOOK.match(urlsplit(text).path.rstrip("/") + "/")
        if match is None:  # the path may end in a method's name, as the portal's page of examples shows it
            match = _WEBHOOK.match(urlsplit(text).path)
        if match is None:
            raise ValueError(
                f"webhook: expected {base}/rest/<number of the user>/<secret>/, as the portal's webhook page shows it"
            )
        return cls(rest=base + match["rest"], user_id=match["user"], secret=match["secret"])

    @property
    def host(self) -> str:
        return urlsplit(self.rest).netloc

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.secret,)

    def __repr__(self) -> str:
        return f"Webhook({self.rest.replace(self.secret, HIDDEN)!r})"


@dataclass(frozen=True, slots=True)
class OAuthGrant:
    """What a local application holds for one portal. `member_id` is the portal's lasting name; the host may change.

    `expires_at`: POSIX seconds, UTC, of the access token (0 when unknown). `refreshed_at`: when the tokens were issued; the
    refresh token lives 180 days from then. `access_token` is empty until the application is installed.
    `client_endpoint`: the portal's REST address; `server_endpoint`: the authorization server's. `named`: the host as the
    settings name it; the portal may have moved from there since.
    """

    domain: str
    client_id: str
    client_secret: str = field(repr=False)
    member_id: str = ""
    access_token: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    expires_at: float = 0.0
    refreshed_at: float = 0.0
    client_endpoint: str = ""
    server_endpoint: str = DEFAULT_AUTHORIZATION_SERVER
    application_token: str = field(default="", repr=False)
    scope: tuple[str, ...] = ()
    user_id: str = ""
    named: str = ""

    @property
    def rest(self) -> str:
        return self.client_endpoint or f"https://{self.domain}/rest/"

    @property
    def host(self) -> str:
        return urlsplit(self.rest).netloc

    @property
    def moved_from(self) -> str:
        """`named` when the portal is somewhere else now, else empty."""
        return self.named if self.named != self.host else ""

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(s for s in (self.client_secret, self.access_token, self.refresh_token, self.application_token) if s)

    def settled(self, application: OAuthGrant) -> OAuthGrant:
        """The stored tokens with what the settings say now (`application`): client_id, client_secret, and the portal's
        address where the settings have come to name another since."""
        told = replace(self, client_id=application.client_id, client_secret=application.client_secret)
        if self.named == application.named:
            return told
        rest = application.client_endpoint
        return replace(told, domain=application.domain, client_endpoint=rest, named=application.named)

    def as_json(self) -> dict[str, Any]:
        """All of it, secrets too: for sealed storage only."""
        return {f.name: list(self.scope) if f.name == "scope" else getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> OAuthGrant:
        known = {f.name for f in fields(cls)}
        kept: dict[str, Any] = {name: value for name, value in stored.items() if name in known}
        kept["scope"] = tuple(kept.get("scope", ()))
        return cls(**kept)


Address = Webhook | OAuthGrant
