"""How pages are looked at in a real browser: signed in, on a desk and on a telephone, with axe and a screenshot."""

from __future__ import annotations

from pathlib import Path

from pages_server import PASSWORD, Pages
from playwright.async_api import BrowserContext, Page

from perezvon.web.people import Actor, SignedIn

SHOTS = Path(__file__).resolve().parents[2] / "test-results" / "pages"
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
SIZES = {"phone": (380, 780), "desk": (1440, 900)}


async def signed_in(served: Pages, context: BrowserContext, login: str = "anna") -> None:
    """As the form does it, without the form."""
    done = await served.people.sign_in(
        login, PASSWORD, Actor("", "127.0.0.1"), "Mozilla/5.0 (X11; Linux x86_64) Chrome/140"
    )
    assert isinstance(done, SignedIn)
    await context.add_cookies([{"name": "perezvon_session", "value": done.cookie, "url": served.url}])


async def looked_at(
    page: Page, name: str, look: tuple[str, str, str], shots: Path = SHOTS, *, axe: bool = True
) -> list[str]:
    """A screenshot, and what no page may have. `look`: language, theme, size; `axe`: takes longest."""
    language, theme, size = look
    folder = shots / f"{language[:2]}-{theme}-{size}"
    folder.mkdir(parents=True, exist_ok=True)
    await page.wait_for_function("document.fonts.status === 'loaded'")
    await page.screenshot(path=folder / f"{name}.png", full_page=True)
    wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    faults = [f"{name} is {wide} pixels wider than the screen of a {size}"] if wide > 0 else []
    return faults + await faults_of_axe(page, name) if axe else faults


async def faults_of_axe(page: Page, name: str) -> list[str]:
    await with_axe(page)
    found = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{name}: {fault['id']}: {fault['help']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"][:3]
    ]


async def with_axe(page: Page) -> None:
    """As a debugger would, past the page's policy, which stays in force."""
    session = await page.context.new_cdp_session(page)
    await session.send("Runtime.evaluate", {"expression": AXE.read_text(encoding="utf-8")})
    await session.detach()
