"""The access token: one refresh for all, stored before use, never lost; and what happens when it cannot be had."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from portal_grants import authorization, grant_of, host_of

from perezvon.bitrix24 import AuthorizationServer, Bucket, GrantKeeper, OAuthGrant, Portal
from perezvon.bitrix24.errors import Ambiguous, AuthRefused, NotSent, PortalError, Temporary, TokenExpired
from perezvon.sandbox.portal.config import PortalConfig
from perezvon.sandbox.portal.server import PortalServer

pytestmark = pytest.mark.parametrize("config", [PortalConfig(rate=None)])


class Store:
    """A place for the grant that notes what it was given; `gate` holds a save back, `failures` lets some fail."""

    def __init__(self, failures: int = 0) -> None:
        self.saved: list[OAuthGrant] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.saving = asyncio.Event()
        self.failures = failures

    async def save(self, grant: OAuthGrant) -> None:
        self.saving.set()
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise OSError("disk full")
        self.saved.append(grant)

    async def load(self) -> OAuthGrant | None:
        return self.saved[-1] if self.saved else None


def portal_of(server: PortalServer, store: Store, **changes: Any) -> Portal:
    keeper = GrantKeeper(grant_of(server, **changes), server=authorization(server), save=store.save, load=store.load)
    return Portal("main", keeper, bucket=Bucket(100, 10_000))


async def test_fifty_calls_at_once_make_one_refresh(server: PortalServer) -> None:
    store = Store()
    async with portal_of(server, store) as portal:
        server.state.authority.expire_access()
        answers = await asyncio.gather(*(portal.call("profile") for _ in range(50)))
        assert {answer.result["ID"] for answer in answers} == {"1"}
    authority = server.state.authority
    assert (authority.rotations, authority.refused, len(store.saved)) == (1, 0, 1)
    assert len(server.state.journal.of("oauth.token")) == 1


async def test_later_expiries_are_refreshed_again(server: PortalServer) -> None:
    store = Store()
    async with portal_of(server, store) as portal:
        for count in (1, 2, 3):
            server.state.authority.expire_access()
            await portal.call("profile")
            assert (server.state.authority.rotations, len(store.saved)) == (count, count)
    assert len({grant.refresh_token for grant in store.saved}) == 3


async def test_the_new_token_is_not_used_before_it_is_stored(server: PortalServer) -> None:
    store = Store()
    async with portal_of(server, store) as portal:
        before = portal.address
        server.state.authority.expire_access()
        store.gate.clear()
        asking = asyncio.create_task(portal.call("profile"))
        await store.saving.wait()
        requests = server.state.journal.http_requests
        assert portal.address == before
        with pytest.raises(TimeoutError):  # a second caller waits for the same thing and sends nothing new
            async with asyncio.timeout(0.05):
                await portal.call("scope")
        assert server.state.journal.http_requests == requests + 1
        store.gate.set()
        await asking
        assert portal.address == store.saved[0]
    assert server.state.authority.rotations == 1


async def test_a_token_that_cannot_be_stored_is_kept_and_stored_later(server: PortalServer) -> None:
    store = Store(failures=2)
    async with portal_of(server, store) as portal:
        before = portal.address
        server.state.authority.expire_access()
        for _ in range(2):
            with pytest.raises(Temporary, match="could not be stored: OSError"):
                await portal.call("profile")
            assert portal.address == before
        await portal.call("profile")
        assert portal.address == store.saved[0]
    assert server.state.authority.rotations == 1, "the first refresh's tokens were not thrown away"


async def test_a_caller_who_gives_up_does_not_lose_the_new_token(server: PortalServer) -> None:
    store = Store()
    portal = portal_of(server, store)
    server.state.authority.expire_access()
    store.gate.clear()
    asking = asyncio.create_task(portal.call("profile"))
    await store.saving.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    closing = asyncio.create_task(portal.close())
    store.gate.set()
    await closing
    assert len(store.saved) == 1
    assert store.saved[0].access_token in server.state.authority.access


async def test_a_crash_before_storing_leaves_the_old_grant_and_a_clear_error(server: PortalServer) -> None:
    """The process died between the answer of the authorization server and our disk: the next start has the old grant. Whether
    its refresh token still works is the vendor's to decide; where not, we say what to do."""
    store = Store()
    async with portal_of(server, store) as dying:
        old = dying.address
        assert isinstance(old, OAuthGrant)
        server.state.authority.expire_access()
        await authorization(server).refresh(old)  # the answer reached the machine, and then it was gone
        async with Portal("main", GrantKeeper(old, server=authorization(server), save=store.save)) as next_start:
            with pytest.raises(AuthRefused, match="reinstall the application"):
                await next_start.call("profile")
        assert store.saved == []


async def test_a_dead_refresh_token_is_tried_once(server: PortalServer) -> None:
    store = Store()
    async with portal_of(server, store, refresh_token="no-longer-good") as portal:
        server.state.authority.expire_access()
        outcomes = await asyncio.gather(*(portal.call("profile") for _ in range(20)), return_exceptions=True)
        outcomes += await asyncio.gather(*(portal.call("profile") for _ in range(5)), return_exceptions=True)
        assert all(isinstance(o, AuthRefused) and "reinstall" in str(o) for o in outcomes)
        assert server.state.authority.refused == 1
        keeper = portal.identity
        assert isinstance(keeper, GrantKeeper)
        await keeper.replace(grant_of(server))  # the administrator reinstalled it
        assert (await portal.call("profile")).result["ID"] == "1"


async def test_a_refusal_is_not_believed_for_ever(server: PortalServer) -> None:
    """The authorization server had a bad minute; nobody has to restart or reinstall anything for that."""
    now = 0.0
    keeper = GrantKeeper(grant_of(server), server=authorization(server), ticks=lambda: now)
    async with Portal("main", keeper) as portal:
        server.state.authority.expire_access()
        server.state.faults.plan("expired_token", method="oauth.token")
        for _ in range(3):
            with pytest.raises(AuthRefused):
                await portal.call("profile")
        assert len(server.state.journal.of("oauth.token")) == 1
        now += 61
        assert (await portal.call("profile")).result["ID"] == "1"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [("dropped_answer", Ambiguous), ("html", Ambiguous), ("500", Ambiguous), ("malformed", Ambiguous)],
)
async def test_a_failing_authorization_server_is_the_callers_error(
    server: PortalServer, fault: str, expected: type[PortalError]
) -> None:
    store = Store()
    async with portal_of(server, store) as portal:
        server.state.authority.expire_access()
        server.state.faults.plan(fault, method="oauth.token")
        with pytest.raises(expected, match="authorization server"):
            await portal.call("profile")
        assert len(server.state.journal.of("oauth.token")) == 1, "a refresh is never repeated by itself"
        assert store.saved == []


async def test_an_authorization_server_that_is_away_is_asked_again_later(server: PortalServer) -> None:
    store = Store()
    async with portal_of(server, store) as portal:
        server.state.authority.expire_access()
        server.state.faults.plan("reset", method="oauth.token")
        with pytest.raises(Ambiguous):
            await portal.call("profile")
        await portal.call("profile")
        assert len(store.saved) == 1


async def test_a_token_that_stays_expired_is_not_refreshed_for_ever(server: PortalServer) -> None:
    store = Store()
    async with portal_of(server, store) as portal:
        server.state.faults.plan("expired_token", method="profile", times=5)
        with pytest.raises(TokenExpired):
            await portal.call("profile")
        assert server.state.authority.rotations == 1


async def test_what_another_process_has_refreshed_is_taken_over(server: PortalServer) -> None:
    store = Store()
    async with portal_of(server, store) as portal:
        old = portal.address
        assert isinstance(old, OAuthGrant)
        server.state.authority.expire_access()
        await store.save(await authorization(server).refresh(old))
        await portal.call("profile")
        assert portal.address == store.saved[-1]
    assert (server.state.authority.rotations, server.state.authority.refused) == (1, 0)


async def test_before_the_installation_nothing_is_sent(server: PortalServer) -> None:
    async with portal_of(server, Store(), access_token="", refresh_token="") as portal:
        before = server.state.journal.http_requests
        with pytest.raises(AuthRefused, match="not installed"):
            await portal.call("profile")
        assert server.state.journal.http_requests == before


async def test_the_secret_goes_only_to_known_servers(server: PortalServer) -> None:
    keeper = GrantKeeper(grant_of(server), server=AuthorizationServer())  # trusts only the vendor's
    async with Portal("main", keeper) as portal:
        server.state.authority.expire_access()
        with pytest.raises(AuthRefused, match="not a known authorization server"):
            await portal.call("profile")
        assert server.state.journal.of("oauth.token") == []


async def test_an_idle_application_is_refreshed_long_before_its_grant_dies(server: PortalServer) -> None:
    now = [1_000_000_000.0]
    authority = AuthorizationServer(trusted=frozenset({host_of(server)}), clock=lambda: now[0])
    store = Store()
    keeper = GrantKeeper(grant_of(server, refreshed_at=now[0]), server=authority, save=store.save)
    for days, expected in ((1, False), (149, False), (151, True), (152, False)):
        now[0] = 1_000_000_000.0 + days * 86400
        assert await keeper.keep_alive() is expected, days
    assert store.saved[0].refreshed_at == pytest.approx(1_000_000_000.0 + 151 * 86400)
    await keeper.close()


async def test_a_code_becomes_a_grant(server: PortalServer) -> None:
    app = server.state.authority.apps[server.config.client_id]
    code = server.state.authority.new_code(app, 1)
    empty = replace(grant_of(server), access_token="", refresh_token="", member_id="")
    oauth = authorization(server)
    grant = await oauth.exchange_code(empty, code)
    async with Portal("main", GrantKeeper(grant, server=oauth)) as portal:
        assert (await portal.call("profile")).result["ID"] == "1"
        assert grant.member_id == server.config.member_id
        assert grant.domain == host_of(server), "the token answer's domain is the authorization server's"
        with pytest.raises(AuthRefused, match="30 s"):
            await oauth.exchange_code(empty, code)
        with pytest.raises(AuthRefused, match="client_secret"):
            await oauth.exchange_code(replace(empty, client_secret="wrong"), code)


async def test_tokens_of_another_portal_are_refused(server: PortalServer) -> None:
    with pytest.raises(AuthRefused, match="another portal"):
        await authorization(server).refresh(grant_of(server, member_id="someone-else"))


async def test_no_authorization_server_is_not_sent(server: PortalServer) -> None:
    oauth = AuthorizationServer(trusted=frozenset({"127.0.0.1:9"}))
    with pytest.raises(NotSent):
        await oauth.refresh(grant_of(server, server_endpoint="http://127.0.0.1:9/rest/"))
    await oauth.close()
