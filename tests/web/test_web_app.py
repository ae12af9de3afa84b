"""The web application, asked over HTTP on a real server: what people and portals see, and what they must not."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace

import aiohttp
import pytest
import uvicorn

from perezvon.asterisk.errors import ConnectionLost
from perezvon.bitrix24.errors import refusal
from perezvon.doctor import Check, State
from perezvon.rules.vocabulary import Reason
from perezvon.storage.errors import DatabaseGone
from perezvon.web import (
    CallRow,
    EventsStatus,
    LeftOut,
    MachineStatus,
    PbxStatus,
    PortalStatus,
    QueueStatus,
    Received,
    RecordingsStatus,
    SentStep,
    Status,
    UnknownLine,
    Unmapped,
    create_app,
)
from perezvon.web.intake import LARGEST_BODY

NOW = 1_800_000_000.0
HOSTILE = "<script>alert(1)</script>\"'&{{ 7*7 }}"

WELL = Status(
    version="0.1.0",
    now=NOW,
    started=NOW - 3600,
    settings=3,
    pbxs=(PbxStatus("main", "live", NOW - 3000, "tcp://perezvon@127.0.0.1:5038", "22.10.1", 2, 1, NOW - 1),),
    portals=(
        PortalStatus(
            "main",
            "ready",
            NOW - 3000,
            host="example.bitrix24.ru",
            way="application",
            queue=(QueueStatus("cards", 0), QueueStatus("finish", 2)),
            oldest=NOW - 3,
            tokens=31.0,
            burst=50.0,
            events=EventsStatus("offline", True, NOW - 2),
            employees=17,
            refreshed=NOW - 100,
            requests=321,
        ),
    ),
    recordings=RecordingsStatus(waiting=1, done=5),
    calls=(
        CallRow(
            "c1",
            "main",
            NOW - 60,
            "incoming",
            "+79161234567",
            "+74951234567",
            NOW - 10,
            "answered",
            42.0,
            "101",
            (SentStep("register", "done"), SentStep("finish", "done")),
        ),
    ),
)


class Service:
    """Plays the service's part: a status as told, events as they came."""

    def __init__(self) -> None:
        self.now = WELL
        self.down = False
        self.verdict = Received.ACCEPTED
        self.came: list[tuple[str, ...]] = []
        self.checks: list[Check] = []

    async def status(self) -> Status:
        if self.down:
            raise DatabaseGone("no connection to the database")
        return self.now

    async def event(self, portal: str, body: bytes, content_type: str) -> Received:
        if self.down:
            raise DatabaseGone("no connection to the database")
        self.came.append(("event", portal, body.decode(), content_type))
        return self.verdict

    async def robot(self, portal: str, body: bytes, content_type: str) -> Received:
        self.came.append(("robot", portal, body.decode(), content_type))
        return self.verdict

    async def install(self, portal: str, query: Mapping[str, str], body: bytes, content_type: str) -> Received:
        self.came.append(("install", portal, query.get("DOMAIN", ""), body.decode()))
        return self.verdict

    async def doctor(self) -> Sequence[Check]:
        return self.checks


class Browser:
    def __init__(self, port: int, session: aiohttp.ClientSession) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.session = session

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.get(self.url + path, headers=named) as answer:
            return answer.status, await answer.text()

    async def post(self, path: str, body: bytes = b"", **headers: str) -> tuple[int, str]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.post(self.url + path, data=body, headers=named) as answer:
            return answer.status, await answer.text()


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def password() -> list[str]:
    return [""]


@pytest.fixture
async def browser(service: Service, password: list[str]) -> AsyncIterator[Browser]:
    app = create_app(service, service, doctor=service.doctor, password=lambda: password[0])
    # With proto 0, as create_server makes it, asyncio sets no TCP_NODELAY and every answer takes 40 ms.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    async with aiohttp.ClientSession() as session:
        yield Browser(sock.getsockname()[1], session)
    server.should_exit = True
    await asyncio.wait([serving])


# The page


async def test_the_page_shows_every_part_and_that_all_is_well(browser: Browser) -> None:
    status, page = await browser.get("/?lang=en")
    assert status == 200
    for shown in ("Everything is well.", "22.10.1", "example.bitrix24.ru", "+79161234567", "0:42", "answered", "31 / 50"):
        assert shown in page


async def test_the_language_is_the_browsers_and_can_be_chosen(browser: Browser) -> None:
    assert 'lang="ru"' in (await browser.get("/"))[1]
    assert 'lang="ru"' in (await browser.get("/", accept_language="de, ru;q=0.5"))[1]
    assert 'lang="en"' in (await browser.get("/", accept_language="de, en-GB;q=0.9, ru;q=0.5"))[1]
    assert 'lang="ru"' in (await browser.get("/?lang=ru", accept_language="en"))[1]
    assert 'lang="ru"' in (await browser.get("/?lang=xx", accept_language=";q=;;,,"))[1]


async def test_what_went_wrong_is_told_in_the_language_of_the_page(browser: Browser, service: Service) -> None:
    lost = ConnectionLost(Reason("{address} closed the connection", {"address": "pbx:5038"}))
    login = Reason("the connection ended during the login as {user}: {why}", {"user": "u", "why": lost.why})
    denied = refusal(code="ACCESS_DENIED", description="Access denied!", status=403, method="batch")
    employees = Reason("the employees could not be read, the list of before stays: {why}", {"why": denied.why})
    service.now = replace(
        WELL,
        pbxs=(replace(WELL.pbxs[0], state="waiting", last_error=login),),
        portals=(replace(WELL.portals[0], directory_problem=employees),),
    )
    _, page = await browser.get("/?lang=ru")
    pbx = "нет связи: соединение закрылось во время входа под именем u: pbx:5038: соединение закрыто той стороной"
    assert page.count(pbx) == 1, "told once: the card of the PBX does not say it again"
    assert "сотрудников прочитать не удалось, действует прежний список: batch: доступ запрещён (ACCESS_DENIED: " in page
    assert "closed the connection" not in page and "could not be read" not in page

    status = (await browser.get("/status"))[1]
    assert "the connection ended during the login as u: pbx:5038 closed the connection" in status, "JSON stays English"
    assert "the list of before stays: batch: access denied (ACCESS_DENIED: Access denied!)" in status


async def test_problems_are_shown_with_their_fix(browser: Browser, service: Service) -> None:
    service.now = replace(
        WELL,
        pbxs=(replace(WELL.pbxs[0], state="waiting", last_error="127.0.0.1:5038 refuses the connection"),),
        portals=(replace(WELL.portals[0], dead=2),),
        unmapped=(Unmapped("main", "105", 4, NOW - 9),),
    )
    _, page = await browser.get("/?lang=en")
    assert "Everything is well." not in page
    assert "127.0.0.1:5038 refuses the connection" in page
    assert "the portal refused 2 requests for good" in page
    assert "write 105 into the profile of the employee" in page
    status, plain = await browser.get("/status")
    assert status == 200
    assert '"name":"employees.unmapped"' in plain.replace(" ", "")


@pytest.mark.parametrize(
    ("machine", "told"),
    [
        (MachineStatus("/data", 3 * 1024**2, full=True), "disk full: free 3 MB in /data"),
        (MachineStatus("/data", 9 * 1024**2, full=True, on_reserve=True), "calls are stored in the room that was kept"),
        (MachineStatus(handles=990, handle_limit=1000, short_of_handles=True), "file handles run out: 990 of 1000"),
        (MachineStatus(clock_set=3600.0), "clock was set 3600 s forward"),
        (MachineStatus(clock_set=-3600.0), "clock was set 3600 s back"),
    ],
)
async def test_our_own_weather_is_told_with_what_to_do(
    browser: Browser, service: Service, machine: MachineStatus, told: str
) -> None:
    service.now = replace(WELL, machine=machine)
    _, page = await browser.get("/?lang=en")
    assert told in page
    _, russian = await browser.get("/?lang=ru")
    assert told not in russian
    assert "Всё в порядке" not in russian
    [trouble] = json.loads((await browser.get("/status"))[1])["troubles"]
    assert told in trouble["seen"]
    assert trouble["fix"]


async def test_an_empty_installation_says_what_to_set(browser: Browser, service: Service) -> None:
    service.now = Status("0.1.0", NOW, NOW)
    _, page = await browser.get("/?lang=en")
    assert "no Asterisk is set" in page
    assert "no portal is set" in page
    assert "perezvon config apply" in page


async def test_settings_that_do_not_work_are_told(browser: Browser, service: Service) -> None:
    service.now = Status("0.1.0", NOW, NOW, problem="the environment variable B24_SECRET is not set")
    _, page = await browser.get("/?lang=en")
    assert "could not be put to work: the environment variable B24_SECRET is not set" in page
    assert "no portal is set" not in page


async def test_foreign_text_is_escaped_everywhere(browser: Browser, service: Service) -> None:
    step = SentStep("finish", "dead", Reason("{who} said so", {"who": HOSTILE}), HOSTILE)
    service.now = replace(
        WELL,
        pbxs=(PbxStatus(HOSTILE, HOSTILE, NOW - 99, HOSTILE, HOSTILE, last_error=HOSTILE),),
        portals=(replace(WELL.portals[0], name=HOSTILE, last_error=HOSTILE, state="blocked", directory_problem=HOSTILE),),
        calls=(CallRow(HOSTILE, HOSTILE, NOW, HOSTILE, HOSTILE, HOSTILE, NOW, HOSTILE, 1.0, HOSTILE, (step,), HOSTILE),),
        unmapped=(Unmapped(HOSTILE, HOSTILE, 1, NOW),),
        unknown_lines=(UnknownLine(HOSTILE, HOSTILE, 1, NOW),),
        left_out=(LeftOut(HOSTILE, HOSTILE, 1, NOW),),
        recordings=RecordingsStatus(failed=1, last_error=HOSTILE),
    )
    service.checks = [Check("x", HOSTILE, State.PROBLEM, Reason("{x}", {"x": HOSTILE}), Reason("{x}", {"x": HOSTILE}))]
    for status, page in (await browser.get("/?lang=en"), await browser.post("/doctor?lang=ru")):
        assert status == 200
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)" in page
        assert "{{ 7*7 }}" in page


async def test_pages_may_run_and_load_nothing_foreign(browser: Browser) -> None:
    async with browser.session.get(browser.url + "/") as answer:
        policy = answer.headers["Content-Security-Policy"]
        page = await answer.text()
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    for inline in ("onclick", "style=", "<style", "javascript:"):
        assert inline not in page
    for path in ("/static/perezvon.css", "/static/status.js", "/static/bell.svg"):
        assert (await browser.get(path))[0] == 200
    assert (await browser.get("/static/../app.py"))[0] == 404


async def test_the_page_is_made_fast(browser: Browser, service: Service) -> None:
    service.now = replace(WELL, calls=WELL.calls * 50)
    await browser.get("/")

    async def seconds() -> float:
        started = time.perf_counter()
        await browser.get("/")
        return time.perf_counter() - started

    assert min([await seconds() for _ in range(10)]) < 0.05


# The same for programs


async def test_the_status_as_json(browser: Browser) -> None:
    async with browser.session.get(browser.url + "/status") as answer:
        told = await answer.json()
    assert told["pbxs"][0]["state"] == "live"
    assert told["pbxs"][0]["since"] == "2027-01-15T07:10:00.000+00:00"
    assert told["portals"][0]["queue"][1] == {"priority": "finish", "waiting": 2}
    assert told["calls"][0]["sent"][0]["state"] == "done"
    assert told["troubles"] == []


async def test_health_tells_nothing_and_needs_nothing(browser: Browser, service: Service) -> None:
    service.down = True
    assert await browser.get("/health", x_forwarded_for="8.8.8.8") == (200, '{"status":"ok"}')


async def test_a_database_in_trouble_is_a_503_and_a_defect_a_500(browser: Browser, service: Service) -> None:
    service.down = True
    assert (await browser.get("/"))[0] == 503
    assert (await browser.post("/bitrix24/main/events", b"x"))[0] == 503
    service.down = False
    service.now = replace(WELL, started="never")  # type: ignore[arg-type]
    status, told = await browser.get("/")
    assert (status, told) == (500, "internal error: see the log")


# Who may look


async def test_without_a_password_only_this_machine_is_answered(browser: Browser) -> None:
    for path in ("/", "/status", "/metrics"):
        assert (await browser.get(path))[0] == 200
        assert (await browser.get(path, x_forwarded_for="8.8.8.8"))[0] == 403
        assert (await browser.get(path, host="evil.example"))[0] == 403
        assert (await browser.get(path, host=f"localhost:{browser.port}"))[0] == 200
    _, page = await browser.get("/?lang=en", forwarded="for=8.8.8.8")
    assert "set a password" in page
    assert "+79161234567" not in page
    assert (await browser.post("/doctor", host="evil.example"))[0] == 403


async def test_with_a_password_whoever_knows_it_is_answered(browser: Browser, password: list[str]) -> None:
    password[0] = "пароль"

    def basic(text: str) -> str:
        return "Basic " + base64.b64encode(f"anna:{text}".encode()).decode()

    for path in ("/", "/status", "/metrics"):
        assert (await browser.get(path))[0] == 401
        assert (await browser.get(path, authorization=basic("wrong")))[0] == 401
        assert (await browser.get(path, authorization="Basic ???"))[0] == 401
        assert (await browser.get(path, authorization="Bearer пароль".encode().decode("latin-1")))[0] == 401
        assert (await browser.get(path, authorization=basic("пароль"), x_forwarded_for="8.8.8.8"))[0] == 200


# The doctor


async def test_the_doctor_can_be_asked_from_the_page(browser: Browser, service: Service) -> None:
    service.checks = [
        Check("a", "asterisk main", State.OK, Reason("fine")),
        Check("b", "portal main", State.PROBLEM, Reason("bad"), Reason("do {what}", {"what": "this"})),
    ]
    _, page = await browser.post("/doctor?lang=en")
    assert "do this" in page
    _, plain = await browser.post("/doctor?lang=en", accept="application/json")
    assert '"state":"problem"' in plain


# What portals send


async def test_an_event_is_passed_on_as_it_came(browser: Browser, service: Service) -> None:
    kind = "application/x-www-form-urlencoded"
    assert (await browser.post("/bitrix24/main/events", b"event=X&a[b]=1", content_type=kind))[0] == 200
    assert (await browser.post("/bitrix24/two/install?DOMAIN=h", b"y=1", x_forwarded_for="8.8.8.8"))[0] == 200
    assert service.came == [("event", "main", "event=X&a[b]=1", kind), ("install", "two", "h", "y=1")]


@pytest.mark.parametrize(
    ("verdict", "status"), [(Received.BAD, 400), (Received.FORGED, 403), (Received.UNKNOWN_PORTAL, 404)]
)
async def test_a_refusal_is_told_by_its_status(browser: Browser, service: Service, verdict: Received, status: int) -> None:
    service.verdict = verdict
    assert (await browser.post("/bitrix24/main/events", b"x"))[0] == status


async def test_a_huge_body_is_refused_and_not_kept(browser: Browser, service: Service) -> None:
    assert (await browser.post("/bitrix24/main/events", b"x" * LARGEST_BODY))[0] == 200

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield b"x" * 32768

    async with browser.session.post(browser.url + "/bitrix24/main/events", data=chunks()) as answer:
        assert answer.status == 413
    reader, writer = await asyncio.open_connection("127.0.0.1", browser.port)
    writer.write(b"POST /bitrix24/main/events HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\n")
    assert b" 413 " in await reader.readline()
    writer.close()
    assert len(service.came) == 1


async def test_other_methods_and_paths_are_refused(browser: Browser) -> None:
    assert (await browser.get("/bitrix24/main/events"))[0] == 405
    assert (await browser.get("/docs"))[0] == 404
    assert (await browser.get("/openapi.json"))[0] == 404
