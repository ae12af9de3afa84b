"""Clicks on numbers: every way they can end, each finished once."""

from __future__ import annotations

import pytest

from perezvon.sandbox.portal.calls import PortalCall
from perezvon.sandbox.portal.seed import DISMISSED, HEAD, IVANOV, PETROVA, SIDOROV
from perezvon.sandbox.stand import Stand

pytestmark = pytest.mark.asterisk


async def finished(office: Stand, call: PortalCall) -> PortalCall:
    return await office.until(lambda: None if call.live else call, f"{call.id} is finished")


async def test_phone_shows_the_client_and_the_trunk_shows_the_company(office: Stand) -> None:
    world = office.pbx.world
    await world.reset()
    await world.phone("101").rings()
    await world.number("79162000001").rings()
    call = office.portal.click(IVANOV, "+7 (916) 200-00-01")
    desk = await world.phone("101").ringing()
    assert desk.channel is not None
    assert desk.channel.caller.endswith("79162000001")
    await desk.answer()
    outside = await world.number("79162000001").ringing()
    assert outside.channel is not None
    assert outside.channel.caller == "74951234567"
    await outside.answer()
    await desk.talks(1)
    await desk.hangup()
    await finished(office, call)
    assert (call.finish["status"], int(call.finish["user_id"])) == ("200", IVANOV)


@pytest.mark.parametrize(
    ("behaviour", "status"),
    [("busy", "486"), ("rejects", "603"), ("offline", "480")],
)
async def test_employees_phone_is_not_reached(office: Stand, behaviour: str, status: str) -> None:
    world = office.pbx.world
    await world.reset()
    phone = world.phone("102")
    await getattr(phone, behaviour)()
    call = office.portal.click(PETROVA, f"+7916200001{len(behaviour)}")
    await finished(office, call)
    assert (int(call.finish["duration"]), call.leftover_cards) == (0, [])
    assert call.finish["status"] in {status, "603-S", "480"}


async def test_client_is_busy(office: Stand) -> None:
    world = office.pbx.world
    await world.reset()
    await world.number("79162000020").busy()
    call = office.portal.click(SIDOROV, "+79162000020")
    await finished(office, call)
    assert (int(call.finish["duration"]), call.finish["status"]) == (0, "486")


@pytest.mark.parametrize("user", [HEAD])
async def test_user_without_an_extension_gets_a_finish_at_once(office: Stand, user: int) -> None:
    call = office.portal.click(user, "+79162000030")
    await finished(office, call)
    assert (int(call.finish["duration"]), call.finish["status"], call.leftover_cards) == (0, "480", [])
    assert user != DISMISSED


async def test_double_click_dials_once_and_leaves_no_card(office: Stand) -> None:
    world = office.pbx.world
    await world.reset()
    await world.phone("103").rings()
    first = office.portal.click(SIDOROV, "+79162000040")
    second = office.portal.click(SIDOROV, "+79162000040")
    desk = await world.phone("103").ringing()
    await finished(office, second)
    assert second.finish["status"] == "603-S"
    assert len([leg for leg in world.phone("103").legs if leg.alive]) == 1
    await desk.answer()
    await desk.talks(1)
    await desk.hangup()
    await finished(office, first)
    assert first.finish["status"] == "200"
