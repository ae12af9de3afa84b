"""The settings in a real browser: how they look, and what only a browser does (rows, orders, unsaved changes)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pages_server import Pages, pages
from playwright.async_api import Browser, Page, expect
from test_pages_browser import SIZES, browser, looked_at, signed_in, with_axe  # noqa: F401  browser: a fixture
from test_settings_pages import TOML

from perezvon.settings.load import parse, settings_from

pytestmark = pytest.mark.browser

LOOKS = [
    ("ru-RU", "light", "phone"),
    ("ru-RU", "dark", "desk"),
    ("en-GB", "light", "desk"),
    ("en-GB", "dark", "phone"),
]
PATHS = (
    ("", "settings"),
    ("?q=url", "settings-search"),
    ("/pbx", "settings-pbx"),
    ("/lines", "settings-lines"),
    ("/calls", "settings-calls"),
    ("/crm", "settings-crm"),
    ("/autoconnect", "settings-autoconnect"),
    ("/working-time", "settings-working-time"),
    ("/numbers", "settings-numbers"),
    ("/dialplan", "settings-dialplan"),
    ("/history", "settings-history"),
    ("/files", "settings-files"),
)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Pages]:
    async with pages(tmp_path / "data", tmp_path) as made:
        await made.store.apply(settings_from(parse(TOML)), "root", "perezvon config apply")
        await made.store.merge({"calls": {"responsible": "first", "describe": False}}, "anna", "Отчёт по первому")
        await made.person("anna", name="Анна Петрова")
        yield made


@pytest.mark.parametrize("look", LOOKS, ids="-".join)
async def test_the_settings_look_right(served: Pages, browser: Browser, look: tuple[str, str, str]) -> None:  # noqa: F811
    language, theme, size = look
    width, height = SIZES[size]
    complaints: list[str] = []
    faults: list[str] = []
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        locale=language,
        color_scheme="dark" if theme == "dark" else "light",
    )
    await signed_in(served, context)
    page = await context.new_page()
    page.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))

    async def look_at(name: str) -> None:
        await with_axe(page)
        faults.extend(await looked_at(page, name, look))

    for path, name in PATHS:
        await page.goto(f"{served.url}/settings{path}")
        await look_at(name)
    await page.goto(f"{served.url}/settings/calls")
    await page.locator('[name="calls.card_expires"]').fill("45")
    await page.locator('[name="calls.show_card"][role="switch"]').uncheck()
    await page.locator(".save-bar button").click()
    await look_at("settings-review")
    assert complaints == []
    await page.goto(f"{served.url}/settings/lines")
    await page.locator('[name="line.0.number"]').fill("")
    await page.locator('[name="line.0.recordings"]').select_option("link")
    await page.locator(".save-bar button").click()
    await look_at("settings-mistakes")
    assert not faults, "\n".join(faults)
    await context.close()


@pytest.fixture
async def page(served: Pages, browser: Browser) -> AsyncIterator[Page]:  # noqa: F811
    context = await browser.new_context(locale="en-GB")
    await signed_in(served, context)
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    assert complaints == []
    await context.close()


async def reviewed_and_saved(page: Page) -> None:
    await page.get_by_role("button", name="Look at the changes and save").click()
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Saved as version")).to_be_visible()


async def test_rows_and_orders_by_keyboard_and_unsaved_changes_are_kept(served: Pages, page: Page) -> None:
    await page.goto(f"{served.url}/settings/lines")
    await page.get_by_role("button", name="Add: Line").click()
    await page.keyboard.type("+74957777777")
    await expect(page.get_by_text("There are changes that are not saved.")).to_be_visible()
    asked: list[str] = []

    async def stay(dialog: object) -> None:
        asked.append(dialog.type)  # type: ignore[attr-defined]
        await dialog.dismiss()  # type: ignore[attr-defined]

    page.on("dialog", stay)
    await page.get_by_role("link", name="People").click()
    assert asked == ["beforeunload"]
    await expect(page.locator('[name$=".number"]').nth(2)).to_have_value("+74957777777")
    await page.locator(".settings-row").nth(2).get_by_role("button", name="Up").click()
    await page.locator(".settings-row").first.get_by_role("button", name="Remove").click()
    await reviewed_and_saved(page)
    assert [line.number for line in (await served.store.load()).settings.line] == ["+74957777777", "+74950000000"]

    await page.goto(f"{served.url}/settings/autoconnect")
    order = page.locator('[id="f-autoconnect.chain"]')
    await order.locator("li", has_text="line").get_by_role("button", name="Up").focus()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Enter")
    await order.get_by_label("who talked last").uncheck()
    await reviewed_and_saved(page)
    assert (await served.store.load()).settings.autoconnect.chain == ("line", "responsible")


async def test_search_leads_to_the_setting(served: Pages, page: Page) -> None:
    await page.goto(f"{served.url}/settings")
    await page.get_by_label("Search the settings").press_sequentially("certificate")
    await page.get_by_role("link", name="Check the certificate").click()
    await expect(page.get_by_label("Check the certificate")).to_be_focused()
