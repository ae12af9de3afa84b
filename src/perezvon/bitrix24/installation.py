"""From an installation to a grant that is ours. What arrives (an event, the installer's page) anybody could have sent.

The proof is the authorization server: only a refresh token of our own application gives tokens for our client_id and
secret, and the answer names the portal. So a new grant is refreshed once before it is believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from perezvon.bitrix24.address import OAuthGrant
from perezvon.bitrix24.errors import AuthRefused
from perezvon.bitrix24.events import INSTALL, UPDATE, EventAuth, Forged, PortalEvent
from perezvon.bitrix24.oauth import AuthorizationServer, scopes


def offered_by_event(event: PortalEvent) -> EventAuth:
    """ONAPPINSTALL or ONAPPUPDATE, as `accept` gave it. Raises Forged when it offers no tokens."""
    if event.name not in (INSTALL, UPDATE) or not event.auth.refresh_token:
        raise Forged(f"{event.name} offers no tokens")
    return event.auth


def offered_by_page(query: Mapping[str, str], form: Mapping[str, str]) -> EventAuth:
    """The request with which a portal opens an application's page: DOMAIN in the query, AUTH_ID, REFRESH_ID, … in the form.
    Raises Forged when it offers no tokens."""
    if not form.get("REFRESH_ID"):
        raise Forged("the request for the page brings no REFRESH_ID: open the page out of the portal")
    return EventAuth(
        domain=query.get("DOMAIN", ""),
        member_id=form.get("member_id", ""),
        server_endpoint=form.get("SERVER_ENDPOINT", ""),
        access_token=form.get("AUTH_ID", ""),
        refresh_token=form["REFRESH_ID"],
        application_token=form.get("APPLICATION_TOKEN", "") or query.get("APP_SID", ""),
    )


async def proven_grant(application: OAuthGrant, offer: EventAuth, server: AuthorizationServer) -> OAuthGrant:
    """The grant to keep. `application`: domain, client_id and client_secret of the settings (tokens are ignored).

    Raises Forged when the offer is for another portal than the settings name, a PortalError when the proof fails. A portal
    that we know already (`member_id`, which the proof is held against) may have moved.
    """
    known = bool(application.member_id) and offer.member_id == application.member_id
    if not known and offer.domain and _host(offer.domain) != _host(application.domain):
        raise Forged("the installation is for another portal than the one in the settings")
    offered = replace(
        application,
        member_id=offer.member_id,
        access_token=offer.access_token,
        refresh_token=offer.refresh_token,
        application_token=offer.application_token,
        server_endpoint=offer.server_endpoint if server.trusts(offer.server_endpoint) else application.server_endpoint,
        client_endpoint="",
        scope=scopes(offer.scope),
        user_id=offer.user_id,
    )
    grant = await server.refresh(offered)
    if not known and grant.client_endpoint and urlsplit(grant.client_endpoint).netloc.lower() != _host(application.domain):
        told = urlsplit(grant.client_endpoint).netloc
        raise AuthRefused(
            f"the tokens are for the portal {told}, the settings name {application.domain}: correct one of them"
        )
    return grant


def _host(domain: str) -> str:
    return (urlsplit(domain).netloc if "://" in domain else domain).strip("/").lower()
