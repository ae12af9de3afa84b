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


async def test_login_by_challenge_never_sends_the_secret(pbx: ScriptedPbx) -> None:
    async with await Session.open(pbx.address()) as session:
        assert session.protocol == "11.0.0"
    [login] = pbx.named("Login")
    assert login["AuthType"] == "MD5"
    assert "Secret" not in login
    await pbx.received("Logoff")


async def test_login_without_challenge() -> None:
    async with ScriptedPbx(challenge=False) as pbx, await Session.open(pbx.address()):
        assert pbx.named("Login")[0]["Secret"] == "s3:cret"


@pytest.mark.parametrize("challenge", [True, False])
async def test_a_wrong_secret_is_told_without_showing_it(challenge: bool) -> None:
    async with ScriptedPbx(challenge=challenge) as pbx:
        with pytest.raises(LoginRefused, match="Authentication failed") as caught:
            await Session.open(pbx.address(secret="hush"))
        assert len(pbx.named("Login")) == 1
        assert "hush" not in str(caught.value)


async def test_nobody_listens() -> None:
    async with ScriptedPbx() as pbx:
        address = pbx.address()
    with pytest.raises(CannotConnect, match=r"Is Asterisk running"):
        await Session.open(address)


async def test_another_service_listens() -> None:
    async with ScriptedPbx(greeting=b"SSH-2.0-OpenSSH_9.2\r\n") as pbx:
        with pytest.raises(ProtocolBroken, match=r"no AMI port.*SSH-2\.0"):
            await Session.open(pbx.address())


async def test_a_service_that_says_nothing() -> None:
    async with ScriptedPbx(greeting=b"") as pbx:
        with pytest.raises(CannotConnect, match=r"within 0\.1 s"):
            await Session.open(pbx.address(), timeout=0.1)


async def test_a_greeting_may_come_in_pieces(pbx: ScriptedPbx) -> None:
    async with ScriptedPbx(greeting=b"Asterisk") as pbx:
        opening = asyncio.ensure_future(Session.open(pbx.address()))
        await pbx.connected.wait()
        await pbx.send(b" Call Manager/2.10.6\r\n")
        async with await opening as session:
            assert session.protocol == "2.10.6"


async def test_asterisk_that_never_boots() -> None:
    async with ScriptedPbx(boots=False) as pbx:
        with pytest.raises(NotBooted, match=r"lacks `system`"):
            await Session.open(pbx.address(), boot_timeout=0.05)


async def test_asterisk_that_boots_late() -> None:
    async with ScriptedPbx(boots=False) as pbx:
        opening = asyncio.ensure_future(Session.open(pbx.address()))
        await pbx.received("Login")
        assert not opening.done()
        await pbx.send(event("FullyBooted"))
        await (await opening).close()


async def test_the_pbx_goes_while_we_wait_for_its_boot() -> None:
    async with ScriptedPbx(boots=False) as pbx:
        opening = asyncio.ensure_future(Session.open(pbx.address()))
        await pbx.received("Login")
        await pbx.drop()
        with pytest.raises(ConnectionLost):
            await opening


# ---- actions


async def test_an_answer_finds_its_action(pbx: ScriptedPbx) -> None:
    pbx.replies["Getvar"] = None
    async with await Session.open(pbx.address()) as session:
        one = asyncio.ensure_future(session.action("Getvar", [("Variable", "one")]))
        two = asyncio.ensure_future(session.action("Getvar", [("Variable", "two")]))
        asked = await pbx.received("Getvar", 2)
        await pbx.send(*[answer(action, ("Value", action["Variable"] + "!")) for action in reversed(asked)])
        assert [(await one)["Value"], (await two)["Value"]] == ["one!", "two!"]


async def test_a_refusal_bears_the_reason(pbx: ScriptedPbx) -> None:
    async with await Session.open(pbx.address()) as session:
        with pytest.raises(ActionRefused, match="Invalid/unknown command") as caught:
            await session.action("Nonsense")
        assert caught.value.action == "Nonsense"


async def test_a_late_answer_troubles_nobody(pbx: ScriptedPbx) -> None:
    pbx.replies["Getvar"] = None
    async with await Session.open(pbx.address()) as session:
        with pytest.raises(ActionTimeout, match="Getvar"):
            await session.action("Getvar", timeout=0.02)
        [late] = pbx.named("Getvar")
        await pbx.send(answer(late), block(("Response", "Error"), ("Message", "Missing action in request")))
        assert (await session.action("Ping"))["Ping"] == "Pong"


async def test_injection_is_refused_before_anything_is_sent(pbx: ScriptedPbx) -> None:
    async with await Session.open(pbx.address()) as session:
        before = len(pbx.actions)
        with pytest.raises(InjectionRefused):
            await session.action("Setvar", [("Value", "x\r\n\r\nAction: Command\r\nCommand: core stop now")])
        await session.action("Ping")
        assert [action["Action"] for action in pbx.actions[before:]] == ["Ping"]


async def test_an_action_under_way_learns_of_the_loss_and_is_not_sent_again(pbx: ScriptedPbx) -> None:
    pbx.replies["Originate"] = None
    async with await Session.open(pbx.address()) as session:
        waiting = asyncio.ensure_future(session.action("Originate"))
        await pbx.received("Originate")
        await pbx.drop()
        with pytest.raises(ConnectionLost) as caught:
            await waiting
        assert not isinstance(caught.value, NotConnected)
        with pytest.raises(NotConnected, match="nothing was sent"):
            await session.action("Originate")
        assert len(pbx.named("Originate")) == 1


async def test_closing_ends_what_is_under_way(pbx: ScriptedPbx) -> None:
    pbx.replies["Getvar"] = None
    session = await Session.open(pbx.address())
    waiting = asyncio.ensure_future(session.action("Getvar"))
    await pbx.received("Getvar")
    await session.close()
    await session.close()
    with pytest.raises(ConnectionLost, match="closed by us"):
        await waiting


# ---- lists


async def test_a_list_is_collected_while_events_go_on(pbx: ScriptedPbx) -> None:
    pbx.replies["CoreShowChannels"] = lambda a: [
        answer(a, ("EventList", "start")),
        event("CoreShowChannel", ("Channel", "one"), ("ActionID", a["ActionID"])),
        event("Hangup", ("Channel", "zero")),
        event("CoreShowChannel", ("Channel", "alien"), ("ActionID", "somebody")),
        event("CoreShowChannel", ("Channel", "two"), ("ActionID", a["ActionID"])),
        event("CoreShowChannelsComplete", ("EventList", "Complete"), ("ActionID", a["ActionID"])),
        event("CoreShowChannel", ("Channel", "late"), ("ActionID", a["ActionID"])),
    ]
    async with await Session.open(pbx.address()) as session:
        entries = await session.collect("CoreShowChannels")
        assert [entry["Channel"] for entry in entries] == ["one", "two"]
        assert [found["channel"] for found in await first(session)] == ["zero"]


async def test_an_old_list_ends_with_its_complete_event_alone(pbx: ScriptedPbx) -> None:
    pbx.replies["QueueStatus"] = lambda a: [
        answer(a, ("Message", "Queue status will follow")),
        event("QueueParams", ("Queue", "sales"), ("ActionID", a["ActionID"])),
        event("QueueStatusComplete", ("ActionID", a["ActionID"])),
    ]
    async with await Session.open(pbx.address()) as session:
        assert [entry["Queue"] for entry in await session.collect("QueueStatus")] == ["sales"]


async def test_a_list_without_end_is_given_up(pbx: ScriptedPbx) -> None:
    pbx.replies["Status"] = lambda a: listing(a, "StatusComplete", [])[:1]
    async with await Session.open(pbx.address()) as session:
        with pytest.raises(ActionTimeout, match="list Status"):
            await session.collect("Status", timeout=0.02)


async def test_a_list_is_cut_off_by_the_loss(pbx: ScriptedPbx) -> None:
    pbx.replies["Status"] = lambda a: listing(a, "StatusComplete", [])[:1]
    async with await Session.open(pbx.address()) as session:
        waiting = asyncio.ensure_future(session.collect("Status"))
        await pbx.received("Status")
        await pbx.drop()
        with pytest.raises(ConnectionLost):
            await waiting


async def test_a_refused_list_is_refused(pbx: ScriptedPbx) -> None:
    async with await Session.open(pbx.address()) as session:
        with pytest.raises(ActionRefused):
            await session.collect("Nonsense")


# ---- events


async def test_events_come_in_order_with_names_in_any_encoding(pbx: ScriptedPbx) -> None:
    async with await Session.open(pbx.address()) as session:
        cp1251 = b"Event: Newstate\r\nCallerIDName: " + "Клиент".encode("cp1251") + b"\r\n\r\n"
        utf8 = event("Newchannel", ("CallerIDName", "Клиент"), ("Timestamp", "1795230221.5"))
        await pbx.send(utf8[:40])
        await pbx.send(utf8[40:], event("CEL", ("Channel", "x")), cp1251)
        found = await first(session, 2)
        assert [(item.name, item["calleridname"]) for item in found] == [("Newchannel", "Клиент"), ("Newstate", "Клиент")]
        assert found[0].at == 1795230221.5
        assert (session.seen, session.taken) == (6, 3)


async def test_originate_response_is_an_event_and_no_answer(pbx: ScriptedPbx) -> None:
    pbx.replies["Getvar"] = None
    async with await Session.open(pbx.address()) as session:
        waiting = asyncio.ensure_future(session.action("Getvar"))
        [asked] = await pbx.received("Getvar")
        await pbx.send(event("OriginateResponse", ("ActionID", asked["ActionID"]), ("Response", "Failure")))
        assert [item.name for item in await first(session)] == ["OriginateResponse"]
        assert not waiting.done()
        await pbx.send(answer(asked))
        await waiting


async def test_what_arrived_before_the_loss_is_given_then_the_loss_is_told(pbx: ScriptedPbx) -> None:
    async with await Session.open(pbx.address(), wanted=frozenset({"Hangup"})) as session:
        await pbx.send(event("Hangup", ("Channel", "one")))
        await session.action("Ping")
        await pbx.drop()
        found: list[str] = []
        with pytest.raises(ConnectionLost):
            async for batch in session.events():
                found += [item["channel"] for item in batch]
        assert found == ["one"]


async def test_events_end_when_we_close(pbx: ScriptedPbx) -> None:
    session = await Session.open(pbx.address(), wanted=frozenset())
    await session.close()
    assert [batch async for batch in session.events()] == []


async def test_the_reader_always_reads(pbx: ScriptedPbx) -> None:
    """Nobody takes the events, and still 20 MB of them are drained from the socket."""
    limits = Limits(events=100_000, bytes=1 << 30)
    async with await Session.open(pbx.address(), wanted=frozenset({"Hangup"}), limits=limits) as session:
        many = [event("Hangup", ("Channel", str(number)), ("Filler", "x" * 2000)) for number in range(10_000)]
        await pbx.send(*many)
        assert (await session.action("Ping"))["Ping"] == "Pong"
        assert session.taken == 10_000
        assert [item["channel"] for item in await first(session, 10_000)] == [str(number) for number in range(10_000)]


@pytest.mark.parametrize("limits", [Limits(events=100), Limits(bytes=10_000)], ids=["too many", "too large"])
async def test_an_overflow_drops_the_connection_on_purpose(pbx: ScriptedPbx, limits: Limits) -> None:
    async with await Session.open(pbx.address(), wanted=frozenset({"Hangup"}), limits=limits) as session:
        await pbx.send(*[event("Hangup", ("Filler", "x" * 100)) for _ in range(150)])
        with pytest.raises(Overflow, match="waited to be taken"):
            await session.action("Ping")
        with pytest.raises(Overflow):
            await first(session)
        assert isinstance(session.lost, Overflow)


async def test_unwanted_events_never_overflow(pbx: ScriptedPbx) -> None:
    async with await Session.open(pbx.address(), wanted=frozenset(), limits=Limits(events=1)) as session:
        await pbx.send(*[event("CEL") for _ in range(1000)])
        await session.action("Ping")
        assert session.seen > 1000


async def test_a_message_without_end_drops_the_connection(pbx: ScriptedPbx) -> None:
    async with await Session.open(pbx.address(), wanted=frozenset({"Hangup"})) as session:
        waiting = asyncio.ensure_future(first(session))
        with suppress(ConnectionError):
            await pbx.send(*[b"x" * 1024 * 1024 for _ in range(6)])
        with pytest.raises(ProtocolBroken, match="4194304"):
            await waiting


# ---- keep-alive


async def test_silence_is_broken_by_pings(pbx: ScriptedPbx) -> None:
    async with await Session.open(pbx.address(), limits=Limits(keep_alive=0.02)) as session:
        await pbx.received("Ping", 3)
        assert session.lost is None


async def test_a_pbx_that_fell_silent_is_given_up(pbx: ScriptedPbx) -> None:
    pbx.replies["Ping"] = None
    async with await Session.open(pbx.address(), limits=Limits(keep_alive=0.02)) as session:
        with pytest.raises(ConnectionLost, match="even after a Ping"):
            await first(session)


# ---- recording


async def test_a_tap_records_the_raw_messages(pbx: ScriptedPbx) -> None:
    recorded: list[bytes] = []
    async with await Session.open(pbx.address(), raw_tap=recorded.append) as session:
        raw = b"Event: Newstate\r\nCallerIDName: \xca\xeb\r\n\r\n"
        await pbx.send(raw)
        await first(session)
        assert raw in b"".join(recorded)
        assert b"s3:cret" not in b"".join(recorded)


async def test_a_tap_that_fails_is_taken_off(pbx: ScriptedPbx) -> None:
    def full(_data: bytes) -> None:
        raise OSError("No space left on device")

    async with await Session.open(pbx.address()) as session:
        session.raw_tap = full
        await pbx.send(event("Hangup"))
        assert [item.name for item in await first(session)] == ["Hangup"]
        assert session.raw_tap is None


async def test_an_ipv6_or_unknown_host_is_explained() -> None:
    with pytest.raises(CannotConnect, match="cannot connect to tcp://u@"):
        await Session.open(AmiAddress.parse("tcp://u:p@[::1]:1"))
