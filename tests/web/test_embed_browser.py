"""Our pages in frames of the portal's own pages, in a real browser: light and dark, Russian and English, on a telephone and on
a desk; nothing that breaks a policy, nothing that axe finds serious. The screenshots are to be looked at."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from looks import SIZES, looked_at
from playwright.async_api import Browser, Page, expect
from portal_rooms import Rooms, rooms
from sqlalchemy.ext.asyncio import AsyncConnection
from stored_calls import CALL, CLIENT, LINE, many, store, whole_call
from test_pages_browser import busy

from perezvon.calls.call import Direction
from perezvon.calls.facts import InMenu, MenuStep
from perezvon.conference import Consultation, Employee, Person, Place, Role, Room, Stage
from perezvon.rules.missed import Missed
from perezvon.sandbox.portal import desk
from perezvon.sandbox.portal.seed import IVANOV
from perezvon.settings.portal import PortalSettings
from perezvon.storage import journal, missed
from perezvon.web.portal_door import CardCall

pytestmark = pytest.mark.browser

LOOKS = [("ru-RU", "light", "phone"), ("ru-RU", "dark", "desk"), ("en-GB", "light", "desk"), ("en-GB", "dark", "phone")]


@pytest.fixture
async def inside(tmp_path: Path) -> AsyncIterator[Rooms]:
    async with rooms(tmp_path) as made:
        made.bind()
        now = made.clock()
        made.status_now = busy(now)
        made.config = PortalSettings.model_validate(
            {"name": "main", "domain": "x.bitrix24.ru", "client_id": "local.1", "client_secret": "env:NONE",
             "public_url": "https://pbx.example.com", "fallback_user": "11"}
        )  # fmt: skip
        await many(made.database, 400, now - 60)
        await store(made.database, tmp_path, now - 50)
        row = Missed("main", "+79161110000", 1, "lane", 3, now - 7200, now - 60, "17", "11")
        steps = [InMenu(CALL, now - 48, MenuStep.KEY, "3"), InMenu(CALL, now - 47, MenuStep.RINGS, "3", "101")]

        async def work(conn: AsyncConnection) -> None:
            await missed.save(conn, row)
            await journal.append(conn, steps)

        await made.database.write(work)
        yield made


def conferring(stage: Stage) -> CardCall:
    """A call in which Ivanov talks."""
    now = time.time()
    people = [
        Person("1", "PJSIP/carrier-1", Role.CLIENT, Place.ROOM, now - 30, CLIENT),
        Person("2", "PJSIP/101-2", Role.MANAGER, Place.ROOM, now - 30, "101"),
    ]
    if stage is not Stage.TALK:
        place = Place.RINGING if stage is Stage.RING else Place.ROOM
        people.append(Person("3", "PJSIP/102-3", Role.THIRD, place, now - 5, "102"))
    room = Room("r" if stage is not Stage.TALK else "", stage, now - 5, tuple(people), music=stage is Stage.RING)
    talk = Consultation(CALL, "main", Direction.INCOMING, CLIENT, LINE, ("101",), room)
    return CardCall(CALL, "main", Employee("main", "11", "main", "101"), whole_call(now - 40)[0], talk)


async def alone(page: Page, inside: Rooms, what: str, user: int, language: str) -> None:
    """The application's page as in its frame, but for itself: axe and the whole picture."""
    frame = inside.opening(what, user, {"CALL_ID": "x", "PHONE_NUMBER": CLIENT}, language)
    fields = "".join(f"<input name='{name}' value='{value}'>" for name, value in frame.fields.items() if "'" not in value)
    await page.goto("about:blank")
    await page.set_content(f"<form method=post action='{frame.action}'>{fields}</form>")
    async with page.expect_navigation():
        await page.evaluate("document.forms[0].submit()")
    await expect(page.locator("body")).to_have_attribute("data-session", "open")


@pytest.mark.parametrize("look", LOOKS, ids="-".join)
async def test_every_page_looks_right(inside: Rooms, browser: Browser, look: tuple[str, str, str]) -> None:
    language, theme, size = look
    width, height = SIZES[size]
    context = await browser.new_context(
        viewport={"width": width, "height": height}, locale=language, color_scheme="dark" if theme == "dark" else "light"
    )
    page = await context.new_page()
    complaints: list[str] = []
    faults: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))

    async def shown(what: str, name: str, user: int = IVANOV) -> None:
        await alone(page, inside, what, user, language[:2])
        faults.extend(await looked_at(page, f"embed-{name}", look))

    await shown("app", "app-admin", 1)
    await shown("app", "app-own")
    await shown("analytics", "analytics")
    await shown("card", "card-unknown")
    for stage in (Stage.TALK, Stage.RING, Stage.ROOM):
        inside.card = conferring(stage)
        await shown("card", f"card-{stage.value}")
    await page.locator("#do-add").click()
    await page.locator("#who").fill("1")
    await expect(page.locator("#people .choice").first).to_be_visible()
    faults.extend(await looked_at(page, "embed-card-adding", look))
    await page.keyboard.press("Escape")
    await expect(page.locator("#do-add")).to_be_focused()
    assert not faults, "\n".join(faults)
    assert complaints == []
    await context.close()


async def test_they_open_in_the_portals_frames_and_in_no_other(inside: Rooms, browser: Browser) -> None:
    page = await browser.new_page(locale="en-GB", viewport={"width": 1200, "height": 900})
    call = desk.own_call(inside.portal.state, IVANOV, CLIENT, LINE)
    inside.card = conferring(Stage.TALK)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    await page.goto(f"{inside.portal.url}/inside/card?user={IVANOV}&call={call.id}&lang=en")
    card = page.frame_locator("iframe")
    await expect(card.get_by_role("button", name="Add")).to_be_visible()
    await expect(card.get_by_text("Анна Петрова").first).to_be_visible()
    await page.goto(f"{inside.portal.url}/inside/report?user={IVANOV}&lang=en")
    report = page.frame_locator("iframe")
    await expect(report.get_by_role("heading", name="By day")).to_be_visible()
    await report.get_by_role("button", name="30 days").click()
    await expect(report.get_by_role("button", name="30 days")).to_have_attribute("aria-current", "true")
    async with page.expect_download() as download:
        await report.get_by_role("button", name="CSV").click()
    assert (await download.value).suggested_filename == "missed.csv"
    await page.goto(f"{inside.portal.url}/inside/app?user=1&lang=en")
    await expect(page.frame_locator("iframe").get_by_role("heading", name="Telephony of this portal")).to_be_visible()
    assert complaints == []
    # The same page of the portal at another address: there ours is not shown.
    asked = asyncio.Event()
    for event in ("response", "requestfailed"):
        page.on(event, lambda told: asked.set() if "/bitrix24/main/app" in told.url else None)
    await page.goto(f"{inside.portal.control_url}/inside/app?user=1&lang=en")
    await asyncio.wait_for(asked.wait(), 10)
    await expect(page.locator("iframe")).to_be_visible()
    assert "Telephony" not in await page.frames[1].content()
    assert any("frame-ancestors" in told for told in complaints), complaints
    await page.close()
