"""Document 000, 2b: the recording is kept here and the portal gets an address, by which it, or an employee, listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from heard_sides import channels_of, fetched, portal_file
from recorded_parts import files_at_pbx, mp3s, rows_of

from perezvon.sandbox.pbx import PbxSandbox, sounds
from perezvon.sandbox.portal import PortalServer
from perezvon.sandbox.portal.calls import PortalCall
from perezvon.sandbox.service_process import ServiceProcess
from perezvon.sandbox.stand import Stand

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(120)]

TALK = 2.0
LINK = """
[recordings]
mode = "{mode}"
public_url = "{url}"
link_in = "{link_in}"
link_format = "{link_format}"
link_lifetime = {link_lifetime}
[log]
format = "json"
[[line]]
number = "+74950000103"
recordings = "off"
[[line]]
number = "+74950000104"
recordings = "upload"
"""


def settings(whole: Stand, mode: str, **links: object) -> str:
    told = {"link_in": "record", "link_format": "mp3", "link_lifetime": 720, **links}
    return whole.settings(more=LINK.format(mode=mode, url=whole.service.url, **told))


async def change(whole: Stand, mode: str = "link", **links: object) -> None:
    before = (await whole.service.status())["settings"]
    await whole.service.configure(settings(whole, mode, **links))
    await whole.service.until(lambda status: status["settings"] > before, "has noticed the new settings")


@pytest.fixture(scope="module")
async def office(
    pbx_session: PbxSandbox, portal: PortalServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stand]:
    service = ServiceProcess(tmp_path_factory.mktemp("perezvon"))
    whole = Stand(pbx_session, portal, service)
    try:
        await service.configure(settings(whole, "link"))
        await service.start()
        portal.app.install_url = f"{service.url}/bitrix24/main/install"
        portal.install()
        await whole.ready()
        yield whole
    finally:
        await service.stop()
        await pbx_session.world.reset()


async def talk(whole: Stand, client: str, to: str = "101") -> None:
    leg = await whole.pbx.world.call(frm=client, to=f"74950000{to}")
    other = await whole.pbx.world.phone(to).talking()
    await leg.talking(to=other)
    await leg.talks(TALK)
    await leg.hangup()


async def line_until(whole: Stand, happened: Any, what: str) -> dict[str, Any]:
    await whole.service.until(lambda _: any(happened(one) for one in fetched(whole)), what)
    return next(one for one in fetched(whole) if happened(one))


async def in_activity(whole: Stand, client: str) -> tuple[PortalCall, str]:
    """The address that the call's activity tells."""
    call = await whole.call_of(f"+{client}")

    def address() -> str | None:
        activity = whole.portal.state.crm.get("ACTIVITY", call.activity_id)
        words = activity.text("DESCRIPTION").split() if activity is not None else []
        return next((word for word in words if "/recordings/" in word), None)

    return call, await whole.until(address, "the activity tells the address of the recording")


async def test_2b_the_portal_fetches_the_recording_from_here(office: Stand, tmp_path: Path) -> None:
    """By attachRecord with RECORD_URL; it is kept on both sides, and the download is in the log."""
    client = "79168880001"
    await talk(office, client)
    call = await office.call_of(f"+{client}", recorded=True)
    assert call.recording is not None
    assert (call.recording.mode, call.recording.decodes) == ("url", True)
    (mixed,) = channels_of(portal_file(office, call, tmp_path))
    assert sounds.seconds_heard(mixed, sounds.number_tone(client)) > TALK / 2
    assert sounds.seconds_heard(mixed, sounds.TONES["101"]) > TALK / 2
    (asked,) = [
        one for one in office.portal.state.journal if one.params.get("CALL_ID") == call.id and "RECORD_URL" in one.params
    ]
    assert asked.params["RECORD_URL"].startswith(f"{office.service.url}/recordings/")
    assert "FILE_CONTENT" not in asked.params
    line = await line_until(office, lambda one: one["status"] == 200, "has a line of the download")
    assert (line["sent"], line["whole"], line["peer"]) == (call.recording.size, True, "127.0.0.1")
    assert asked.params["RECORD_URL"].rpartition(".")[2] not in office.service.log.read_text(), "the log tells the address"
    assert len(mp3s(office, f"+{client}")) == 1, "ours is kept"
    assert len(files_at_pbx(office, client)) == 1, "the PBX's is kept"


async def test_2b_a_line_of_its_own_and_the_next_call(office: Stand) -> None:
    """One line keeps its recordings on the PBX, another uploads; a change applies to the next call."""
    off, uploads, after = "79168880003", "79168880004", "79168880005"
    await talk(office, off, "103")
    await talk(office, uploads, "104")
    call = await office.call_of(f"+{uploads}", recorded=True)
    assert call.recording is not None
    assert call.recording.mode == "inline"
    assert (await office.call_of(f"+{off}")).recording is None
    assert rows_of(office, f"+{off}") == []
    assert len(files_at_pbx(office, off)) == 1
    await change(office, "upload")
    await talk(office, after)
    call = await office.call_of(f"+{after}", recorded=True)
    assert call.recording is not None
    assert call.recording.mode == "inline"
    await change(office)


async def test_2b_an_employee_listens_by_the_address_in_the_activity(office: Stand, tmp_path: Path) -> None:
    """The portal keeps nothing. A player jumps; an address that was altered, or is too old, leads nowhere."""
    await change(office, link_in="activity", link_format="original")
    client = "79168880006"
    await talk(office, client)
    call, address = await in_activity(office, client)
    assert call.recording is None
    (at_pbx,) = files_at_pbx(office, client)
    whole = at_pbx.read_bytes()
    assert mp3s(office, f"+{client}") == set(), "nothing was converted"
    async with aiohttp.ClientSession() as session:

        async def get(url: str = address, method: str = "GET", **headers: str) -> tuple[int, bytes, Any]:
            told = {name.replace("_", "-"): value for name, value in headers.items()}
            async with session.request(method, url, headers=told) as answer:
                return answer.status, await answer.read(), answer.headers

        status, body, headers = await get()
        assert (status, body == whole, headers["Content-Type"]) == (200, True, "audio/wav")
        assert (headers["Accept-Ranges"], headers["Content-Length"]) == ("bytes", str(len(whole)))
        tag = headers["ETag"]
        (heard,) = channels_of(_saved(tmp_path / "heard.wav", body))
        assert sounds.seconds_heard(heard, sounds.number_tone(client)) > TALK / 2
        status, body, headers = await get(Range="bytes=1000-1999", If_Range=tag)
        assert (status, body) == (206, whole[1000:2000])
        assert headers["Content-Range"] == f"bytes 1000-1999/{len(whole)}"
        assert (await get(Range="bytes=-10"))[:2] == (206, whole[-10:])
        assert (await get(Range=f"bytes={len(whole) - 5}-"))[:2] == (206, whole[-5:])
        status, _, headers = await get(Range=f"bytes={len(whole)}-")
        assert (status, headers["Content-Range"]) == (416, f"bytes */{len(whole)}")
        assert (await get(Range="bytes=0-9", If_Range='"another"'))[:2] == (200, whole)
        status, body, headers = await get(method="HEAD")
        assert (status, body, headers["Content-Length"]) == (200, b"", str(len(whole)))
        altered = address[:-1] + ("A" if address[-1] != "A" else "B")
        assert (await get(altered))[0] == 404
        recordings = f"{office.service.url}/recordings"
        for wrong in ("", "/", "/../perezvon.sqlite3", "/..%2f..%2fsecret.key", "/%2e%2e/secret.key"):
            assert (await get(recordings + wrong))[0] == 404, wrong
    await change(office, link_in="activity", link_lifetime=0.0003)
    await talk(office, "79168880007")
    _, brief = await in_activity(office, "79168880007")
    await asyncio.sleep(1.5)
    async with aiohttp.ClientSession() as session, session.get(brief) as answer:
        assert answer.status == 410
    await change(office)


def _saved(path: Path, body: bytes) -> Path:
    path.write_bytes(body)
    return path


async def test_2b_the_portal_comes_back_after_a_while(office: Stand) -> None:
    """Through an outage in which the address of the first try would have expired: it is made when it is sent."""
    client = "79168880008"
    await change(office, link_lifetime=0.0006)
    leg = await office.pbx.world.call(frm=client, to="74950000102")
    other = await office.pbx.world.phone("102").talking()
    await leg.talking(to=other)
    await leg.talks(TALK)
    office.portal.outage(5.0)
    await leg.hangup()
    call = await office.call_of(f"+{client}", recorded=True)
    assert call.recording is not None
    assert call.recording.mode == "url"
