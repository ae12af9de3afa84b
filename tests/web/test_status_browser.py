"""The status page in a real browser: it keeps itself fresh, says when the service is gone, and runs nothing foreign."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Mapping

import pytest
import uvicorn
from playwright.async_api import Browser, Page, expect

from perezvon.web import CallRow, Received, Status, create_app

pytestmark = pytest.mark.browser


class Service:
    def __init__(self) -> None:
        self.calls: tuple[CallRow, ...] = ()

    async def status(self) -> Status:
        now = time.time()
        return Status("0.1.0", now, now - 60, calls=self.calls)

    async def event(self, portal: str, body: bytes, content_type: str) -> Received:
        return Received.ACCEPTED

    async def robot(self, portal: str, body: bytes, content_type: str) -> Received:
        return Received.ACCEPTED

    async def install(self, portal: str, query: Mapping[str, str], body: bytes, content_type: str) -> Received:
        return Received.ACCEPTED


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    page = await browser.new_page(locale="ru-RU")
    yield page


async def test_the_page_keeps_itself_fresh_and_says_when_it_is_stale(page: Page) -> None:
    service = Service()
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    server = uvicorn.Server(uvicorn.Config(create_app(service, service), log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    await page.goto(f"http://127.0.0.1:{sock.getsockname()[1]}/")
    await expect(page.get_by_text("Звонков ещё не было.", exact=True)).to_be_visible()
    await expect(page.get_by_role("heading", name="Последние звонки")).to_be_visible()

    hostile = "<img src=x onerror=document.title='owned'>"
    service.calls = (CallRow("c", "main", time.time(), "incoming", hostile, outcome="missed", ended=time.time()),)
    await expect(page.get_by_text(hostile)).to_be_visible(timeout=15_000)
    await expect(page.get_by_text("пропущен", exact=True)).to_be_visible()
    assert await page.title() == "Состояние · Perezvon"
    assert complaints == []

    server.should_exit = True
    await asyncio.wait([serving])
    await expect(page.locator("body.stale")).to_be_visible(timeout=15_000)
