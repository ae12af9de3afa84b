"""What the portal has of us: registered once, renewed, renamed, removed; and what it lacks is said in words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from portal_links import Links, offer, running

from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.portal.config import ALL_SCOPES
from perezvon.sandbox.portal.handlers.bizproc import Bizproc
from perezvon.sandbox.portal.handlers.crm_automation import Automation
from perezvon.service import automation, portals
from perezvon.service.automation import NO_ADDRESS, WEBHOOK_ONLY
from perezvon.service.portals import PortalLink
from perezvon.settings.load import parse, settings_from
from perezvon.settings.model import Settings
from perezvon.settings.secrets import SecretBox
from perezvon.storage import Database

APPLICATION = """
[[portal]]
name = "main"
domain = "{url}"
client_id = "{client_id}"
client_secret = "{client_secret}"
oauth_server = "{url}"
events = "off"
{more}
"""
WANTED = 'public_url = "https://pbx.example.com"\n[portal.automation]\nmissed = true\nmenu = ["1"]\nrobot = true'
Made = Callable[[str], Awaitable[PortalLink]]


@pytest.fixture
async def server() -> AsyncIterator[PortalServer]:
    async with PortalServer(PortalConfig(rate=None)) as running:
        yield running


def settings(server: PortalServer, more: str) -> Settings:
    config = server.config
    text = APPLICATION.format(url=server.url, client_id=config.client_id, client_secret=config.client_secret, more=more)
    return settings_from(parse(text))


@pytest.fixture
async def made(tmp_path: Path, server: PortalServer) -> AsyncIterator[Made]:
    async with Links(tmp_path, lambda: 1_800_000_000.0) as links:

        async def make(more: str) -> PortalLink:
            return await links.open(settings(server, more))

        yield make


async def happened(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not look():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def there(server: PortalServer) -> tuple[dict[str, str], list[str]]:
    """Triggers with their names, robots."""
    triggers = {code: name for (_, code), name in server.state.part(Automation).triggers.items()}
    return triggers, [code for _, code in server.state.part(Bizproc).robots]


def asked(server: PortalServer, method: str) -> int:
    return server.state.journal.counts().get(method, 0)


BOTH = (
    {"perezvon.missed": "Перезвон: пропущенный звонок", "perezvon.menu.1": "Перезвон: в меню нажали 1"},
    ["perezvon.call"],
)


async def test_registered_again_after_a_reinstallation_renamed_and_removed(server: PortalServer, made: Made) -> None:
    link = await made(WANTED)
    await link.install(offer(server))
    async with running(link):
        await happened(lambda: there(server) == BOTH)
        server.state.part(Automation).triggers.clear()
        await link.install(offer(server))  # the portal forgets robots then
        await happened(lambda: there(server) == BOTH)
        renamed = settings(
            server, WANTED.replace("[portal.automation]", '[portal.automation]\nmissed_name = "M"\nrobot_name = "R"')
        )
        link.change(renamed.portal[0], renamed)
        robots = server.state.part(Bizproc).robots
        await happened(lambda: there(server)[0].get("perezvon.missed") == "M")
        await happened(lambda: [robot.fields["NAME"] for robot in robots.values()] == ["R"])
        off = settings(server, "")
        link.change(off.portal[0], off)
        await happened(lambda: there(server) == ({}, []))
        assert link.automation.problems == ()


async def test_somebody_elses_are_left_alone(server: PortalServer, made: Made) -> None:
    app = server.app.client_id
    link = await made(WANTED)
    await link.install(offer(server))
    server.state.part(Automation).triggers[app, "ours.too"] = "x"
    async with running(link):
        await happened(lambda: "perezvon.missed" in there(server)[0])
        off = settings(server, "")
        link.change(off.portal[0], off)
        await happened(lambda: there(server) == ({"ours.too": "x"}, []))


async def test_switched_off_from_the_beginning_the_portal_is_not_asked(
    server: PortalServer, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automation, "CHECK", 0.01)
    monkeypatch.setattr(portals, "DIRECTORY_INTERVAL", 0.1)
    link = await made("")
    await link.install(offer(server))
    async with running(link):
        await happened(lambda: asked(server, "user.get") > 2)  # many a look at the automation later
    assert asked(server, "crm.automation.trigger.list") == asked(server, "bizproc.robot.list") == 0


async def test_nothing_is_registered_twice_at_the_next_look(
    server: PortalServer, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automation, "CHECK", 0.05)
    link = await made(WANTED)
    await link.install(offer(server))
    async with running(link):
        await happened(lambda: asked(server, "bizproc.robot.list") >= 4)
    assert (asked(server, "crm.automation.trigger.add"), asked(server, "bizproc.robot.add")) == (2, 1)
    assert asked(server, "bizproc.robot.update") <= 1


async def test_the_robot_needs_an_address_and_the_triggers_come_without_it(server: PortalServer, made: Made) -> None:
    link = await made(WANTED.partition("\n")[2])
    await link.install(offer(server))
    async with running(link):
        await happened(lambda: there(server)[0] == BOTH[0])
        await happened(lambda: link.automation.problems == (NO_ADDRESS,))
    assert there(server)[1] == []


async def test_a_webhook_is_not_enough(server: PortalServer, tmp_path: Path) -> None:
    text = f'[[portal]]\nname = "main"\nwebhook = "{server.webhook_url}"\n[portal.automation]\nmissed = true'
    whole = settings_from(parse(text))
    async with await Database.open(tmp_path) as database:
        link = PortalLink(whole.portal[0], whole, database, SecretBox.open(tmp_path), "test", clock=lambda: 1.0)
        await link.open()
        async with running(link):
            await happened(lambda: link.automation.problems == (WEBHOOK_ONLY,))
        assert not link.rules().policy.triggers, "the portal would refuse each of them"
        await link.close()


async def test_what_the_application_lacks_is_named(tmp_path: Path) -> None:
    async with PortalServer(PortalConfig(rate=None, scopes=ALL_SCOPES - {"bizproc"})) as server:
        whole = settings(server, WANTED)
        async with await Database.open(tmp_path) as database:
            link = PortalLink(whole.portal[0], whole, database, SecretBox.open(tmp_path), "test", clock=lambda: 1.0)
            await link.open()
            await link.install(offer(server))
            async with running(link):
                await happened(lambda: bool(link.automation.problems))
            await link.close()
        (problem,) = link.automation.problems
        assert str(problem).startswith("robot: give the application the permission bizproc")
        assert there(server)[0] == BOTH[0], "the triggers do not need it"
