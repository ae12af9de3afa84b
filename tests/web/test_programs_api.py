"""What programs do with a token, as people do it on the pages: by the same rights, and told in the same audit log."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pages_server import Pages, Visitor
from paper_switchroom import PaperRoom
from stored_calls import CALL, CLIENT, many, store

from perezvon.rules import Decision
from perezvon.rules.missed import Missed
from perezvon.rules.vocabulary import Kind, Priority, Reason, StepDraft
from perezvon.settings.load import parse, settings_from
from perezvon.storage import lanes, missed, pauses
from perezvon.storage.people import Person
from perezvon.storage.steps import State, Step
from perezvon.web.people import Actor
from perezvon.web.rights import SCOPES, Right, Role

NOW = 1_790_000_000.0
SECRET = "s3cret-of-the-portal"
SETTINGS = f"""
[[portal]]
name = "main"
webhook = "https://example.bitrix24.ru/rest/1/{SECRET}/"

[[line]]
number = "+74951234567"
"""

ROUTES = [
    ("GET", "/api/journal", Right.CALLS),
    ("GET", f"/api/journal/{CALL}", Right.CALLS),
    ("GET", f"/api/journal/{CALL}/what-if", Right.CALLS),
    ("GET", f"/api/journal/{CALL}/support", Right.EXPORTS),
    ("GET", "/api/missed", Right.CALLS),
    ("POST", "/api/missed/call-back", Right.CALL_BACK),
    ("GET", "/api/deliveries", Right.DELIVERIES),
    ("POST", "/api/deliveries/steps/1/again", Right.DELIVER),
    ("POST", "/api/deliveries/steps/1/skip", Right.DELIVER),
    ("POST", "/api/deliveries/main/again", Right.DELIVER),
    ("POST", "/api/deliveries/main/pause", Right.DELIVER),
    ("POST", "/api/deliveries/main/resume", Right.DELIVER),
    ("GET", "/api/settings", Right.SETTINGS),
    ("PATCH", "/api/settings", Right.SETTINGS),
    ("GET", "/api/settings/history", Right.SETTINGS),
    ("POST", "/api/settings/history/1/restore", Right.SETTINGS),
    ("GET", "/api/audit", Right.AUDIT),
]


class Program:
    """Which shows its token with everything it asks."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.session = aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"} if token else {})

    async def __aenter__(self) -> Program:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        sent: dict[str, Any] = {"data": body} if isinstance(body, bytes) else {} if body is None else {"json": body}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.request(method, self.url + path, headers=named, **sent) as answer:
            told = await (answer.json() if answer.content_type == "application/json" else answer.text())
            return answer.status, told

    async def get(self, path: str) -> Any:
        status, told = await self.ask("GET", path)
        assert status == 200, told
        return told

    async def post(self, path: str, body: object = None) -> tuple[int, Any]:
        return await self.ask("POST", path, body)


@pytest.fixture
def room() -> PaperRoom:
    return PaperRoom()


@pytest.fixture
async def anna(served: Pages) -> Person:
    return await served.person("anna")


@pytest.fixture
async def program(served: Pages, anna: Person) -> AsyncIterator[Program]:
    """With all that a token can have."""
    token = await served.people.make_token(anna, "robot", SCOPES, None, Actor("anna"))
    async with Program(served.url, token) as program:
        yield program


async def noted(served: Pages, action: str) -> list[tuple[str, str]]:
    return [(one.who, one.subject) for one in await served.people.entries(50) if one.action == action]


async def steps(served: Pages) -> list[Step]:
    async with served.database.read() as conn:
        return (await lanes.load(conn, [CALL]))[CALL]


# ---- who may


async def test_each_wants_the_right_of_its_page(served: Pages, anna: Person, tmp_path: Path) -> None:
    await store(served.database, tmp_path, NOW)
    for method, path, right in ROUTES:
        others = [scope for scope in SCOPES if scope is not right]
        for scopes, admitted in (([right], True), (others, False)):
            token = await served.people.make_token(anna, "t", scopes, None, Actor("anna"))
            async with Program(served.url, token) as program:
                status, told = await program.ask(method, path, {} if "call-back" in path or "settings" in path else None)
                assert (status not in (401, 403)) is admitted, (method, path, scopes, told)
                if not admitted:
                    assert (status, told["error"]) == (403, "no_right")
    async with Program(served.url, "") as nobody, Program(served.url, "pzt_none") as stranger:
        for method, path, _ in ROUTES:
            assert (await nobody.ask(method, path))[0] == 401, path
            assert (await stranger.ask(method, path))[1]["error"] == "token_invalid", path


async def test_a_token_has_never_more_than_its_maker(served: Pages, anna: Person) -> None:
    vera = await served.person("vera", Role.OBSERVER)
    token = await served.people.make_token(vera, "hers", SCOPES, None, Actor("vera"))
    async with Program(served.url, token) as program:
        assert (await program.ask("GET", "/api/deliveries"))[0] == 200
        for method, path, right in ROUTES:
            if right in (Right.DELIVER, Right.SETTINGS, Right.AUDIT, Right.CALL_BACK):
                assert (await program.ask(method, path))[0] == 403, path


async def test_each_program_can_read_what_there_is(served: Pages, anna: Person) -> None:
    token = await served.people.make_token(anna, "robot", [Right.AUDIT], None, Actor("anna"))
    async with Program(served.url, token) as program:
        assert "/api/audit" in (await program.get("/api/openapi.json"))["paths"]
        assert (await program.ask("GET", "/status"))[0] == 403


async def test_programs_have_none_of_the_forms(served: Pages, program: Program) -> None:
    """A form can give the settings away with their secrets."""
    for path in ("/settings/export", "/settings/customisation/try", "/deliveries/main/pause", "/missed/call-back"):
        assert (await program.post(path))[0] == 403, path
    assert (await program.ask("GET", "/settings"))[0] == 403
    assert (await program.ask("GET", "/calls"))[0] == 200


async def test_a_page_of_somebody_else_cannot_ask(served: Pages, program: Program) -> None:
    for method, path, _ in ROUTES:
        status, told = await program.ask(method, path, Sec_Fetch_Site="cross-site")
        assert (status, told["error"]) == (403, "foreign_page"), path


async def test_a_person_s_cookie_needs_the_form_s_token_here_too(served: Pages, anna: Person) -> None:
    async with Visitor(served.url) as visitor:
        await visitor.sign_in("anna")
        assert (await visitor.get("/api/deliveries")).status == 200
        assert (await visitor.post("/api/deliveries/main/pause", {"csrf": ""})).status == 403
    async with served.database.read() as conn:
        assert not await pauses.read(conn)


# ---- the journal


async def test_what_would_be_decided_now(room: PaperRoom, served: Pages, program: Program, tmp_path: Path) -> None:
    await store(served.database, tmp_path, NOW)
    nothing = await program.get(f"/api/journal/{CALL}/what-if")
    assert (nothing["decisions"], nothing["same"]) == (None, False)
    draft = StepDraft("k", Kind.FINISH, {"auth": "s3cret", "user_id": "11"}, Priority.FINISH, Reason("{x}", {"x": "why"}))
    room.foretold = [Decision(Reason("{x}", {"x": "everything is different"}), (draft,))]
    told = await program.get(f"/api/journal/{CALL}/what-if")
    [one] = told["decisions"]
    assert (one["why"], one["as_then"], told["same"]) == ("everything is different", False, False)
    assert [asked["method"] for asked in one["requests"]] == ["telephony.externalCall.finish"]
    assert "s3cret" not in str(told)
    assert told["missing"]
    assert (await program.ask("GET", "/api/journal/none/what-if"))[0] == 404


async def test_the_file_for_support_is_as_the_page_gives_it(served: Pages, program: Program, tmp_path: Path) -> None:
    await store(served.database, tmp_path, NOW)
    whole = await program.get(f"/api/journal/{CALL}/support")
    assert (whole["call"]["client"], whole["facts"][0]["fact"]) == (CLIENT, "CallStarted")
    masked = await program.get(f"/api/journal/{CALL}/support?masked=1")
    assert CLIENT[2:] not in str(masked) and masked["call"]["id"] == CALL
    assert await noted(served, "exported") == [("anna (robot)", CALL)] * 2
    assert (await program.ask("GET", "/api/journal/none/support"))[0] == 404


async def test_page_after_page_gives_each_call_once(served: Pages, program: Program) -> None:
    await many(served.database, 120, NOW)
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        async with program.session.get(f"{served.url}/api/journal", params={"after": after}) as answer:
            told = await answer.json()
        found += [one["id"] for one in told["calls"]]
        after = told["older"] or None
    assert found == [f"main-{number:07}" for number in range(120)]


FOUND = [
    ("client=8+(916)+000-00-00", 1),
    ("line=812", 20),
    ("employee=101", 1),
    ("employee=%00%ff", 0),
    ("outcome=missed&direction=outgoing", 3),
    ("outcome=nonsense&since=nonsense&until=9999-99-99&after=nonsense", 40),
    ("since=2026-09-22", 0),
]


async def test_filters_are_those_of_the_page(served: Pages, program: Program) -> None:
    await many(served.database, 40, NOW)
    for query, count in FOUND:
        assert len((await program.get(f"/api/journal?{query}"))["calls"]) == count, query


async def test_the_story_of_a_call(served: Pages, program: Program, tmp_path: Path) -> None:
    await store(served.database, tmp_path, NOW)
    told = await program.get(f"/api/journal/{CALL}?lang=en")
    assert told["call"]["client"] == CLIENT and told["call"]["started"].startswith("2026-09-21T")
    assert [one["kind"] for one in told["facts"]][:2] == ["CallStarted", "MenuChosen"]
    assert "101 Анна Петрова talks with the client" in [one["told"] for one in told["facts"]]
    assert told["decisions"][0]["requests"] == ["k1", "k2"] and CLIENT in told["decisions"][0]["why"]
    register, finish, dead = told["requests"]
    assert (register["state"], register["params"]["USER_PHONE_INNER"]) == ("done", "101")
    assert register["answer"]["auth"] == "***" and "s3cret" not in str(told)
    assert finish["params"]["CALL_ID"] == "→ register.CALL_ID"
    assert (dead["state"], dead["may_be_sent_again"]) == ("dead", True) and dead["fix"]
    assert [one["state"] for one in told["recordings"]] == ["ready"]
    russian = await program.get(f"/api/journal/{CALL}?lang=ru")
    assert russian["facts"][0]["told"] != told["facts"][0]["told"]
    for nonsense in ("nothing", "%00", "x" * 300, "%ff"):
        assert (await program.ask("GET", f"/api/journal/{nonsense}"))[0] == 404, nonsense


# ---- deliveries


async def test_what_failed_is_sent_again_or_left_out(
    room: PaperRoom, served: Pages, program: Program, tmp_path: Path
) -> None:
    await store(served.database, tmp_path, NOW)
    [portal] = (await program.get("/api/deliveries"))["portals"]
    [failed] = portal["failed"]
    assert (portal["portal"], failed["call"], failed["request"]["state"]) == ("main", CALL, "dead")
    number = failed["request"]["id"]
    assert await program.post(f"/api/deliveries/steps/{number}/skip") == (200, {"done": "done"})
    left = (await steps(served))[2]
    assert (left.state, str(left.note)) == (State.SKIPPED, "left out by anna (robot)")
    assert await program.post(f"/api/deliveries/steps/{number}/skip") == (200, {"done": "already"})
    assert await program.post(f"/api/deliveries/steps/{number}/again") == (200, {"done": "done"})
    assert (await steps(served))[2].state is State.NEW and room.woken
    assert await program.post("/api/deliveries/main/again") == (200, {"count": 0})
    assert await noted(served, "step_left_out") == [("anna (robot)", CALL)]
    assert await noted(served, "step_sent_again") == [("anna (robot)", CALL)]
    for nothing in ("steps/999999/again", "steps/0/skip", "steps/x/again", "nowhere/again", "nowhere/resume"):
        status, told = await program.post(f"/api/deliveries/{nothing}")
        assert (status, told["error"]) == (404, "not_found"), nothing


async def test_a_portal_is_paused_and_goes_on(room: PaperRoom, served: Pages, program: Program) -> None:
    assert await program.post("/api/deliveries/main/pause") == (200, {"changed": True})
    assert await program.post("/api/deliveries/main/pause") == (200, {"changed": False})
    [portal] = (await program.get("/api/deliveries"))["portals"]
    assert portal["paused_by"] == "anna (robot)" and room.sendings[0].pause is not None
    assert await program.post("/api/deliveries/main/resume") == (200, {"changed": True})
    assert room.sendings[0].pause is None
    assert await noted(served, "portal_paused") == await noted(served, "portal_resumed") == [("anna (robot)", "main")]


# ---- calling back


async def test_a_missed_client_is_called_back(room: PaperRoom, served: Pages, program: Program) -> None:
    now = time.time()
    one = Missed("main", CLIENT, 1, "lane", 3, now - 7200, now - 60, "17", "99")
    await served.database.write(lambda conn: missed.save(conn, one))
    told = await program.get("/api/missed")
    [waits] = told["waiting"]
    assert (waits["client"], waits["misses"], waits["responsible"]) == (CLIENT, 3, "99")
    assert [phone["user"] for phone in told["telephones"]] == ["11", "12"]
    body = {"portal": "main", "client": CLIENT, "ticket": waits["ticket"]}
    status, answer = await program.post("/api/missed/call-back", body)
    assert (status, answer["error"]) == (409, "no_telephone") and not room.orders
    status, answer = await program.post("/api/missed/call-back", body | {"telephone": "12"})
    assert (status, answer["telephone"]["extension"]) == (202, "102")
    assert [(order.key, order.user) for order in room.orders] == [(f"page:{waits['ticket']}", "12")]
    assert (await program.post("/api/missed/call-back", {"portal": "main", "client": CLIENT, "telephone": "11"}))[0] == 202
    assert room.orders[0].key != room.orders[1].key
    old = body | {"telephone": "12", "ticket": "0000000001:0123456789abcdef"}
    assert (await program.post("/api/missed/call-back", old))[1]["error"] == "old_ticket"
    room.refuses = Reason("this client is being called already")
    status, answer = await program.post("/api/missed/call-back?lang=en", body | {"telephone": "12"})
    assert (status, answer["error"]) == (409, "refused") and "already" in answer["message"]
    assert (await program.post("/api/missed/call-back", body | {"client": "+79990000000"}))[0] == 404
    assert await noted(served, "called_back") == [("anna (robot)", CLIENT)] * 2


# ---- settings


@pytest.fixture
async def configured(served: Pages) -> int:
    saved = await served.store.apply(settings_from(parse(SETTINGS)), "test")
    return saved.version.id


async def test_settings_are_read_without_secrets_and_come_back_whole(
    served: Pages, program: Program, configured: int
) -> None:
    told = await program.get("/api/settings")
    assert told["version"] == configured and SECRET not in str(told)
    assert told["settings"]["line"] == [{"number": "+74951234567"}]
    status, saved = await program.ask("PATCH", "/api/settings", {"on": configured, "settings": told["settings"]})
    assert (status, saved["version"], saved["changes"]) == (200, configured, [])
    assert SECRET in served.store.current.settings.portal[0].webhook.raw  # type: ignore[union-attr]


async def test_a_change_is_saved_shown_and_undone(served: Pages, program: Program, configured: int) -> None:
    change = {"on": configured, "settings": {"calls": {"extension_pattern": r"^\d{3}$"}}, "note": "three\n digits"}
    status, dry = await program.ask("PATCH", "/api/settings", change | {"dry": True})
    assert (status, dry["version"]) == (200, configured)
    assert [one["path"] for one in dry["changes"]] == ["calls.extension_pattern"]
    assert served.store.current.id == configured
    status, saved = await program.ask("PATCH", "/api/settings", change)
    assert (status, saved["changes"]) == (200, dry["changes"])
    assert served.store.current.settings.calls.extension_pattern == r"^\d{3}$"
    assert len(served.store.current.settings.portal) == 1, "a save replaces what it names"
    [newest, first] = (await program.get("/api/settings/history"))["versions"]
    assert (newest["id"], newest["who"], newest["note"]) == (saved["version"], "anna (robot)", "three digits")
    assert SECRET not in str(first) and (await program.get(f"/api/settings/history?before={newest['id']}"))["versions"] == [
        first
    ]
    assert await noted(served, "settings_saved") == [("anna (robot)", str(newest["id"])), ("test", str(first["id"]))]
    status, late = await program.ask("PATCH", "/api/settings", change)
    assert (status, late["error"]) == (409, "saved_meanwhile")
    restore = f"/api/settings/history/{configured}/restore"
    assert (await program.post(restore, {"on": configured}))[0] == 409
    assert (await program.post(restore, {"on": newest["id"]}))[0] == 200
    assert served.store.current.settings.calls.extension_pattern != r"^\d{3}$"
    assert (await program.post("/api/settings/history/999/restore", {"on": served.store.current.id}))[0] == 404


async def test_each_faulty_setting_is_named_by_its_path(served: Pages, program: Program, configured: int) -> None:
    wrong = {"line": [{"number": "+74951234567"}, {"trunk": 5}], "calls": {"extension_patern": "x"}, "nonsense": 1}
    status, told = await program.ask("PATCH", "/api/settings?lang=en", {"on": configured, "settings": wrong})
    assert (status, told["error"]) == (422, "settings_invalid")
    paths = {one["path"]: one["message"] for one in told["mistakes"]}
    assert {"line[1].number", "line[1].trunk", "nonsense"} <= set(paths)
    assert "extension_pattern" in paths["calls.extension_patern"]
    assert served.store.current.id == configured
    stranger = {
        "portal": [{"name": "other", "webhook": (await program.get("/api/settings"))["settings"]["portal"][0]["webhook"]}]
    }
    status, told = await program.ask("PATCH", "/api/settings", {"on": configured, "settings": stranger})
    assert (status, [one["path"] for one in told["mistakes"]]) == (422, ["portal[0].webhook"]), "a mask is no secret"


BODIES: list[tuple[object, int]] = [
    (b"{", 400),
    (b"[]", 400),
    (b"\xff", 400),
    ({}, 400),
    ({"on": "1", "settings": {}}, 400),
    ({"on": True, "settings": {}}, 400),
    ({"on": 1, "settings": []}, 400),
    ({"on": 1, "settings": {}, "note": 5}, 400),
    ({"on": 1, "settings": {}, "dry": "yes"}, 400),
    ({"on": 1, "settings": {}, "more": 1}, 400),
    ({"on": 1, "settings": {"version": 99}}, 422),
    ({"on": 1, "settings": {"calls": None, "line": "\0", "portal": [[]]}}, 422),
    (b'{"on": 1, "settings": {"web": {"password": "\\ud800"}}}', 422),
    (b'{"on": 1, "settings": {"calls": ' + b"[" * 900 + b"]" * 900 + b"}}", 422),
    (b'{"on": 1, "settings": {"calls": ' + b"[" * 20000 + b"]" * 20000 + b"}}", 400),
    (b" " * (1024 * 1024 + 1), 413),
]


async def test_bodies_that_are_no_change_of_settings(served: Pages, program: Program, configured: int) -> None:
    for body, status in BODIES:
        sent = {"Content_Type": "application/json"} if isinstance(body, bytes) else {}
        got, told = await program.ask("PATCH", "/api/settings", body, **sent)
        assert got == status and told["error"], (str(body)[:80], told)
    assert served.store.current.id == configured


async def test_forms_are_no_json(served: Pages, program: Program, configured: int) -> None:
    for method, path in (("PATCH", "/api/settings"), ("POST", "/api/missed/call-back")):
        status, told = await program.ask(method, path, b"on=1", Content_Type="application/x-www-form-urlencoded")
        assert (status, told["error"]) == (415, "json_wanted")


# ---- the audit log


async def test_the_audit_log_page_after_page(served: Pages, program: Program) -> None:
    for _ in range(30):
        await program.post("/api/deliveries/main/pause")
        await program.post("/api/deliveries/main/resume")
    first = await program.get("/api/audit")
    assert len(first["entries"]) == 50 and first["entries"][0]["action"] == "portal_resumed"
    async with program.session.get(f"{served.url}/api/audit", params={"after": first["older"]}) as answer:
        second = await answer.json()
    ids = [one["id"] for one in (*first["entries"], *second["entries"])]
    assert len(set(ids)) == len(ids) > 60 and second["older"] == ""
    assert len((await program.get("/api/audit?after=nonsense"))["entries"]) == 50


# ---- the description


async def test_models_of_answers_are_in_the_description(served: Pages, program: Program) -> None:
    api = await program.get("/api/openapi.json")
    for method, address, right in ROUTES:
        path = address.replace(CALL, "{call}").replace("/main/", "/{portal}/").replace("/1/restore", "/{number}/restore")
        operation = api["paths"][path.replace("/steps/1/", "/steps/{step_id}/")][method.lower()]
        assert operation["x-right"] == right.value
        [answer] = [one for status, one in operation["responses"].items() if status in ("200", "202")]
        name = answer["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        assert api["components"]["schemas"][name]["type"] == "object"
    assert "HTTPValidationError" not in str(api)


@pytest.mark.parametrize("page", ["api.md", "api.ru.md"])
def test_every_address_is_documented(page: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / page).read_text(encoding="utf-8")
    for method, address, right in ROUTES:
        path = address.replace("/main/", "/PORTAL/").replace("/1/restore", "/NUMBER/restore").replace("/1/", "/ID/")
        path, name = path.replace(CALL, "CALL").replace("steps/ID/skip", "steps/ID/again"), f"`{right.value}` |"
        known = path.replace("/resume", "/pause")
        assert [line for line in text.splitlines() if f"`{method} {known}`" in line and line.endswith(name)], (method, path)
