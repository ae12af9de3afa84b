"""Callers, clicks and portal events that mean harm, against the real Asterisk: told plainly, nothing breaks, nothing leaks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from raw_sip import raw_call

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.pbx.layout import AMI_SECRET
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.portal.calls import PortalCall
from perezvon.sandbox.portal.seed import IVANOV
from perezvon.sandbox.stand import Stand, stand

pytestmark = pytest.mark.asterisk

ANONYMOUS = "000000"
BOMB = "\r\nAction: Originate\r\nChannel: PJSIP/102\r\nContext: from-internal\r\nExten: 104\r\nPriority: 1"
SHELL = "${SHELL(touch /tmp/perezvon-was-here)}"

NAMES = {
    "quotes": b'"O\\"Brien \\\\ \'; --" ',
    "html": b'"<script>alert(1)</script><img src=x onerror=alert(2)>" ',
    "emoji and right-to-left": '"📞 \u202eнаоборот \u0000" '.replace("\u0000", "").encode(),
    "cp1251": '"Иван Петров" '.encode("cp1251"),
    "half a character": '"Ив'.encode()[:-1] + b'" ',
    "very long": b'"' + b"A" * 2000 + b'" ',
    "sql": b'"Robert\'); DROP TABLE call;--" ',
    "reference": b'"$result[s1][CALL_ID]" ',
    "dialplan": f'"{SHELL}" '.encode(),
    "format": b'"{0.__class__} %s %n" ',
}

NUMBERS = {
    "anonymous": b"anonymous",
    "plus": b"+",
    "letters": b"vasya",
    "sixty digits": b"7" * 60,
    "html": b"%3Cscript%3Ealert(1)%3C%2Fscript%3E",
    "headers": quote(f"7916{BOMB}", safe="").encode(),
    "dialplan": b"%24%7BSHELL(touch%20%2Ftmp%2Fperezvon-was-here)%7D",
    "path": b"..%2F..%2F..%2F..%2Ftmp%2Fx",
    "reference": b"%24result%5Bs1%5D%5BCALL_ID%5D",
    "sql": b"1'%20OR%20'1'%3D'1",
    "cp1251": quote("Вася".encode("cp1251")).encode(),
    "nul": b"7916%00123",
}


@pytest.fixture(scope="module")
def portal_config() -> PortalConfig:
    return PortalConfig(rate=None, one_card_per_user=False)


@pytest.fixture(scope="module")
async def office(
    pbx_session: PbxSandbox, portal: PortalServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stand]:
    async with stand(pbx_session, portal, tmp_path_factory.mktemp("hostile"), events="both") as whole:
        yield whole
        await pbx_session.world.reset()


@pytest.fixture(autouse=True)
async def unharmed(office: Stand) -> AsyncIterator[None]:
    """Before: everybody is quiet. Afterwards: the same process, no defect in its log, no secret, nobody was dialled."""
    world = office.pbx.world
    await recount(office)
    await world.reset()
    await world.phone("101").answers(after=0.2)
    pid, logged = office.service.pid, len(office.service.log.read_text(errors="replace").splitlines())
    yield
    assert office.service.pid == pid
    await office.ready()
    lines = office.service.log.read_text(errors="replace").splitlines()[logged:]
    assert [line for line in lines if line.startswith("Traceback") or '"exception"' in line] == []
    assert [line for line in lines if json.loads(line)["level"] in ("error", "critical")] == []
    assert [secret for secret in secrets_of(office) if any(secret in line for line in lines)] == []
    assert [name for name in ("102", "103", "104") if world.phone(name).legs] == []


async def recount(office: Stand) -> None:
    """Both Asterisks of the stand believe their events too."""
    for switch in (office.pbx.office, office.pbx.world.switch):
        await switch.recount()


def secrets_of(office: Stand) -> list[str]:
    authority = office.portal.state.authority
    app = office.portal.app
    return [AMI_SECRET, app.client_secret, app.application_token, *authority.access, *authority.refresh]


async def new_call(office: Stand, known: int) -> PortalCall:
    """The only call since there were `known`, when it is finished."""

    def settled() -> PortalCall | None:
        calls = office.portal.calls()[known:]
        return calls[-1] if calls and not calls[-1].live else None

    call = await office.until(settled, "the call is finished", within=10)
    assert len(office.portal.calls()) == known + 1
    return call


def is_right(call: PortalCall) -> bool:
    told = (call.type, int(call.finish["user_id"]), str(call.finish["status"]), call.leftover_cards, call.registrations)
    return told == (2, IVANOV, "200", [], 1)


async def page(office: Stand) -> str:
    async with aiohttp.ClientSession() as session, session.get(office.service.url + "/") as answer:
        assert answer.status == 200
        return await answer.text()


@pytest.mark.parametrize("kind", NAMES)
async def test_a_callers_name(office: Stand, kind: str) -> None:
    known = len(office.portal.calls())
    number = f"7919{7_000_000 + list(NAMES).index(kind)}"
    async with raw_call(office.pbx.addresses, "74950000101", number.encode(), NAMES[kind]) as caller:
        assert await caller.outcome() == 200
        await office.pbx.world.phone("101").talking()
        await caller.hangup()
    call = await new_call(office, known)
    assert is_right(call)
    assert call.phone == f"+{number}"
    assert "<script>alert" not in await page(office)


@pytest.mark.parametrize("kind", NUMBERS)
async def test_a_callers_number(office: Stand, kind: str) -> None:
    known = len(office.portal.calls())
    async with raw_call(office.pbx.addresses, "74950000101", NUMBERS[kind], b'"Client" ') as caller:
        assert await caller.outcome() == 200
        await office.pbx.world.phone("101").talking()
        await caller.hangup()
    call = await new_call(office, known)
    assert is_right(call)
    html = await page(office)
    assert "<script>alert" not in html
    if kind == "html":
        assert "&lt;script&gt;alert(1)" in html


EVENTS = {
    "a hang-up": "\r\n\r\nEvent: Hangup\r\nUniqueid: 1\r\nLinkedid: 1\r\nCause: 16\r\n\r\n",
    "a call": "\r\n\r\nEvent: Newchannel\r\nChannel: PJSIP/carrier-99\r\nUniqueid: 9.9\r\nLinkedid: 9.9\r\nCallerIDNum: 1\r\n\r\n",
    "an answer": "\r\n\r\nResponse: Success\r\nActionID: perezvon-1\r\n\r\n",
    "emptiness": "\r\n\r\n\r\n\r\n",
}


@pytest.mark.parametrize("kind", EVENTS)
async def test_a_number_that_breaks_events_in_two(office: Stand, kind: str) -> None:
    """Asterisk's channel driver undoes %0D%0A and its manager writes that out: nothing of that call can be believed."""
    user = quote(f"7916{EVENTS[kind]}", safe="").encode()
    async with raw_call(office.pbx.addresses, "74950000101", user) as caller:
        assert await caller.outcome() == 200
        await caller.hangup()
    await recount(office)
    known = len(office.portal.calls())
    client = f"7919{8_000_000 + list(EVENTS).index(kind)}"
    async with raw_call(office.pbx.addresses, "74950000101", client.encode()) as caller:
        assert await caller.outcome() == 200
        await caller.hangup()
    call = await office.call_of(f"+{client}", within=10)
    assert is_right(call)
    assert len(office.portal.calls()) <= known + 2
    await office.service.until(lambda status: status["pbxs"][0]["live_calls"] == 0, "has forgotten ghosts", 10)
    assert [ghost.phone for ghost in office.portal.calls() if ghost.live or ghost.leftover_cards] == []
    assert "neither event nor answer" in office.service.log.read_text(errors="replace")


CLICKS = {
    "hang up and set": "100,1,Hangup\r\nVariable: X=1",
    "an action": f"79161234567{BOMB}",
    "dialplan": SHELL,
    "path": "../../etc/passwd",
    "html": "<script>alert(1)</script>",
    "reference": "$result[s1][CALL_ID]",
    "local channel": "Local/104@from-internal",
    "several": "104&PJSIP/102",
    "ten thousand digits": "1" * 10_000,
    "nothing": "",
    "other digits": "١٠٤",
}


@pytest.mark.parametrize("kind", CLICKS)
async def test_a_clicked_number(office: Stand, kind: str) -> None:
    call = office.portal.click(IVANOV, CLICKS[kind])
    await office.until(lambda: None if call.live else True, "the click is finished", within=10)
    assert (call.finish["status"], int(call.finish["duration"]), call.leftover_cards) == ("484", 0, [])
    assert office.pbx.world.phone("101").legs == []
    assert "is no number that can be dialled" in office.service.log.read_text(errors="replace")


FORM = "application/x-www-form-urlencoded"


def click_event(office: Stand, **auth: str) -> dict[str, str]:
    known = {"domain": office.portal.url.partition("://")[2], "member_id": office.portal.config.member_id}
    data = {"CALL_ID": "externalCall.forged", "USER_ID": str(IVANOV), "PHONE_NUMBER": "79169999999"}
    return {
        "event": "ONEXTERNALCALLSTART",
        **{f"data[{name}]": value for name, value in data.items()},
        **{f"auth[{name}]": value for name, value in (known | auth).items()},
    }


def install_event(office: Stand) -> dict[str, str]:
    forged = dict.fromkeys(("access_token", "refresh_token", "application_token"), "f" * 70)
    return {**click_event(office, **forged), "event": "ONAPPINSTALL"}


FORGED: dict[str, tuple[Callable[[Stand], Any], dict[str, str], int]] = {
    "no token": (click_event, {}, 403),
    "a wrong token": (lambda office: click_event(office, application_token="0" * 32), {}, 403),
    "another portal": (
        lambda office: click_event(office, application_token=office.portal.app.application_token, member_id="e" * 32),
        {},
        403,
    ),
    "an installation of nobody": (install_event, {}, 403),
    "too large": (lambda _: b"event=ONEXTERNALCALLSTART&x=" + b"x" * 400_000, {"Content-Type": FORM}, 413),
    "deep brackets": (lambda _: b"event" + b"[a]" * 5000 + b"=1", {"Content-Type": FORM}, 400),
    "endless fields": (lambda _: b"&".join(b"a%d=1" % n for n in range(20_000)), {"Content-Type": FORM}, 400),
    "no form": (lambda _: b"\xff\xfe\x00" * 100, {"Content-Type": FORM}, 400),
    "JSON": (lambda _: b'{"event": "ONEXTERNALCALLSTART"}', {"Content-Type": "application/json"}, 400),
    "several parts": (lambda _: b"--x\r\n\r\n", {"Content-Type": "multipart/form-data; boundary=x"}, 400),
    "nothing": (lambda _: b"", {"Content-Type": FORM}, 400),
}


@pytest.mark.parametrize("kind", FORGED)
async def test_a_forged_event(office: Stand, kind: str) -> None:
    make, headers, status = FORGED[kind]
    tokens = office.portal.state.authority.rotations
    async with aiohttp.ClientSession() as session:
        url = f"{office.service.url}/bitrix24/main/events"
        async with session.post(url, data=make(office), headers=headers) as answer:
            assert answer.status == status
        async with session.get(url) as answer:
            assert answer.status == 405
    assert office.portal.state.authority.rotations == tokens
    assert office.pbx.world.phone("101").legs == []
    assert "refused" in office.service.log.read_text(errors="replace").splitlines()[-1]


@pytest.mark.parametrize("way", ["event", "page"])
async def test_a_forged_installation_replaces_no_token(office: Stand, way: str) -> None:
    """As the installer's page and as ONAPPINSTALL; afterwards the old tokens still work."""
    body = install_event(office) if way == "event" else {"AUTH_ID": "f" * 70, "REFRESH_ID": "f" * 70, "member_id": "e" * 32}
    async with aiohttp.ClientSession() as session:
        url = f"{office.service.url}/bitrix24/main/install?DOMAIN=evil.invalid&APP_SID=x"
        async with session.post(url, data=body) as answer:
            assert answer.status == 403
    call = office.portal.click(IVANOV, "+79169990001")
    await office.pbx.world.phone("101").talking()
    await office.pbx.world.phone("101").hangup()
    await office.until(lambda: None if call.live else True, "the click is finished", within=10)
    assert call.finish["status"] in ("200", "480", "603-S")
