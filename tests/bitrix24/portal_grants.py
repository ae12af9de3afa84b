"""Grants of the pretend portal's local application, as an installation gives them."""

from __future__ import annotations

from typing import Any

from perezvon.bitrix24 import AuthorizationServer, GrantKeeper, OAuthGrant
from perezvon.sandbox.portal.server import PortalServer


def host_of(server: PortalServer) -> str:
    return server.url.removeprefix("http://")


def authorization(server: PortalServer) -> AuthorizationServer:
    return AuthorizationServer(trusted=frozenset({host_of(server)}))


def grant_of(server: PortalServer, **changes: Any) -> OAuthGrant:
    access, refresh = server.install()
    application = server.state.authority.apps[server.config.client_id]
    members = {
        "domain": host_of(server),
        "client_id": server.config.client_id,
        "client_secret": server.config.client_secret,
        "member_id": server.config.member_id,
        "access_token": access,
        "refresh_token": refresh,
        "client_endpoint": f"{server.url}/rest/",
        "server_endpoint": f"{server.url}/rest/",
        "application_token": application.application_token,
    }
    return OAuthGrant(**{**members, **changes})


def keeper_of(server: PortalServer, **more: Any) -> GrantKeeper:
    return GrantKeeper(grant_of(server), server=authorization(server), **more)
