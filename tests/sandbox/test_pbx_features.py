"""The sandbox's telephone network: transfers, pickup, forwarding, hold."""

from __future__ import annotations

import pytest

from perezvon.sandbox.pbx import Leg, PbxSandbox, sounds

pytestmark = pytest.mark.asterisk

CLIENT = "79161234567"


def hear_each_other(one: Leg, other: Leg) -> bool:
    return one.seconds_of(other) >= 0.3 and other.seconds_of(one) >= 0.3


async def direct_call(pbx: PbxSandbox) -> tuple[Leg, Leg]:
    caller = await pbx.world.call(frm=CLIENT, to="74950000101")
    phone = await pbx.world.phone("101").talking()
    await caller.talks(0.4)
    return caller, phone


async def test_blind_transfer_by_code(pbx: PbxSandbox) -> None:
    caller, first = await direct_call(pbx)
    await first.press("##102")
    await first.ended()
    second = await pbx.world.phone("102").talking()
    await caller.talks(0.6)
    await caller.hangup()
    await second.ended()
    assert hear_each_other(caller, first)
    assert hear_each_other(caller, second)


async def test_blind_transfer_by_refer(pbx: PbxSandbox) -> None:
    caller, first = await direct_call(pbx)
    await first.refer("102")
    second = await pbx.world.phone("102").talking()
    await first.ended()
    await caller.talking(to=second)
    await caller.talks(0.6)
    await caller.hangup()
    await second.ended()
    assert hear_each_other(caller, second)


async def test_attended_transfer_by_code(pbx: PbxSandbox) -> None:
    caller, first = await direct_call(pbx)
    await first.press("*2102")
    second = await pbx.world.phone("102").talking()
    await second.talks(0.5)
    await first.hangup()
    await caller.talking(to=second)
    await caller.talks(0.6)
    await caller.hangup()
    await second.ended()
    assert hear_each_other(first, second)
    assert hear_each_other(caller, second)
    assert caller.seconds_of(sounds.MUSIC_ON_HOLD) > 0.3


async def test_attended_transfer_by_refer_with_replaces(pbx: PbxSandbox) -> None:
    caller, first = await direct_call(pbx)
    await first.hold()
    consultation = await pbx.world.phone("101").dial("102")
    second = await pbx.world.phone("102").talking()
    await consultation.talks(0.5)
    await first.refer_to_leg(consultation)
    await first.ended()
    await consultation.ended()
    await caller.talks(0.6)
    await caller.hangup()
    await second.ended()
    assert hear_each_other(caller, second)


async def test_attended_transfer_to_an_outside_number(pbx: PbxSandbox) -> None:
    caller, first = await direct_call(pbx)
    await first.press("*279160000009")
    outside = await pbx.world.number("79160000009").talking()
    await first.hangup()
    await caller.talks(1.2)  # with a beep of 0.4 s before
    await caller.hangup()
    await outside.ended()
    assert hear_each_other(caller, outside)


async def test_hold_plays_music_and_takes_back(pbx: PbxSandbox) -> None:
    caller, phone = await direct_call(pbx)
    await phone.hold()
    await caller.talks(0.6)
    await phone.unhold()
    await caller.talks(0.6)
    await caller.hangup()
    await phone.ended()
    assert 0.4 < caller.seconds_of(sounds.MUSIC_ON_HOLD) < 1.2
    assert caller.seconds_of(phone) > 0.8
    assert len(phone.heard) == 2


@pytest.mark.parametrize("code", ["*8", "**101"])
async def test_pickup(pbx: PbxSandbox, code: str) -> None:
    await pbx.world.phone("101").rings()
    caller = await pbx.world.call(frm=CLIENT, to="74950000101")
    ringing = await pbx.world.phone("101").ringing()
    picker = await pbx.world.phone("102").dial(code)
    await ringing.ended()
    await caller.talks(0.6)
    await caller.hangup()
    await picker.ended()
    assert hear_each_other(caller, picker)


async def test_forward_by_the_phone(pbx: PbxSandbox) -> None:
    await pbx.world.phone("101").forwards_to("79160000009")
    caller = await pbx.world.call(frm=CLIENT, to="74950000101")
    outside = await pbx.world.number("79160000009").talking()
    await caller.talks(0.6)
    await caller.hangup()
    await outside.ended()
    assert hear_each_other(caller, outside)


async def test_forward_by_code_until_switched_off(pbx: PbxSandbox) -> None:
    world = pbx.world
    await (await world.phone("101").dial("*72103")).ended()
    caller = await world.call(frm=CLIENT, to="74950000101")
    phone = await world.phone("103").talking()
    await caller.talks(0.6)
    await caller.hangup()
    await phone.ended()
    assert hear_each_other(caller, phone)
    await (await world.phone("101").dial("*73")).ended()
    caller = await world.call(frm=CLIENT, to="74950000101")
    await world.phone("101").talking()
    await caller.hangup()


async def test_phone_goes_off_and_on(pbx: PbxSandbox) -> None:
    phone = pbx.world.phone("101")
    await phone.offline()
    caller = await pbx.world.call(frm=CLIENT, to="74950000101")
    await caller.ended()
    assert caller.cause in {19, 20}
    assert phone.legs == []
    await phone.online()
    caller = await pbx.world.call(frm=CLIENT, to="74950000101")
    await caller.answered()
