"""The live board and the page of a call in a real browser, over real calls; a refused step is sent again and arrives once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal import PortalServer
from perezvon.sandbox.portal.faults import Fault
from perezvon.sandbox.stand import Stand, stand

pytestmark = [pytest.mark.asterisk, pytest.mark.browser]

SHOTS = Path(__file__).resolve().parents[2] / "test-results" / "live"
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
async def office(
    pbx_session: PbxSandbox, portal: PortalServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stand]:
    """Nothing rides with the requests of calls."""
    async with stand(
        pbx_session, portal, tmp_path_factory.mktemp("board"), events="off", more="[missed]\ntask = true\n"
    ) as whole:
        yield whole
        await pbx_session.world.reset()


@pytest.fixture
async def page(office: Stand, browser: Browser) -> AsyncIterator[Page]:
    """Of the administrator, who has signed in."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    page = await browser.new_page(viewport={"width": 1440, "height": 900}, locale="ru-RU")
    link = re.search(r"/welcome/\S+", office.service.log.read_text(encoding="utf-8"))
    assert link is not None
    await page.goto(office.service.url + link[0])
    first = await page.locator("[name=again]").count()
    if not first:
        await page.goto(f"{office.service.url}/login")
    await page.locator("[name=login]").fill("anna")
    await page.locator("[name=password]").fill(PASSWORD)
    if first:
        await page.locator("[name=again]").fill(PASSWORD)
    await page.locator("main form button[type=submit]").click()
    await page.wait_for_url(lambda url: "/login" not in url and "/welcome" not in url)
    yield page


async def test_a_call_on_the_board_on_its_page_and_a_step_sent_again(
    office: Stand, portal: PortalServer, page: Page
) -> None:
    world = office.pbx.world
    await world.reset()
    await world.phone("101").rings()
    await page.goto(f"{office.service.url}/live")
    board = page.locator("#board")
    await expect(page.locator("#link")).to_have_attribute("data-state", "connected")
    await expect(page.locator("#quiet")).to_be_visible()

    caller = await world.call(frm="79161230001", to="74950000101", name="Клиент")
    row = board.locator("li")
    await expect(row).to_have_attribute("data-stage", "ringing")
    await expect(row).to_contain_text("+79161230001")
    await expect(row).to_contain_text("101")
    desk = await world.phone("101").ringing()
    await desk.answer()
    await expect(row).to_have_attribute("data-stage", "talk")
    await expect(row.locator(".talks")).to_contain_text("101")
    await world.phone("101").hold()
    await expect(row).to_have_attribute("data-stage", "hold")
    await page.screenshot(path=SHOTS / "e2e-board.png")
    await world.phone("101").unhold()
    await expect(row).to_have_attribute("data-stage", "talk")
    assert re.fullmatch(r"0:\d\d", await row.locator(".stage .count").inner_text())
    await row.locator("a").click()
    await expect(page.locator("h1")).to_contain_text("+79161230001")
    await page.go_back()
    await caller.talks(0.5)
    await caller.hangup()
    await expect(board.locator("li")).to_have_count(0)
    await expect(page.locator("#quiet")).to_be_visible()


async def test_a_refused_step_is_sent_again_from_the_page_of_its_call_and_arrives_once(
    office: Stand, portal: PortalServer, page: Page
) -> None:
    world = office.pbx.world
    await world.reset()
    await world.phone("101").answers(after=0.2)
    refusal = {"http": 400, "code": "ERROR_ARGUMENT", "description": "refused for the test"}
    finish_ = "telephony.externalCall.finish"
    planned = portal.state.faults.plan(Fault.ERROR, method=finish_, seconds=60, **refusal)
    caller = await world.call(frm="79161230002", to="74950000101")
    await caller.talks(0.5)
    await caller.hangup()
    await page.goto(f"{office.service.url}/deliveries")
    failed = page.get_by_role("button", name="Отправить снова")
    async with asyncio.timeout(20):
        while not await failed.count():
            await page.reload()
    assert planned.struck
    portal.state.faults.clear()

    await page.screenshot(path=SHOTS / "e2e-failed.png")
    await page.locator("tr", has=failed).get_by_role("link", name="звонок").click()
    finish = page.locator('details[data-kind="finish"]')
    await expect(finish.locator(".note.problem")).to_contain_text("refused for the test")
    page.on("dialog", lambda dialog: dialog.accept())
    await finish.get_by_role("button", name="Отправить снова").click()
    await expect(page.locator("#told")).to_be_visible()
    told = await office.call_of("+79161230002")
    assert told.finish["status"] == "200"
    await page.goto(f"{office.service.url}/deliveries")
    await expect(page.locator(".well")).to_be_visible()
    assert len([call for call in portal.calls() if call.phone == "+79161230002"]) == 1
    await page.screenshot(path=SHOTS / "e2e-deliveries.png")


async def test_a_missed_client_is_called_back_with_one_click(office: Stand, page: Page) -> None:
    world = office.pbx.world
    await world.reset()
    await world.phone("101").rings()
    await world.number("79161230003").answers(after=0.2)
    caller = await world.call(frm="79161230003", to="74950000101")
    await world.phone("101").ringing()
    await caller.hangup()
    await office.call_of("+79161230003")
    await page.goto(f"{office.service.url}/missed")
    row = page.locator("tr", has=page.get_by_role("link", name="+79161230003"))
    await page.locator("#telephone").select_option("12")
    await world.phone("102").rejects()
    await row.get_by_role("button", name="Перезвонить").click()
    await expect(row.locator(".call-back")).to_contain_text("разговора не было")
    await page.screenshot(path=SHOTS / "e2e-not-reached.png")

    await page.locator("#telephone").select_option("11")
    await row.get_by_role("button", name="Перезвонить").dblclick()
    desk = await world.phone("101").ringing()
    await expect(row.locator(".badge.warning").last).to_contain_text("звонит")
    await desk.answer()
    outside = await world.number("79161230003").talking()
    assert len([leg for leg in world.phone("101").legs if leg.alive]) == 1
    await outside.talks(0.5)
    await desk.hangup()
    await expect(row.locator(".call-back .badge")).to_have_count(0)
    async with asyncio.timeout(10):
        while await page.get_by_role("button", name="Перезвонить").count():
            await page.reload()
