from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest
from scripted_ami import ScriptedPbx, answer, block, event

from perezvon.asterisk import (
    ActionRefused,
    ActionTimeout,
    ConnectionLost,
    Fate,
    InjectionRefused,
    Message,
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
async def test_a_channel_cannot_bring_further_headers(peer: ScriptedPbx, evil: str) -> None:
    async with await Session.open(peer.address()) as session:
        with pytest.raises(InjectionRefused):
            await place_call(session, Originate(evil, "office", "102"))
        assert peer.named("Originate") == []


def told(*blocks: Sequence[tuple[str, str]]) -> Callable[[Message], list[bytes]]:
    """What the PBX sends for the Originate: events about a stranger, then these (the ActionID is added where one is due)."""

    def reply(asked: Message) -> list[bytes]:
        mark = ("ActionID", asked["ActionID"])
        return [
            event("OriginateResponse", ("ActionID", "somebody-else"), ("Response", "Success"), ("Reason", "4")),
            event("Hangup", ("Uniqueid", "click-11"), ("Cause", "17")),
            answer(asked, ("Message", "Originate successfully queued")),
            *(block(*pairs, *([mark] if pairs[0][1] == "OriginateResponse" else [])) for pairs in blocks),
        ]

    return reply


def response(success: str, reason: str) -> list[tuple[str, str]]:
    channel = [("Channel", "PJSIP/101"), ("Uniqueid", "click-1")]
    return [("Event", "OriginateResponse"), ("Response", success), ("Reason", reason), *channel]


def hangup(cause: str) -> list[tuple[str, str]]:
    return [("Event", "Hangup"), ("Channel", "PJSIP/101-1"), ("Uniqueid", "click-1"), ("Cause", cause)]


NEW = [("Event", "Newchannel"), ("Channel", "PJSIP/101-1"), ("Uniqueid", "click-1")]


@pytest.mark.parametrize(
    ("story", "fate"),
    [
        ([NEW, response("Success", "4")], Fate.ANSWERED),
        ([NEW, response("Failure", "3")], Fate.NO_ANSWER),
        ([NEW, response("Failure", "5")], Fate.BUSY),
        ([NEW, response("Failure", "8")], Fate.CONGESTION),
        ([NEW, response("Failure", "1")], Fate.DECLINED),
        ([response("Failure", "0")], Fate.UNREACHABLE),
        ([NEW, response("Failure", "0"), hangup("17")], Fate.BUSY),
        ([NEW, hangup("17"), response("Failure", "0")], Fate.BUSY),
        ([NEW, hangup("21"), response("Failure", "0")], Fate.DECLINED),
        ([NEW, hangup("19"), response("Failure", "0")], Fate.NO_ANSWER),
        ([NEW, hangup("34"), response("Failure", "0")], Fate.CONGESTION),
        ([NEW, hangup("20"), response("Failure", "0")], Fate.UNREACHABLE),
        ([NEW, hangup("0"), response("Failure", "77")], Fate.UNREACHABLE),
    ],
)
async def test_the_fate_of_a_call(peer: ScriptedPbx, story: list[list[tuple[str, str]]], fate: Fate) -> None:
    peer.replies["Originate"] = told(*story)
    async with await Session.open(peer.address()) as session:
        placed = await place_call(session, CALL)
    assert (placed.fate, placed.uniqueid) == (fate, "click-1")
    assert placed.channel.startswith("PJSIP/101")
    assert placed.reason


async def test_a_call_without_an_id_of_its_own_is_given_one(peer: ScriptedPbx) -> None:
    peer.replies["Originate"] = told(response("Success", "4"))
    async with await Session.open(peer.address()) as session:
        placed = await place_call(session, Originate("PJSIP/101", "office", "102"))
    assert placed.uniqueid == peer.named("Originate")[0]["ChannelId"] != ""


async def test_a_refused_call(peer: ScriptedPbx) -> None:
    peer.replies["Originate"] = lambda a: [answer(a, ("Message", "Permission denied"), response="Error")]
    async with await Session.open(peer.address()) as session:
        with pytest.raises(ActionRefused, match="Permission denied"):
            await place_call(session, CALL)


async def test_a_pbx_that_never_tells(peer: ScriptedPbx) -> None:
    peer.replies["Originate"] = lambda a: [answer(a)]
    async with await Session.open(peer.address()) as session:
        with pytest.raises(ActionTimeout, match="what became of the call to PJSIP/101"):
            await place_call(session, Originate("PJSIP/101", "office", "102", timeout=0.01), slack=0.02)


async def test_the_connection_goes_while_the_phone_rings(peer: ScriptedPbx) -> None:
    peer.replies["Originate"] = lambda a: [answer(a)]
    async with await Session.open(peer.address()) as session:
        placing = asyncio.ensure_future(place_call(session, CALL))
        await peer.received("Originate")
        await peer.drop()
        with pytest.raises(ConnectionLost):
            await placing
