"""The tab in the card of a call, in the portal's own page in a browser, over a real call: its buttons bring a third person
into the call, and send him away again."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, FrameLocator, expect
from talks import Answers, Steps, Talk

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal import PortalConfig, PortalServer, desk
from perezvon.sandbox.portal.calls import PortalCall
from perezvon.sandbox.portal.face import face_routes
from perezvon.sandbox.portal.seed import IVANOV, KUZNETSOVA, PETROVA, SIDOROV
from perezvon.sandbox.stand import Stand, stand

pytestmark = [pytest.mark.asterisk, pytest.mark.browser, pytest.mark.timeout(120)]

SHOTS = Path(__file__).resolve().parents[2] / "test-results" / "embed"
MORE = """
[agi]
bind = "{agi}"
[conference]
database = "sqlite:///{codes}"
ring = 6
"""


@pytest.fixture(scope="module")
async def office(pbx_session: PbxSandbox, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    codes = tmp_path_factory.mktemp("company") / "codes.sqlite"
    with sqlite3.connect(codes) as conn:
        conn.execute("CREATE TABLE sAsterisk_prefix (pref TEXT, phone TEXT)")
        conn.execute("INSERT INTO sAsterisk_prefix VALUES ('421', '79170004240')")
    more = MORE.format(agi=pbx_session.agi_bind, codes=codes)
    async with (
        PortalServer(PortalConfig(rate=None), face=face_routes()) as portal,
        stand(pbx_session, portal, tmp_path_factory.mktemp("perezvon"), more=more) as whole,
    ):
        await whole.service.until(lambda status: status["dialplan"]["listens"], "answers the dialplan")
        yield whole
        await pbx_session.world.reset()


def bound(office: Stand) -> bool | None:
    return {row["placement"] for row in office.portal.state.placements} >= {"CALL_CARD", "LEFT_MENU"} or None


async def test_a_third_is_brought_into_the_call_from_the_card(office: Stand, pbx: PbxSandbox, browser: Browser) -> None:
    await office.until(lambda: bound(office), "our places are bound")
    async with Steps(pbx).following() as steps:
        talk = Talk(pbx, steps, Answers(), True, 42)
        assert (talk.code("third"), talk.number_of("third")) == ("421", "79170004240")
        page = await browser.new_page(viewport={"width": 1100, "height": 900}, locale="ru-RU")
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        try:
            await talk.begin()
            number = "+" + talk.number_of("client")
            call = desk.own_call(office.portal.state, IVANOV, number, "+74951234567")
            await page.goto(f"{office.portal.url}/inside/card?user={IVANOV}&call={call.id}&lang=ru")
            card = page.frame_locator("iframe")
            await expect(card.get_by_role("heading", name=re.compile(re.escape(number)))).to_be_visible()
            SHOTS.mkdir(parents=True, exist_ok=True)
            await page.screenshot(path=SHOTS / "card-talk.png")
            third = pbx.world.number(talk.number_of("third"))
            await third.rings()
            await card.get_by_role("button", name="Добавить").click()
            await card.get_by_label(re.compile("код")).fill("421")
            await expect(card.get_by_role("button", name=re.compile("Код 421"))).to_be_visible()
            await page.screenshot(path=SHOTS / "card-add.png")
            await card.get_by_role("button", name=re.compile("Код 421")).click()
            leg = talk.legs["third"] = await third.ringing()
            await expect(card.get_by_role("button", name="Вернуться к клиенту")).to_be_visible()
            await page.screenshot(path=SHOTS / "card-ring.png")
            await leg.answer()
            await leg.talking(to=talk.legs["manager"])
            await card.get_by_role("button", name="Соединить всех").click()
            await talk.parties("client", "manager", "third")
            drop = card.get_by_role("button", name=re.compile("Отключить"))
            await expect(drop).to_have_count(1)
            await talk.listen(1.2, client="manager third", manager="client third", third="client manager")
            await page.screenshot(path=SHOTS / "card-room.png")
            await drop.click()
            await talk.parties("client", "manager")
            await expect(drop).to_have_count(0)
            await talk.listen(1.2, client="manager", manager="client")
            await page.screenshot(path=SHOTS / "card-dropped.png")
            await talk.legs["client"].hangup()
            await talk.over()
            await expect(card.get_by_text("звонок завершён", exact=True)).to_be_visible()
            await page.goto(f"{office.portal.url}/inside/app?user=1&lang=ru")
            await expect(
                page.frame_locator("iframe").get_by_role("heading", name="Телефония этого портала")
            ).to_be_visible()
            await page.goto(f"{office.portal.url}/inside/report?user=1&lang=ru")
            await expect(page.frame_locator("iframe").get_by_text("не пропущено ни одного")).to_be_visible()
        finally:
            await talk.clear()
            await page.close()
    assert talk.differences() == []
    assert complaints == []


async def test_the_card_that_we_have_shown_is_of_those_to_whom_it_was_shown(office: Stand, browser: Browser) -> None:
    world = office.pbx.world
    await world.reset()
    for extension in ("101", "102", "103"):
        await world.phone(extension).rings()
    page = await browser.new_page(viewport={"width": 1100, "height": 900}, locale="en-GB")

    async def look(user: int) -> FrameLocator:
        await page.goto(f"{office.portal.url}/inside/card?user={user}&call={call.id}&lang=en")
        return page.frame_locator("iframe")

    try:
        await world.call(frm="79165550077", to="74951234567")
        desk = await world.phone("102").ringing()

        def carded() -> PortalCall | None:
            found = next((one for one in office.portal.calls() if one.live and one.phone == "+79165550077"), None)
            return found if found is not None and found.card_of(PETROVA) is not None else None

        call = await office.until(carded, "the card is shown")
        card = await look(PETROVA)
        await expect(card.get_by_text("The buttons appear as soon as you talk")).to_be_visible()
        await desk.answer()
        await expect(card.get_by_role("button", name="Hold")).to_be_visible()
        await expect(card.get_by_text("Петрова").first).to_be_visible()
        card = await look(SIDOROV)  # his telephone has rung
        await expect(card.get_by_text("there is nothing for you to press")).to_be_visible()
        await expect(card.get_by_role("button", name="Hold")).to_have_count(0)
        card = await look(KUZNETSOVA)  # hers has not
        await expect(card.get_by_text("or it is not yours")).to_be_visible()
        await desk.hangup()
    finally:
        await page.close()
        await world.reset()
