"""The portal's page in a real browser: cards that pop up and go, a player that plays, clicks that dial, names that stay names.

Screenshots go to `test-results/` in the repository.
"""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import Browser, ConsoleMessage, Page, expect
from portal_client import Rest
from sound import mp3

from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.portal.face import face_routes

pytestmark = pytest.mark.browser

Json = Any
HOSTILE = '<img src=x onerror="window.hacked=1">\'"></b><script>window.hacked=1</script>😀'
KNOWN_CONTACT = "+79165550011"
expect.set_options(timeout=15_000)
SHOTS = Path(__file__).resolve().parents[3] / "test-results" / "portal"


class OutsideWorld:
    """Notes what the page asks for; `phones` and `calls` are what it tells."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Json]] = []
        self.phones: list[Json] = [{"extension": "101", "behaviour": "answer", "busy": False}]
        self.calls: list[Json] = []

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_get("/phones", self._phones)
        application.router.add_post("/{path:.*}", self._note)
        return application

    async def _phones(self, request: web.Request) -> web.Response:
        del request
        return web.json_response(
            {"phones": self.phones, "calls": self.calls, "lines": [{"number": "+74951234567", "title": "Продажи"}]}
        )

    async def _note(self, request: web.Request) -> web.Response:
        self.asked.append((request.path, await request.json()))
        if request.path == "/call":
            self.calls.append({"from": "79161234567", "to": "74951234567", "alive": True, "talking": False})
        return web.json_response({})


@pytest.fixture
async def world() -> AsyncIterator[tuple[OutsideWorld, str]]:
    outside = OutsideWorld()
    runner = web.AppRunner(outside.application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield outside, f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
async def portal(portal_config: PortalConfig, world: tuple[OutsideWorld, str]) -> AsyncIterator[PortalServer]:
    async with PortalServer(portal_config, face=face_routes(world_url=world[1])) as server:
        yield server


@pytest.fixture
async def page(browser: Browser, portal: PortalServer) -> AsyncIterator[Page]:
    """The page, open and fed. A script error, or anything the page's policy had to stop, fails the test."""
    context = await browser.new_context(viewport={"width": 1440, "height": 1000}, locale="ru-RU")
    page = await context.new_page()
    problems: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and "ERR_" not in message.text and "status of" not in message.text:
            problems.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: problems.append(str(error)))
    await page.goto(portal.url + "/")
    await expect(page.locator("#live")).to_have_attribute("data-state", "open")
    await expect(page.locator(".screen").first).to_be_visible()
    yield page
    await context.close()
    assert problems == []


async def register(app: Rest, **params: Json) -> str:
    given = {"USER_ID": 12, "PHONE_NUMBER": KNOWN_CONTACT, "TYPE": 2} | params
    return (await app.call("telephony.externalCall.register", **given))["CALL_ID"]


async def shoot(page: Page, name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=SHOTS / f"{name}.png", full_page=True)


async def test_a_card_pops_up_where_it_is_shown_and_goes_when_hidden(app: Rest, page: Page) -> None:
    await app.call("telephony.externalLine.add", NUMBER="+74951234567", NAME="Отдел продаж")
    call = await register(app, LINE_NUMBER="+74951234567")
    card = page.locator('.screen[data-user="12"] .card')
    await expect(card.locator(".card-name")).to_have_text("Мария Клиентова")
    await expect(card.locator(".number")).to_have_text("+7 916 555-00-11")
    await expect(card).to_contain_text("Входящий")
    await expect(card).to_contain_text("Отдел продаж")
    await expect(page.locator(".card")).to_have_count(1)

    await app.call("telephony.externalCall.show", CALL_ID=call, USER_ID=[11, 13])
    await expect(page.locator(".card")).to_have_count(3)
    await expect(card.locator(".timer")).to_have_text(re.compile(r"0:0[1-9]"))
    await shoot(page, "ringing")
    await app.call("telephony.externalCall.hide", CALL_ID=call, USER_ID=[11, 13])
    await expect(page.locator(".card")).to_have_count(1)
    await app.call("telephony.externalCall.finish", CALL_ID=call, USER_ID=12, DURATION=5)
    await expect(page.locator(".card")).to_have_count(0)


async def test_an_employee_closes_his_card(app: Rest, page: Page) -> None:
    call = await register(app)
    await page.locator(f'.card[data-call="{call}"]').get_by_role("button", name="Закрыть карточку").click()
    await expect(page.locator(".card")).to_have_count(0)


async def test_a_finished_call_can_be_listened_to(app: Rest, page: Page) -> None:
    call = await register(app, PHONE_NUMBER="+79161234567", SHOW=0)
    row = page.locator(f'#calls tr[data-call="{call}"]')
    await expect(row).to_contain_text("идёт")
    await app.call("telephony.externalCall.finish", CALL_ID=call, USER_ID=13, DURATION=65)
    await expect(row).to_contain_text("1:05")
    await expect(row).to_contain_text("Пётр Сидоров")
    content = base64.b64encode(mp3(2)).decode()
    await app.call("telephony.externalCall.attachRecord", CALL_ID=call, FILENAME="talk.mp3", FILE_CONTENT=content)
    audio = row.locator("audio")
    await expect(audio).to_be_visible()
    length = await audio.evaluate(
        "a => a.readyState ? a.duration : new Promise(done => a.addEventListener('loadedmetadata', () => done(a.duration)))"
    )
    assert length == pytest.approx(2, abs=0.3)
    played = await audio.evaluate(
        "async a => { a.muted = true; await a.play(); await new Promise(d => a.addEventListener('timeupdate', d, {once: true}));"
        " a.dataset.mark = 'same'; return a.currentTime; }"
    )
    assert played >= 0
    await register(app, PHONE_NUMBER="+79031112233")
    await expect(page.locator("#calls tbody tr")).to_have_count(2)
    await expect(audio).to_have_attribute("data-mark", "same")
    await shoot(page, "journal")


async def test_what_the_activity_tells_can_be_read(app: Rest, page: Page) -> None:
    call = await register(app, PHONE_NUMBER="+79161234567", SHOW=0, CRM_CREATE=1)
    done = await app.call("telephony.externalCall.finish", CALL_ID=call, USER_ID=13, DURATION=65)
    row = page.locator(f'#calls tr[data-call="{call}"]')
    await expect(row).to_contain_text("1:05")
    await expect(row.locator("details")).to_have_count(0)
    await app.call("crm.activity.update", id=done["CRM_ACTIVITY_ID"], fields={"DESCRIPTION": "нажато <b>2</b>\nдальше"})
    await row.get_by_text("Текст дела").click()
    await expect(row.locator(".described")).to_have_text("нажато <b>2</b>\nдальше")


@pytest.mark.parametrize(("duration", "status", "words"), [(0, "304", "пропущен"), (30, "200", "входящий")])
async def test_how_an_incoming_call_ended(app: Rest, page: Page, duration: int, status: str, words: str) -> None:
    call = await register(app)
    await app.call("telephony.externalCall.finish", CALL_ID=call, USER_ID=12, DURATION=duration, STATUS_CODE=status)
    await expect(page.locator(f'#calls tr[data-call="{call}"] .kind')).to_have_text(words)


async def test_a_click_on_a_number_reaches_the_application(app: Rest, page: Page) -> None:
    await app.call("event.bind", event="ONEXTERNALCALLSTART", event_type="offline")
    await page.locator("#click-user").select_option("13")
    await page.locator("#click-number").fill("+7 (916) 123-45-67")
    await page.get_by_role("button", name="Позвонить клиенту").click()
    card = page.locator('.screen[data-user="13"] .card')
    await expect(card).to_contain_text("Исходящий")
    (event,) = (await app.call("event.offline.get"))["events"]
    started = event["EVENT_DATA"]
    assert (started["USER_ID"], started["PHONE_NUMBER"]) == ("13", "+79161234567")
    await app.call("telephony.externalCall.finish", CALL_ID=started["CALL_ID"], USER_ID=13, DURATION=0, STATUS_CODE="486")
    await expect(card).to_have_count(0)

    await page.locator(f'#calls tr[data-call="{started["CALL_ID"]}"] .number').click()
    await expect(card).to_contain_text("+7 916 123-45-67")
    (again,) = (await app.call("event.offline.get"))["events"]
    assert again["EVENT_DATA"]["CALL_ID"] != started["CALL_ID"]


async def test_hostile_texts_stay_texts(app: Rest, page: Page, portal: PortalServer) -> None:
    portal.state.people.users[11].position = HOSTILE
    await app.call("telephony.externalLine.add", NUMBER="+74951234567", NAME=HOSTILE[:40])
    await app.call("crm.contact.add", fields={"NAME": HOSTILE, "PHONE": [{"VALUE": "+79169998877"}]})
    await app.call("crm.lead.add", fields={"TITLE": HOSTILE, "NAME": HOSTILE, "PHONE": [{"VALUE": HOSTILE}]})
    await app.call("tasks.task.add", fields={"TITLE": HOSTILE, "DESCRIPTION": HOSTILE, "RESPONSIBLE_ID": 12})
    await app.call("im.message.add", DIALOG_ID="12", MESSAGE=HOSTILE)
    call = await register(app, PHONE_NUMBER="+79169998877", USER_ID=11, LINE_NUMBER="+74951234567")
    await expect(page.locator('.screen[data-user="11"] .card-name')).to_have_text(HOSTILE)
    await app.call("telephony.externalCall.finish", CALL_ID=call, USER_ID=11, DURATION=0, FAILED_REASON=HOSTILE)
    await expect(page.locator(f'#calls tr[data-call="{call}"] b')).to_have_text(HOSTILE)
    await expect(page.locator("#tasks .item b")).to_have_text(HOSTILE)
    await expect(page.locator("#chats .said").last).to_contain_text(HOSTILE)
    await expect(page.locator("#leads .item b").first).to_have_text(HOSTILE)
    assert await page.evaluate("window.hacked") is None
    assert await page.locator("img").count() == 1, "the bell, and nothing out of a caller's name"
    assert await page.locator("main script").count() == 0
    await shoot(page, "hostile")


async def test_faults_are_switched_on_seen_and_mended(app: Rest, page: Page, portal: PortalServer) -> None:
    await page.get_by_role("button", name="503 на 10 с").click()
    await expect(page.locator("#fault-chip")).to_have_text("503 на 10 с")
    assert (await app.refused("server.time")).http == 503
    await page.get_by_role("button", name="Починить").click()
    await expect(page.locator("#fault-chip")).to_be_hidden()
    assert await app.call("server.time")
    await page.get_by_role("button", name="Токен истёк").click()
    await expect(page.locator(".toast")).to_contain_text("токены")
    assert (await app.refused("server.time")).code == "expired_token"


async def test_the_page_comes_back_after_an_outage(page: Page, portal: PortalServer) -> None:
    portal.outage(2.0)
    await expect(page.locator("#live")).to_have_attribute("data-state", "lost")
    await expect(page.locator("#live")).to_have_attribute("data-state", "open")
    portal.click(11, "+79161234567")
    await expect(page.locator('.screen[data-user="11"] .card')).to_have_count(1)


async def test_calls_are_placed_from_the_outside_world(page: Page, world: tuple[OutsideWorld, str]) -> None:
    outside, _ = world
    await page.locator('#world-call input[name="name"]').fill(HOSTILE)
    await page.get_by_role("button", name="Позвонить", exact=True).click()
    row = page.locator("#world-calls .row")
    await expect(row).to_contain_text("+7 916 123-45-67 → +7 495 123-45-67")
    await row.get_by_role("button", name="Положить").click()
    strip = page.locator('.screen[data-user="11"] .deskphone')
    await strip.locator("select").select_option("busy")
    outside.phones[0] = {"extension": "101", "behaviour": "ring", "busy": True}
    await strip.get_by_role("button", name="Ответить").click()
    await expect(strip.locator("select")).to_have_value("ring")
    assert outside.asked == [
        ("/call", {"from": "+79161234567", "to": "+74951234567", "name": HOSTILE}),
        ("/hangup", {"from": "79161234567"}),
        ("/phone/101", {"behaviour": "busy"}),
        ("/phone/101", {"behaviour": "pick_up"}),
    ]


@pytest.mark.parametrize(
    ("name", "scheme", "locale", "width", "heading"),
    [
        ("desktop-dark", "dark", "en-GB", 1440, "Employees' screens"),
        ("tablet-light", "light", "ru-RU", 1024, "Экраны сотрудников"),
        ("phone-dark", "dark", "ru-RU", 400, "Экраны сотрудников"),
    ],
)
async def test_it_fits_any_window(
    app: Rest, browser: Browser, portal: PortalServer, name: str, scheme: str, locale: str, width: int, heading: str
) -> None:
    for user, phone in ((11, "+79161112233"), (12, KNOWN_CONTACT)):
        await register(app, USER_ID=user, PHONE_NUMBER=phone, CRM_CREATE=1)
    context = await browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
        locale=locale,
    )
    page = await context.new_page()
    await page.goto(portal.url + "/")
    await expect(page.locator("#screens-title")).to_have_text(heading)
    await expect(page.locator(".card")).to_have_count(2)
    overflow = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0, "the page scrolls sideways"
    await shoot(page, name)
    await context.close()
