"""The live board, deliveries, missed clients and the page of a call in a real browser; what the board does when the
connection is lost. The screenshots are to be looked at."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from looks import SIZES, looked_at, signed_in
from pages_server import Pages, pages
from paper_switchroom import PaperRoom, row
from playwright.async_api import Browser, Page, expect
from stored_calls import CALL, CLIENT, store

from perezvon.calls.watching import Stage
from perezvon.rules import Decision, Reason
from perezvon.rules.missed import Missed
from perezvon.rules.vocabulary import Kind, Priority, StepDraft
from perezvon.storage import lanes, missed
from perezvon.storage.pauses import Pause
from perezvon.web.live import Who
from perezvon.web.switchroom import Sending

pytestmark = pytest.mark.browser

SHOTS = Path(__file__).resolve().parents[2] / "test-results" / "live"
LOOKS = [("ru-RU", "dark", "phone"), ("en-GB", "light", "desk")]
"""All the others: test_every_page_browser.py."""


@pytest.fixture
def room() -> PaperRoom:
    return PaperRoom()


@pytest.fixture
async def served(tmp_path: Path, room: PaperRoom) -> AsyncIterator[Pages]:
    async with pages(tmp_path / "data", tmp_path, room) as made:
        await made.person("anna", name="Анна Петрова")
        yield made


async def opened(served: Pages, browser: Browser, look: tuple[str, str, str]) -> Page:
    """A page of somebody who has signed in."""
    language, theme, size = look
    width, height = SIZES[size]
    scheme = "dark" if theme == "dark" else "light"
    context = await browser.new_context(viewport={"width": width, "height": height}, locale=language, color_scheme=scheme)
    await signed_in(served, context)
    return await context.new_page()


@pytest.mark.parametrize("look", LOOKS, ids="-".join)
async def test_the_pages_look_right(
    room: PaperRoom, served: Pages, browser: Browser, tmp_path: Path, look: tuple[str, str, str]
) -> None:
    now = time.time()
    await store(served.database, tmp_path, now - 200)
    waits = [StepDraft(f"w{n}", Kind.FINISH, {}, Priority.FINISH, Reason("the call is over")) for n in range(3)]
    await served.database.write(lambda conn: lanes.append(conn, "main", "missed:main:+79160000001", waits, now - 90))
    one = Missed("main", CLIENT, 1, "lane", 3, now - 7200, now - 60, "17", "11")
    for client in (CLIENT, "+79160000002"):
        await served.database.write(lambda conn, client=client: missed.save(conn, replace(one, client=client, lane=client)))
    room.foretold = [Decision(Reason("{x}", {"x": "something else"}))]
    room.rows = [
        row("main-5", Stage.RINGING, now - 7, ringing=tuple(Who(str(n), "Анна Петрова" * (n % 2), now) for n in range(101, 106))),
        row("main-4", Stage.TALK, now - 65, client="+79035550101", client_name=""),
        row("main-3", Stage.HOLD, now - 3700, client="", client_name="", talking=(Who("103", "Вера", now - 600),)),
        row("main-2", Stage.CONFERENCE, now - 200, direction="outgoing", talking=(Who("102", "Борис"), Who("+79261112233"))),
        row("main-1", Stage.WAITING, now - 12, queue="sales", client_name="\u202e" + "Очень длинное имя " * 20),
    ]  # fmt: skip
    room.sendings = [
        Sending("main", "unreachable", "NotSent: cannot connect", Reason("look at the portal's plan and address in a browser"),
                queued={10: 3}, oldest=95.0, dead=1),
        Sending("second", "ready", pause=Pause("anna", now - 600)),
    ]  # fmt: skip
    faults: list[str] = []
    complaints: list[str] = []
    page = await opened(served, browser, look)
    page.on("console", lambda told: complaints.append(told.text) if told.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto(f"{served.url}/live")
    await expect(page.locator("#link")).to_have_attribute("data-state", "connected")
    await expect(page.locator("#board > li")).to_have_count(5)
    await expect(page.locator("li.hold .whole .count")).to_have_text(re.compile(r"1:0[12]:\d\d"))
    faults += await looked_at(page, "live", look, SHOTS)
    for path, name in (("/deliveries", "deliveries"), ("/missed", "missed")):
        await page.goto(served.url + path)
        faults += await looked_at(page, name, look, SHOTS)
    await page.goto(f"{served.url}/calls/{CALL}")
    await expect(page.locator(".waveform")).to_be_visible()
    await page.locator("#what-if-answer .btn").click()
    await expect(page.locator("#what-if-answer ol")).to_be_visible()
    faults += await looked_at(page, "call", look, SHOTS)
    assert not faults, "\n".join(faults)
    assert not complaints


async def test_the_board_says_when_the_connection_is_lost_and_comes_back(
    room: PaperRoom, served: Pages, browser: Browser
) -> None:
    page = await opened(served, browser, LOOKS[0])
    await page.goto(f"{served.url}/live")
    await expect(page.locator("#link")).to_have_attribute("data-state", "connected")
    room.show(row("main-1"))
    await expect(page.locator("#board > li")).to_have_count(1)
    await page.context.set_offline(True)
    room.looking.close()  # the service stops: streams end
    await expect(page.locator("#link")).to_have_attribute("data-state", "lost")
    await expect(page.locator("#link")).to_contain_text("Связь потеряна")
    await page.screenshot(path=SHOTS / "lost.png")
    room.__post_init__()
    room.show(row("main-2", Stage.TALK))
    await page.context.set_offline(False)
    await expect(page.locator("#link")).to_have_attribute("data-state", "connected")
    await expect(page.locator('#board > li[data-id="main-2"]')).to_be_visible()
    await expect(page.locator("#board > li")).to_have_count(1)
