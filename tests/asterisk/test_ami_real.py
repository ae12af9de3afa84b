"""The AMI layer on the sandbox's real Asterisk, as the user whose rights the documentation asks for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from perezvon.asterisk import (
    ActionRefused,
    AmiAddress,
    BackOff,
    Fate,
    Originate,
    Session,
    Supervisor,
    place_call,
    probe_pbx,
    take_snapshot,
)
from perezvon.asterisk.wire import events as events_in
from perezvon.calls import Event, Snapshot
from perezvon.calls.wanted import WANTED, WANTED_VARIABLES
from perezvon.sandbox.pbx import PbxSandbox

pytestmark = pytest.mark.asterisk

CLIENT = "79161234567"


@pytest.fixture
async def session(pbx: PbxSandbox) -> AsyncIterator[Session]:
    async with await Session.open(AmiAddress.parse(pbx.office_ami)) as session:
        yield session


async def test_login_over_tls(pbx: PbxSandbox) -> None:
    async with await Session.open(AmiAddress.parse(pbx.office_ami_tls)) as session:
        assert (await session.action("Ping"))["Ping"] == "Pong"


async def test_the_probe_finds_everything_in_order(pbx: PbxSandbox) -> None:
    found = await probe_pbx(AmiAddress.parse(pbx.office_ami), contexts=["from-internal", "from-nowhere"])
    assert found.problem == ""
    assert found.missing_actions == {}
    assert found.contexts == {"from-internal": True, "from-nowhere": False}
    assert set(found.queues or ()) >= {"sales", "support"}
    assert found.clock_offset is not None
    assert abs(found.clock_offset) < 1
    assert found.asterisk is not None
    assert found.asterisk[:2].isdigit()


async def test_the_probe_of_a_user_with_all_rights_sees_the_settings(pbx: PbxSandbox) -> None:
    found = await probe_pbx(AmiAddress.parse(pbx.office_ami_all))
    assert (found.missing_read, found.timestamps) == ((), True)


async def test_a_running_call_is_in_the_snapshot(pbx: PbxSandbox, session: Session) -> None:
    caller = await pbx.world.call(frm=CLIENT, to="74950000101")
    await caller.talking()
    employee = pbx.world.phone("101").leg
    waiting = await pbx.world.call(frm="79160000001", to="74950000310")
    await pbx.world.phone("103").rings()
    async for batch in session.events():
        if any(event.name == "QueueCallerJoin" for event in batch):
            break
    names = [(await leg.office_channel()).name for leg in (caller, employee, waiting)]

    snapshot = (await take_snapshot(session)).snapshot

    channels = {channel["channel"]: channel for channel in snapshot.channels}
    assert set(names) <= set(channels)
    assert channels[names[0]]["linkedid"] == channels[names[1]]["linkedid"]
    assert channels[names[1]]["application"] == "AppDial"
    assert channels[names[0]]["variable.MIXMONITOR_FILENAME"].endswith(".wav")
    assert [sorted(inside) for inside in snapshot.bridges.values()] == [sorted(names[:2])]
    assert snapshot.waiting["support"] == (names[2],)
    assert abs(snapshot.at - float(channels[names[2]]["uniqueid"])) < 30


@pytest.mark.parametrize(
    ("behaviour", "fate"),
    [
        ("answers", Fate.ANSWERED),
        ("busy", Fate.BUSY),
        ("rejects", Fate.DECLINED),
        ("rings", Fate.NO_ANSWER),
        ("no_answer", Fate.NO_ANSWER),
    ],
)
async def test_the_fate_of_a_placed_call(pbx: PbxSandbox, session: Session, behaviour: str, fate: Fate) -> None:
    phone = pbx.world.phone("101")
    await (phone.no_answer(0.2) if behaviour == "no_answer" else getattr(phone, behaviour)())
    call = Originate("PJSIP/101", "from-internal", "102", timeout=2, channel_id=f"click-{behaviour}", caller_name='И"ван')
    told = await place_call(session, call)
    assert told.fate is fate
    assert told.uniqueid == f"click-{behaviour}"
    assert told.reason


@pytest.mark.parametrize("channel", ["PJSIP/105", "PJSIP/199", "Local/999@from-nowhere", "Nonsense/1"])
async def test_what_cannot_be_reached(pbx: PbxSandbox, session: Session, channel: str) -> None:
    """105 is offline; the others do not exist."""
    assert (await place_call(session, Originate(channel, "from-internal", "102"))).fate is Fate.UNREACHABLE


async def test_variables_arrive_as_they_were_given(pbx: PbxSandbox, session: Session) -> None:
    value = r"a,b\"(c)\d[e x=1,EVIL=2'"
    told = await place_call(
        session, Originate("PJSIP/101", application="Wait", data="5", variables={"CRM_ID": value, "__OTHER": "1"})
    )
    for name, expected in [("CRM_ID", value), ("OTHER", "1"), ("EVIL", "")]:
        try:
            found = (await session.action("Getvar", [("Channel", told.channel), ("Variable", name)]))["Value"]
        except ActionRefused:
            found = ""
        assert found == expected


async def test_a_recorded_tap_replays_to_the_same_events(pbx: PbxSandbox) -> None:
    recorded: list[bytes] = []
    async with await Session.open(AmiAddress.parse(pbx.office_ami), raw_tap=recorded.append) as session:
        caller = await pbx.world.call(frm=CLIENT, to="74950000101", name="Клиент Иванов")
        await caller.talking()
        await caller.hangup()
        live: list[Event] = []
        async for batch in session.events():
            live += [event for event in batch if "timestamp" in event.headers]
            if sum(event.name == "Hangup" for event in live) >= 2:
                break
    replayed = [event for event in events_in(b"".join(recorded), WANTED, WANTED_VARIABLES) if "timestamp" in event.headers]
    assert replayed[: len(live)] == live
    assert any(event["calleridname"] == "Клиент Иванов" for event in live)
    assert {"Newchannel", "DialBegin", "DialEnd", "BridgeEnter", "VarSet", "Hangup"} <= {event.name for event in live}


async def test_the_supervisor_follows_a_pbx_that_crashes(pbx: PbxSandbox) -> None:
    snapshots: list[Snapshot] = []
    again = asyncio.Event()

    async def on_snapshot(snapshot: Snapshot) -> None:
        snapshots.append(snapshot)
        if len(snapshots) == 2:
            again.set()

    async def on_events(_events: list[Event]) -> None:
        return

    supervisor = Supervisor(
        AmiAddress.parse(pbx.office_ami), on_snapshot, on_events, back_off=BackOff(first=0.1, longest=0.5)
    )
    running = asyncio.create_task(supervisor.run(), name="AMI")
    try:
        await supervisor.until_live()
        caller = await pbx.world.call(frm=CLIENT, to="74950000101")
        await caller.talking()
        await pbx.restart_office(crash=True)
        async with asyncio.timeout(20):
            await again.wait()
            await supervisor.until_live()
        assert (await supervisor.action("Ping"))["Ping"] == "Pong"
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert [snapshot.restarted for snapshot in snapshots] == [False, True]
    assert snapshots[1].channels == ()
