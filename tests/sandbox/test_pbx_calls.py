"""The sandbox's telephone network: who is rung, who talks with whom, who hears whom."""

from __future__ import annotations

import pytest

from perezvon.sandbox.pbx import Leg, PbxSandbox, SandboxError, sounds

pytestmark = pytest.mark.asterisk

CLIENT = "79161234567"
MAIN_LINE = "74951234567"


def hear_each_other(one: Leg, other: Leg) -> bool:
    return one.seconds_of(other) >= 0.3 and other.seconds_of(one) >= 0.3


async def test_direct_call_is_heard_in_both_directions(pbx: PbxSandbox) -> None:
    world = pbx.world
    caller = await world.call(frm=CLIENT, to="74950000101", name="Иван «Рога»")
    phone = await world.phone("101").talking()
    await caller.talks(0.6)
    await caller.hangup()
    await phone.ended()
    assert hear_each_other(caller, phone)
    assert caller.seconds_of(world.phone("102").tone) == 0
    assert phone.channel is not None
    assert phone.channel.caller == CLIENT


@pytest.mark.parametrize("line", ["74950000200", MAIN_LINE])
async def test_ring_group_rings_three_and_stops_ringing_two(pbx: PbxSandbox, line: str) -> None:
    world = pbx.world
    for extension in ("101", "102", "103"):
        await world.phone(extension).rings()
    caller = await world.call(frm=CLIENT, to=line)
    rung = [await world.phone(extension).ringing() for extension in ("101", "102", "103")]
    await rung[1].answer()
    await caller.talks(0.6)
    await rung[0].ended()
    await rung[2].ended()
    await rung[1].hangup()
    await caller.ended()
    assert hear_each_other(caller, rung[1])


async def test_queue_sales_rings_both_and_plays_music_before(pbx: PbxSandbox) -> None:
    world = pbx.world
    await world.phone("101").rings()
    await world.phone("102").rings()
    caller = await world.call(frm=CLIENT, to="74950000300")
    await caller.answered()
    await world.phone("101").ringing()
    waiting = await world.phone("102").ringing()
    await waiting.answer()
    phone = await world.phone("102").talking()
    await caller.talks(0.6)
    await caller.hangup()
    await phone.ended()
    await world.phone("101").idle()
    assert hear_each_other(caller, phone)


async def test_queue_support_takes_turns(pbx: PbxSandbox) -> None:
    world = pbx.world

    def in_talk() -> list[str]:
        return [extension for extension in ("103", "104") if any(leg.up for leg in world.phone(extension).legs)]

    answered: list[str] = []
    for n in range(2):
        caller = await world.call(frm=f"7916000000{n}", to="74950000310")
        await caller.talking()
        await world.switch.until(lambda: bool(in_talk()), "103 or 104 talks")  # the office told us first
        answered += in_talk()
        await caller.hangup()
        await pbx.office.silence()
    assert sorted(answered) == ["103", "104"]


@pytest.mark.parametrize(("key", "extension"), [("1", "101"), ("2", "102"), ("3", "103")])
async def test_voice_menu_takes_a_key(pbx: PbxSandbox, key: str, extension: str) -> None:
    world = pbx.world
    for other in {"101", "102", "103"} - {extension}:
        await world.phone(other).busy()
    caller = await world.call(frm=CLIENT, to="74950000400")
    await caller.answered()
    await caller.press(key)
    phone = await world.phone(extension).talking()
    await caller.talks(0.6)
    await caller.hangup()
    await phone.ended()
    assert hear_each_other(caller, phone)
    assert world.phone("104").legs == []


async def test_voice_menu_without_a_key_repeats_and_hangs_up(pbx: PbxSandbox) -> None:
    caller = await pbx.world.call(frm=CLIENT, to="74950000400")
    await caller.answered()
    await caller.ended(within=20)
    assert caller.cause == 16
    assert caller.seconds_of(sounds.MENU) == pytest.approx(4, abs=0.3)
    assert caller.seconds_of(sounds.ANNOUNCEMENT) > 1
    assert all(pbx.world.phone(extension).legs == [] for extension in ("101", "102", "103", "104"))


async def test_announcement_rings_nobody(pbx: PbxSandbox) -> None:
    caller = await pbx.world.call(frm=CLIENT, to="74950000500")
    await caller.answered()
    await caller.ended()
    assert caller.seconds_of(sounds.ANNOUNCEMENT) > 1


async def test_phone_that_is_off(pbx: PbxSandbox) -> None:
    caller = await pbx.world.call(frm=CLIENT, to="74950000600")
    with pytest.raises(SandboxError, match="ended unanswered"):
        await caller.answered()


@pytest.mark.parametrize(("line", "cause"), [("74950000700", 16), ("74950000701", 17)])
async def test_nobody_answers_and_the_dialplan_gives_any_cause(pbx: PbxSandbox, line: str, cause: int) -> None:
    await pbx.world.phone("104").rings()
    caller = await pbx.world.call(frm=CLIENT, to=line)
    leg = await pbx.world.phone("104").ringing()
    at_office = await caller.office_channel()
    await caller.ended()
    await leg.ended()
    await pbx.office.until(lambda: at_office.ended is not None, "the office has let the caller go")
    assert at_office.cause == cause


async def test_busy_phone(pbx: PbxSandbox) -> None:
    await pbx.world.phone("101").busy()
    caller = await pbx.world.call(frm=CLIENT, to="74950000101")
    await caller.ended()
    assert caller.cause == 17


async def test_caller_gives_up_while_it_rings(pbx: PbxSandbox) -> None:
    await pbx.world.phone("101").rings()
    caller = await pbx.world.call(frm=CLIENT, to="74950000101")
    phone = await pbx.world.phone("101").ringing()
    await caller.hangup()
    await phone.ended()
    assert phone.channel is not None
    assert phone.channel.answered is None


@pytest.mark.parametrize("dialled", ["79161234568", "89161234568", "+79161234568"])
async def test_outgoing_call_shows_the_companys_line(pbx: PbxSandbox, dialled: str) -> None:
    world = pbx.world
    desk = await world.phone("101").dial(dialled)
    client = await world.number("79161234568").talking()
    await desk.talks(0.6)
    await client.hangup()
    await desk.ended()
    assert hear_each_other(desk, client)
    assert client.channel is not None
    assert client.channel.caller == MAIN_LINE


@pytest.mark.parametrize(
    ("behaviour", "causes"),
    [
        ("busy", {17}),
        ("rejects", {21}),
        ("unreachable", {19, 20}),  # 480 is the one in Asterisk 22, the other in 16
        ("unknown", {1}),
    ],
)
async def test_outgoing_call_fails(pbx: PbxSandbox, behaviour: str, causes: set[int]) -> None:
    client = pbx.world.number("79161234568")
    await getattr(client, behaviour)()
    desk = await pbx.world.phone("101").dial(client.number)
    await desk.ended()
    assert desk.cause in causes
    assert len(client.legs) == 1


async def test_outgoing_call_is_not_answered(pbx: PbxSandbox) -> None:
    client = pbx.world.number("79161234568")
    await client.no_answer(after=0.2)
    desk = await pbx.world.phone("101").dial(client.number)
    await desk.ended()
    assert desk.cause in {19, 20}


async def test_internal_call(pbx: PbxSandbox) -> None:
    desk = await pbx.world.phone("101").dial("102")
    phone = await pbx.world.phone("102").talking()
    await desk.talks(0.6)
    await desk.hangup()
    await phone.ended()
    assert hear_each_other(desk, phone)


async def test_portal_connector_both_ways(pbx: PbxSandbox) -> None:
    world = pbx.world
    out = await world.connector.dial("79161234568")
    client = await world.number("79161234568").talking()
    await out.talks(0.6)
    await client.hangup()
    await out.ended()
    assert hear_each_other(out, client)
    caller = await world.call(frm=CLIENT, to="74950000800")
    browser = await world.connector.talking()
    await caller.talks(0.6)
    await caller.hangup()
    await browser.ended()
    assert hear_each_other(caller, browser)
    assert browser.channel is not None
    assert browser.channel.caller == CLIENT
