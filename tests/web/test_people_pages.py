"""Who may sign in and what each may then see and do: forms as a browser sends them, on a real server, in both databases."""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path

import aiohttp
import pyotp
import pytest
from fastapi import FastAPI
from pages_server import PASSWORD, Pages, Visitor, pages
from starlette.requests import Request
from structlog.testing import capture_logs
from yarl import URL

from perezvon.rules.vocabulary import Reason
from perezvon.storage import DatabaseGone, settings
from perezvon.web import gate, passwords
from perezvon.web.app import create_app, endpoints
from perezvon.web.first_link import LASTS, first_link
from perezvon.web.frame import Frame, policy
from perezvon.web.people import IDLE, LASTING, Actor, PeopleError
from perezvon.web.people_pages import link_of
from perezvon.web.rights import PUBLIC, RIGHTS, Role, wanted_by

ROOT = Actor("root", "command line")


HASHER = passwords._hasher
"""Of the product, not of the tests."""


def test_passwords_are_hashed_as_owasp_wants_it() -> None:
    assert HASHER().hash("x").startswith("$argon2id$v=19$m=65536,t=3,p=4$")


@pytest.fixture
async def served(place: str, tmp_path: Path) -> AsyncIterator[Pages]:
    async with pages(place, tmp_path) as made:
        yield made


@pytest.fixture
async def visitor(served: Pages) -> AsyncIterator[Visitor]:
    async with Visitor(served.url) as visitor:
        yield visitor


async def deeds(served: Pages) -> list[tuple[str, str, str]]:
    """The oldest first."""
    return [(entry.who, entry.action, entry.subject) for entry in reversed(await served.people.entries(100))]


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


# The first one


async def test_the_first_administrator_comes_by_a_link_that_is_good_once(served: Pages, visitor: Visitor) -> None:
    link = await first_link(served.database, served.clock())
    newer = await first_link(served.database, served.clock())
    assert link and newer
    assert (await visitor.get(f"/welcome/{link}")).status == 404
    assert (await visitor.get("/")).status == 200  # nobody yet: this machine
    answer = await visitor.get(f"/welcome/{newer}")
    assert answer.status == 200
    for wrong, told in (
        ({"login": "a", "password": PASSWORD, "again": PASSWORD}, "a login has"),
        ({"login": "anna", "password": PASSWORD, "again": "another"}, "are not the same"),
        ({"login": "anna", "password": "short", "again": "short"}, "too short"),
        ({"login": "anna", "password": "annaannaanna1", "again": "annaannaanna1"}, "easy to guess"),
    ):
        answer = await visitor.post(f"/welcome/{newer}?lang=en", wrong)
        assert (answer.status, told in unescape(answer.text)) == (400, True), told
    answer = await visitor.post(
        f"/welcome/{newer}", {"login": "Anna", "name": "Анна", "password": PASSWORD, "again": PASSWORD}
    )
    assert (answer.status, answer.url) == (200, "/")
    assert "Анна" in answer.text
    assert await first_link(served.database, served.clock()) is None
    async with Visitor(served.url) as other:
        assert (await other.get(f"/welcome/{newer}")).status == 404
        assert (await other.get("/")).url == "/login"  # from now on this machine has to sign in too
        assert (await other.get("/status", accept="*/*")).status == 401
    assert [deed[1] for deed in await deeds(served)] == ["password_set", "sign_in"]


async def test_a_link_is_good_for_a_day(served: Pages, visitor: Visitor) -> None:
    link = await first_link(served.database, served.clock())
    served.clock.ahead = LASTS + 1
    assert (await visitor.get(f"/welcome/{link}")).status == 404
    assert (await visitor.post(f"/welcome/{link}", {"login": "eve", "password": PASSWORD, "again": PASSWORD})).status == 404


async def test_two_at_once_make_one_administrator(served: Pages) -> None:
    link = await first_link(served.database, served.clock())
    assert link is not None
    done = await asyncio.gather(
        *(served.people.accept(link, PASSWORD, Actor(""), login) for login in ("anna", "boris")), return_exceptions=True
    )
    assert sorted(isinstance(one, PeopleError) for one in done) == [False, True]
    assert len(await served.people.everybody()) == 1


# Signing in


async def test_a_wrong_login_and_a_wrong_password_look_alike(served: Pages, visitor: Visitor) -> None:
    await served.person("anna")
    texts: set[str] = set()
    for login in ("anna", "nobody"):
        answer = await visitor.sign_in(login, "wrong wrong wrong")
        assert answer.status == 400
        texts.add(answer.text.replace(login, ""))
    assert len(texts) == 1
    assert ("", "sign_in_failed", "anna") in await deeds(served)


async def test_tries_become_slow_and_the_password_is_not_looked_at(served: Pages, visitor: Visitor) -> None:
    await served.person("anna")
    answers = [(await visitor.sign_in("anna", f"wrong {number}")).status for number in range(7)]
    assert answers[:5] == [400] * 5
    assert 429 in answers[5:]
    while (await visitor.sign_in("anna", "wrong")).status != 429:
        pass
    assert (await visitor.sign_in("anna")).status == 429
    served.people._throttle._clock = lambda: 1e12  # pyright: ignore[reportPrivateUsage]  an hour and more later
    assert (await visitor.sign_in("anna")).url == "/account"


async def test_the_cookie_is_safe_and_new_each_time(served: Pages, visitor: Visitor) -> None:
    await served.person("anna")
    cookies: list[str] = []
    for headers in ({}, {"x_forwarded_proto": "https"}):
        async with visitor.session.post(
            f"{served.url}/login", data={"login": "anna", "password": PASSWORD}, allow_redirects=False,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        ) as answer:  # fmt: skip
            cookies.append(answer.headers["Set-Cookie"])
    assert all("HttpOnly" in cookie and "SameSite=lax" in cookie for cookie in cookies)
    assert ["Secure" in cookie for cookie in cookies] == [False, True]
    values = [cookie.partition("=")[2].partition(";")[0] for cookie in cookies]
    assert len(set(values)) == 2
    async with served.database.read() as conn:
        kept = str((await conn.exec_driver_sql("SELECT * FROM web_session")).all())
    assert not any(value in kept for value in values), "the database holds digests alone"


@pytest.mark.parametrize(("ahead", "goes_on"), [(IDLE - 60, True), (IDLE + 60, False)])
async def test_a_session_ends_when_it_is_not_used(served: Pages, visitor: Visitor, ahead: float, *, goes_on: bool) -> None:
    await served.person("anna")
    await visitor.sign_in("anna")
    served.clock.ahead = ahead
    assert ((await visitor.get("/account")).url == "/account") == goes_on


async def test_a_session_ends_after_a_month_however_much_it_is_used(served: Pages, visitor: Visitor) -> None:
    await served.person("anna")
    await visitor.sign_in("anna")
    while served.clock.ahead < LASTING - IDLE / 2:
        served.clock.ahead += IDLE / 2
        assert (await visitor.get("/account")).url == "/account"
    served.clock.ahead = LASTING + 60
    assert (await visitor.get("/account")).url == "/login"


async def test_one_comes_back_to_where_one_was_but_to_nobody_elses_page(served: Pages, visitor: Visitor) -> None:
    await served.person("anna")
    await visitor.get("/people?x=1")
    assert visitor.hidden("back") == "/people?x=1"
    for foreign in ("//evil.example", "https://evil.example", "/\\evil.example", "/\tevil"):
        async with visitor.session.post(
            f"{served.url}/login", data={"login": "anna", "password": PASSWORD, "back": foreign}, allow_redirects=False
        ) as answer:
            assert answer.headers["Location"] == "/"


async def test_signing_out_ends_the_session_on_the_server(served: Pages, visitor: Visitor) -> None:
    await served.person("anna")
    await visitor.sign_in("anna")
    [cookie] = [one.value for one in visitor.session.cookie_jar if one.key == "perezvon_session"]
    assert (await visitor.post("/logout")).url == "/login"
    sent = {"Cookie": f"perezvon_session={cookie}"}
    async with aiohttp.ClientSession() as other, other.get(f"{served.url}/account", headers=sent) as answer:
        assert answer.status == 401


# The second factor


async def test_the_second_factor_from_the_first_code_to_the_last_recovery_code(served: Pages, visitor: Visitor) -> None:
    await served.person("anna")
    await visitor.sign_in("anna")
    page = await visitor.get("/account/second-factor?lang=en")
    key = re.search(r"<code>([A-Z2-7]{32})</code>", page.text)
    assert key is not None and '<svg class="qr"' in page.text and f"secret={key[1]}" in page.text
    totp = pyotp.TOTP(key[1])
    assert (await visitor.post("/account/second-factor", {"key": visitor.hidden("key"), "code": "000000"})).status == 400
    page = await visitor.post("/account/second-factor", {"key": visitor.hidden("key"), "code": totp.at(served.clock())})
    codes = re.findall(r"<li>([A-Z2-9]{5}-[A-Z2-9]{5})</li>", page.text)
    assert len(codes) == 10

    async with Visitor(served.url) as other:
        assert "one-time-code" in (await other.sign_in("anna")).text
        assert (await other.get("/account")).url == "/login"  # half-way is not in
        ticket = other.hidden("ticket") if 'name="ticket"' in other.page else ""
        await other.sign_in("anna")
        ticket = other.hidden("ticket")
        used = totp.at(served.clock())
        assert (await other.post("/login/code", {"ticket": ticket, "code": used})).status == 400, "each code once"
        served.clock.ahead += 31
        answer = await other.post("/login/code", {"ticket": ticket, "code": totp.at(served.clock()), "back": "/account"})
        assert answer.url == "/account"
    for tried, welcome in ((codes[3].lower().replace("-", " "), True), (codes[3], False)):
        async with Visitor(served.url) as other:
            await other.sign_in("anna")
            answer = await other.post("/login/code", {"ticket": other.hidden("ticket"), "code": tried, "back": "/account"})
            assert (answer.url == "/account") == welcome
    async with Visitor(served.url) as other:
        await other.sign_in("anna")
        ticket = other.hidden("ticket")
        served.clock.ahead += 301
        assert (await other.post("/login/code", {"ticket": ticket, "code": codes[4]})).status == 400, "too late"

    assert (await visitor.post("/account/second-factor/off", {"password": "wrong"})).status == 400
    assert (await visitor.post("/account/second-factor/off", {"password": PASSWORD})).status == 200
    async with Visitor(served.url) as other:
        assert (await other.sign_in("anna")).url == "/account"
    with capture_logs() as logs:
        told = str(await served.people.entries(100))
    assert key[1] not in told and codes[0] not in told and PASSWORD not in told and key[1] not in str(logs)


async def test_another_telephone_wants_the_present_password(served: Pages, visitor: Visitor) -> None:
    """Whoever finds a browser signed in is not to put his own telephone in the place of its owner's."""
    await served.person("anna")
    await visitor.sign_in("anna")
    keys: list[str] = []

    async def shown(**given: str) -> int:
        page = await visitor.get("/account/second-factor?lang=en")
        keys.append(re.findall(r"<code>([A-Z2-7]{32})</code>", page.text)[0])
        fields = {"key": visitor.hidden("key"), "code": pyotp.TOTP(keys[-1]).at(served.clock())}
        assert ("Present password" in page.text) == bool(keys[1:])
        return (await visitor.post("/account/second-factor", fields | given)).status

    assert await shown() == 200
    for password in ("", "wrong"):
        assert await shown(password=password) == 400
        served.clock.ahead += 31
    [anna] = await served.people.everybody()
    before = anna.totp
    assert await shown(password=PASSWORD) == 200
    [anna] = await served.people.everybody()
    assert anna.totp != before


async def test_a_ticket_is_good_for_nothing_else(served: Pages) -> None:
    anna, boris = await served.person("anna"), await served.person("boris", Role.OBSERVER)
    _, sealed = served.people.new_key(boris)
    with pytest.raises(PeopleError):
        await served.people.sign_in_with_code(sealed, "000000", Actor("", "127.0.0.1"))
    with pytest.raises(PeopleError):
        await served.people.confirm_key(anna, sealed, "000000", Actor("anna"))


# One's own account


async def test_a_new_password_ends_all_other_sessions(served: Pages, visitor: Visitor) -> None:
    await served.person("anna")
    await visitor.sign_in("anna")
    fields = {"old": PASSWORD, "new": "another horse, another battery", "again": "another horse, another battery"}
    async with Visitor(served.url) as other:
        await other.sign_in("anna")
        assert (await visitor.post("/account/password", fields | {"old": "wrong"})).status == 400
        assert (await visitor.post("/account/password", fields)).status == 200
        assert (await other.get("/account")).url == "/login"
        assert (await visitor.get("/account")).url == "/account"
        assert (await other.sign_in("anna")).status == 400
        assert (await other.sign_in("anna", fields["new"])).url == "/account"


async def test_sessions_are_listed_and_can_be_ended(served: Pages, visitor: Visitor) -> None:
    anna = await served.person("anna")
    await served.people.end_session(anna, "", ROOT)
    await visitor.sign_in("anna")
    async with Visitor(served.url) as other, Visitor(served.url) as foreign:
        await other.sign_in("anna")
        await served.person("boris")
        await foreign.sign_in("boris")
        page = (await visitor.get("/account")).text
        shown = re.findall(r'name="session" value="(\w+)"', page)
        assert len(shown) == 2
        await foreign.post("/account/sessions/end", {"session": shown[0]})  # somebody else's stays
        assert len(await served.people.sessions(anna.id)) == 2
        here = re.search(r'class="badge ok">.*?name="session" value="(\w+)"', page, re.DOTALL)
        assert here is not None
        await visitor.post("/account/sessions/end", {"session": next(one for one in shown if one != here[1])})
        assert (await other.get("/account")).url == "/login"
        assert (await visitor.get("/account")).url == "/account"


async def test_a_token_may_what_it_was_given_until_it_is_withdrawn(served: Pages, visitor: Visitor) -> None:
    anna = await served.person("anna")
    await visitor.sign_in("anna")
    await visitor.get("/account")
    page = await visitor.post("/account/tokens", {"name": "Prometheus", "scope": "status", "days": "30"})
    found = re.search(r'value="(pzt_[\w-]+)"', page.text)
    assert found is not None
    token = found[1]
    assert token not in (await visitor.get("/account")).text

    async def status(path: str, shown: str) -> int:
        async with (
            aiohttp.ClientSession() as program,
            program.get(served.url + path, headers={"Authorization": f"Bearer {shown}"}) as answer,
        ):
            return answer.status

    assert await status("/metrics", token) == 200
    assert await status("/people", token) == 403
    assert await status("/account", token) == 403
    assert await status("/metrics", token + "x") == 401
    served.clock.ahead = 31 * 86400
    assert await status("/metrics", token) == 401
    served.clock.ahead = 0
    await served.people.change(anna.id, ROOT, name="", role=Role.ADMINISTRATOR, active=True)
    await served.person("chief")
    await served.people.change(anna.id, ROOT, name="", role=Role.SUPERVISOR, active=True)
    assert await status("/metrics", token) == 403  # it has no more than its maker
    await served.people.change(anna.id, ROOT, name="", role=Role.ADMINISTRATOR, active=True)
    assert await status("/metrics", token) == 200
    await visitor.get("/account")
    await visitor.post("/account/tokens/withdraw", {"token": visitor.hidden("token")})
    assert await status("/metrics", token) == 401


async def test_a_supervisor_can_make_no_token_for_what_he_may_not(served: Pages, visitor: Visitor) -> None:
    await served.person("chief")
    await served.person("boris", Role.SUPERVISOR)
    await visitor.sign_in("boris")
    assert (await visitor.post("/account/tokens", {"name": "x", "scope": "conference", "days": "30"})).status == 400


# What an administrator does


async def test_somebody_is_added_changed_and_removed(served: Pages, visitor: Visitor) -> None:
    await served.person("anna")
    await visitor.sign_in("anna")
    await visitor.get("/people")
    page = await visitor.post("/people", {"login": "Boris", "name": "<b>Борис</b>", "role": "supervisor"})
    found = re.search(r'value="http://127.0.0.1:\d+(/welcome/[\w-]+)"', page.text)
    assert found is not None
    assert "<b>Борис</b>" not in page.text and "&lt;b&gt;Борис" in page.text
    async with Visitor(served.url) as other:
        await other.get(found[1])
        answer = await other.post(found[1], {"password": PASSWORD, "again": PASSWORD})
        assert answer.url == "/calls"
        assert (await other.get("/people")).status == 403
        boris = next(one for one in await served.people.everybody() if one.login == "boris")
        assert (await visitor.post("/people", {"login": "boris", "role": "observer"})).status == 400
        await visitor.post(f"/people/{boris.id}", {"name": "Борис", "role": "observer", "active": "on"})
        assert (await other.get("/", accept="text/html")).status == 200  # the new role counts at once
        await visitor.post(f"/people/{boris.id}", {"name": "Борис", "role": "observer"})
        assert (await other.get("/account")).url == "/login"
        assert (await other.sign_in("boris")).status == 400  # switched off
    page = await visitor.post(f"/people/{boris.id}/reset")
    assert "/welcome/" in page.text
    await visitor.post(f"/people/{boris.id}/remove")
    assert [one.login for one in await served.people.everybody()] == ["anna"]
    told = [deed for deed in await deeds(served) if deed[0] == "anna" and deed[1].startswith("person")]
    assert [deed[1] for deed in told] == [
        "person_added",
        "person_changed",
        "person_changed",
        "person_reset",
        "person_removed",
    ]
    audit = (await visitor.get("/audit?lang=en")).text
    assert "changed a person" in audit and "role: supervisor → observer" in unescape(audit)


@pytest.mark.parametrize(("proto", "scheme"), [(b"https", "https"), (b"http", "http"), (b"", "http")])
def test_behind_a_proxy_with_tls_the_one_time_link_is_https_too(proto: bytes, scheme: str) -> None:
    headers = [(b"host", b"pbx.example.com"), *([(b"x-forwarded-proto", proto)] if proto else [])]
    request = Request({"type": "http", "scheme": "http", "path": "/people", "query_string": b"", "headers": headers})
    assert link_of(request, "x") == f"{scheme}://pbx.example.com/welcome/x"


async def test_there_is_always_an_administrator(served: Pages, visitor: Visitor) -> None:
    anna = await served.person("anna")
    await visitor.sign_in("anna")
    await visitor.get(f"/people/{anna.id}")
    assert (await visitor.post(f"/people/{anna.id}", {"role": "observer", "active": "on"})).status == 400
    assert (await visitor.post(f"/people/{anna.id}", {"role": "administrator"})).status == 400
    assert (await visitor.post(f"/people/{anna.id}/remove")).status == 400
    assert (await visitor.get("/people")).status == 200


@pytest.mark.parametrize("path", ["/people/999999", "/people/0", "/people/x", f"/people/{10**30}"])
async def test_who_is_not_there(served: Pages, visitor: Visitor, path: str) -> None:
    await served.person("anna")
    await visitor.sign_in("anna")
    assert (await visitor.get(path)).status == 404


async def test_the_list_of_changes_goes_on_from_page_to_page(served: Pages, visitor: Visitor) -> None:
    await served.person("anna")
    await visitor.sign_in("anna")
    for number in range(70):
        await served.people.add(f"person{number}", "", Role.OBSERVER, ROOT)
    first = (await visitor.get("/audit")).text
    further = re.search(r'href="\?after=([^"]+)"', first)
    assert further is not None
    second = (await visitor.get(f"/audit?after={further[1]}")).text
    shown = re.findall(r"<td>(person\d+)</td>", first + second)
    assert len(shown) == len(set(shown)) == 70
    assert (await visitor.get("/audit?after=nonsense")).status == 200


async def test_saved_settings_stand_among_the_changes(served: Pages, visitor: Visitor) -> None:
    await served.person("anna")
    await visitor.sign_in("anna")
    at = served.clock()
    for number in range(60):
        await served.database.write(
            lambda conn, number=number: settings.save(
                conn, at=at + number // 2, who="root", note=f"<i>{number}</i>", body="{}"
            )
        )
    first = (await visitor.get("/audit?lang=en")).text
    assert "saved the settings" in first and "version 60" in first and "<i>" not in first
    further = re.search(r'href="\?after=([^"]+)"', first)
    assert further is not None
    shown = re.findall(r"version (\d+)<", first + (await visitor.get(f"/audit?lang=en&after={further[1]}")).text)
    assert [int(number) for number in shown] == list(range(60, 0, -1))


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


# What one chooses


async def test_language_and_light_are_remembered(served: Pages, visitor: Visitor) -> None:
    page = await visitor.get("/preferences?lang=en&theme=dark&back=/login", accept_language="ru")
    assert page.url == "/login"
    assert '<html lang="en" data-theme="dark" data-bs-theme="dark">' in page.text
    page = await visitor.get("/login", accept_language="ru")
    assert '<html lang="en" data-theme="dark"' in page.text
    page = await visitor.get("/preferences?lang=xx&theme=pink&back=//evil.example")
    assert page.url == "/"
    assert '<html lang="en" data-theme="dark"' in page.text


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
