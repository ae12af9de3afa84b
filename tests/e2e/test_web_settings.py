"""A setting is changed on the page, and the next call follows it; undone, and the next call is as before."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, expect

from perezvon.sandbox.portal.calls import PortalCall
from perezvon.sandbox.portal.seed import IVANOV
from perezvon.sandbox.stand import Stand
from perezvon.sandbox.stories import nobody_rung

pytestmark = [pytest.mark.asterisk, pytest.mark.browser]

PASSWORD = "correct horse battery"


@pytest.fixture
async def page(office: Stand, browser: Browser) -> AsyncIterator[Page]:
    """Of the administrator who has just followed the link of the first start."""
    link = re.search(r"/welcome/[\w-]+", office.service.log.read_text(encoding="utf-8"))
    assert link is not None
    page = await browser.new_page(locale="en-GB")
    await page.goto(office.service.url + link[0])
    await page.locator('[name="login"]').fill("anna")
    await page.locator('[name="password"]').fill(PASSWORD)
    await page.locator('[name="again"]').fill(PASSWORD)
    await page.locator('main button[type="submit"]').click()
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    yield page


async def responsible_of_a_missed_call(office: Stand) -> int:
    before = len(office.portal.calls())
    await nobody_rung(office)

    def finished() -> PortalCall | None:
        calls = office.portal.calls()
        return calls[-1] if len(calls) > before and not calls[-1].live else None

    return int((await office.until(finished, "the new call is finished")).finish["user_id"])


async def test_the_next_call_follows_the_page_and_its_undo(office: Stand, page: Page) -> None:
    assert await responsible_of_a_missed_call(office) == 1
    await page.get_by_role("link", name="Settings").click()
    await page.get_by_role("link", name="Bitrix24").click()
    await page.get_by_label("Fall-back user").fill("somebody")
    await page.get_by_role("button", name="Look at the changes and save").click()
    await expect(page.get_by_text("must be the number of a portal user").first).to_be_visible()
    await page.get_by_label("Fall-back user").fill(str(IVANOV))
    await page.get_by_role("button", name="Look at the changes and save").click()
    await expect(page.locator(".changes tbody tr")).to_have_count(1)
    await page.get_by_label("Note for the history").fill("Ivanov looks after them")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Saved as version 2")).to_be_visible()
    assert await responsible_of_a_missed_call(office) == IVANOV

    await page.get_by_role("link", name="History and undo").click()
    await expect(page.get_by_text("Ivanov looks after them")).to_be_visible()
    await page.get_by_role("button", name="Undo this change").click()
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator(".version summary b").first).to_have_text("Version 3")
    assert await responsible_of_a_missed_call(office) == 1
