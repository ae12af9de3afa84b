"""Recordings in all three ways and transcripts: after finish only, and only what would really play."""

from __future__ import annotations

import base64
from typing import Any

import aiohttp
import pytest
import sound
from aiohttp import web
from portal_client import Rest

from perezvon.sandbox.portal import PortalServer
from perezvon.sandbox.portal.audio import examine
from perezvon.sandbox.portal.calls import Recording

Json = Any
MESSAGE: dict[str, Json] = {"SIDE": "User", "START_TIME": 0, "STOP_TIME": 2, "MESSAGE": "Алло"}
ATTACH = "telephony.externalCall.attachRecord"


@pytest.fixture
async def call(app: Rest) -> str:
    """A finished call."""
    registered = await app.call("telephony.externalCall.register", USER_ID=11, PHONE_NUMBER="+79165550011", TYPE=2)
    await app.call("telephony.externalCall.finish", CALL_ID=registered["CALL_ID"], USER_ID=11, DURATION=1)
    return registered["CALL_ID"]


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def recording(portal: PortalServer) -> Recording:
    found = portal.calls()[0].recording
    assert found is not None
    return found


@pytest.mark.parametrize(("name", "content"), [("talk.mp3", sound.mp3()), ("talk.WAV", sound.wav())])
async def test_inline(app: Rest, portal: PortalServer, call: str, name: str, content: bytes) -> None:
    result = await app.call(ATTACH, CALL_ID=call, FILENAME=name, FILE_CONTENT=b64(content))
    kept = recording(portal)
    assert (kept.file_id, kept.name, kept.size, kept.mode) == (result["FILE_ID"], name, len(content), "inline")
    assert kept.decodes
    assert kept.duration == pytest.approx(1.0, abs=0.2)
    row = (await app.call("voximplant.statistic.get"))[0]
    assert row["RECORD_FILE_ID"] == result["FILE_ID"]


async def test_recording_can_be_downloaded_and_is_on_the_activity(
    app: Rest, portal: PortalServer, http: aiohttp.ClientSession, call: str
) -> None:
    await app.call(ATTACH, CALL_ID=call, FILENAME="a.mp3", FILE_CONTENT=b64(sound.mp3()))
    activity = portal.state.crm.get("ACTIVITY", 1)
    assert activity is not None
    address = activity.fields["FILES"][0]["url"]
    async with http.get(address) as answer:
        assert (await answer.read(), answer.content_type) == (sound.mp3(), "audio/mpeg")
    async with http.get(address, headers={"Range": "bytes=10-19"}) as answer:
        assert (answer.status, await answer.read()) == (206, sound.mp3()[10:20])


async def test_repeating_replaces(app: Rest, portal: PortalServer, call: str) -> None:
    first = await app.call(ATTACH, CALL_ID=call, FILENAME="a.mp3", FILE_CONTENT=b64(sound.mp3()))
    second = await app.call(ATTACH, CALL_ID=call, FILENAME="b.mp3", FILE_CONTENT=b64(sound.mp3(2.0)))
    assert portal.state.files.get(first["FILE_ID"]) is None
    assert (recording(portal).file_id, recording(portal).times) == (second["FILE_ID"], 2)


async def test_two_steps(app: Rest, portal: PortalServer, http: aiohttp.ClientSession, call: str) -> None:
    first = await app.call(ATTACH, CALL_ID=call, FILENAME="a.mp3")
    assert recording_absent(portal)
    assert str(app.token) in first["uploadUrl"]
    form = aiohttp.FormData()
    form.add_field(first["fieldName"], sound.mp3(), filename="a.mp3", content_type="audio/mpeg")
    async with http.post(first["uploadUrl"], data=form) as answer:
        result = (await answer.json())["result"]
    assert recording(portal).file_id == result["FILE_ID"]
    assert recording(portal).mode == "two_step"


async def test_two_steps_by_webhook(hook: Rest, http: aiohttp.ClientSession, portal: PortalServer, call: str) -> None:
    first = await hook.call(ATTACH, CALL_ID=call, FILENAME="a.wav")
    form = aiohttp.FormData()
    form.add_field(first["fieldName"], sound.wav(), filename="a.wav")
    async with http.post(first["uploadUrl"], data=form) as answer:
        assert answer.status == 200
    assert recording(portal).size == len(sound.wav())


async def test_upload_address_dies_with_its_token(
    app: Rest, portal: PortalServer, http: aiohttp.ClientSession, call: str
) -> None:
    first = await app.call(ATTACH, CALL_ID=call, FILENAME="a.mp3")
    portal.state.clock.advance(3601)
    form = aiohttp.FormData()
    form.add_field(first["fieldName"], sound.mp3(), filename="a.mp3")
    async with http.post(first["uploadUrl"], data=form) as answer:
        assert (answer.status, (await answer.json())["error"]) == (401, "expired_token")
    assert recording_absent(portal)


def recording_absent(portal: PortalServer) -> bool:
    return portal.calls()[0].recording is None


@pytest.fixture
async def pbx() -> Any:
    """A web server with recordings, as a PBX would have."""

    async def serve(request: web.Request) -> web.Response:
        if request.path == "/gone.mp3":
            return web.Response(status=404)
        return web.Response(body=sound.mp3())

    application = web.Application()
    application.router.add_get("/{name}", serve)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_by_url(app: Rest, portal: PortalServer, call: str, pbx: str) -> None:
    await app.call(ATTACH, CALL_ID=call, RECORD_URL=f"{pbx}/call%201.mp3")
    assert (recording(portal).name, recording(portal).mode) == ("call 1.mp3", "url")
    refused = await app.refused(ATTACH, CALL_ID=call, RECORD_URL=f"{pbx}/gone.mp3")
    assert refused.description == "Server returns HTTP error code 404"
    refused = await app.refused(ATTACH, CALL_ID=call, RECORD_URL="http://127.0.0.1:9/a.mp3")
    assert "SERVER_NOT_AVAILABLE" in refused.description


async def test_url_wins(app: Rest, portal: PortalServer, call: str, pbx: str) -> None:
    await app.call(ATTACH, CALL_ID=call, RECORD_URL=f"{pbx}/a.mp3", FILENAME="b.mp3", FILE_CONTENT=b64(sound.wav()))
    assert (recording(portal).name, recording(portal).mode) == ("b.mp3", "url")


async def test_url_given_to_finish_is_fetched_later(app: Rest, portal: PortalServer, pbx: str) -> None:
    params = {"USER_ID": 11, "PHONE_NUMBER": "+79160000000", "TYPE": 2}
    call = (await app.call("telephony.externalCall.register", **params))["CALL_ID"]
    with portal.state.feed.subscribed() as news:
        await app.call("telephony.externalCall.finish", CALL_ID=call, USER_ID=11, RECORD_URL=f"{pbx}/a.mp3")
        async for item in news:
            if item.kind == "call.recorded":
                break
    assert recording(portal).mode == "legacy"


@pytest.mark.parametrize(
    ("params", "code", "text"),
    [
        ({}, "ERROR_CORE", "Required parameters are not set. Request should contain either URL or FILENAME parameter"),
        ({"FILENAME": ""}, "ERROR_CORE", "File name is empty"),
        ({"FILENAME": "a.ogg"}, "ERROR_CORE", "Wrong file extension. Only wav and mp3 are allowed"),
        ({"FILENAME": "a.mp3", "FILE_CONTENT": ""}, "ERROR_CORE", "File content is empty."),
        (
            {"FILENAME": "a.mp3", "FILE_CONTENT": "data:audio/mpeg;base64,AAAA"},
            "ERROR_CORE",
            "File content is not properly encoded. Base64 encoding is expected.",
        ),
        ({"FILENAME": "a.mp3", "FILE_CONTENT": b64(b"no sound")}, "SANDBOX_NOT_AUDIO", None),
        ({"FILENAME": "a.mp3", "FILE_CONTENT": b64(sound.wav())}, "SANDBOX_NOT_AUDIO", None),
        ({"FILENAME": "a.mp3", "FILE_CONTENT": b64(sound.mp3()[:-40])}, "SANDBOX_NOT_AUDIO", None),
        ({"FILENAME": "a.wav", "FILE_CONTENT": b64(sound.wav()[:-40])}, "SANDBOX_NOT_AUDIO", None),
    ],
)
async def test_refusals(
    app: Rest, portal: PortalServer, call: str, params: dict[str, Json], code: str, text: str | None
) -> None:
    refused = await app.refused(ATTACH, CALL_ID=call, **params)
    assert (refused.http, refused.code) == (400, code)
    assert text in {None, refused.description}
    assert recording_absent(portal)


async def test_not_before_finish(app: Rest) -> None:
    params = {"USER_ID": 11, "PHONE_NUMBER": "+79160000000", "TYPE": 2}
    live = (await app.call("telephony.externalCall.register", **params))["CALL_ID"]
    refused = await app.refused(ATTACH, CALL_ID=live, FILENAME="a.mp3", FILE_CONTENT=b64(sound.mp3()))
    assert refused.description == "Call is not found in the statistic table. It looks like it is not finished yet."


def test_what_counts_as_sound() -> None:
    tagged = b"ID3\x04\x00\x00\x00\x00\x00\x0a" + bytes(10) + sound.mp3() + b"TAG" + bytes(125)
    assert examine("a.mp3", tagged).problem == ""
    assert examine("a.mp3", sound.mp3()[1:]).problem
    assert examine("a.wav", b"RIFF").problem
    empty = sound.wav(0.0)
    assert examine("a.wav", empty).problem == "no sound in it"


class TestTranscription:
    async def test_kept(self, app: Rest, portal: PortalServer, call: str) -> None:
        method = "telephony.call.attachTranscription"
        first = await app.call(method, CALL_ID=call, MESSAGES=[MESSAGE])
        second = await app.call(method, CALL_ID=call, MESSAGES=[MESSAGE])
        assert second["TRANSCRIPT_ID"] != first["TRANSCRIPT_ID"]
        row = (await app.call("voximplant.statistic.get"))[0]
        assert (row["TRANSCRIPT_ID"], row["TRANSCRIPT_PENDING"]) == (str(second["TRANSCRIPT_ID"]), "N")
        assert portal.calls()[0].transcripts[0]["messages"][0]["MESSAGE"] == "Алло"

    @pytest.mark.parametrize(
        ("change", "text"),
        [
            ({"SIDE": "user"}, "MESSAGES[1][SIDE] should be either Client or User"),
            ({"START_TIME": -1}, "MESSAGES[1][START_TIME] should be greater or equal to zero"),
            ({"STOP_TIME": 0}, "MESSAGES[1][STOP_TIME] should be greater than zero"),
            ({"MESSAGE": ""}, "MESSAGES[1][MESSAGE] is empty"),
        ],
    )
    async def test_refusals(self, app: Rest, call: str, change: dict[str, Json], text: str) -> None:
        messages = [MESSAGE, MESSAGE | change]
        refused = await app.refused("telephony.call.attachTranscription", CALL_ID=call, MESSAGES=messages)
        assert refused.description == text

    async def test_not_before_finish(self, app: Rest) -> None:
        refused = await app.refused("telephony.call.attachTranscription", CALL_ID="x", MESSAGES=[MESSAGE])
        assert refused.description == "Call x is not found. Is it finished?"
        refused = await app.refused("telephony.call.attachTranscription", CALL_ID="x", MESSAGES="y")
        assert refused.description == "MESSAGES should be an array"
