"""The portal's page in a real browser, fed by real calls: a card appears while the phone rings, a recording can be played."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.portal.face import face_routes
from perezvon.sandbox.stand import Stand, stand
from perezvon.sandbox.world_server import world_server

pytestmark = [pytest.mark.asterisk, pytest.mark.browser]

SHOTS = Path(__file__).resolve().parents[2] / "test-results" / "stand"


@pytest.fixture(scope="module")
async def played(pbx_session: PbxSandbox, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    """The stand as `make demo` leaves it, with the buttons that drive the outside world."""
    async with (
        world_server(pbx_session.world) as world_url,
        PortalServer(PortalConfig(rate=None), face=face_routes(world_url=world_url)) as portal,
        stand(pbx_session, portal, tmp_path_factory.mktemp("page")) as whole,
    ):
        yield whole
        await pbx_session.world.reset()


@pytest.fixture
async def page(played: Stand, browser: Browser) -> AsyncIterator[Page]:
    page = await browser.new_page(viewport={"width": 1440, "height": 1100}, locale="ru-RU")
    await page.goto(f"{played.portal.url}/")
    await expect(page.locator("#live")).to_have_attribute("data-state", "open")
    yield page


async def test_card_appears_while_the_phone_rings_and_the_recording_plays(played: Stand, page: Page) -> None:
    world = played.pbx.world
    await world.reset()
    for extension in ("101", "102", "103"):
        await world.phone(extension).rings()
    await page.locator('#world-call [name="from"]').fill("+79165550011")
    await page.locator('#world-call [name="to"]').fill("+74951234567")
    await page.locator('#world-call button[type="submit"]').click()
    desk = await world.phone("102").ringing()

    cards = page.locator(".card")
    await expect(cards).to_have_count(3)
    await expect(page.locator('.screen[data-user="12"] .card-name')).to_have_text("Мария Клиентова")
    SHOTS.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=SHOTS / "ringing.png", full_page=True)

    await desk.answer()
    await expect(cards).to_have_count(1)
    await expect(page.locator('.screen[data-user="12"] .card')).to_be_visible()
    await desk.talks(1.5)
    await desk.hangup()
    await expect(cards).to_have_count(0)

    audio = page.locator("#calls tbody tr").first.locator("audio")
    await expect(audio).to_be_visible(timeout=20_000)
    length = await audio.evaluate(
        "a => a.readyState ? a.duration : new Promise(done => a.addEventListener('loadedmetadata', () => done(a.duration)))"
    )
    assert length == pytest.approx(1.5, abs=1.0)
    await page.screenshot(path=SHOTS / "recorded.png", full_page=True)


async def test_click_on_the_page_dials(played: Stand, page: Page) -> None:
    world = played.pbx.world
    await world.reset()
    await world.phone("103").rings()
    await page.locator("#click-user").select_option("13")
    await page.locator("#click-number").fill("+7 (916) 777-00-01")
    await page.get_by_role("button", name="Позвонить клиенту").click()
    await expect(page.locator('.screen[data-user="13"] .card')).to_contain_text("Исходящий")
    desk = await world.phone("103").ringing()
    await desk.answer()
    client = await world.number("79167770001").talking()
    await client.talks(1)
    await desk.hangup()
    await expect(page.locator('.screen[data-user="13"] .card')).to_have_count(0)
    await expect(page.locator("#calls tbody tr").first).to_contain_text("+7 916 777-00-01")


async def test_status_page_shows_the_call(played: Stand, page: Page) -> None:
    await page.goto(f"{played.service.url}/?lang=ru")
    await expect(page.locator("body")).to_contain_text("+79165550011")
    await page.screenshot(path=SHOTS / "status.png", full_page=True)
    await page.goto(f"{played.service.url}/?lang=en")
    await page.screenshot(path=SHOTS / "status-en.png", full_page=True)
