"""Who gets past the gate, and with what: each route wants its right, pages of others and hostile requests get nowhere, on a
real server, in both databases."""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from fastapi import FastAPI
from pages_server import PASSWORD, Pages, Visitor
from starlette.requests import Request
from yarl import URL

from perezvon.rules.vocabulary import Reason
from perezvon.storage import DatabaseGone
from perezvon.web import gate
from perezvon.web.app import create_app, endpoints
from perezvon.web.frame import Frame, policy
from perezvon.web.people import Actor
from perezvon.web.rights import PUBLIC, RIGHTS, Role, wanted_by

ROOT = Actor("root", "command line")


# Which route wants what


def test_every_route_wants_a_right_or_is_public_by_name(whole: FastAPI) -> None:
    known = list(endpoints(whole.routes))
    assert len(known) > 35
    for method, path, endpoint in known:
        public = (method, path) in PUBLIC
        assert public != (wanted_by(endpoint) is not None), f"{method} {path}: either a right or public (web/rights.py)"
    assert {(method, path) for method, path, _ in known} >= PUBLIC, "PUBLIC names what is not there"


@pytest.fixture
def whole(tmp_path: Path) -> FastAPI:
    """With every room that there is."""
    something: object = object()
    return create_app(
        something,
        something,
        desk=something,
        badges=something,
        people=something,
        database=something,
        doctor=something,
        shelf=something,
        switchroom=something,
        settings=something,
        setup=something,
        portals=(something, something),
    )  # type: ignore[arg-type]


async def test_a_route_without_a_right_is_refused(served: Pages, visitor: Visitor) -> None:
    @served.app.get("/forgotten")
    async def forgotten() -> str:
        return "secret"

    await served.person("anna")
    await visitor.sign_in("anna")
    assert (await visitor.get("/forgotten")).status == 403


@pytest.mark.parametrize("role", Role)
async def test_each_role_may_what_its_rights_say(served: Pages, role: Role) -> None:
    await served.person("chief")
    await served.person("anna", role)
    async with Visitor(served.url) as visitor:
        await visitor.sign_in("anna")
        for method, path, endpoint in endpoints(served.app.routes):
            right = wanted_by(endpoint)
            if right is None or method != "GET" or "{" in path:
                continue
            answer = await visitor.get(path)
            assert (answer.status == 403) == (right not in RIGHTS[role]), (path, answer.status)
            assert answer.status < 500


async def test_nobody_sees_anything_without_signing_in(served: Pages, visitor: Visitor) -> None:
    await served.person("anna")
    for method, path, endpoint in endpoints(served.app.routes):
        if wanted_by(endpoint) is None:
            continue
        there = re.sub(r"{\w+}", "1", path)
        async with visitor.session.request(method, served.url + there) as answer:
            assert answer.url.path == "/login" or answer.status == 401, (method, path, answer.status)


async def test_a_supervisor_comes_to_what_he_may_see(served: Pages, visitor: Visitor) -> None:
    await served.person("boris", Role.SUPERVISOR)
    answer = await visitor.post("/login", {"login": "boris", "password": PASSWORD, "back": "/"})
    assert answer.url == "/calls"


# When the database is away


async def test_who_was_let_in_without_a_name_still_is_while_the_database_is_away(
    served: Pages, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await visitor.get("/status")).status == 200

    def gone() -> None:
        raise DatabaseGone("no connection to the database")

    monkeypatch.setattr(served.database, "glance", gone)
    assert (await visitor.get("/status")).status == 200
    monkeypatch.undo()
    await served.person("anna")
    await visitor.sign_in("anna")
    monkeypatch.setattr(served.database, "glance", gone)
    assert (await visitor.get("/status")).status == 503


async def test_a_database_that_does_not_answer_holds_up_nobody(
    served: Pages, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await visitor.get("/status")).status == 200

    @asynccontextmanager
    async def hangs() -> AsyncIterator[None]:
        await asyncio.Event().wait()
        yield

    monkeypatch.setattr("perezvon.web.people.roll.AT_MOST", 0.05)
    monkeypatch.setattr(served.database, "glance", hangs)
    async with asyncio.timeout(10):
        assert (await visitor.get("/status")).status == 200
        monkeypatch.undo()
        await served.person("anna")
        await visitor.sign_in("anna")
        monkeypatch.setattr("perezvon.web.people.roll.AT_MOST", 0.05)
        monkeypatch.setattr(served.database, "glance", hangs)
        assert (await visitor.get("/account")).status == 503


# Pages of others


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        ({"origin": "https://evil.example"}, {}),
        ({"sec_fetch_site": "cross-site"}, {}),
        ({}, {"csrf": ""}),
        ({}, {"csrf": "0" * 32}),
    ],
)
async def test_a_page_of_somebody_else_changes_nothing(
    served: Pages, visitor: Visitor, headers: dict[str, str], fields: dict[str, str]
) -> None:
    await served.person("anna")
    await visitor.sign_in("anna")
    await visitor.get("/people")
    answer = await visitor.post("/people", {"login": "eve", "role": "administrator"} | fields, **headers)
    assert answer.status == 403
    assert len(await served.people.everybody()) == 1


async def test_the_form_token_may_come_in_a_header(served: Pages, visitor: Visitor) -> None:
    await served.person("anna")
    await visitor.sign_in("anna")
    await visitor.get("/people")
    token = visitor.hidden("csrf")
    answer = await visitor.post("/people", {"login": "boris", "csrf": ""}, x_csrf_token=token)
    assert answer.status == 200
    async with Visitor(served.url) as other:
        await other.sign_in("anna")
        assert (await other.post("/people", {"login": "eve", "csrf": token})).status == 403  # of another session


async def test_a_huge_form_is_refused(served: Pages, visitor: Visitor) -> None:
    await served.person("anna")
    await visitor.sign_in("anna")
    await visitor.get("/account")
    assert (await visitor.post("/account/tokens", {"name": "x" * 1_100_000})).status == 413
    assert (await visitor.post("/account/tokens", {"name": "x" * 100_000})).status == 400  # read, and found wanting


async def test_strangers_send_small_forms_and_not_slowly(
    served: Pages, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anybody is known: large forms would be read in the time of the calls, slow ones fill the service."""
    assert (await visitor.post("/login", {"login": "x" * 20_000})).status == 413
    assert (await visitor.post("/welcome/x", {"login": "x" * 20_000})).status == 413
    assert (await visitor.post("/login", {f"field {number}": "" for number in range(100)})).status == 400
    monkeypatch.setattr(gate, "SLOWEST_FORM", 0.05)
    url = URL(served.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    kind = "application/x-www-form-urlencoded"
    writer.write(f"POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: 100\r\n\r\nlogin=".encode())
    async with asyncio.timeout(5):
        assert b" 408 " in await reader.readline()
    writer.close()


# What was there before


async def test_the_password_of_the_settings_goes_on_letting_programs_in(served: Pages) -> None:
    served.password = "of the settings"
    await served.person("anna")

    async def answered(path: str, password: str | None) -> tuple[int, str]:
        shown = {} if password is None else {"Authorization": f"Basic {b64encode(f'x:{password}'.encode()).decode()}"}
        async with aiohttp.ClientSession() as program, program.get(served.url + path, headers=shown) as answer:
            return answer.status, answer.headers.get("WWW-Authenticate", "")

    assert (await answered("/status", "of the settings"))[0] == 200
    assert (await answered("/people", "of the settings"))[0] == 403
    for password in ("wrong", None):
        status, wanted = await answered("/status", password)
        assert (status, "Basic" in wanted) == (401, True)
    statuses = [(await answered("/status", f"wrong {number}"))[0] for number in range(25)]
    assert statuses[-1] == 429


# Inside the portal


async def test_a_page_for_the_portal_has_no_navigation_and_may_stand_in_its_frame_alone() -> None:
    frame = Frame(lambda: "en", frozenset)
    request = Request({"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""})
    page = frame.page(request, "refused.html", hosts=["example.bitrix24.ru"], why=Reason("too small"))
    text = bytes(page.body).decode()
    assert "<nav" not in text and 'class="embed"' in text and "too small" in text
    assert "frame-ancestors https://example.bitrix24.ru" in page.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy()


# The API


async def test_the_api_is_described_for_who_has_signed_in(whole: FastAPI, served: Pages) -> None:
    described = whole.openapi()
    assert set(described["paths"]) >= {"/status", "/api/calls", "/api/calls/{call}/{action}", "/api/events"}
    assert not any(path.startswith(("/bitrix24", "/login", "/people")) for path in described["paths"])
    for role in Role:
        await served.person(role.value, role)
        async with Visitor(served.url) as other:
            await other.sign_in(role.value)
            assert "/metrics" in (await other.get("/api")).text
            assert '"openapi":"3' in (await other.get("/api/openapi.json")).text


# What nobody sends who means well


ADDRESSES = [
    "/calls/%00",
    "/calls/%ed%a0%80",
    f"/calls/{'x' * 3000}",
    "/calls?employee=%00",
    "/calls?employee=%ed%a0%80&line=%00",
    "/calls?after=1e999+x",
    "/calls?after=nan+x",
    "/calls?after=1+%00",
    "/calls?since=0000-00-00",
    "/calls?until=9999-12-31",
    "/calls?since=0001-01-01",
    "/calls?client=%FF%FE",
    "/calls.csv?employee=%00&after=1+%00",
    f"/audit?after=1+{10**30}",
    "/audit?after=nan+1",
    "/audit?after=inf+-1",
    "/audit?after=1+1_0",
    "/welcome/%00",
    "/people/-1",
    "/people/1e3",
    "/preferences?lang=%00&back=%00",
    "/preferences?back=/%0d%0aSet-Cookie:x=1",
    "/login?back=%00",
    "/calls/main-1/recordings/%00",
    "/?lang=%00",
    "/status?lang=%ff",
]

FORMS: list[tuple[str, dict[str, str]]] = [
    ("/login", {"login": "\0", "password": "\0" * 500}),
    ("/login", {"login": "x" * 5000, "password": "y" * 100_000}),
    ("/login", {}),
    ("/login/code", {"ticket": "\0", "code": "\0"}),
    ("/login/code", {"ticket": "gAAAA" * 1000, "code": "１２３４５６"}),
    ("/people", {"login": "a\0b", "name": "\0"}),
    ("/people", {"login": "анна", "name": "\0", "role": "\0"}),
    ("/people/99999999999999999999/remove", {}),
    ("/account/tokens", {"name": "\0", "scope": "status", "days": "\0"}),
    ("/account/tokens/withdraw", {"token": "99999999999999999999999999"}),
    ("/account/tokens/withdraw", {"token": "9" * 18}),
    ("/account/sessions/end", {"session": "\0"}),
    ("/account/second-factor", {"key": "\0", "code": "\0"}),
    ("/account/password", {"old": "\0", "new": "\0" * 20, "again": "\0" * 20}),
    ("/welcome/x", {"password": "\0"}),
]


async def test_hostile_addresses_make_no_defect(served: Pages, visitor: Visitor) -> None:
    await served.person("anna")
    await visitor.sign_in("anna")
    for path in ADDRESSES:
        async with visitor.session.get(URL(served.url + path, encoded=True), allow_redirects=False) as answer:
            assert answer.status < 500, path
            assert "x" not in answer.cookies


async def test_hostile_forms_make_no_defect(served: Pages, visitor: Visitor) -> None:
    await served.person("anna")
    await visitor.sign_in("anna")
    await visitor.get("/account")
    for path, fields in FORMS:
        assert (await visitor.post(path, fields)).status < 500, (path, list(fields))
