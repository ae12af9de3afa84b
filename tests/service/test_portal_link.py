"""One portal's link over its weathers: what it had bound is lost, the application reinstalled, its address changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from portal_links import Links, offer, running

from perezvon.bitrix24.errors import AuthRefused, PortalError
from perezvon.bitrix24.events import TELEPHONY, EventAuth, Forged
from perezvon.sandbox.portal import PortalConfig, PortalServer, desk
from perezvon.service import portals
from perezvon.service.portals import LOST, PortalLink
from perezvon.settings.load import parse, settings_from

SETTINGS = """
[[portal]]
name = "main"
domain = "{domain}"
client_id = "{client_id}"
client_secret = "{client_secret}"
oauth_server = "{server}"
offline_interval = 1
"""

Made = Callable[..., Awaitable[PortalLink]]


@pytest.fixture
async def server() -> AsyncIterator[PortalServer]:
    async with PortalServer(PortalConfig(rate=None)) as running:
        yield running


@pytest.fixture
def now() -> list[float]:
    return [1_800_000_000.0]


@pytest.fixture
async def made(server: PortalServer, tmp_path: Path, now: list[float]) -> AsyncIterator[Made]:
    """Opens a link with what is stored, as a start of the service does. The authorization server stays where it was."""
    first = server.url
    async with Links(tmp_path, lambda: now[0]) as links:

        async def make(domain: str = first) -> PortalLink:
            config = server.config
            text = SETTINGS.format(
                domain=domain, client_id=config.client_id, client_secret=config.client_secret, server=first
            )
            return await links.open(settings_from(parse(text)))

        yield make


async def bound(server: PortalServer) -> None:
    """Returns when clicks on numbers would be queued for us."""
    async with asyncio.timeout(10):
        while {one.event for one in server.state.events.bindings if one.offline} != set(TELEPHONY):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_what_the_portal_has_lost_is_bound_again(
    server: PortalServer, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portals, "BIND_CHECK", 0.05)
    backup = server.backup()
    link = await made()
    await link.install(offer(server))
    async with running(link):
        await bound(server)
        server.restore(backup)
        assert server.state.events.bindings == []
        await bound(server)


async def test_an_application_that_was_removed_and_installed_anew(server: PortalServer, made: Made) -> None:
    link = await made()
    told: list[str] = []
    link.on_installed = lambda: told.append("installed")
    await link.install(offer(server))
    async with running(link):
        await bound(server)
        desk.uninstall(server.state)
        with pytest.raises(AuthRefused, match="client_id or client_secret is wrong"):
            await link.client.call("profile")
        assert link.failing is not None
        server.app.removed = False
        await link.install(offer(server))
        await bound(server)
        assert (await link.client.call("profile")).result["ID"] == "1"
        assert link.failing is None
    assert told == ["installed", "installed"]


@pytest.mark.parametrize("leaves", ["deleted", "stranger"])
async def test_a_portal_that_left_without_a_word_is_found(
    server: PortalServer, made: Made, now: list[float], leaves: str
) -> None:
    link = await made()
    await link.install(offer(server))
    old = link.client.address.host
    server.rename("localhost", leaves)  # pyright: ignore[reportArgumentType]
    new = server.url.removeprefix("http://")
    for waited in (0.0, LOST - 1.0):
        now[0] = 1_800_000_000.0 + waited
        with pytest.raises(PortalError):
            await link.client.call("profile")
        assert not await link.search(), "it may be an outage"
    now[0] += 2.0
    assert await link.search()
    assert (link.client.address.host, link.moved_from) == (new, old)
    assert (await link.client.call("profile")).result["ID"] == "1"
    assert server.state.authority.rotations == 2, "at the installation, and once to find it"

    again = await made()
    assert (again.client.address.host, again.moved_from) == (new, old), "it is kept"
    assert (await again.client.call("profile")).result["ID"] == "1"
    corrected = await made(server.url)
    assert (corrected.client.address.host, corrected.moved_from) == (new, ""), "somebody has corrected the settings"
    assert (await corrected.client.call("profile")).result["ID"] == "1"


async def test_an_outage_is_no_move_and_is_asked_about_once(server: PortalServer, made: Made, now: list[float]) -> None:
    link = await made()
    await link.install(offer(server))
    server.state.faults.plan("html", method="profile", seconds=10 * LOST)
    for hour in range(6):
        now[0] += LOST
        with pytest.raises(PortalError):
            await link.client.call("profile")
        assert not await link.search(), hour
    assert server.state.authority.rotations == 2
    server.state.faults.clear()
    await link.client.call("profile")
    assert link.failing is None


async def test_errors_of_one_method_say_nothing_of_the_portal(server: PortalServer, made: Made) -> None:
    link = await made()
    await link.install(offer(server))
    for code, status in (("ERROR_CORE", 400), ("insufficient_scope", 403), ("OPERATION_TIME_LIMIT", 429)):
        server.state.faults.plan("error", code=code, http=status)
        with pytest.raises(PortalError):
            await link.client.call("profile")
        assert link.failing is None


async def test_another_portal_cannot_take_the_place_of_a_known_one(server: PortalServer, made: Made) -> None:
    link = await made()
    await link.install(offer(server))
    with pytest.raises(Forged):
        await link.install(EventAuth(domain="evil.bitrix24.ru", member_id="somebody else", refresh_token="x"))
    with pytest.raises(AuthRefused):
        await link.install(EventAuth(domain="evil.bitrix24.ru", member_id=server.config.member_id, refresh_token="forged"))
    assert link.client.address.host == server.url.removeprefix("http://")
