"""A portal under another name: only the authorization server is believed, and what it says is kept before it is used."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from portal_grants import authorization, grant_of, host_of
from scripted_http import ScriptedServer, answer

from perezvon.bitrix24 import Bucket, GrantKeeper, OAuthGrant, Portal
from perezvon.bitrix24.errors import AuthRefused, NotSent, PortalBlocked, PortalError, PortalMoved, Temporary
from perezvon.bitrix24.events import EventAuth
from perezvon.bitrix24.installation import proven_grant
from perezvon.bitrix24.renewal import ASK_AGAIN
from perezvon.sandbox.portal.config import PortalConfig
from perezvon.sandbox.portal.server import PortalServer

pytestmark = pytest.mark.parametrize("config", [PortalConfig(rate=None)])


class Application:
    """A client whose grant is kept in `saved`, and whose clock stands at `now` (seconds)."""

    def __init__(self, server: PortalServer, **changes: str) -> None:
        self.saved: list[OAuthGrant] = []
        self.now = 0.0
        self.disk_full = False
        grant = grant_of(server, **changes)
        self.keeper = GrantKeeper(grant, server=authorization(server), save=self._save, ticks=lambda: self.now)
        self.portal = Portal("main", self.keeper, bucket=Bucket(100, 10_000))

    async def _save(self, grant: OAuthGrant) -> None:
        if self.disk_full:
            raise OSError("disk full")
        self.saved.append(grant)


async def test_a_renamed_portal_is_followed_and_its_grant_kept(server: PortalServer) -> None:
    application = Application(server)
    old = host_of(server)
    async with application.portal as portal:
        server.rename("localhost")
        answers = await asyncio.gather(*(portal.call("profile") for _ in range(20)))
        assert {told.result["ID"] for told in answers} == {"1"}
        assert portal.address.host == host_of(server) != old
        await portal.call("scope")
    (kept,) = application.saved
    assert (kept.host, kept.domain) == (host_of(server), host_of(server))
    assert server.state.authority.rotations == 1, "asked once, whoever was redirected"


async def test_a_redirect_that_nobody_vouches_for_gets_no_token(server: PortalServer) -> None:
    """The portal's address points to a stranger (its name was sold, its DNS taken over)."""
    async with ScriptedServer([]) as stranger:
        turn = answer("", 302, Location=f"{stranger.url}/rest/profile")
        async with ScriptedServer([turn] * 9) as hijacked:
            application = Application(server, client_endpoint=f"{hijacked.url}/rest/")
            async with application.portal as portal:
                # The authorization server knows better than the address that we had.
                assert (await portal.call("profile")).result["ID"] == "1"
                assert portal.address.host == host_of(server)
        assert stranger.seen == []


async def test_a_move_that_is_not_confirmed_is_told_and_asked_about_seldom(server: PortalServer) -> None:
    application = Application(server)
    async with ScriptedServer([]) as stranger, application.portal as portal:
        server.rename("localhost")
        server.state.base_url = f"http://{portal.address.host}"  # the authorization server knows of no move …
        target = stranger.url.replace("127.0.0.1", "localhost")
        turn = answer("", 302, Location=f"{target}/rest/profile")
        async with ScriptedServer([turn] * 9) as old:
            server.state.base_url = old.url
            application.keeper._grant = replace(application.keeper.grant, client_endpoint=f"{old.url}/rest/")  # pyright: ignore[reportPrivateUsage]
            for seconds in (0, 10, 300, ASK_AGAIN + 1):
                application.now = seconds
                with pytest.raises(PortalMoved, match="does not confirm") as caught:
                    await portal.call("profile")
                assert caught.value.location == target
        assert stranger.seen == []
    assert server.state.authority.rotations == 2


async def test_a_move_that_cannot_be_stored_is_not_used(server: PortalServer) -> None:
    application = Application(server)
    async with application.portal as portal:
        old = portal.address
        server.rename("localhost")
        application.disk_full = True
        with pytest.raises(Temporary, match="could not be stored"):
            await portal.call("profile")
        assert portal.address == old
        application.disk_full = False
        await portal.call("profile")
        assert application.saved[-1].host == host_of(server)
    assert server.state.authority.rotations == 1


@pytest.mark.parametrize("leaves", ["deleted", "stranger"])
async def test_a_portal_that_left_no_word_is_found_by_asking(server: PortalServer, leaves: str) -> None:
    application = Application(server)
    async with application.portal as portal:
        server.rename("localhost", leaves)  # pyright: ignore[reportArgumentType]
        with pytest.raises(PortalBlocked):
            await portal.call("profile")
        used = application.keeper.grant
        assert await application.keeper.ask_where(used)
        assert (await portal.call("profile")).result["ID"] == "1"
        assert not await application.keeper.ask_where(application.keeper.grant), "it is where it is"
    assert server.state.authority.rotations == 1


async def test_no_answer_of_the_authorization_server_is_no_answer(server: PortalServer) -> None:
    application = Application(server)
    async with application.portal as portal:
        server.rename("localhost")
        for fault, error in (("reset", PortalError), ("expired_token", AuthRefused)):
            server.state.faults.plan(fault, method="oauth.token")
            with pytest.raises(error, match="authorization server"):
                await portal.call("profile")
        application.now = 61.0  # a refusal is believed for a minute
        assert (await portal.call("profile")).result["ID"] == "1"


@pytest.mark.parametrize("told", ["", "no address", "ftp://portal/rest/", "https://[bad/rest/"])
async def test_an_answer_without_a_usable_place_changes_nothing(server: PortalServer, told: str) -> None:
    grant = grant_of(server)
    oauth = authorization(server)
    answered = oauth._merged(grant, {"access_token": "a", "refresh_token": "b", "client_endpoint": told})  # pyright: ignore[reportPrivateUsage]
    assert (answered.domain, answered.rest) == (grant.domain, grant.rest)
    safe = replace(grant, client_endpoint="https://portal.example/rest/")
    down = oauth._merged(
        safe, {"access_token": "a", "refresh_token": "b", "client_endpoint": "http://portal.example/rest/"}
    )  # pyright: ignore[reportPrivateUsage]
    assert down.rest == safe.rest, "no way leads from https to http"
    await oauth.close()


async def test_a_known_portal_may_install_us_anew_under_another_name(server: PortalServer) -> None:
    """It was renamed and the application reinstalled before anybody looked at the settings."""
    known = grant_of(server, domain="old.bitrix24.ru", client_endpoint="https://old.bitrix24.ru/rest/")
    fresh = grant_of(server)
    offer = EventAuth(domain=host_of(server), member_id=known.member_id, refresh_token=fresh.refresh_token)
    grant = await proven_grant(known, offer, authorization(server))
    assert grant.host == host_of(server)
    with pytest.raises(AuthRefused, match="another portal"):
        other = replace(known, member_id="somebody else's")
        again = grant_of(server)
        await proven_grant(
            other, replace(offer, member_id=other.member_id, refresh_token=again.refresh_token), authorization(server)
        )


async def test_what_a_human_writes_into_the_settings_counts(server: PortalServer) -> None:
    kept = grant_of(
        server, named="old.bitrix24.ru", domain="new.bitrix24.ru", client_endpoint="https://new.bitrix24.ru/rest/"
    )
    settings = OAuthGrant("old.bitrix24.ru", kept.client_id, "another secret", named="old.bitrix24.ru")
    assert kept.settled(settings).host == "new.bitrix24.ru", "it was followed; the settings are as they were"
    assert kept.settled(settings).client_secret == "another secret"
    corrected = replace(settings, domain="third.bitrix24.ru", named="third.bitrix24.ru")
    assert kept.settled(corrected).host == "third.bitrix24.ru"
    assert kept.settled(corrected).refresh_token == kept.refresh_token


async def test_no_portal_at_all_is_not_sent(server: PortalServer) -> None:
    application = Application(server, client_endpoint="http://127.0.0.1:9/rest/")
    async with application.portal as portal:
        with pytest.raises(NotSent):
            await portal.call("profile")
