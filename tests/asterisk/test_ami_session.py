from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from scripted_ami import ScriptedPbx, answer, block, event, listing

from perezvon.asterisk import (
    ActionRefused,
    ActionTimeout,
    AmiAddress,
    CannotConnect,
    ConnectionLost,
    InjectionRefused,
    Limits,
    LoginRefused,
    NotBooted,
    NotConnected,
    Overflow,
    ProtocolBroken,
    Session,
)
from perezvon.calls import Event


async def first(session: Session, count: int = 1) -> list[Event]:
    """The next events, without the FullyBooted of the login."""
    found: list[Event] = []
    async for batch in session.events():
        found += [event for event in batch if event.name != "FullyBooted"]
        if len(found) >= count:
            return found
    raise AssertionError("the session ended")


# ---- login


async def test_login_by_challenge_never_sends_the_secret(peer: ScriptedPbx) -> None:
    async with await Session.open(peer.address()) as session:
        assert session.protocol == "11.0.0"
    [login] = peer.named("Login")
    assert login["AuthType"] == "MD5"
    assert "Secret" not in login
    await peer.received("Logoff")


async def test_login_without_challenge() -> None:
    async with ScriptedPbx(challenge=False) as peer, await Session.open(peer.address()):
        assert peer.named("Login")[0]["Secret"] == "s3:cret"


@pytest.mark.parametrize("challenge", [True, False])
async def test_a_wrong_secret_is_told_without_showing_it(challenge: bool) -> None:
    async with ScriptedPbx(challenge=challenge) as peer:
        with pytest.raises(LoginRefused, match="Authentication failed") as caught:
            await Session.open(peer.address(secret="hush"))
        assert len(peer.named("Login")) == 1
        assert "hush" not in str(caught.value)


async def test_nobody_listens() -> None:
    async with ScriptedPbx() as peer:
        address = peer.address()
    with pytest.raises(CannotConnect, match=r"Is Asterisk running"):
        await Session.open(address)


async def test_another_service_listens() -> None:
    async with ScriptedPbx(greeting=b"SSH-2.0-OpenSSH_9.2\r\n") as peer:
        with pytest.raises(ProtocolBroken, match=r"no AMI port.*SSH-2\.0"):
            await Session.open(peer.address())


async def test_a_service_that_says_nothing() -> None:
    async with ScriptedPbx(greeting=b"") as peer:
        with pytest.raises(CannotConnect, match=r"within 0\.1 s"):
            await Session.open(peer.address(), timeout=0.1)


async def test_a_greeting_may_come_in_pieces(peer: ScriptedPbx) -> None:
    async with ScriptedPbx(greeting=b"Asterisk") as peer:
        opening = asyncio.ensure_future(Session.open(peer.address()))
        await peer.connected.wait()
        await peer.send(b" Call Manager/2.10.6\r\n")
        async with await opening as session:
            assert session.protocol == "2.10.6"


async def test_asterisk_that_never_boots() -> None:
    async with ScriptedPbx(boots=False) as peer:
        with pytest.raises(NotBooted, match=r"lacks `system`"):
            await Session.open(peer.address(), boot_timeout=0.05)


async def test_asterisk_that_boots_late() -> None:
    async with ScriptedPbx(boots=False) as peer:
        opening = asyncio.ensure_future(Session.open(peer.address()))
        await peer.received("Login")
        assert not opening.done()
        await peer.send(event("FullyBooted"))
        await (await opening).close()


async def test_the_pbx_goes_while_we_wait_for_its_boot() -> None:
    async with ScriptedPbx(boots=False) as peer:
        opening = asyncio.ensure_future(Session.open(peer.address()))
        await peer.received("Login")
        await peer.drop()
        with pytest.raises(ConnectionLost):
            await opening


# ---- actions


async def test_an_answer_finds_its_action(peer: ScriptedPbx) -> None:
    peer.replies["Getvar"] = None
    async with await Session.open(peer.address()) as session:
        one = asyncio.ensure_future(session.action("Getvar", [("Variable", "one")]))
        two = asyncio.ensure_future(session.action("Getvar", [("Variable", "two")]))
        asked = await peer.received("Getvar", 2)
        await peer.send(*[answer(action, ("Value", action["Variable"] + "!")) for action in reversed(asked)])
        assert [(await one)["Value"], (await two)["Value"]] == ["one!", "two!"]


async def test_a_refusal_bears_the_reason(peer: ScriptedPbx) -> None:
    async with await Session.open(peer.address()) as session:
        with pytest.raises(ActionRefused, match="Invalid/unknown command") as caught:
            await session.action("Nonsense")
        assert caught.value.action == "Nonsense"


async def test_a_late_answer_troubles_nobody(peer: ScriptedPbx) -> None:
    peer.replies["Getvar"] = None
    async with await Session.open(peer.address()) as session:
        with pytest.raises(ActionTimeout, match="Getvar"):
            await session.action("Getvar", timeout=0.02)
        [late] = peer.named("Getvar")
        await peer.send(answer(late), block(("Response", "Error"), ("Message", "Missing action in request")))
        assert (await session.action("Ping"))["Ping"] == "Pong"


async def test_injection_is_refused_before_anything_is_sent(peer: ScriptedPbx) -> None:
    async with await Session.open(peer.address()) as session:
        before = len(peer.actions)
        with pytest.raises(InjectionRefused):
            await session.action("Setvar", [("Value", "x\r\n\r\nAction: Command\r\nCommand: core stop now")])
        await session.action("Ping")
        assert [action["Action"] for action in peer.actions[before:]] == ["Ping"]


async def test_an_action_under_way_learns_of_the_loss_and_is_not_sent_again(peer: ScriptedPbx) -> None:
    peer.replies["Originate"] = None
    async with await Session.open(peer.address()) as session:
        waiting = asyncio.ensure_future(session.action("Originate"))
        await peer.received("Originate")
        await peer.drop()
        with pytest.raises(ConnectionLost) as caught:
            await waiting
        assert not isinstance(caught.value, NotConnected)
        with pytest.raises(NotConnected, match="nothing was sent"):
            await session.action("Originate")
        assert len(peer.named("Originate")) == 1


async def test_closing_ends_what_is_under_way(peer: ScriptedPbx) -> None:
    peer.replies["Getvar"] = None
    session = await Session.open(peer.address())
    waiting = asyncio.ensure_future(session.action("Getvar"))
    await peer.received("Getvar")
    await session.close()
    await session.close()
    with pytest.raises(ConnectionLost, match="closed by us"):
        await waiting


# ---- lists


async def test_a_list_is_collected_while_events_go_on(peer: ScriptedPbx) -> None:
    peer.replies["CoreShowChannels"] = lambda a: [
        answer(a, ("EventList", "start")),
        event("CoreShowChannel", ("Channel", "one"), ("ActionID", a["ActionID"])),
        event("Hangup", ("Channel", "zero")),
        event("CoreShowChannel", ("Channel", "alien"), ("ActionID", "somebody")),
        event("CoreShowChannel", ("Channel", "two"), ("ActionID", a["ActionID"])),
        event("CoreShowChannelsComplete", ("EventList", "Complete"), ("ActionID", a["ActionID"])),
        event("CoreShowChannel", ("Channel", "late"), ("ActionID", a["ActionID"])),
    ]
    async with await Session.open(peer.address()) as session:
        entries = await session.collect("CoreShowChannels")
        assert [entry["Channel"] for entry in entries] == ["one", "two"]
        assert [found["channel"] for found in await first(session)] == ["zero"]


async def test_an_old_list_ends_with_its_complete_event_alone(peer: ScriptedPbx) -> None:
    peer.replies["QueueStatus"] = lambda a: [
        answer(a, ("Message", "Queue status will follow")),
        event("QueueParams", ("Queue", "sales"), ("ActionID", a["ActionID"])),
        event("QueueStatusComplete", ("ActionID", a["ActionID"])),
    ]
    async with await Session.open(peer.address()) as session:
        assert [entry["Queue"] for entry in await session.collect("QueueStatus")] == ["sales"]


async def test_a_list_without_end_is_given_up(peer: ScriptedPbx) -> None:
    peer.replies["Status"] = lambda a: listing(a, "StatusComplete", [])[:1]
    async with await Session.open(peer.address()) as session:
        with pytest.raises(ActionTimeout, match="list Status"):
            await session.collect("Status", timeout=0.02)


async def test_a_list_is_cut_off_by_the_loss(peer: ScriptedPbx) -> None:
    peer.replies["Status"] = lambda a: listing(a, "StatusComplete", [])[:1]
    async with await Session.open(peer.address()) as session:
        waiting = asyncio.ensure_future(session.collect("Status"))
        await peer.received("Status")
        await peer.drop()
        with pytest.raises(ConnectionLost):
            await waiting


async def test_a_refused_list_is_refused(peer: ScriptedPbx) -> None:
    async with await Session.open(peer.address()) as session:
        with pytest.raises(ActionRefused):
            await session.collect("Nonsense")


# ---- events


async def test_events_come_in_order_with_names_in_any_encoding(peer: ScriptedPbx) -> None:
    async with await Session.open(peer.address()) as session:
        cp1251 = b"Event: Newstate\r\nCallerIDName: " + "Клиент".encode("cp1251") + b"\r\n\r\n"
        utf8 = event("Newchannel", ("CallerIDName", "Клиент"), ("Timestamp", "1795230221.5"))
        await peer.send(utf8[:40])
        await peer.send(utf8[40:], event("CEL", ("Channel", "x")), cp1251)
        found = await first(session, 2)
        assert [(item.name, item["calleridname"]) for item in found] == [("Newchannel", "Клиент"), ("Newstate", "Клиент")]
        assert found[0].at == 1795230221.5
        assert (session.seen, session.taken) == (6, 3)


async def test_originate_response_is_an_event_and_no_answer(peer: ScriptedPbx) -> None:
    peer.replies["Getvar"] = None
    async with await Session.open(peer.address()) as session:
        waiting = asyncio.ensure_future(session.action("Getvar"))
        [asked] = await peer.received("Getvar")
        await peer.send(event("OriginateResponse", ("ActionID", asked["ActionID"]), ("Response", "Failure")))
        assert [item.name for item in await first(session)] == ["OriginateResponse"]
        assert not waiting.done()
        await peer.send(answer(asked))
        await waiting


async def test_what_arrived_before_the_loss_is_given_then_the_loss_is_told(peer: ScriptedPbx) -> None:
    async with await Session.open(peer.address(), wanted=frozenset({"Hangup"})) as session:
        await peer.send(event("Hangup", ("Channel", "one")))
        await session.action("Ping")
        await peer.drop()
        found: list[str] = []
        with pytest.raises(ConnectionLost):
            async for batch in session.events():
                found += [item["channel"] for item in batch]
        assert found == ["one"]


async def test_events_end_when_we_close(peer: ScriptedPbx) -> None:
    session = await Session.open(peer.address(), wanted=frozenset())
    await session.close()
    assert [batch async for batch in session.events()] == []


async def test_the_reader_always_reads(peer: ScriptedPbx) -> None:
    """Nobody takes the events, and still 20 MB of them are drained from the socket."""
    limits = Limits(events=100_000, bytes=1 << 30)
    async with await Session.open(peer.address(), wanted=frozenset({"Hangup"}), limits=limits) as session:
        many = [event("Hangup", ("Channel", str(number)), ("Filler", "x" * 2000)) for number in range(10_000)]
        await peer.send(*many)
        assert (await session.action("Ping"))["Ping"] == "Pong"
        assert session.taken == 10_000
        assert [item["channel"] for item in await first(session, 10_000)] == [str(number) for number in range(10_000)]


@pytest.mark.parametrize("limits", [Limits(events=100), Limits(bytes=10_000)], ids=["too many", "too large"])
async def test_an_overflow_drops_the_connection_on_purpose(peer: ScriptedPbx, limits: Limits) -> None:
    async with await Session.open(peer.address(), wanted=frozenset({"Hangup"}), limits=limits) as session:
        await peer.send(*[event("Hangup", ("Filler", "x" * 100)) for _ in range(150)])
        with pytest.raises(Overflow, match="waited to be taken"):
            await session.action("Ping")
        with pytest.raises(Overflow):
            await first(session)
        assert isinstance(session.lost, Overflow)


async def test_unwanted_events_never_overflow(peer: ScriptedPbx) -> None:
    async with await Session.open(peer.address(), wanted=frozenset(), limits=Limits(events=1)) as session:
        await peer.send(*[event("CEL") for _ in range(1000)])
        await session.action("Ping")
        assert session.seen > 1000


async def test_a_message_without_end_drops_the_connection(peer: ScriptedPbx) -> None:
    async with await Session.open(peer.address(), wanted=frozenset({"Hangup"})) as session:
        waiting = asyncio.ensure_future(first(session))
        with suppress(ConnectionError):
            await peer.send(*[b"x" * 1024 * 1024 for _ in range(6)])
        with pytest.raises(ProtocolBroken, match="4194304"):
            await waiting


# ---- keep-alive


async def test_silence_is_broken_by_pings(peer: ScriptedPbx) -> None:
    async with await Session.open(peer.address(), limits=Limits(keep_alive=0.2)) as session:
        await peer.received("Ping", 3)
        assert session.lost is None


async def test_a_pbx_that_fell_silent_is_given_up(peer: ScriptedPbx) -> None:
    peer.replies["Ping"] = None
    async with await Session.open(peer.address(), limits=Limits(keep_alive=0.02)) as session:
        with pytest.raises(ConnectionLost, match="even after a Ping"):
            await first(session)


# ---- recording


async def test_a_tap_records_the_raw_messages(peer: ScriptedPbx) -> None:
    recorded: list[bytes] = []
    async with await Session.open(peer.address(), raw_tap=recorded.append) as session:
        raw = b"Event: Newstate\r\nCallerIDName: \xca\xeb\r\n\r\n"
        await peer.send(raw)
        await first(session)
        assert raw in b"".join(recorded)
        assert b"s3:cret" not in b"".join(recorded)


async def test_a_tap_that_fails_is_taken_off(peer: ScriptedPbx) -> None:
    def full(_data: bytes) -> None:
        raise OSError("No space left on device")

    async with await Session.open(peer.address()) as session:
        session.raw_tap = full
        await peer.send(event("Hangup"))
        assert [item.name for item in await first(session)] == ["Hangup"]
        assert session.raw_tap is None


async def test_an_ipv6_or_unknown_host_is_explained() -> None:
    with pytest.raises(CannotConnect, match="cannot connect to tcp://u@"):
        await Session.open(AmiAddress.parse("tcp://u:p@[::1]:1"))
