"""Conferences controlled over HTTP: every order, every refusal, who may what, and what onlookers are told meanwhile.

A real server, the service's own desk, control, rooms and tracker; the PBX is a paper one.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import aiohttp
import pytest
import uvicorn
from conference_script import THIRD
from cryptography.fernet import Fernet
from paper_office import ANNA, BORIS, Office, Talk
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.testing import capture_logs

from perezvon.asterisk import ActionRefused, ActionTimeout, AmiError, Fate, NotConnected
from perezvon.company import DatabaseTrouble, Fault
from perezvon.conference import ConferenceError, Employee, Operator, Whole, control
from perezvon.conference.live import MOST_WAITING, Live
from perezvon.rules import Reason
from perezvon.service import conferences
from perezvon.settings.secrets import SecretBox
from perezvon.web import Badges, conference_api, create_app, event_stream, json_body
from perezvon.web import refusals as refusals_of_the_gate
from perezvon.web.badges import BadBadge, OldBadge
from perezvon.web.conference_api import ACTIONS, BURST, ERRORS, LARGEST_BODY, Pace, order_of

Json = Any
ADMINISTRATOR = Operator("administrator")
JSON = {"Content-Type": "application/json"}


@dataclass
class Server:
    """`password`, `language`: as in the settings."""

    office: Office
    badges: Badges
    session: aiohttp.ClientSession
    port: int
    password: str = ""
    language: Literal["auto", "ru", "en"] = "en"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def get(self, path: str, **headers: str) -> tuple[int, Json]:
        async with self.session.get(self.url + path, headers=_named(headers)) as answer:
            return answer.status, await answer.json()

    async def post(self, path: str, body: object = None, **headers: str) -> tuple[int, Json]:
        data = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        async with self.session.post(self.url + path, data=data, headers=JSON | _named(headers)) as answer:
            return answer.status, await answer.json()

    async def order(self, talk: Talk, action: str, **body: str) -> tuple[int, Json]:
        return await self.post(f"/api/calls/{talk.id}/{action}", body)

    def badge(self, user: str = "7", extension: str = "101", lifetime: float = 60, **more: str) -> str:
        return "Bearer " + self.badges.issue(Employee("main", user, "main", extension, **more), lifetime)

    @asynccontextmanager
    async def stream(self, **headers: str) -> AsyncIterator[Stream]:
        timeout = aiohttp.ClientTimeout(total=20)
        async with self.session.get(self.url + "/api/events", headers=_named(headers), timeout=timeout) as answer:
            yield Stream(answer)


@dataclass
class Stream:
    answer: aiohttp.ClientResponse

    async def block(self) -> list[str]:
        """The lines up to the next empty one; none at the end of the stream."""
        lines: list[str] = []
        while line := (await self.answer.content.readline()).decode():
            if line == "\n":
                return lines
            lines.append(line.removesuffix("\n"))
        return lines

    async def event(self) -> tuple[str, Json]:
        """The next one with data: its name and what it tells; ("", None) at the end."""
        while lines := await self.block():
            fields = dict(line.split(": ", 1) for line in lines if not line.startswith(":"))
            if "data" in fields:
                return fields["event"], json.loads(fields["data"])
        return "", None

    async def whats(self, count: int) -> list[tuple[str, str]]:
        """What has happened to calls, and the stage then."""
        found: list[tuple[str, str]] = []
        while len(found) < count:
            name, told = await self.event()
            assert name == "call", (name, told, found)
            found.append((told["what"], told["now"]["room"]["stage"] if told["now"] else ""))
        return found


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.fixture
def talk(office: Office) -> Talk:
    return office.pbx.talk()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "SOON", 0.1)
    monkeypatch.setattr(control, "PROMPT", 0.0)
    monkeypatch.setattr(conferences, "TICK", 0.02)


class Door:
    """What the module's server serves: the application of the running test."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[tuple[uvicorn.Server, int]]:
    """The server and its port. It takes a tenth of a second to stop: most tests share one."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    try:
        yield server, sock.getsockname()[1]
    finally:
        server.should_exit = True
        await asyncio.wait([serving])


@pytest.fixture(scope="module")
async def door() -> AsyncIterator[tuple[Door, int]]:
    door = Door()
    async with served(door) as (_, port):
        yield door, port


@pytest.fixture
async def web(office: Office, door: tuple[Door, int], tmp_path: Path) -> AsyncIterator[Server]:
    badges = Badges(SecretBox.open(tmp_path), lambda: office.now)
    async with aiohttp.ClientSession() as session:
        web = Server(office, badges, session, door[1])
        nothing = cast("Any", None)
        door[0].app = create_app(
            nothing, nothing, desk=office.desk, badges=badges, password=lambda: web.password, language=lambda: web.language
        )
        looking = asyncio.create_task(office.desk.run())
        yield web
        office.desk.close()
        looking.cancel()
        await asyncio.wait([looking])


def stage(told: Json) -> str:
    return told["call"]["room"]["stage"]


def person(told: Json, role: str) -> Json:
    return next(one for one in reversed(told["call"]["room"]["people"]) if one["role"] == role)


def answered(office: Office, talk: Talk) -> None:
    office.pbx.happens(talk, talk.private)


# What can be done


async def test_calls_are_listed_with_their_rooms(web: Server, talk: Talk) -> None:
    status, told = await web.get("/api/calls")
    assert (status, told["pbxs"]) == (200, [{"name": "main", "state": "live"}])
    [call] = told["calls"]
    assert call == {
        "id": talk.id, "pbx": "main", "direction": "incoming", "client": "+79161234567", "line": "+74951234567",
        "employees": ["101"], "room": call["room"],
    }  # fmt: skip
    assert (call["room"]["stage"], [one["role"] for one in call["room"]["people"]]) == ("talk", ["client", "manager"])
    assert await web.get(f"/api/calls/{talk.id}") == (200, {"call": call})


async def test_from_the_talk_to_the_room_and_back(web: Server, office: Office, talk: Talk) -> None:
    assert stage((await web.order(talk, "consult"))[1]) == "code"
    assert stage((await web.order(talk, "back"))[1]) == "room"
    assert stage((await web.order(talk, "consult"))[1]) == "code"
    status, told = await web.order(talk, "add", code="1")
    assert (status, stage(told), told["call"]["room"]["to"]) == (200, "ring", THIRD)
    answered(office, talk)
    assert stage((await web.order(talk, "join"))[1]) == "room"
    status, told = await web.order(talk, "mute", channel=talk.client.name)
    assert (status, person(told, "client")["muted"]) == (200, True)
    assert person((await web.order(talk, "unmute", channel=talk.client.name))[1], "client")["muted"] is False
    third = talk.thirds[-1].name
    status, told = await web.order(talk, "drop", channel=third)
    assert (status, stage(told), [one["role"] for one in told["call"]["room"]["people"]]) == (
        200,
        "room",
        ["client", "manager"],
    )
    assert (await web.order(talk, "drop", channel=third))[1]["error"] == "not_in_conference"


async def test_by_number_straight_from_the_talk(web: Server, talk: Talk) -> None:
    status, told = await web.order(talk, "add", number="+7 (495) 222-33-44")
    assert (status, stage(told), told["call"]["room"]["to"]) == (200, "ring", THIRD)


async def test_invited_without_a_private_talk(web: Server, talk: Talk) -> None:
    status, told = await web.order(talk, "invite", code="1")
    assert (status, stage(told)) == (202, "room")
    assert (person(told, "third")["place"]) == "ringing"


async def test_somebody_who_is_busy_at_once_is_told(web: Server, office: Office, talk: Talk) -> None:
    office.pbx.fate = Fate.BUSY
    status, told = await web.order(talk, "invite", number=THIRD)
    assert (status, told["error"]) == (409, "not_reached")
    assert THIRD in told["message"]
    assert stage(await _one(web, talk)) == "room"


async def _one(web: Server, talk: Talk) -> Json:
    return (await web.get(f"/api/calls/{talk.id}"))[1]


async def test_a_call_that_ends_meanwhile_is_null(web: Server, office: Office, talk: Talk) -> None:
    await web.order(talk, "add", code="1")
    answered(office, talk)
    await web.order(talk, "join")
    third = talk.thirds[-1]

    def all_go() -> None:
        talk.goes(third, "third")
        talk.goes(talk.client, "client")
        talk.goes(talk.manager, "manager")

    office.pbx._obey = lambda *_: office.pbx.happens(talk, all_go)  # type: ignore[method-assign]
    assert await web.order(talk, "drop", channel=third.name) == (200, {"call": None})
    assert (await web.order(talk, "consult"))[0] == 404


# What can be wrong


async def test_a_call_that_is_not_there(web: Server, talk: Talk) -> None:
    for status, told in (await web.get("/api/calls/main-0.0"), await web.post("/api/calls/main-0.0/consult")):
        assert (status, told["error"]) == (404, "no_such_call")
        assert "main-0.0" in told["message"]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotConnected("the PBX is away"), 503, "pbx_away"),
        (ActionRefused("Redirect", "No such channel"), 502, "pbx_refused"),
        (ActionTimeout("no answer within 10 s"), 504, "pbx_silent"),
    ],
)
async def test_a_pbx_in_trouble(web: Server, office: Office, talk: Talk, error: AmiError, status: int, code: str) -> None:
    office.pbx.error = error
    for action, body in (("consult", {}), ("add", {"number": THIRD}), ("invite", {"number": THIRD})):
        got, told = await web.order(talk, action, **body)
        assert (got, told["error"]) == (status, code)
    assert stage(await _one(web, talk)) == "talk"


async def test_a_pbx_that_does_nothing_is_told_of_in_time(web: Server, office: Office, talk: Talk) -> None:
    office.pbx.deaf = True
    status, told = await web.order(talk, "consult")
    assert (status, told["error"]) == (504, "pbx_silent")
    office.pbx.deaf = False
    await web.order(talk, "add", code="1")
    answered(office, talk)
    office.pbx.deaf = True
    status, told = await web.order(talk, "join")
    assert (status, told["error"]) == (504, "pbx_silent")


@pytest.mark.parametrize(
    ("action", "body", "status", "code"),
    [
        ("add", {"code": "999"}, 422, "code_unknown"),
        ("add", {"number": "102&PJSIP/666@carrier"}, 422, "not_dialable"),
        ("invite", {"number": "\r\nAction: Originate"}, 422, "not_dialable"),
        ("join", {}, 409, "conference_over"),
        ("back", {}, 409, "conference_over"),
        ("drop", {"channel": "PJSIP/nobody-1"}, 409, "conference_over"),
        ("mute", {"channel": "PJSIP/nobody-1"}, 409, "conference_over"),
        ("dance", {}, 404, "no_such_action"),
    ],
)
async def test_what_cannot_be_done_in_a_talk(
    web: Server, office: Office, talk: Talk, action: str, body: dict[str, str], status: int, code: str
) -> None:
    assert [(got, told["error"]) for got, told in [await web.order(talk, action, **body)]] == [(status, code)]
    assert office.pbx.acted == []


async def test_what_cannot_be_done_now(web: Server, office: Office, talk: Talk) -> None:
    await web.order(talk, "consult")
    for action, body, code in (
        ("consult", {}, "not_now"),
        ("join", {}, "not_now"),
        ("mute", {"channel": "PJSIP/nobody-1"}, "not_in_conference"),
        ("mute", {"channel": talk.manager.name}, "not_in_conference"),
        ("drop", {"channel": talk.client.name}, "not_in_conference"),
    ):
        status, told = await web.order(talk, action, **body)
        assert (status, told["error"]) == (409, code)
    assert stage(await _one(web, talk)) == "code"


async def test_codes_that_cannot_be_read(web: Server, office: Office, talk: Talk) -> None:
    office.pbx.trouble = DatabaseTrouble(Fault.UNREACHABLE, Reason("nobody answers"), Reason("start it"))
    status, told = await web.order(talk, "add", code="1")
    assert (status, told["error"]) == (503, "codes_unreadable")


async def test_a_call_of_another_dialplan_is_left_alone(web: Server, office: Office, talk: Talk) -> None:
    office.pbx.features = ""
    status, told = await web.order(talk, "consult")
    assert (status, told["error"]) == (409, "not_now")
    assert set(office.pbx.acted) == {"Getvar"}


def test_every_error_has_its_status() -> None:
    def below(error: type[ConferenceError]) -> Iterator[type[ConferenceError]]:
        for one in error.__subclasses__():
            yield one
            yield from below(one)

    assert set(ERRORS) == set(below(ConferenceError))


@pytest.mark.parametrize("page", ["conference-api.md", "conference-api.ru.md"])
def test_everything_is_documented(page: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / page).read_text(encoding="utf-8")
    rooms = vars(conference_api) | vars(json_body) | vars(refusals_of_the_gate)
    refusals = [one for one in rooms.values() if isinstance(one, conference_api.Refusal)]
    assert len(refusals) > 10
    codes = {(one.status, one.code) for one in refusals} | set(ERRORS.values())
    rows = [line for line in text.splitlines() if line.startswith("|")]
    missing = [
        (status, code) for status, code in codes if not any(str(status) in row and f"`{code}`" in row for row in rows)
    ]
    assert not missing
    assert not [action for action in ACTIONS if f"`{action}`" not in text]


async def test_errors_speak_the_readers_language(web: Server, office: Office, talk: Talk) -> None:
    _, told = await web.post(f"/api/calls/{talk.id}/add?lang=ru", {"code": "999"})
    assert told["error"] == "code_unknown"
    assert "999" in told["message"] and "nobody" not in told["message"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "malformed"),
        (b"[]", 400, "malformed"),
        (b"\xff", 400, "malformed"),
        (b"[" * 4000, 400, "malformed"),
        ({}, 400, "malformed"),
        ({"number": "1", "code": "1"}, 400, "malformed"),
        ({"number": 101}, 400, "malformed"),
        ({"number": "1" * 300}, 400, "malformed"),
        ({"code": "1", "employee": "102"}, 400, "malformed"),
        (b" " * (LARGEST_BODY + 1), 413, "too_large"),
    ],
)
async def test_bodies_that_are_none(web: Server, office: Office, talk: Talk, body: object, status: int, code: str) -> None:
    got, told = await web.post(f"/api/calls/{talk.id}/add", body)
    assert (got, told["error"]) == (status, code)
    assert office.pbx.acted == []


async def test_a_body_that_never_comes(web: Server, talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conference_api, "SLOWEST_BODY", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
    writer.write(
        f"POST /api/calls/{talk.id}/consult HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        "Content-Length: 9\r\n\r\n{".encode()
    )
    assert b"408" in await reader.readline()
    writer.close()


async def test_too_many_orders(web: Server, talk: Talk) -> None:
    answers = [(await web.order(talk, "join"))[0] for _ in range(int(BURST) + 3)]
    assert answers[:20] == [409] * 20
    assert 429 in answers[20:]
    assert (await web.get("/api/calls"))[0] == 200


def test_the_pace_recovers_and_forgets() -> None:
    now = [0.0]
    pace = Pace(lambda: now[0])
    assert [pace.allows("a") for _ in range(21)] == [True] * 20 + [False]
    assert pace.allows("b")
    now[0] = 0.2
    assert [pace.allows("a"), pace.allows("a")] == [True, False]
    now[0] = 100.0
    for number in range(3000):
        now[0] += 1
        pace.allows(str(number))
    assert len(pace._left) <= 1001


@pytest.mark.parametrize("action", ["add", "invite"])
def test_orders_are_what_they_say(action: str) -> None:
    assert order_of(action, {"code": " 1 "}) == order_of(action, {"code": "1"})
    assert order_of("mute", {"channel": "x"}) != order_of("unmute", {"channel": "x"})


# Two at once


async def test_two_who_begin_at_once(web: Server, office: Office, talk: Talk) -> None:
    answers = await asyncio.gather(web.order(talk, "consult"), web.order(talk, "consult"))
    assert sorted(status for status, _ in answers) == [200, 409]
    assert office.pbx.acted.count("Redirect") == 1


async def test_two_who_drop_the_same_one_send_nobody_else_away(web: Server, office: Office, talk: Talk) -> None:
    for code in ("1", "2"):
        await web.order(talk, "add", code=code)
        answered(office, talk)
        await web.order(talk, "join")
    third = talk.thirds[-1].name
    answers = await asyncio.gather(*(web.order(talk, "drop", channel=third) for _ in range(3)))
    assert sorted(status for status, _ in answers) == [200, 409, 409]
    assert [one["role"] for one in (await _one(web, talk))["call"]["room"]["people"]] == ["client", "manager", "third"]


# Who may


async def test_this_machine_alone_without_a_password(web: Server, talk: Talk) -> None:
    for path in ("/api/calls", f"/api/calls/{talk.id}", "/api/events"):
        status, told = await web.get(path, x_forwarded_for="8.8.8.8")
        assert (status, told["error"]) == (403, "this_machine_only")
    assert (await web.post(f"/api/calls/{talk.id}/consult", host="evil.example"))[0] == 403


async def test_the_password_where_there_is_one(web: Server, talk: Talk) -> None:
    web.password = "right"

    def basic(word: str) -> str:
        return "Basic " + base64.b64encode(f"admin:{word}".encode()).decode()

    for path in ("/api/calls", f"/api/calls/{talk.id}", "/api/events"):
        status, told = await web.get(path)
        assert (status, told["error"]) == (401, "password_wanted")
    assert (await web.get("/api/calls", authorization=basic("wrong")))[0] == 401
    assert (await web.get("/api/calls", authorization=basic("right"), x_forwarded_for="8.8.8.8"))[0] == 200


async def test_an_employee_sees_and_moves_only_his_own_calls(web: Server, office: Office, talk: Talk) -> None:
    other = office.pbx.talk("102", "79169999999")
    anna, boris = web.badge(), web.badge("8", "102")
    _, told = await web.get("/api/calls", authorization=anna, x_forwarded_for="8.8.8.8")
    assert [call["id"] for call in told["calls"]] == [talk.id]
    assert (await web.get(f"/api/calls/{other.id}", authorization=boris))[0] == 200
    status, told = await web.get(f"/api/calls/{other.id}", authorization=anna)
    assert (status, told["error"]) == (404, "no_such_call")
    with capture_logs() as logs:
        assert (await web.post(f"/api/calls/{other.id}/consult", authorization=anna))[0] == 404
    assert office.pbx.acted == []
    [refused] = [log for log in logs if log["event"] == "conference: refused"]
    assert (refused["who"], refused["code"], refused["call"]) == ("user 7 of main", "no_such_call", other.id)
    with capture_logs() as logs:
        assert (await web.post(f"/api/calls/{talk.id}/consult", authorization=anna))[0] == 200
    [done] = [log for log in logs if log["event"] == "conference: ordered"]
    assert (done["who"], done["order"], done["call"], done["stage"]) == ("user 7 of main", "Consult()", talk.id, "code")
    assert anna.removeprefix("Bearer ") not in str(logs)


async def test_a_badge_for_one_call(web: Server, office: Office, talk: Talk) -> None:
    """For the portal's own SIP line, behind which all employees look alike."""
    other = office.pbx.talk("102", "79169999999")
    badge = web.badge(extension="", call=other.id)
    assert [call["id"] for call in (await web.get("/api/calls", authorization=badge))[1]["calls"]] == [other.id]
    assert (await web.get(f"/api/calls/{talk.id}", authorization=badge))[0] == 404


@pytest.mark.parametrize("spoil", ["x", "", "Zm9v", "ü", "a" * 5000])
async def test_badges_that_are_none(web: Server, talk: Talk, spoil: str) -> None:
    headers = {"authorization": f"Bearer {spoil}".encode().decode("latin-1")}
    status, told = await web.get("/api/calls", **headers)
    assert (status, told["error"]) == (401, "badge_invalid")


async def test_a_badge_out_of_date_or_of_somebody_who_left(web: Server, office: Office, talk: Talk) -> None:
    badge = web.badge(lifetime=60)
    office.now += 61
    assert (await web.get("/api/calls", authorization=badge))[1]["error"] == "badge_expired"
    badge = web.badge()
    office.employees = (BORIS,)
    office.move_in()
    for path in ("/api/calls", "/api/events"):
        status, told = await web.get(path, authorization=badge)
        assert (status, told["error"]) == (403, "badge_revoked")
    office.employees = (ANNA.__class__("7", "Anna", "105"), BORIS)
    office.move_in()
    assert (await web.get("/api/calls", authorization=badge))[0] == 403
    office.employees = (ANNA.__class__("7", "Anna", "101", active=False), BORIS)
    office.move_in()
    assert (await web.get("/api/calls", authorization=badge))[0] == 403


def test_a_badge_cannot_be_made_or_altered(tmp_path: Path) -> None:
    box = SecretBox.open(tmp_path)
    badges = Badges(box, lambda: 1000.0)
    anna = Employee("main", "7", "main", "101")
    badge = badges.issue(anna, 10)
    assert badges.read(badge) == anna
    assert "101" not in badge and "Anna" not in badge
    altered = badge[:60] + ("A" if badge[60] != "A" else "B") + badge[61:]
    other = Fernet(Fernet.generate_key()).encrypt(b"{}").decode()
    for wrong in (altered, other, badge[:-4], box.seal(b'{"until": 9e9}').decode()):
        with pytest.raises(BadBadge):
            badges.read(wrong)
    with pytest.raises(OldBadge):
        Badges(box, lambda: 1010.0).read(badge)
    assert Badges(box.rotate(), lambda: 1000.0).read(badge) == anna


# Pages of somebody else


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"sec_fetch_site": "same-origin", "origin": "https://behind.a.proxy"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:1"}, 403),
        ({"content_type": "application/x-www-form-urlencoded"}, 415),
        ({"content_type": "text/plain"}, 415),
        ({"content_type": ""}, 415),
        ({"content_type": "application/json; charset=utf-8"}, 200),
    ],
)
async def test_only_our_own_pages_and_programs_give_orders(
    web: Server, office: Office, talk: Talk, headers: dict[str, str], status: int
) -> None:
    sent = dict(headers)
    if "content_type" in sent:
        sent["Content-Type"] = sent.pop("content_type")
    with capture_logs() as logs:
        got, _ = await web.post(f"/api/calls/{talk.id}/consult", **sent)
    assert got == status
    if status != 200:
        assert office.pbx.acted == []
        assert [log["log_level"] for log in logs] == ["warning"]


async def test_our_own_origin_is_welcome_and_nobody_else_may_read(web: Server, talk: Talk) -> None:
    assert (await web.post(f"/api/calls/{talk.id}/consult", origin=web.url))[0] == 200
    for path in ("/api/calls", "/api/events"):
        assert (await web.get(path, sec_fetch_site="cross-site"))[0] == 403
    async with web.session.options(f"{web.url}/api/calls/{talk.id}/consult", headers={"Origin": "https://evil"}) as answer:
        assert answer.status == 405
        assert not any(name.lower().startswith("access-control") for name in answer.headers)
    async with web.session.get(f"{web.url}/api/calls/{talk.id}/consult") as answer:
        assert answer.status == 405


async def test_nothing_is_kept_by_browsers_and_proxies(web: Server, talk: Talk) -> None:
    async with web.session.get(f"{web.url}/api/calls") as answer:
        assert (answer.headers["Cache-Control"], "ETag" in answer.headers) == ("no-store", False)
    async with web.stream() as stream:
        told = stream.answer.headers
        assert told["Content-Type"].startswith("text/event-stream")
        assert (told["Cache-Control"], told["X-Accel-Buffering"]) == ("no-store, no-transform", "no")
        assert "Content-Length" not in told


# Live


async def test_the_stream_tells_everything_and_then_each_change(web: Server, office: Office, talk: Talk) -> None:
    async with web.stream() as stream:
        assert await stream.block() == ["retry: 2000"]
        name, number, data = await stream.block()
        assert (name, number) == ("event: state", "id: 1")
        assert [call["id"] for call in json.loads(data.removeprefix("data: "))["calls"]] == [talk.id]
        await web.order(talk, "add", code="1")
        answered(office, talk)
        await web.order(talk, "join")
        client = talk.client.name
        await web.order(talk, "mute", channel=client)
        await web.order(talk, "drop", channel=talk.thirds[-1].name)
        office.pbx.happens(talk, talk.end_by_client)
        seen: list[tuple[str, str]] = []
        while not seen or seen[-1] != ("over", ""):
            seen += await stream.whats(1)
    for step in (
        ("code", "code"), ("rings", "ring"), ("private", "private"), ("joined", "room"), ("muted", "room"), ("left", "room"),
    ):  # fmt: skip
        assert step in seen, (step, seen)


async def test_talks_that_begin_and_end_are_told(web: Server, office: Office) -> None:
    async with web.stream() as stream:
        assert (await stream.event())[1]["calls"] == []
        talk = office.pbx.talk()
        assert await stream.whats(1) == [("talk", "talk")]
        office.pbx.happens(talk, lambda: talk.hangup(talk.client, talk.manager))
        assert await stream.whats(1) == [("ended", "")]
        office.pbx.status.state.value = "waiting"
        assert await stream.event() == ("pbx", {"name": "main", "state": "waiting"})


async def test_whoever_comes_back_gets_everything_again(web: Server, office: Office, talk: Talk) -> None:
    async with web.stream() as stream:
        assert (await stream.event())[0] == "state"
    await web.order(talk, "consult")
    async with web.stream(last_event_id="1") as stream:
        name, told = await stream.event()
    assert (name, told["calls"][0]["room"]["stage"]) == ("state", "code")
    async with asyncio.timeout(5):
        while office.desk.onlookers(ADMINISTRATOR) != (0, 0):  # noqa: ASYNC110  nothing tells of it
            await asyncio.sleep(0)


async def test_a_house_that_is_built_anew_breaks_no_stream(web: Server, office: Office, talk: Talk) -> None:
    async with web.stream() as stream:
        await stream.event()
        office.desk.moved_in(None)
        assert await stream.whats(1) == [("ended", "")]
        assert (await web.order(talk, "consult"))[0] == 404
        office.move_in()
        assert (await stream.whats(1), await stream.event()) == (
            [("talk", "talk")],
            ("pbx", {"name": "main", "state": "live"}),
        )


async def test_an_employee_is_told_of_his_own_calls_only(web: Server, office: Office, talk: Talk) -> None:
    async with web.stream(authorization=web.badge("8", "102")) as stream:
        assert (await stream.event())[1]["calls"] == []
        await web.order(talk, "consult")  # Anna's
        other = office.pbx.talk("102", "79169999999")
        name, told = await stream.event()
        assert (name, told["call"], told["now"]["client"]) == ("call", other.id, "+79169999999")
        await web.order(other, "consult")
        await stream.whats(2)
        office.pbx.happens(other, lambda: other.goes(other.manager, "manager"))
        told = {}
        while told.get("what") != "not yours":
            told = (await stream.event())[1]
            assert told["call"] == other.id
        assert told["now"] is None


async def test_a_stream_ends_with_its_badge(web: Server, office: Office, talk: Talk) -> None:
    async with web.stream(authorization=web.badge(lifetime=60)) as stream:
        assert (await stream.event())[0] == "state"
        office.now += 61
        await web.order(talk, "consult")
        name, told = await stream.event()
        assert (name, told["error"]) == ("refused", "badge_expired")
        assert await stream.event() == ("", None)


async def test_silence_is_filled(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    async def welcome() -> None:
        return None

    stream = event_stream.EventStream(office.desk, Operator("x"), welcome, 0.01)
    with office.desk.onlooker(Operator("x")) as stream._onlooker:
        frames = stream._frames()
        told = [await anext(frames) for _ in range(4)]
        await frames.aclose()
    assert told[0].startswith(b"retry") and told[1].startswith(b"event: state")
    assert told[2:] == [b": still here\n\n"] * 2


async def test_too_many_streams(web: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "MOST_FOR_ONE", 1)
    async with web.stream() as stream:
        await stream.event()
        status, told = await web.get("/api/events")
        assert (status, told["error"]) == (503, "too_many_streams")
        assert (await web.get("/api/calls"))[0] == 200


async def test_streams_do_not_hold_up_the_end(web: Server, office: Office, door: tuple[Door, int]) -> None:
    async with served(door[0].app) as (server, web.port), web.stream() as stream:
        await stream.event()
        office.desk.close()
        server.should_exit = True
        async with asyncio.timeout(2):
            assert await stream.event() == ("", None)
            while server.server_state.connections:  # noqa: ASYNC110  nothing tells of it
                await asyncio.sleep(0.01)


async def test_a_reader_who_does_not_read_costs_no_memory(web: Server, office: Office, talk: Talk) -> None:
    """Much more happens than fits into the sockets; then he is told how it is now."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", web.port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=1024)
    writer.write(b"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert b"200" in await reader.readline()
    live = office.desk._live
    [onlooker] = live._onlookers
    [seen] = office.desk.whole(ADMINISTRATOR).calls
    for number in range(20_000):
        live.happened(talk.id, f"change {number}", 0.0, seen)
        if number % 20 == 0:
            await asyncio.sleep(0)
        assert len(onlooker._waiting) <= MOST_WAITING
    assert onlooker._behind
    states, read = 0, b""
    async with asyncio.timeout(10):
        while states < 2:
            read = read[-20:] + await reader.read(65536)
            states += read.count(b"event: state")
    writer.close()


async def test_a_slow_reader_is_told_the_whole_again() -> None:
    office = Office()
    talk = office.pbx.talk()
    live = Live(lambda: office.desk.whole(Operator("x")))
    with live.onlooker(Operator("x")) as slow, live.onlooker(Operator("y")) as quick:
        assert isinstance(await slow.next(1), Whole)
        assert isinstance(await quick.next(1), Whole)
        [seen] = office.desk.whole(Operator("x")).calls
        for number in range(MOST_WAITING + 5):
            live.happened(talk.id, str(number), 0.0, seen)
            assert (await quick.next(1)).what == str(number)  # type: ignore[union-attr]
        assert isinstance(await slow.next(1), Whole)
        assert await slow.next(0.001) is None
        live.happened(talk.id, "more", 0.0, seen)
        assert (await slow.next(1)).what == "more"  # type: ignore[union-attr]
