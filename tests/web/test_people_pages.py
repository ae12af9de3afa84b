"""One's own account, and what an administrator does with those of others: forms as a browser sends them, in both databases."""

from __future__ import annotations

import re
from html import unescape

import aiohttp
import pytest
from pages_server import PASSWORD, Pages, Visitor
from starlette.requests import Request

from perezvon.storage import settings
from perezvon.web.people import Actor
from perezvon.web.people_pages import link_of
from perezvon.web.rights import Role

ROOT = Actor("root", "command line")


async def deeds(served: Pages) -> list[tuple[str, str, str]]:
    """The oldest first."""
    return [(entry.who, entry.action, entry.subject) for entry in reversed(await served.people.entries(100))]


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
