"""An installation is believed only when the authorization server vouches for it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from portal_grants import authorization, grant_of, host_of

from perezvon.bitrix24 import GrantKeeper, OAuthGrant, Portal
from perezvon.bitrix24.errors import AuthRefused
from perezvon.bitrix24.events import EventAuth, Forged, accept
from perezvon.bitrix24.installation import offered_by_event, offered_by_page, proven_grant
from perezvon.sandbox.portal.server import PortalServer

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
async def posted(server: PortalServer) -> Any:
    """The installation path of the application; gives what the portal posts there."""
    got: asyncio.Queue[tuple[bytes, str]] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        got.put_nowait((await request.read(), request.headers["Content-Type"]))
        return web.Response()

    app = web.Application()
    app.router.add_post("/install", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.state.authority.apps[server.config.client_id].install_url = f"http://127.0.0.1:{runner.addresses[0][1]}/install"
    yield got
    await runner.cleanup()


def application(server: PortalServer) -> OAuthGrant:
    """What the settings know."""
    return OAuthGrant(
        host_of(server), server.config.client_id, server.config.client_secret, server_endpoint=f"{server.url}/rest/"
    )


async def test_from_the_install_event_to_a_working_client(server: PortalServer, posted: Any) -> None:
    server.install()
    body, content_type = await posted.get()
    event = accept(body, content_type, [], now=1.0)
    assert (event.name, event.proven, event.member_id) == ("ONAPPINSTALL", False, server.config.member_id)
    oauth = authorization(server)
    grant = await proven_grant(application(server), offered_by_event(event), oauth)
    assert grant.application_token == server.state.authority.apps[server.config.client_id].application_token
    assert grant.client_endpoint == f"{server.url}/rest/"
    assert "telephony" in grant.scope
    async with Portal("main", GrantKeeper(grant, server=oauth)) as portal:
        assert (await portal.call("app.info")).result["CODE"] == server.config.client_id


async def test_from_the_installers_page(server: PortalServer) -> None:
    access, refresh = server.install()
    form = {"AUTH_ID": access, "REFRESH_ID": refresh, "member_id": server.config.member_id, "APPLICATION_TOKEN": "t0ken"}
    offer = offered_by_page({"DOMAIN": host_of(server)}, form)
    grant = await proven_grant(application(server), offer, authorization(server))
    assert grant.application_token == "t0ken"
    with pytest.raises(Forged, match="out of the portal"):
        offered_by_page({"DOMAIN": host_of(server)}, {})


async def test_invented_tokens_are_refused(server: PortalServer) -> None:
    offer = EventAuth(domain=host_of(server), access_token="a" * 70, refresh_token="b" * 70)
    with pytest.raises(AuthRefused):
        await proven_grant(application(server), offer, authorization(server))


async def test_another_portal_cannot_install_itself(server: PortalServer) -> None:
    with pytest.raises(Forged, match="another portal"):
        await proven_grant(
            application(server), EventAuth(domain="evil.bitrix24.ru", refresh_token="x"), authorization(server)
        )
    good = grant_of(server)
    settings = replace(application(server), domain="other.bitrix24.ru")
    offer = EventAuth(member_id=good.member_id, refresh_token=good.refresh_token)
    with pytest.raises(AuthRefused, match=r"the settings name other\.bitrix24\.ru"):
        await proven_grant(settings, offer, authorization(server))


async def test_a_forged_authorization_server_never_sees_the_secret(server: PortalServer) -> None:
    """The event names the attacker's server: the one of the settings is asked instead."""
    good = grant_of(server)
    offer = EventAuth(
        domain=host_of(server), refresh_token=good.refresh_token, server_endpoint="http://attacker.invalid/rest/"
    )
    grant = await proven_grant(application(server), offer, authorization(server))
    assert grant.server_endpoint == f"{server.url}/rest/"


async def test_an_ordinary_event_offers_nothing(server: PortalServer) -> None:
    token = server.state.authority.apps[server.config.client_id].application_token
    body = f"event=ONEXTERNALCALLSTART&auth[application_token]={token}&auth[refresh_token]=x".encode()
    with pytest.raises(Forged, match="no tokens"):
        offered_by_event(accept(body, FORM, [token], now=0))
