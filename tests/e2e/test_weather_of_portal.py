"""A portal that moves, that throws us out, that is restored from a backup: real calls go on meanwhile, the page says what to
do, and when somebody has done it, all is told; nothing is lost, nothing is told twice."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import traffic

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal import PortalConfig, PortalServer, desk
from perezvon.sandbox.portal.oauth import Webhook
from perezvon.sandbox.portal.seed import IVANOV
from perezvon.sandbox.stand import Stand, stand

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def portal_config() -> PortalConfig:
    return PortalConfig(rate=None, one_card_per_user=False, strict_app_context=False)


@pytest.fixture(scope="module")
async def office(
    pbx_session: PbxSandbox, portal: PortalServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stand]:
    async with stand(pbx_session, portal, tmp_path_factory.mktemp("moods"), portal_more="request_timeout = 2") as whole:
        yield whole
        await pbx_session.world.reset()


@pytest.fixture(autouse=True)
async def calm(office: Stand) -> None:
    await traffic.ready(office)


async def two(office: Stand) -> list[traffic.Spoken]:
    """One call that is answered and one that is missed, at the same time."""
    return await asyncio.gather(traffic.answered(office), traffic.missed(office))


async def trouble(office: Stand, name: str) -> dict[str, Any]:
    """Waits until the page tells of it; in Russian as well."""

    def told(status: dict[str, Any]) -> list[dict[str, Any]]:
        return [one for one in status["troubles"] if one["name"] == name]

    (found,) = told(await office.service.until(lambda status: bool(told(status)), f"tells of {name}", 45.0))
    async with aiohttp.ClientSession() as http, http.get(f"{office.service.url}/?lang=ru") as answer:
        page = await answer.text()
    assert re.search("→ .*[а-я]{4}", page), "what to do"
    return found


async def well(office: Stand, name: str) -> None:
    await office.service.until(lambda status: all(one["name"] != name for one in status["troubles"]), f"is rid of {name}")


async def test_the_portal_moves_while_people_talk(office: Stand) -> None:
    spoken = [await traffic.answered(office)]
    speaking = asyncio.ensure_future(traffic.group(office))
    await office.pbx.world.phone("101").ringing()
    office.portal.rename("localhost")
    spoken += [await speaking, await traffic.missed(office)]
    await traffic.told_right(office, spoken)
    told = await trouble(office, "portal.moved")
    host = office.portal.url.removeprefix("http://")
    assert told["fix"] == f"put {host} into the settings as its domain"
    doctor = await office.service.command("doctor", "--data-dir", str(office.service.data_dir))
    assert f"put {host} into the settings" in doctor
    await office.service.configure(office.settings(portal="request_timeout = 2"))
    await well(office, "portal.moved")
    await office.ready()
    await traffic.told_right(office, [await traffic.answered(office)])


async def test_the_application_is_removed_and_installed_anew(office: Stand) -> None:
    desk.uninstall(office.portal.state)
    spoken = await two(office)
    told = await trouble(office, "portal.state")
    assert "none is lost" in told["seen"]
    assert "application" in told["fix"]
    office.portal.app.removed = False
    office.portal.install()
    await traffic.told_right(office, spoken)
    await well(office, "portal.state")
    call = office.portal.click(IVANOV, "+79162100009")
    desk_phone = await office.pbx.world.phone("101").talking()
    await desk_phone.hangup()
    await office.until(lambda: None if call.live else call, "the click is finished")


async def test_the_portal_is_restored_from_a_backup_while_somebody_talks(office: Stand) -> None:
    backup = office.portal.backup()
    client = "79190700001"
    caller = await office.pbx.world.call(frm=client, to="74950000101")
    await caller.talks(1.0)
    await office.until(lambda: office.portal.calls() or None, "the call is registered")
    lost = office.portal.calls()[-1]
    assert lost.phone == f"+{client}"
    office.portal.restore(backup)
    await caller.talks(1.0)
    await caller.hangup()
    call = await office.call_of(f"+{client}", recorded=True)
    assert call.id != lost.id
    assert call.external_id == lost.external_id
    assert (call.finish["status"], int(call.finish["user_id"])) == ("200", IVANOV)
    assert [one.phone for one in office.portal.calls()].count(call.phone) == 1
    told = await trouble(office, "portal.forgotten")
    assert "restored from a backup" in told["seen"]


async def test_a_webhook_moves_and_is_deleted(office: Stand) -> None:
    """Its secret goes nowhere by itself; somebody writes the new address into the settings, and what waited is told."""
    portal = office.portal
    plain = office.settings(events="off", portal="request_timeout = 2")

    def settings() -> str:
        kept = [line for line in plain.splitlines() if not re.match("domain|client_id|client_secret|oauth_server", line)]
        return "\n".join(kept).replace('name = "main"\nevents', f'name = "main"\nwebhook = "{portal.webhook_url}"\nevents')

    await office.service.configure(settings())
    await office.service.until(lambda status: status["portals"][0]["way"] == "webhook", "comes as a webhook")
    await office.ready()
    await traffic.told_right(office, [await traffic.answered(office)])
    portal.rename("127.0.0.1" if "localhost" in portal.url else "localhost")
    before = len(portal.state.journal.since(0))
    spoken = await two(office)
    told = await trouble(office, "portal.state")
    assert f"moved to {portal.url}" in told["seen"]
    assert told["fix"].startswith(f"if {portal.url} is your portal")
    assert len(portal.state.journal.since(0)) == before, "nothing went to the other host"
    await office.service.configure(settings())
    await traffic.told_right(office, spoken)

    hook = next(iter(portal.state.authority.webhooks))
    hook.removed = True
    spoken = await two(office)
    told = await trouble(office, "portal.state")
    assert "make a new incoming webhook" in told["fix"]
    fresh = Webhook(hook.id + 1, hook.user_id, "anothersecret99", hook.scopes)
    portal.state.authority.webhooks.append(fresh)
    await office.service.configure(settings().replace(hook.secret, fresh.secret))
    await traffic.told_right(office, spoken)
    log = office.service.log.read_text(encoding="utf-8")
    assert hook.secret not in log
    assert fresh.secret not in log
