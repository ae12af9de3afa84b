"""The portal's pages below the browser: languages, headers, snapshots and their stream, the way to the outside world."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from portal_client import Rest
from sound import mp3

from perezvon.sandbox.portal import PortalConfig, PortalServer, face
from perezvon.sandbox.portal.face import face_routes, snapshot
from perezvon.sandbox.portal.face.texts import TEXTS, choose_language

Json = Any
FACE = Path(face.__path__[0])
HOSTILE = "<img src=x onerror=alert(1)>\"'&😀"


@pytest.fixture
async def portal(portal_config: PortalConfig) -> AsyncIterator[PortalServer]:
    async with PortalServer(portal_config, face=face_routes()) as server:
        yield server


def person(portal: PortalServer, user: int) -> Json:
    return next(one for one in snapshot(portal)["employees"] if one["id"] == user)


class TestTexts:
    def test_both_languages_have_every_text(self) -> None:
        assert TEXTS["ru"].keys() == TEXTS["en"].keys()
        assert all(text for texts in TEXTS.values() for text in texts.values())

    def test_places_are_the_same_in_both(self) -> None:
        for key, text in TEXTS["ru"].items():
            assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", TEXTS["en"][key])), key

    def test_the_scripts_ask_for_texts_that_are_there(self) -> None:
        asked: set[str] = set()
        beginnings: set[str] = set()
        for script in (FACE / "static").glob("*.js"):
            source = script.read_text(encoding="utf-8")
            asked |= set(re.findall(r'\bsay\("(\w+)"', source))
            beginnings |= set(re.findall(r"\bsay\(`(\w+)\$\{", source))
        assert len(asked) > 20
        assert asked <= TEXTS["en"].keys()
        assert [start for start in beginnings if not any(key.startswith(start) for key in TEXTS["en"])] == []

    @pytest.mark.parametrize(
        ("asked", "accept", "language"),
        [
            ("en", "ru-RU", "en"),
            (None, "en-GB,en;q=0.9", "en"),
            (None, "de-DE,de;q=0.9,en;q=0.5,ru;q=0.3", "en"),
            (None, "ru;q=0.4,en;q=0.8", "en"),
            (None, "", "ru"),
            (None, "de", "ru"),
            ("fr", "en", "en"),
            (None, "en;q=kaputt,ru", "ru"),
        ],
    )
    def test_whose_language(self, asked: str | None, accept: str, language: str) -> None:
        assert choose_language(asked, accept) == language


def test_no_script_writes_markup() -> None:
    for script in (FACE / "static").glob("*.js"):
        source = re.sub(r"//.*", "", script.read_text(encoding="utf-8"))
        for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "DOMParser", "srcdoc"):
            assert way not in source, f"{script.name} uses {way}: values from callers would become markup"


class TestPage:
    async def test_in_the_visitors_language(self, portal: PortalServer, http: aiohttp.ClientSession) -> None:
        async with http.get(portal.url + "/", headers={"Accept-Language": "en"}) as answer:
            assert "Employees&#39; screens" in await answer.text()
        async with http.get(portal.url + "/?lang=ru", headers={"Accept-Language": "en"}) as answer:
            assert "Экраны сотрудников" in await answer.text()

    async def test_it_may_run_only_its_own_scripts(self, portal: PortalServer, http: aiohttp.ClientSession) -> None:
        async with http.get(portal.url + "/") as answer:
            policy = answer.headers["Content-Security-Policy"]
            html = await answer.text()
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert re.findall(r"\son\w+=", html) == []
        outside = [url for url in re.findall(r'(?:src|href)="([^"]+)"', html) if not url.startswith(("/face/", "#", "?"))]
        assert outside == []

    async def test_without_a_world_there_are_no_buttons_for_it(
        self, portal: PortalServer, http: aiohttp.ClientSession
    ) -> None:
        async with http.get(portal.url + "/") as answer:
            assert 'id="world"' not in await answer.text()
        async with http.post(portal.url + "/face/world/call", json={}) as answer:
            assert answer.status == 404

    @pytest.mark.parametrize("name", ["nosuch.js", "..%2Fpages.py", "portal.html"])
    async def test_only_static_files_are_served(self, portal: PortalServer, http: aiohttp.ClientSession, name: str) -> None:
        async with http.get(f"{portal.url}/face/static/{name}") as answer:
            assert answer.status == 404


class TestSnapshot:
    async def test_a_card_from_register_to_hide(self, app: Rest, portal: PortalServer) -> None:
        await app.call("telephony.externalLine.add", NUMBER="+74951234567", NAME="Отдел продаж")
        call = await app.call(
            "telephony.externalCall.register", USER_ID=12, PHONE_NUMBER="+79165550011", TYPE=2, LINE_NUMBER="+74951234567"
        )
        (card,) = person(portal, 12)["cards"]
        assert (card["name"], card["number"], card["direction"]) == ("Мария Клиентова", "+79165550011", "incoming")
        assert (card["line_name"], card["crm"]) == ("Отдел продаж", {"type": "CONTACT", "id": 1})
        assert person(portal, 11)["cards"] == []
        await app.call("telephony.externalCall.hide", CALL_ID=call["CALL_ID"], USER_ID=12)
        assert person(portal, 12)["cards"] == []

    async def test_a_finished_call_with_its_recording(self, app: Rest, portal: PortalServer) -> None:
        call = await app.call(
            "telephony.externalCall.register", USER_ID=11, PHONE_NUMBER="+79161234567", TYPE=2, CRM_CREATE=1
        )
        assert snapshot(portal)["calls"][0]["live"] is True
        done = await app.call("telephony.externalCall.finish", CALL_ID=call["CALL_ID"], USER_ID=12, DURATION=65)
        row = snapshot(portal)["calls"][0]
        assert (row["live"], row["talked"], row["duration"], row["responsible"]) == (False, True, 65, "Анна Петрова")
        assert (row["name"], row["record"]) == ("", None), "the title the portal made up for the lead is no name"
        assert row["description"] == ""
        await app.call("crm.activity.update", id=done["CRM_ACTIVITY_ID"], fields={"DESCRIPTION": HOSTILE})
        assert snapshot(portal)["calls"][0]["description"] == HOSTILE

    async def test_texts_come_as_they_are(self, app: Rest, portal: PortalServer) -> None:
        await app.call("crm.contact.add", fields={"NAME": HOSTILE, "PHONE": [{"VALUE": "+79169998877"}]})
        await app.call("telephony.externalCall.register", USER_ID=11, PHONE_NUMBER="+79169998877", TYPE=2)
        assert person(portal, 11)["cards"][0]["name"] == HOSTILE

    async def test_messages_are_gathered_by_chat_and_person(self, app: Rest, portal: PortalServer) -> None:
        await app.call("im.message.add", DIALOG_ID="12", MESSAGE="Личное")
        await app.call("im.notify.system.add", USER_ID=12, MESSAGE="Пропущенный")
        chats = {chat["kind"]: chat for chat in snapshot(portal)["chats"]}
        assert chats["private"]["messages"][0]["text"] == "Личное"
        assert (chats["notify"]["title"], chats["notify"]["messages"][0]["text"]) == ("Анна Петрова", "Пропущенный")

    async def test_tasks_name_what_they_are_about(self, app: Rest, portal: PortalServer) -> None:
        await app.call(
            "tasks.task.add", fields={"TITLE": "Перезвонить", "RESPONSIBLE_ID": 12, "UF_CRM_TASK": ["C_1", "CO_99"]}
        )
        (task,) = snapshot(portal)["tasks"]
        assert task["links"] == ["Мария Клиентова", "CO_99"]

    async def test_faults_that_are_on(self, portal: PortalServer) -> None:
        portal.state.faults.plan("503", seconds=10)
        assert [fault["kind"] for fault in snapshot(portal)["portal"]["faults"]] == ["unavailable"]
        portal.state.clock.advance(11)
        assert snapshot(portal)["portal"]["faults"] == []


async def test_the_stream_tells_every_change(app: Rest, portal: PortalServer, http: aiohttp.ClientSession) -> None:
    async with http.get(portal.url + "/face/feed") as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        first = await next_snapshot(stream)
        assert [one["cards"] for one in first["employees"] if one["id"] == 11] == [[]]
        await app.call("telephony.externalCall.register", USER_ID=11, PHONE_NUMBER="+79161234567", TYPE=2)
        while not next(one for one in first["employees"] if one["id"] == 11)["cards"]:
            following = await next_snapshot(stream)
            assert following["revision"] > first["revision"]
            first = following


async def next_snapshot(stream: aiohttp.ClientResponse) -> Json:
    while True:
        line = await stream.content.readline()
        if line.startswith(b"data: "):
            return json.loads(line.removeprefix(b"data: "))


async def test_a_recording_can_be_read_in_parts(app: Rest, portal: PortalServer) -> None:
    call = await app.call("telephony.externalCall.register", USER_ID=11, PHONE_NUMBER="+79161234567", TYPE=2)
    await app.call("telephony.externalCall.finish", CALL_ID=call["CALL_ID"], USER_ID=11, DURATION=1)
    form = aiohttp.FormData()
    answer = await app.call("telephony.externalCall.attachRecord", CALL_ID=call["CALL_ID"], FILENAME="talk.mp3")
    form.add_field(answer["fieldName"], mp3(), filename="talk.mp3")
    async with app.http.post(answer["uploadUrl"], data=form) as uploaded:
        assert uploaded.status == 200
    record = snapshot(portal)["calls"][0]["record"]
    async with app.http.get(portal.url + record["url"], headers={"Range": "bytes=10-19"}) as part:
        assert (part.status, await part.read()) == (206, mp3()[10:20])


class TestWorld:
    """A pretend world that notes what it is told."""

    @pytest.fixture
    async def told(self) -> list[tuple[str, Json]]:
        return []

    @pytest.fixture
    async def world_url(self, told: list[tuple[str, Json]]) -> AsyncIterator[str]:
        async def note(request: web.Request) -> web.Response:
            told.append((request.path, await request.json()))
            if request.path == "/call" and not told[-1][1]["to"]:
                return web.json_response({"error": "there is no such number"}, status=400)
            return web.json_response({"from": "79161234567", "alive": True, "talking": False})

        async def phones(request: web.Request) -> web.Response:
            del request
            return web.json_response(
                {
                    "phones": [{"extension": "101", "behaviour": "ring", "busy": True}],
                    "calls": [
                        {"from": "1", "alive": True, "talking": True},
                        {"from": "2", "alive": False, "talking": False},
                    ],
                }
            )

        application = web.Application()
        application.router.add_get("/phones", phones)
        application.router.add_post("/{path:.*}", note)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        await runner.cleanup()

    @pytest.fixture
    async def portal(self, portal_config: PortalConfig, world_url: str) -> AsyncIterator[PortalServer]:
        async with PortalServer(portal_config, face=face_routes(world_url)) as server:
            yield server

    async def test_requests_are_passed_on(
        self, portal: PortalServer, http: aiohttp.ClientSession, told: list[Json]
    ) -> None:
        wanted = {"from": "+79161234567", "to": "+74951234567", "name": "Анна", "extra": 1}
        for path, body in (("call", wanted), ("hangup", {"from": "1"}), ("phone/101", {"behaviour": "pick_up"})):
            async with http.post(f"{portal.url}/face/world/{path}", json=body) as answer:
                assert answer.status == 200
        assert told == [
            ("/call", {"from": "+79161234567", "to": "+74951234567", "name": "Анна"}),
            ("/hangup", {"from": "1"}),
            ("/phone/101", {"behaviour": "pick_up"}),
        ]

    @pytest.mark.parametrize(
        ("path", "body", "words"),
        [
            ("call", {"from": "1"}, "there is no such number"),
            ("phone/101", {"behaviour": "dance"}, "behaviour should be one of answer, ring"),
            ("phone/..", {"behaviour": "ring"}, ""),
            ("call", [], "should be a JSON object"),
        ],
    )
    async def test_refusals(
        self, portal: PortalServer, http: aiohttp.ClientSession, path: str, body: Json, words: str
    ) -> None:
        async with http.post(f"{portal.url}/face/world/{path}", json=body) as answer:
            assert answer.status in (400, 404, 405)
            assert words in await answer.text()

    async def test_a_form_of_a_foreign_page_cannot_call(self, portal: PortalServer, http: aiohttp.ClientSession) -> None:
        async with http.post(f"{portal.url}/face/world/call", data='{"from":"1","to":"2"}') as answer:
            assert answer.status == 415

    async def test_phones_and_calls_are_in_the_snapshots(self, portal: PortalServer, http: aiohttp.ClientSession) -> None:
        async with http.get(portal.url + "/face/feed") as stream:
            world = (await next_snapshot(stream))["world"]
        assert world["phones"] == [{"extension": "101", "behaviour": "ring", "state": "busy"}]
        assert world["calls"] == [{"from": "1", "to": "", "state": "talking"}]


async def test_a_world_that_is_gone_is_said_so(portal_config: PortalConfig, http: aiohttp.ClientSession) -> None:
    async with PortalServer(portal_config, face=face_routes("http://127.0.0.1:9")) as server:
        async with http.get(server.url + "/face/feed") as stream:
            world = (await next_snapshot(stream))["world"]
        assert "does not answer" in world["error"]
        async with http.post(server.url + "/face/world/call", json={"from": "1", "to": "2"}) as answer:
            assert (answer.status, "does not answer" in await answer.text()) == (400, True)
