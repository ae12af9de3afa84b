"""Every page in a real browser: light and dark, Russian and English, on a telephone and on a desk; nothing that breaks the
policy, nothing that axe finds serious, nothing wider than the screen. The screenshots are to be looked at."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from looks import SIZES, looked_at, signed_in
from pages_server import PASSWORD, Pages, pages
from playwright.async_api import Browser, expect
from stored_calls import CALL, CLIENT, many, store

from perezvon.doctor import Check, State
from perezvon.rules.missed import Missed
from perezvon.rules.vocabulary import Reason
from perezvon.storage import missed
from perezvon.web import (
    CallRow,
    EventsStatus,
    PbxStatus,
    PortalStatus,
    QueueStatus,
    RecordingsStatus,
    SentStep,
    Status,
    Unmapped,
)
from perezvon.web.people import Actor
from perezvon.web.rights import Right, Role

pytestmark = pytest.mark.browser

LOOKS = [("ru-RU", "dark", "phone"), ("en-GB", "light", "desk")]
"""All the others: test_every_page_browser.py."""


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Pages]:
    async with pages(tmp_path / "data", tmp_path) as made:
        made.status_now = busy(made.clock())
        made.checks = [
            Check("a", "asterisk main", State.OK, Reason("fine")),
            Check(
                "b",
                "portal main",
                State.WARNING,
                Reason("slow"),
                Reason("look at the portal's plan and address in a browser"),
            ),
            Check(
                "c",
                "recordings",
                State.PROBLEM,
                Reason("bad"),
                Reason("look at the portal's plan and address in a browser"),
            ),
        ]
        yield made


@pytest.mark.parametrize("look", LOOKS, ids="-".join)
async def test_every_page_looks_right(served: Pages, browser: Browser, tmp_path: Path, look: tuple[str, str, str]) -> None:
    language, theme, size = look
    width, height = SIZES[size]
    complaints: list[str] = []
    faults: list[str] = []
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        locale=language,
        color_scheme="dark" if theme == "dark" else "light",
        bypass_csp=False,
    )
    page = await context.new_page()
    page.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))

    async def opened(path: str, name: str) -> None:
        await page.goto(served.url + path)
        faults.extend(await looked_at(page, name, look))

    await opened("/welcome/wrong", "welcome-wrong")
    complaints.clear()  # the browser tells of every 404
    _, link = await served.people.add("anna", "Анна Петрова", Role.ADMINISTRATOR, Actor("root", "command line"))
    await opened(f"/welcome/{link}", "welcome")
    await served.people.accept(link, PASSWORD, Actor("", "127.0.0.1"))
    await opened("/login", "login")
    for login, role, name in (("boris", Role.SUPERVISOR, "Борис"), ("vera.nablyudatel@example.ru", Role.OBSERVER, "")):
        await served.people.add(login, name, role, Actor("anna", "127.0.0.1"))
    await signed_in(served, context)
    await many(served.database, 60, served.clock())
    await store(served.database, tmp_path, served.clock() - 40)
    row = Missed("main", CLIENT, 1, "lane", 3, served.clock() - 7200, served.clock() - 60, "17", "11")
    await served.database.write(lambda conn: missed.save(conn, row))
    done = replace(row, client="+79160000003", lane="another", called_back=served.clock() - 60, closed=served.clock() - 60)
    await served.database.write(lambda conn: missed.save(conn, done))
    anna = (await served.people.everybody())[0]
    await served.people.make_token(anna, "Prometheus", [Right.STATUS], 365, Actor("anna", "127.0.0.1"))
    for path, name in (
        ("/", "status"), ("/account", "account"), ("/account/second-factor", "second-factor"), ("/people", "people"),
        (f"/people/{anna.id}", "person"), ("/audit", "audit"), ("/api", "api"), ("/calls", "calls"),
        ("/calls?client=999999999", "calls-none"), (f"/calls/{CALL}", "call"), ("/missed", "missed"),
    ):  # fmt: skip
        await opened(path, name)
    if size == "phone":
        await page.get_by_role("button", name=re.compile("Меню|Menu")).click()
        faults.extend(await looked_at(page, "menu", look))
    await page.goto(served.url + "/")
    await page.get_by_role("button", name=re.compile("доктор|doctor")).click()
    faults.extend(await looked_at(page, "doctor", look))
    assert not faults, "\n".join(faults)
    assert complaints == []
    await context.close()


async def test_filters_work_while_one_types_and_can_be_gone_back_from(
    served: Pages, browser: Browser, tmp_path: Path
) -> None:
    await served.person("anna")
    await many(served.database, 120, served.clock())
    await store(served.database, tmp_path, served.clock() - 40)
    context = await browser.new_context(locale="en-GB")
    await signed_in(served, context)
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    await page.goto(served.url + "/calls")
    rows = page.locator("#found tbody tr")
    await expect(rows).to_have_count(50)
    await page.get_by_role("link", name="Earlier calls").click()
    await expect(rows).to_have_count(50)
    await page.goto(served.url + "/calls")
    await page.get_by_label("Client").press_sequentially("8 916 123-45-67")
    await expect(rows).to_have_count(1)
    await expect(page).to_have_url(re.compile(r"client=8(\+|%20)916"))
    await page.get_by_label("Client").fill("")
    await page.get_by_label("Outcome").select_option("missed")
    await expect(rows).to_have_count(24)
    await page.go_back()
    await expect(rows).not_to_have_count(24)
    await page.goto(served.url + "/calls?client=9161234567")
    await rows.get_by_role("link").click()
    await expect(page.get_by_role("heading", name=CLIENT)).to_be_visible()
    await expect(page.get_by_text("101 Анна Петрова talks with the client")).to_be_visible()
    length = await page.locator("audio").evaluate(
        "a => a.readyState ? a.duration : new Promise(done => a.addEventListener('loadedmetadata', () => done(a.duration)))"
    )
    assert length > 0
    await page.locator("summary").first.click()
    await expect(page.get_by_text("externalCall.1")).to_be_visible()
    assert complaints == []
    await context.close()


async def test_everything_is_reached_with_the_keyboard(served: Pages, browser: Browser) -> None:
    context = await browser.new_context(locale="en-GB", viewport={"width": 380, "height": 780})
    await served.person("anna")
    await signed_in(served, context)
    page = await context.new_page()
    await page.goto(served.url + "/people")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.getElementById('main').contains(document.activeElement)")
    menu = page.get_by_role("button", name="Menu")
    await menu.focus()
    await page.keyboard.press("Enter")
    await expect(menu).to_have_attribute("aria-expanded", "true")
    await expect(page.get_by_role("link", name="People")).to_have_attribute("aria-current", "page")
    await page.keyboard.press("Escape")
    await expect(menu).to_have_attribute("aria-expanded", "false")
    await expect(menu).to_be_focused()
    await context.close()


async def test_a_new_password_is_weighed_and_can_be_shown(served: Pages, browser: Browser) -> None:
    _, link = await served.people.add("anna", "", Role.ADMINISTRATOR, Actor("root", "command line"))
    page = await (await browser.new_context(locale="en-GB")).new_page()
    await page.goto(f"{served.url}/welcome/{link}")
    field = page.get_by_label("Password", exact=True)
    weight = page.locator("meter")
    for typed, level in (("short", 1), ("vier zebras und", 2), ("vier zebras und ein altes fahrrad", 4)):
        await field.fill(typed)
        assert await weight.evaluate("meter => meter.value") == level, typed
    await expect(field).to_have_attribute("type", "password")
    await expect(field).to_have_attribute("autocomplete", "new-password")
    await page.get_by_label("Show what I type").check()
    await expect(field).to_have_attribute("type", "text")
    await expect(page.get_by_label("The same once more")).to_have_attribute("type", "text")
    await page.context.close()


async def test_light_and_dark_follow_the_system_until_one_chooses(served: Pages, browser: Browser) -> None:
    context = await browser.new_context(locale="en-GB", color_scheme="dark")
    page = await context.new_page()
    await page.goto(served.url + "/")
    root = page.locator("html")
    await expect(root).to_have_attribute("data-bs-theme", "dark")
    await page.emulate_media(color_scheme="light")
    await expect(root).to_have_attribute("data-bs-theme", "light")
    await page.get_by_role("link", name="Dark", exact=True).click()
    await expect(root).to_have_attribute("data-bs-theme", "dark")
    await page.get_by_role("link", name="RU Русский").click()
    await expect(page.get_by_role("heading", name="Состояние")).to_be_visible()
    await page.reload()
    await expect(root).to_have_attribute("data-bs-theme", "dark")
    await expect(root).to_have_attribute("lang", "ru")
    await context.close()


def busy(now: float) -> Status:
    """A company in the middle of its day."""
    sent = tuple(SentStep(kind, "done") for kind in ("register", "show", "finish", "attach_record"))
    dead = SentStep("crm", "dead", Reason("fine"), "ACCESS_DENIED: no right to change leads")
    call = CallRow(
        "c1", "main", now - 60, "incoming", "+79161234567", "+74951234567", now - 10, "answered", 42.0, "101 Анна", sent
    )
    return Status(
        version="0.1.0",
        now=now,
        started=now - 90_000,
        settings=3,
        pbxs=(
            PbxStatus("main", "live", now - 3000, "tcp://perezvon@127.0.0.1:5038", "22.10.1", 2, 1, now - 1),
            PbxStatus("склад", "waiting", now - 60, "tcp://perezvon@10.0.0.2:5038", last_error="10.0.0.2:5038: connection refused"),
        ),
        portals=(
            PortalStatus(
                "main", "ready", now - 3000, host="example.bitrix24.ru", way="application",
                queue=(QueueStatus("cards", 0), QueueStatus("finish", 2)), oldest=now - 3, tokens=31.0, burst=50.0,
                events=EventsStatus("offline", now - 2), employees=17, refreshed=now - 100, requests=321, last_success=now - 5,
            ),
        ),
        recordings=RecordingsStatus(waiting=1, done=1532, failed=1, last_error="no space left"),
        calls=(
            replace(call, id="c0", ended=None, outcome="", duration=0.0, sent=sent[:2]),
            call,
            replace(call, id="c2", direction="outgoing", outcome="busy", duration=0.0, sent=(*sent[:1], dead), line=""),
            replace(call, id="c3", outcome="missed", duration=0.0, responsible="", client=""),
        ),
        unmapped=(Unmapped("main", "105", 4, now - 9),),
        versions={"Asterisk main": "22.10.1", "Python": "3.11.7"},
    )  # fmt: skip
