"""The settings in a real browser: how they look, and what only a browser does (rows, orders, unsaved changes)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from looks import SIZES, looked_at, signed_in
from pages_server import Pages, pages
from playwright.async_api import Browser, Page, expect
from test_settings_pages import TOML, portal_told

from perezvon.customisation import CustomisationStatus
from perezvon.customisation.status import PointStatus
from perezvon.settings.load import parse, settings_from
from perezvon.storage import employees
from perezvon.storage.employees import Employee
from perezvon.web.status import PortalStatus, Status, UnknownLine, Unmapped

pytestmark = pytest.mark.browser

LOOKS = [("ru-RU", "light", "phone"), ("en-GB", "dark", "desk")]
OTHER_LOOKS = [("ru-RU", "dark", "desk"), ("en-GB", "light", "phone")]
SOME = ("settings-lines",)
"""What the other looks are looked at for."""

PATHS = (
    ("/lines", "settings-lines"),
    ("/autoconnect", "settings-autoconnect"),
    ("/working-time", "settings-working-time"),
    ("/numbers", "settings-numbers"),
    ("/missed", "settings-missed"),
    ("/employees", "settings-employees"),
    ("/customisation", "settings-customisation"),
    ("/menu", "settings-menu"),
    ("/history", "settings-history"),
    ("/files", "settings-files"),
    ("", "settings"),
)
LIVE = {"settings-working-time": ".week", "settings-missed": ".task"}
"""What htmx brings into a page."""


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Pages]:
    async with pages(tmp_path / "data", tmp_path) as made:
        await made.store.apply(settings_from(parse(TOML)), "root", "perezvon config apply")
        week = {"week": ["Mon-Fri 09:00-18:00", "Sat 10:00-15:00"], "holidays": ["01-01..01-08"]}
        week["employee"] = [{"extension": "101", "week": ["Mon-Thu 12:00-21:00"]}]  # type: ignore[list-item]
        await made.store.merge({"working_time": week}, "root")
        await made.store.merge({"calls": {"responsible": "first", "describe": False}}, "anna", "Отчёт по первому")
        await made.person("anna", name="Анна Петрова")
        people = [Employee("11", "101", "Анна Петрова"), Employee("12", "102", "Мария"), Employee("13", "102", "Пётр")]
        await made.database.write(lambda conn: employees.replace(conn, "main", people, made.clock()))
        now = made.clock()
        made.status_now = Status(
            "0.1.0",
            now,
            now - 90,
            unmapped=(Unmapped("main", "105", 4, now - 9),),
            unknown_lines=(UnknownLine("main", "+74951112233", 3, now - 900),),
            portals=(PortalStatus("main", "ready", now, host="example.bitrix24.ru"),),
            customisation=CustomisationStatus(
                "/var/lib/perezvon/hooks",
                (
                    PointStatus(
                        "customize_show", "hooks.py:12", asked=5, failed=1, last_error="KeyError: 'x'", last_error_at=now
                    ),
                ),
            ),
        )
        yield made


@pytest.mark.parametrize("look", LOOKS + OTHER_LOOKS, ids="-".join)
async def test_the_settings_look_right(served: Pages, browser: Browser, look: tuple[str, str, str]) -> None:
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
        faults.extend(await looked_at(page, name, look))

    for path, name in PATHS:
        if look in OTHER_LOOKS and name not in SOME:
            continue
        await page.goto(f"{served.url}/settings{path}")
        if name in LIVE:
            await expect(page.locator(LIVE[name]).first).to_be_visible()
        if name == "settings-numbers":
            await page.locator("#try_number").fill("8 (916) 123-45-67")
            await expect(page.locator(".tried").first).to_contain_text("+79161234567")
        await look_at(name)
    if look in OTHER_LOOKS:
        assert (faults, complaints) == ([], [])
        await context.close()
        return
    await page.goto(f"{served.url}/settings/calls")
    await page.locator('[name="calls.card_expires"]').fill("45")
    await page.locator('[name="calls.show_card"][role="switch"]').uncheck()
    await page.locator(".save-bar button").click()
    await look_at("settings-review")
    assert complaints == []
    await page.goto(f"{served.url}/settings/lines")
    await page.locator(".settings-row summary").first.click()
    await page.locator('[name="line.0.number"]').fill("")
    await page.locator('[name="line.0.recordings"]').select_option("link")
    await page.locator(".save-bar button").click()
    await look_at("settings-mistakes")
    assert not faults, "\n".join(faults)
    await context.close()


@pytest.fixture
async def page(served: Pages, browser: Browser) -> AsyncIterator[Page]:
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
    await page.get_by_role("button", name="Add +74951112233").click()
    await page.locator(".settings-row").nth(3).get_by_role("button", name="Remove").click()
    await page.locator(".settings-row").nth(2).get_by_role("button", name="Up").click()
    await page.locator(".settings-row").first.locator("summary").click()
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


async def test_what_the_portal_knows_is_offered_and_named_by_keyboard(served: Pages, page: Page) -> None:
    """The browser's own list of a datalist does not open without a screen: what it would fill in is typed."""
    await portal_told(served)
    await page.goto(f"{served.url}/settings/crm")
    person = page.locator('[name="crm.lead_user"]')
    await expect(page.locator("datalist#offers-users option[value='11']")).to_have_attribute("label", "Анна <b> · 101")
    assert await person.evaluate("field => field.list.id") == "offers-users"
    await person.press_sequentially("11")
    await page.keyboard.press("Tab")
    await expect(page.locator('[id="f-crm.lead_user-known"]')).to_contain_text("Анна <b> · 101")
    await page.get_by_role("button", name="Add: Fields").click()
    row = page.locator('[data-rows="crm.field"] [data-list] > details')
    await row.locator('[name$=".of"]').select_option("lead")
    name = row.locator('[name$=".name"]')
    await name.fill("UF_CRM_99")
    await page.keyboard.press("Tab")
    await expect(row.locator(".doubt")).to_contain_text("The portal has no such field")
    await name.fill("")
    assert await name.evaluate("field => field.list.id") == "offers-fields-lead"
    await name.press_sequentially("UF_CRM_17")
    await page.keyboard.press("Tab")
    await expect(row.locator(".doubt")).to_have_text("")
    await row.locator('[name$=".value"]').fill("{line.name}")
    await reviewed_and_saved(page)
    crm = (await served.store.refresh()).settings.crm
    assert (crm.lead_user, [(one.of, one.name) for one in crm.field]) == ("11", [("lead", "UF_CRM_17")])
    await page.goto(f"{served.url}/settings/missed")
    await page.get_by_label("Add: Observers").press_sequentially("12")
    await page.keyboard.press("Enter")
    await expect(page.locator('[name="missed.observers"]')).to_have_value("12")
    await reviewed_and_saved(page)
    assert (await served.store.refresh()).settings.missed.observers == ("12",)
