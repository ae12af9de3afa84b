"""Every page that the whole service has, found by walking over its routes: it opens, axe finds nothing serious, it is not
wider than the screen, breaks no policy; screenshots to be looked at are in test-results/every/.

The service is the real one (`perezvon serve`, with calls stored before), so that pages of later rooms are found by
themselves. A page whose address has a part in braces has to be linked from another page, or to have its example here.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from looks import SIZES, looked_at
from pages_server import PASSWORD
from playwright.async_api import Browser, BrowserContext
from stored_calls import CALL, CLIENT, many, store

from perezvon.rules.missed import Missed
from perezvon.sandbox.service_process import ServiceProcess
from perezvon.settings.place import database_place
from perezvon.settings.secrets import SecretBox
from perezvon.storage import Database, missed
from perezvon.web.people import Actor, People, SignedIn
from perezvon.web.rights import PUBLIC, Right, Role

pytestmark = [pytest.mark.browser, pytest.mark.timeout(360)]

SHOTS = Path(__file__).resolve().parents[2] / "test-results" / "every"
LOOKS = [("ru-RU", "light"), ("en-GB", "dark")]
EXAMPLES: dict[str, str] = {
    "/calls/{call}/recordings/{number}": f"/calls/{CALL}/recordings/1",
}
"""Addresses of pages that no other page links to. By the name of the part in braces: BY_NAME."""
BY_NAME = {"portal": "main", "pbx": "main", "call": CALL, "call_id": CALL, "extension": "101", "lane": CALL}
ELSEWHERE = {
    "/recordings/{token}": "a sound, behind signed links: test_recordings_served.py",
    "/calls/{call}/recordings/{number}/peaks": "what the player draws: test_calls_pages.py",
    "/settings/menu/prompt/{part}": "a sound, of a menu that is set: test_settings_tools.py",
    "/bitrix24/{portal}/inside/{part}": "a part of a page inside the portal, with its key: test_embed_browser.py",
    "/preferences": "leads back to where one was: test_sign_in.py",
}
"""Routes that are no pages, and what proves them."""

LISTEN = """
import json, sys
if "serve" in sys.argv:
    import perezvon.web.app as web
    made = web.create_app
    def create_app(*args, **named):
        app = made(*args, **named)
        told = [(method, path) for method, path, _ in web.endpoints(app.routes)]
        open({file!r}, "w").write(json.dumps(told))
        return app
    web.create_app = create_app
"""
"""The service writes down which routes it has."""

SETTINGS = """
[[asterisk]]
name = "main"
ami = "tcp://perezvon:secret@127.0.0.1:1"
contexts = ["from-pstn"]
[[portal]]
name = "main"
webhook = "http://127.0.0.1:1/rest/1/abcdefabcdef1234/"
[[line]]
number = "+74951234567"
name = "Реклама"
"""


@dataclass
class Walk:
    """`pages`: where each page was found; `cookie` of the administrator's session; `welcome`: a one-time link."""

    url: str
    cookie: str
    welcome: str
    routes: list[str]
    pages: dict[str, str] = field(default_factory=dict)
    closed: list[str] = field(default_factory=list)
    linked: set[str] = field(default_factory=set)


class Service(ServiceProcess):
    """Of which nobody may know more than that it answers, because somebody can sign in."""

    async def status(self) -> dict[str, Any]:
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/health") as answer:
            return await answer.json()


@pytest.fixture
async def walk(tmp_path: Path) -> AsyncIterator[Walk]:
    routes = tmp_path / "routes.json"
    service = Service(tmp_path / "data", first=LISTEN.format(file=str(routes)))
    service.data_dir.mkdir()
    await service.configure(SETTINGS)
    cookie, welcome = await seeded(service.data_dir, tmp_path)
    await service.start()
    try:
        told = json.loads(routes.read_text())
        found = [path for method, path in told if method == "GET"]
        yield Walk(service.url, cookie, welcome, list(dict.fromkeys(found)))
    finally:
        await service.stop()


async def seeded(data_dir: Path, folder: Path) -> tuple[str, str]:
    """Calls, a missed one, people, a token. Gives the session's cookie and a one-time link."""
    now = time.time()
    async with await Database.open(database_place(data_dir, SecretBox.open(data_dir)), own=False) as database:
        people = People(database, SecretBox.open(data_dir), time.time)
        by = Actor("anna", "127.0.0.1")
        anna, link = await people.add("anna", "Анна Петрова", Role.ADMINISTRATOR, Actor("root", "command line"))
        done = await people.accept(link, PASSWORD, Actor("", "127.0.0.1"), agent="Mozilla/5.0 (X11; Linux) Chrome/140")
        assert isinstance(done, SignedIn)
        await people.add("boris", "Борис", Role.SUPERVISOR, by)
        _, welcome = await people.add("vera.nablyudatel@example.ru", "", Role.OBSERVER, by)
        await people.make_token(anna, "Prometheus", [Right.STATUS], 365, by)
        await many(database, 120, now - 3600)
        await store(database, folder, now - 40)
        row = Missed("main", CLIENT, 1, "lane", 3, now - 7200, now - 60, "17", "11")
        await database.write(lambda conn: missed.save(conn, row))
        back = replace(row, client="+79160000003", lane="another", called_back=now - 60, closed=now - 60)
        await database.write(lambda conn: missed.save(conn, back))
        return done.cookie, welcome


async def test_every_page_there_is(walk: Walk, browser: Browser) -> None:
    await crawl(walk)
    assert {"/", "/login", "/calls", f"/calls/{CALL}", "/missed", "/people", "/audit", "/account", "/api"} <= set(
        walk.pages
    )
    faults: list[str] = []
    for language, theme in LOOKS:
        dark = "dark" if theme == "dark" else "light"
        context = await browser.new_context(locale=language, color_scheme=dark)
        outside = await browser.new_context(locale=language, color_scheme=dark)
        await context.add_cookies([{"name": "perezvon_session", "value": walk.cookie, "url": walk.url}])
        for path in sorted(walk.pages):
            where = outside if path in walk.closed else context
            faults += await on_both_screens(where, walk.url + path, language, theme, named(path))
        await context.close()
        await outside.close()
    assert not faults, "\n".join(faults)


async def crawl(walk: Walk) -> None:
    """Opens each address there is, as the administrator, or as nobody where that is what the page is for."""
    plain = [path for path in walk.routes if "{" not in path]
    async with aiohttp.ClientSession(headers={"Accept": "text/html"}, cookies={"perezvon_session": walk.cookie}) as inside:
        for path in plain:
            await opened(walk, inside, path)
        rooms = [path for path in walk.routes if "{" in path and path not in ELSEWHERE]
        left = [path for path in rooms if not path.startswith("/api/")]  # those: test_api_schemathesis.py
        while left:
            found = {route: example for route in left if (example := example_of(route, walk)) is not None}
            for example in found.values():
                await opened(walk, inside, example)
            left = [route for route in left if route not in found]
            if not found:
                break
        assert not left, f"no page links to {left}, and they have no example (EXAMPLES of {Path(__file__).name})"


async def opened(walk: Walk, inside: aiohttp.ClientSession, path: str) -> None:
    if path in ELSEWHERE:
        return
    if path.startswith("/welcome/"):
        walk.pages[path] = path
        walk.closed.append(path)
        return
    public = ("GET", path) in PUBLIC
    async with inside.get(walk.url + path, allow_redirects=False) as answer:
        if "text/event-stream" in answer.headers.get("Content-Type", ""):
            return
        text = await answer.text(errors="replace")
        if answer.status in (302, 303, 307) and public:
            walk.pages[path] = path
            walk.closed.append(path)
            return
        assert answer.status == 200, f"{path} answers {answer.status}: {text[:300]}"
    if "<html" in text:
        walk.pages[path] = path
        walk.linked.update(re.findall(r'(?:href|src|hx-get)="(/[^"#?]*)', text))


def example_of(route: str, walk: Walk) -> str | None:
    if route == "/welcome/{link}":
        return f"/welcome/{walk.welcome}"
    if route in EXAMPLES:
        return EXAMPLES[route]
    names = [part.partition(":")[0] for part in re.findall(r"\{([^}]*)\}", route)]
    if names and all(name in BY_NAME for name in names):
        return re.sub(r"\{([^}:]*)[^}]*\}", lambda part: BY_NAME[part[1]], route)
    parts = re.split(r"\{[^}]*\}", route)
    shape = re.compile("[^/]+".join(re.escape(part) for part in parts))
    if found := sorted(path for path in walk.linked if shape.fullmatch(path)):
        return found[0]
    return None


def named(path: str) -> str:
    shown = "welcome" if path.startswith("/welcome/") else path
    return re.sub(r"[^a-z0-9]+", "-", shown.lower()).strip("-") or "status"


async def on_both_screens(context: BrowserContext, url: str, language: str, theme: str, name: str) -> list[str]:
    """On a desk and on a telephone; axe looks at each page light and wide, and dark and narrow."""
    faults: list[str] = []
    page = await context.new_page()
    page.on("console", lambda said: faults.append(f"{name}: {said.text}") if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(f"{name}: {error}"))
    answer = await page.goto(url)
    if answer is None or answer.status != 200:
        return [f"{name}: cannot be opened: {answer.status if answer else 'no answer'}"]
    for size in ("desk", "phone"):
        width, height = SIZES[size]
        await page.set_viewport_size({"width": width, "height": height})
        axe = (size == "desk") == (theme == "light")
        faults += await looked_at(page, name, (language, theme, size), SHOTS, axe=axe)
    await page.close()
    return faults
