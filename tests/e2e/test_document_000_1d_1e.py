"""Document 000, 1d and 1e: one activity for the whole call, with the duration of the talk, its legs and the way in the menu."""

from __future__ import annotations

import pytest
from crm_calls import activities, missed, passed_on, quiet
from scenario import SLACK, TALK

from perezvon.bitrix24.values import moment
from perezvon.sandbox.portal.crm import Entity
from perezvon.sandbox.portal.seed import IVANOV, PETROVA, SIDOROV
from perezvon.sandbox.stand import Stand

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(120)]


def talk_of(activity: Entity) -> float:
    """As the activity tells it: seconds from its beginning to its end."""
    began, ended = moment(activity.text("START_TIME")), moment(activity.text("END_TIME"))
    assert began is not None
    assert ended is not None
    return ended - began


async def test_1d_1e_a_plain_call_has_its_duration(office: Stand) -> None:
    call = await passed_on(office, "79165554001")
    (activity,) = activities(office, call)
    assert abs(talk_of(activity) - TALK) <= SLACK
    assert (activity.text("RESPONSIBLE_ID"), activity.text("DIRECTION")) == (str(IVANOV), "1")
    await quiet(office)
    assert activity.text("DESCRIPTION") == "", "nothing needs to be told of it"


async def test_1d_1e_passed_on_twice_it_is_one_activity(office: Stand) -> None:
    call = await passed_on(office, "79165554002", "101", "102", "103")
    (activity,) = activities(office, call)
    assert abs(talk_of(activity) - 3 * TALK) <= 3 * SLACK
    assert activity.text("RESPONSIBLE_ID") == str(SIDOROV)
    await office.until(lambda: activity.text("DESCRIPTION") or None, "its legs are told")
    head, *legs = activity.text("DESCRIPTION").splitlines()[:4]
    assert head == "Сотрудники"
    assert [leg.split(": ")[0] for leg in legs] == [
        "101 (Иванов Иван)",
        "102 (Петрова Анна)",
        "103 (Сидоров Пётр)",
    ]


async def test_1d_1e_through_a_menu_and_a_queue_and_passed_on(office: Stand) -> None:
    world = office.pbx.world
    await world.reset()
    await world.phone("102").rings()
    await world.phone("101").offline()
    client = await world.call(frm="79165554003", to="74950000400")
    await client.answered()
    await client.press("2")
    await world.phone("102").ringing()
    desk = await world.phone("102").answer()
    await desk.talks(TALK)
    await desk.press("##103")
    await (await world.phone("103").talking()).talks(TALK)
    await client.hangup()
    call = await office.call_of("+79165554003")
    (activity,) = activities(office, call)
    assert int(call.finish["user_id"]) == SIDOROV != PETROVA
    assert abs(talk_of(activity) - 2 * TALK) <= 3 * SLACK, "waiting in the menu and the queue is no talk"
    await office.until(lambda: activity.text("DESCRIPTION") or None, "the menu and the legs are told")
    told = activity.text("DESCRIPTION")
    assert told.startswith("Голосовое меню\n")
    assert "нажато 2" in told
    assert "102 (Петрова Анна): " in told
    assert "103 (Сидоров Пётр): " in told
    await world.phone("101").online()


async def test_1d_1e_a_missed_call_lasted_nothing(office: Stand) -> None:
    call = await missed(office, "79165554004")
    (activity,) = activities(office, call)
    assert talk_of(activity) == 0.0
    assert activity.fields["SETTINGS"] == {"MISSED_CALL": True}
