"""Coming in: the first administrator, passwords, one-time codes, sessions; as a browser does it, in both databases."""

from __future__ import annotations

import asyncio
import re
from html import unescape

import aiohttp
import pyotp
import pytest
from pages_server import PASSWORD, Pages, Visitor
from structlog.testing import capture_logs

from perezvon.web import passwords
from perezvon.web.first_link import LASTS, first_link
from perezvon.web.people import IDLE, LASTING, Actor, PeopleError
from perezvon.web.rights import Role

ROOT = Actor("root", "command line")


HASHER = passwords._hasher
"""Of the product, not of the tests."""


def test_passwords_are_hashed_as_owasp_wants_it() -> None:
    assert HASHER().hash("x").startswith("$argon2id$v=19$m=65536,t=3,p=4$")


async def deeds(served: Pages) -> list[tuple[str, str, str]]:
    """The oldest first."""
    return [(entry.who, entry.action, entry.subject) for entry in reversed(await served.people.entries(100))]


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
