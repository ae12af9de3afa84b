"""Tokens of the local application: install, code, refresh with rotation, expiry, revocation, a renamed portal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from aiohttp import web
from portal_client import Rest

from perezvon.sandbox.portal import PortalConfig, PortalServer, desk
from perezvon.sandbox.portal.php import parse_form

Json = Any


class Receiver:
    """What an application's address was posted, decoded."""

    def __init__(self) -> None:
        self.url = ""
        self.posts: asyncio.Queue[Json] = asyncio.Queue()

    async def next(self) -> Json:
        async with asyncio.timeout(5):
            return await self.posts.get()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    received = Receiver()

    async def take(request: web.Request) -> web.Response:
        assert request.content_type == "application/x-www-form-urlencoded"
        received.posts.put_nowait(parse_form((await request.post()).items()))
        return web.Response()

    application = web.Application()
    application.router.add_post("/app/", take)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    received.url = f"http://127.0.0.1:{runner.addresses[0][1]}/app/"
    yield received
    await runner.cleanup()


@pytest.fixture
def portal_config(receiver: Receiver) -> PortalConfig:
    return PortalConfig(rate=None, install_url=receiver.url)


async def token(portal: PortalServer, http: aiohttp.ClientSession, **query: str) -> tuple[int, Json]:
    query = {"client_id": portal.config.client_id, "client_secret": portal.config.client_secret} | query
    async with http.get(f"{portal.url}/oauth/token/", params=query) as answer:
        return answer.status, await answer.json()


async def refresh(portal: PortalServer, http: aiohttp.ClientSession, refresh_token: str) -> tuple[int, Json]:
    return await token(portal, http, grant_type="refresh_token", refresh_token=refresh_token)


async def test_install_event_brings_the_tokens(
    portal: PortalServer, http: aiohttp.ClientSession, receiver: Receiver
) -> None:
    access, refresh_token = portal.install()
    event = await receiver.next()
    assert event["event"] == "ONAPPINSTALL"
    assert event["data"] == {"VERSION": "1", "ACTIVE": "Y", "INSTALLED": "Y", "LANGUAGE_ID": "ru"}
    auth = event["auth"]
    assert (auth["access_token"], auth["refresh_token"]) == (access, refresh_token)
    assert auth["application_token"] == portal.app.application_token
    assert auth["member_id"] == portal.config.member_id
    assert auth["client_endpoint"] == f"{portal.url}/rest/"
    assert auth["domain"] == portal.url.removeprefix("http://")
    assert (await Rest(http, auth["client_endpoint"], access).call("user.current"))["ID"] == "1"


async def test_consent_gives_a_code_good_once(portal: PortalServer, http: aiohttp.ClientSession) -> None:
    query = {"client_id": portal.config.client_id, "state": "s-1"}
    async with http.get(f"{portal.url}/oauth/authorize/", params=query, allow_redirects=False) as answer:
        assert answer.status == 302
        back = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert back["state"] == ["s-1"]
    assert back["member_id"] == [portal.config.member_id]
    status, body = await token(portal, http, grant_type="authorization_code", code=back["code"][0])
    assert status == 200
    assert (body["expires_in"], body["status"]) == (3600, "L")
    assert body["domain"] not in portal.url, "the authorization server's domain, not the portal's"
    assert "user_id" not in body
    assert (await Rest(http, body["client_endpoint"], body["access_token"]).call("user.current"))["ID"] == "1"
    status, body = await token(portal, http, grant_type="authorization_code", code=back["code"][0])
    assert body["error"] == "invalid_grant"


async def test_a_code_lives_thirty_seconds(portal: PortalServer, http: aiohttp.ClientSession) -> None:
    address = desk.authorize(portal.state, portal.config.client_id, 11, "")
    code = parse_qs(urlsplit(address).query)["code"][0]
    portal.state.clock.advance(31)
    assert (await token(portal, http, grant_type="authorization_code", code=code))[1]["error"] == "invalid_grant"


async def test_refresh_rotates(portal: PortalServer, http: aiohttp.ClientSession) -> None:
    _, first = portal.install()
    status, body = await refresh(portal, http, first)
    assert status == 200
    assert body["refresh_token"] != first
    assert body["user_id"] == 1
    assert body["expires"] == pytest.approx(portal.state.now() + 3600, abs=5)
    assert (await Rest(http, f"{portal.url}/rest/", body["access_token"]).call("user.current"))["ID"] == "1"
    status, again = await refresh(portal, http, first)
    assert (status, again["error"]) == (400, "invalid_grant")
    assert (await refresh(portal, http, body["refresh_token"]))[0] == 200
    assert (portal.state.authority.rotations, portal.state.authority.refused) == (2, 1)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"client_secret": "wrong", "grant_type": "refresh_token", "refresh_token": "x"}, "invalid_client"),
        ({"client_id": "wrong", "grant_type": "refresh_token", "refresh_token": "x"}, "invalid_client"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "password"}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "invalid_grant"),
    ],
)
async def test_refusals(portal: PortalServer, http: aiohttp.ClientSession, query: dict[str, str], code: str) -> None:
    status, body = await token(portal, http, **query)
    assert status in {400, 401}
    assert body["error"] == code


async def test_access_expires_after_an_hour_and_on_demand(app: Rest, portal: PortalServer) -> None:
    portal.state.clock.advance(3599)
    await app.call("user.current")
    portal.state.clock.advance(1)
    refused = await app.refused("user.current")
    assert (refused.http, refused.code) == (401, "expired_token")
    app.token, _ = portal.install()
    await app.call("user.current")
    portal.state.authority.expire_access()
    assert (await app.refused("user.current")).code == "expired_token"


async def test_refresh_token_dies_after_180_days(portal: PortalServer, http: aiohttp.ClientSession) -> None:
    _, refresh_token = portal.install()
    portal.state.clock.advance(180 * 86400 + 1)
    assert (await refresh(portal, http, refresh_token))[1]["error"] == "invalid_grant"


async def test_revoked(app: Rest, portal: PortalServer, http: aiohttp.ClientSession) -> None:
    _, refresh_token = portal.install()
    portal.state.authority.revoke(portal.app.client_id)
    assert (await app.refused("user.current")).http == 401
    assert (await refresh(portal, http, refresh_token))[1]["error"] == "invalid_grant"


async def test_user_without_access_to_the_application(app: Rest, portal: PortalServer) -> None:
    portal.app.denied.add(1)
    refused = await app.refused("user.current")
    assert (refused.http, refused.code) == (403, "user_access_error")


async def test_uninstalled(app: Rest, portal: PortalServer, http: aiohttp.ClientSession, receiver: Receiver) -> None:
    await receiver.next()
    await app.call("telephony.externalLine.add", NUMBER="1")
    desk.uninstall(portal.state)
    event = await receiver.next()
    assert event["event"] == "ONAPPUNINSTALL"
    assert "access_token" not in event["auth"]
    assert event["auth"]["application_token"] == portal.app.application_token
    assert (await app.refused("user.current")).http == 401
    assert portal.state.book.lines == []
    assert (await token(portal, http, grant_type="refresh_token", refresh_token="x"))[1]["error"] == "invalid_client"


async def test_a_renamed_portal_answers_302(app: Rest, portal: PortalServer, http: aiohttp.ClientSession) -> None:
    old = portal.url
    portal.rename("localhost")
    body = {"auth": app.token}
    async with http.post(f"{old}/rest/user.current", json=body, allow_redirects=False) as answer:
        assert answer.status == 302
        assert answer.headers["Location"] == f"{portal.url}/rest/user.current"
    assert portal.url.startswith("http://localhost:")
    assert (await Rest(http, f"{portal.url}/rest/", app.token).call("user.current"))["ID"] == "1"
