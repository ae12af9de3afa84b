"""The wizard in a real browser, as it looks: the way through it with a real PBX is in e2e/test_web_wizard.py."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from looks import SIZES, looked_at, signed_in
from pages_server import Pages, pages
from playwright.async_api import Browser, expect
from setup_office import PaperSetup
from test_pages_browser import busy

from perezvon.settings.load import parse
from perezvon.web.rights import Role

pytestmark = pytest.mark.browser

LOOKS = [("ru-RU", "dark", "phone"), ("en-GB", "light", "desk")]
"""The other ones differ in nothing that the pages of test_pages_browser.py do not show."""

SETTINGS = """
[[asterisk]]
name = "main"
ami = "tcp://perezvon:secret@127.0.0.1:1"

[[line]]
number = "+74951234567"
name = "Магазин"
"""


@pytest.fixture
async def desk() -> AsyncIterator[list[PaperSetup]]:
    yield []


@pytest.fixture
async def served(tmp_path: Path, desk: list[PaperSetup]) -> AsyncIterator[Pages]:
    def made(served: Pages, box: object) -> PaperSetup:
        desk.append(PaperSetup(served, box))  # type: ignore[arg-type]
        return desk[0]

    async with pages(tmp_path / "data", tmp_path, setup=made) as server:
        yield server


@pytest.mark.parametrize("look", LOOKS, ids="-".join)
async def test_every_step_looks_right(
    served: Pages, desk: list[PaperSetup], browser: Browser, look: tuple[str, str, str]
) -> None:
    language, theme, size = look
    width, height = SIZES[size]
    faults: list[str] = []
    complaints: list[str] = []
    await served.person("anna", Role.ADMINISTRATOR, "Анна Петрова")
    context = await browser.new_context(
        viewport={"width": width, "height": height}, locale=language, color_scheme="dark" if theme == "dark" else "light"
    )
    await signed_in(served, context)
    page = await context.new_page()
    page.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)

    async def opened(path: str, name: str) -> None:
        await page.goto(served.url + path)
        if path == "/setup/asterisk":
            await expect(page.locator("#found .checks")).to_be_visible()
        await expect(page.get_by_text(re.compile("Looking|Ищем|Просматриваем"))).to_have_count(0)
        faults.extend(await looked_at(page, name, look))

    for path, name in (("/", "setup-status"), ("/setup", "setup"), ("/setup/asterisk", "setup-asterisk")):
        await opened(path, name)
    await desk[0].store.merge(parse(SETTINGS), "anna")
    served.status_now = busy(served.clock())
    desk[0].works = desk[0].peopled = True
    desk[0].portal_state = "waiting for installation"
    for path, name in (
        ("/setup/asterisk", "setup-asterisk-works"), ("/setup/portal", "setup-portal"), ("/setup/people", "setup-people"),
        ("/setup/lines", "setup-lines"), ("/setup/recordings", "setup-recordings"), ("/setup/call", "setup-call"),
    ):  # fmt: skip
        await opened(path, name)
    desk[0].portal_state = "ready"
    await opened("/setup/portal", "setup-portal-ready")
    served.status_now = replace(served.status_now, calls=())
    await opened("/setup/call", "setup-call-waiting")
    assert not faults, "\n".join(faults)
    assert complaints == []
    await context.close()
