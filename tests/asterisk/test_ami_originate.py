from __future__ import annotations

import asyncio

import pytest
from scripted_ami import ScriptedPbx, answer, event

from perezvon.asterisk import (
    ActionRefused,
    ActionTimeout,
    ConnectionLost,
    Fate,
    InjectionRefused,
    Originate,
    Session,
    place_call,
)

CALL = Originate("PJSIP/101", "from-internal", "+79161234567", timeout=25, channel_id="click-1")


def test_the_headers_of_a_call() -> None:
    call = Originate(
        "PJSIP/101",
        "from-internal",
        "+79161234567",
        caller_number="+79161234567",
        caller_name='Иван "Злой" <x>\r\n',
        timeout=25.5,
        variables={"__CRM_ID": r'a,b"(c)\d[e', "PJSIP_HEADER(add,X-Auto)": "yes"},
        channel_id="click-1",
        account="sales",
    )
    assert call.headers() == [
        ("Channel", "PJSIP/101"),
        ("Timeout", "25500"),
        ("Async", "true"),
        ("Context", "from-internal"),
        ("Exten", "+79161234567"),
        ("Priority", "1"),
        ("CallerID", '"Иван Злой x" <+79161234567>'),
        ("Account", "sales"),
        ("ChannelId", "click-1"),
        ("Variable", r"__CRM_ID=a\,b\"\(c\)\\d\[e"),
        ("Variable", "PJSIP_HEADER(add,X-Auto)=yes"),
    ]


def test_a_call_may_run_an_application() -> None:
    headers = Originate("PJSIP/101", application="Playback", data="hello").headers()
    assert ("Application", "Playback") in headers
    assert "Exten" not in dict(headers)


@pytest.mark.parametrize(
    "call",
    [
        Originate("PJSIP/101", "office", "102&103"),
        Originate("PJSIP/101", "office", "102,1"),
        Originate("PJSIP/101", "office", ""),
        Originate("PJSIP/101", "office", "102\r\nAction: Command"),
        Originate("PJSIP/101", "of,fice", "102"),
        Originate("PJSIP/101", "office", "102", caller_number="1> <2"),
        Originate("PJSIP/101", "office", "102", variables={"A=1,B": "x"}),
        Originate("PJSIP/101", "office", "102", variables={"A\n": "x"}),
    ],
)
def test_what_is_no_number_or_name_is_refused(call: Originate) -> None:
    with pytest.raises(InjectionRefused, match="was not placed"):
        call.headers()


@pytest.mark.parametrize("evil", ["PJSIP/101\r\nApplication: System", "PJSIP/101\0"])
async def test_a_channel_cannot_bring_further_headers(pbx: ScriptedPbx, evil: str) -> None:
    async with await Session.open(pbx.address()) as session:
        with pytest.raises(InjectionRefused):
            await place_call(session, Originate(evil, "office", "102"))
        assert pbx.named("Originate") == []


@pytest.mark.parametrize(
    ("response", "reason", "fate"),
    [
        ("Success", "4", Fate.ANSWERED),
        ("Failure", "0", Fate.UNREACHABLE),
        ("Failure", "1", Fate.DECLINED),
        ("Failure", "3", Fate.NO_ANSWER),
        ("Failure", "5", Fate.BUSY),
        ("Failure", "8", Fate.CONGESTION),
        ("Failure", "77", Fate.UNREACHABLE),
    ],
)
async def test_the_fate_of_a_call(pbx: ScriptedPbx, response: str, reason: str, fate: Fate) -> None:
    def reply(action: object) -> list[bytes]:
        [asked] = pbx.named("Originate")
        mark = ("ActionID", asked["ActionID"])
        return [
            event("OriginateResponse", ("ActionID", "somebody-else"), ("Response", "Success"), ("Reason", "4")),
            answer(asked, ("Message", "Originate successfully queued")),
            event("Newchannel", ("Channel", "PJSIP/101-1")),
            event(
                "OriginateResponse",
                mark,
                ("Response", response),
                ("Reason", reason),
                ("Channel", "PJSIP/101-1"),
                ("Uniqueid", "click-1"),
            ),
        ]

    pbx.replies["Originate"] = reply
    async with await Session.open(pbx.address()) as session:
        told = await place_call(session, CALL)
    assert (told.fate, told.uniqueid, told.channel) == (fate, "click-1", "PJSIP/101-1")
    assert told.reason


async def test_a_refused_call(pbx: ScriptedPbx) -> None:
    pbx.replies["Originate"] = lambda a: [answer(a, ("Message", "Permission denied"), response="Error")]
    async with await Session.open(pbx.address()) as session:
        with pytest.raises(ActionRefused, match="Permission denied"):
            await place_call(session, CALL)


async def test_a_pbx_that_never_tells(pbx: ScriptedPbx) -> None:
    pbx.replies["Originate"] = lambda a: [answer(a)]
    async with await Session.open(pbx.address()) as session:
        with pytest.raises(ActionTimeout, match="what became of the call to PJSIP/101"):
            await place_call(session, Originate("PJSIP/101", "office", "102", timeout=0.01), slack=0.02)


async def test_the_connection_goes_while_the_phone_rings(pbx: ScriptedPbx) -> None:
    pbx.replies["Originate"] = lambda a: [answer(a)]
    async with await Session.open(pbx.address()) as session:
        placing = asyncio.ensure_future(place_call(session, CALL))
        await pbx.received("Originate")
        await pbx.drop()
        with pytest.raises(ConnectionLost):
            await placing
