"""What OWASP ASVS 4.0.3 level 1 demands and no other test proves (docs/security.md names them all)."""

from __future__ import annotations

import ast
import io
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import structlog
from pages_server import PASSWORD, Pages, Visitor, pages

from perezvon.web import passwords
from perezvon.web.app import endpoints
from perezvon.web.people import Actor
from perezvon.web.rights import Right, Role, wanted_by

HTTPS = {"x_forwarded_proto": "https"}


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Pages]:
    async with pages(tmp_path / "data", tmp_path) as made:
        yield made


# V2: passwords


async def test_long_passwords_of_any_signs_are_taken_whole() -> None:
    long = "верный конь 🐎 батарея скрепка " * 4 + "12345678"
    assert len(long) == passwords.LONGEST == 128
    assert passwords.weakness(long) is None
    assert passwords.weakness(long + "x") is not None
    assert passwords.weakness("        spaces count        too ") is None
    kept = await passwords.hashed(long)
    assert await passwords.right(long, kept)
    assert not await passwords.right(long[:-1] + "9", kept)
    assert not await passwords.right(long + "x", kept)


def test_twelve_characters_at_least_and_no_rules_of_composition() -> None:
    assert passwords.weakness("vier zebras") is not None
    assert passwords.weakness("vier zebras!") is None
    assert passwords.weakness("onlysmallletters") is None


def test_passwords_that_have_leaked_are_refused() -> None:
    leaked = passwords._leaked()  # pyright: ignore[reportPrivateUsage]
    assert len(leaked) > 200
    for one in leaked:
        assert passwords.weakness(one) is not None, one
        assert passwords.weakness(one.upper()) is not None, one


# V2.5.5, V4.3.1


async def test_the_account_tells_what_happened_to_it(served: Pages, visitor: Visitor) -> None:
    await served.person("anna")
    await visitor.sign_in("anna", "wrong but long enough")
    await visitor.sign_in("anna")
    page = await visitor.get("/account?lang=en")
    assert "What happened to this account" in page.text
    fields = {"old": PASSWORD, "new": "another horse battery", "again": "another horse battery"}
    page = await visitor.post("/account/password?lang=en", fields)
    happened = page.text.partition("What happened to this account")[2]
    assert happened.count("127.0.0.1") >= 4


async def test_codes_are_demanded_of_whom_the_settings_say(served: Pages, visitor: Visitor) -> None:
    await served.person("anna")
    await served.person("boris", Role.SUPERVISOR)
    await visitor.sign_in("anna")
    served.second_factor = "administrators"
    assert (await visitor.get("/people")).url == "/account/second-factor"
    assert (await visitor.get("/status", accept="application/json")).status == 403
    assert (await visitor.post("/people", {"login": "eve", "role": "administrator"})).url == "/account/second-factor"
    assert "eve" not in {one.login for one in await served.people.everybody()}
    async with Visitor(served.url) as other:
        await other.sign_in("boris")
        assert (await other.get("/calls")).url == "/calls"
        served.second_factor = "everybody"
        assert (await other.get("/calls")).url == "/account/second-factor"
        assert (await other.post("/logout")).url == "/login"


# V3: sessions


async def test_over_https_the_cookie_belongs_to_this_host_alone(served: Pages) -> None:
    await served.person("anna")
    fields = {"login": "anna", "password": PASSWORD, "back": "/"}
    https = {"X-Forwarded-Proto": "https", "Accept": "text/html"}
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        async with session.post(served.url + "/login", data=fields, headers=https, allow_redirects=False) as answer:
            cookie = answer.headers["Set-Cookie"]
            assert answer.headers["Location"] == "/"
            assert answer.headers["Strict-Transport-Security"].startswith("max-age=31536000")
        assert cookie.startswith("__Host-perezvon_session=")
        parts = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert {"secure", "httponly", "samesite=lax", "path=/"} <= parts
        assert not any(part.startswith("domain") for part in parts)
        held = cookie.partition("=")[2].partition(";")[0]

        async def status(name: str, headers: dict[str, str]) -> int:
            with_cookie = headers | {"Cookie": f"{name}={held}"}
            async with session.get(served.url + "/status", headers=with_cookie) as answer:
                return answer.status

        plain = {"X-Forwarded-Proto": "https"}
        assert await status("__Host-perezvon_session", plain) == 200
        assert await status("perezvon_session", plain) == 401, "which another host of the domain could have set"


async def test_signing_out_leaves_nothing_in_the_browser(served: Pages, visitor: Visitor) -> None:
    await served.person("anna")
    await visitor.sign_in("anna")
    token = visitor.hidden("csrf")
    async with visitor.session.post(served.url + "/logout", data={"csrf": token}, allow_redirects=False) as answer:
        assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Max-Age=0" in answer.headers["Set-Cookie"]


# V4, V5: whose things, and nothing more than was asked for


async def test_nobody_touches_what_is_anothers(served: Pages, visitor: Visitor) -> None:
    anna = await served.person("anna")
    await served.person("boris", Role.OBSERVER)
    token = await served.people.make_token(anna, "hers", [Right.STATUS], None, Actor("anna"))
    [session] = await served.people.sessions(anna.id)
    [kept] = await served.people.tokens(anna.id)
    await visitor.sign_in("boris")
    await visitor.post("/account/sessions/end", {"session": session.digest})
    await visitor.post("/account/tokens/withdraw", {"token": str(kept.id)})
    assert [one.digest for one in await served.people.sessions(anna.id)] == [session.digest]
    assert await served.people.bearing(token) is not None
    for path in (f"/people/{anna.id}", "/people", "/audit"):
        assert (await visitor.get(path)).status == 403


async def test_fields_that_no_form_has_change_nothing(served: Pages, visitor: Visitor) -> None:
    boris = await served.person("boris", Role.OBSERVER)
    await visitor.sign_in("boris")
    more = {"role": "administrator", "active": "1", "login": "root", "id": "1", "totp": "x"}
    fields = {"old": PASSWORD, "new": "another horse battery", "again": "another horse battery"} | more
    assert (await visitor.post("/account/password", fields)).status == 200
    now = await served.people.get(boris.id)
    assert (now.role, now.login, now.totp) == ("observer", "boris", None)


@pytest.mark.parametrize("back", ["//evil.example", "https://evil.example", "/\\evil.example", "/\t/evil.example", "evil"])
async def test_one_is_led_to_no_other_site(served: Pages, visitor: Visitor, back: str) -> None:
    await served.person("anna")
    fields = {"login": "anna", "password": PASSWORD, "back": back}
    forged = {"Host": "evil.example", "Accept": "text/html"}
    async with visitor.session.post(served.url + "/login", data=fields, headers=forged, allow_redirects=False) as answer:
        assert answer.headers["Location"] == "/"
    async with visitor.session.get(
        served.url + "/preferences", params={"back": back, "lang": "en"}, headers=forged, allow_redirects=False
    ) as answer:
        assert answer.headers["Location"] == "/"


# V7: logs


async def test_no_address_makes_a_line_of_the_log_or_has_a_password_in_it(served: Pages, visitor: Visitor) -> None:
    await served.person("anna")
    written = io.StringIO()
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.dev.ConsoleRenderer(colors=False)],
        logger_factory=structlog.PrintLoggerFactory(written),
        cache_logger_on_first_use=False,
    )
    try:
        await visitor.get("/calls/x%0A2026-01-01%20[info]%20forged%0D%1b[31m", accept="application/json")
        await visitor.sign_in("anna", "this secret is typed wrong")
    finally:
        structlog.reset_defaults()
    lines = written.getvalue().splitlines()
    assert not any(line.startswith("2026-01-01") for line in lines)
    assert "\x1b" not in written.getvalue()
    assert "this secret is typed wrong" not in written.getvalue()
    entries = await served.people.entries(50)
    assert not any("this secret" in f"{one.subject} {one.detail}" for one in entries)


# V12, V13, V14: files, the API, headers


@pytest.mark.parametrize(
    "path",
    ["/static/", "/static/vendor/", "/static/..%2fapp.py", "/static/%2e%2e/app.py", "/static/....//app.py", "/static//etc/passwd",
     "/.git/config", "/perezvon.sqlite3", "/static/vendor/../../people/roll.py"],
)  # fmt: skip
async def test_no_folder_is_listed_and_no_file_beside_ours_is_given(served: Pages, visitor: Visitor, path: str) -> None:
    async with visitor.session.get(served.url + path) as answer:
        assert answer.status in (401, 403, 404)
        assert "import" not in await answer.text()


async def test_every_answer_has_the_headers_of_safety(served: Pages, visitor: Visitor) -> None:
    await served.person("anna")
    await visitor.sign_in("anna")
    paths = [path for method, path, _ in endpoints(served.app.routes) if method == "GET" and "{" not in path]
    assert len(paths) > 8
    for path in (*paths, "/nothing/there", "/static/perezvon.css", "/calls/none", "/people/999"):
        answer = await visitor.get(path)
        assert answer.status < 500, path
        named = answer.headers
        assert named["X-Content-Type-Options"] == "nosniff", path
        assert named["Referrer-Policy"] == "no-referrer", path
        assert "default-src 'none'" in named["Content-Security-Policy"], path
        assert "frame-ancestors 'none'" in named["Content-Security-Policy"], path
        assert "Strict-Transport-Security" not in named, "over http it means nothing"
        assert "Access-Control-Allow-Origin" not in named, path
        assert named["Cache-Control"] == "no-store" or path.startswith("/static/"), path
        kind = named["Content-Type"]
        assert not kind.startswith("text/") or "charset=utf-8" in kind.lower(), (path, kind)


async def test_answers_of_the_api_are_files_to_a_browser(served: Pages, visitor: Visitor) -> None:
    await served.person("anna")
    await visitor.sign_in("anna")
    answer = await visitor.get("/api/openapi.json")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="api.json"'
    assert answer.headers["Content-Type"] == "application/json"


async def test_no_secret_stands_in_an_address(served: Pages) -> None:
    """But one-time links, used up by who sets a password with them, and the portal's links to recordings, which expire."""
    found = [
        path
        for _, path, _ in endpoints(served.app.routes)
        if re.search(r"{[^}]*(token|password|session|secret|link)", path)
    ]
    assert set(found) <= {"/welcome/{link}", "/recordings/{token}"}


async def test_only_the_methods_that_are_needed(served: Pages, visitor: Visitor) -> None:
    methods = {method for method, _, _ in endpoints(served.app.routes)}
    assert methods <= {"GET", "POST", "HEAD", "PUT", "DELETE", "PATCH"}
    for method, path, endpoint in endpoints(served.app.routes):
        if method == "GET":
            continue
        assert wanted_by(endpoint) is not None or path.startswith(("/login", "/welcome", "/bitrix24/")), path
    for method in ("TRACE", "CONNECT", "PROPFIND", "OPTIONS"):
        async with visitor.session.request(method, served.url + "/people") as answer:
            assert answer.status in (404, 405), method


async def test_nothing_of_the_framework_is_left_open(served: Pages, visitor: Visitor) -> None:
    for path in ("/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect", "/debug"):
        assert (await visitor.get(path)).status == 404, path
    assert not served.app.debug


@pytest.mark.slow
def test_no_program_is_started_by_a_shell() -> None:
    """And no text is run as a program, but the integrator's own functions, in processes of their own."""
    source = Path(passwords.__file__).parents[1]
    found: list[str] = []
    for file in source.rglob("*.py"):
        if "sandbox" in file.parts:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            by_shell = any(word.arg == "shell" and ast.unparse(word.value) != "False" for word in node.keywords)
            if by_shell or name in ("eval", "exec", "os.system", "os.popen", "asyncio.create_subprocess_shell"):
                found.append(f"{file.relative_to(source)}:{node.lineno}: {name}")
    assert not [one for one in found if not one.startswith("customisation/")], found
