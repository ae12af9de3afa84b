"""Document 000, 2i: connecting by working time: hours, the portal's workday, absences, the phone's state, deputies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from connections import MOSCOW, NOBODYS, USUAL_WAY, connecting_office, contact, rings, why
from scenario import USERS

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal import PortalServer
from perezvon.sandbox.portal.handlers.calendars import Calendars, Event
from perezvon.sandbox.stand import Stand

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(120)]

NOW = datetime.now(ZoneInfo("Europe/Moscow"))
OTHER_DAY = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[(NOW.weekday() + 3) % 7]
HOURS = f"""
[[autoconnect.deputy]]
employee = "102"
deputies = ["101"]
[working_time]
time_zone = "Europe/Moscow"
[[working_time.employee]]
extension = "105"
week = ["{OTHER_DAY} 10:00-12:00"]
"""


@pytest.fixture(scope="module")
async def office(
    pbx_session: PbxSandbox, portal: PortalServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stand]:
    async with connecting_office(pbx_session, portal, tmp_path_factory.mktemp("perezvon"), HOURS) as whole:
        yield whole


@pytest.fixture(autouse=True)
async def everybody_at_work(office: Stand) -> None:
    state = office.portal.state
    state.part(Calendars).events.clear()
    for user in state.people.users.values():
        user.timeman_status = "OPENED"
    world = office.pbx.world
    await world.reset()
    await office.pbx.office.ask("DBPut", ("Family", "DND"), ("Key", "0"), ("Val", ""))
    await office.pbx.office.ask("DBDelTree", ("Family", "DND"))
    for extension in ("101", "102", "103", "104"):
        await world.phone(extension).rings()
    await noticed(office)


async def noticed(office: Stand) -> None:
    """Returns when the portal has been asked who is at work, once more after it was just asked: that answer is known."""
    journal = office.portal.state.journal
    since = max((entry.number for entry in journal), default=0)

    def asked() -> int:
        return len({entry.batch for entry in journal.since(since) if entry.method == "timeman.status"})

    await office.service.until(lambda _: asked() >= 2, "asks who is at work")


async def rung_for(office: Stand, client: str, extension: str, to: str = NOBODYS) -> list[str]:
    leg = await office.pbx.world.call(frm=client, to=to)
    await rings(office, extension)
    await leg.hangup()
    return await why(office, client)


async def test_2i_out_of_working_hours(office: Stand) -> None:
    contact(office, "79168880001", "105")
    told = await rung_for(office, "79168880001", "103", MOSCOW)
    assert told[:4] == [
        "the contact Клиент belongs to Смирнов Олег (105)",
        "Смирнов Олег (105) is out of working hours",
        "Сидоров Пётр (103) is the first employee of the line Москва-линия",
        "Сидоров Пётр (103) is rung for 3 s",
    ]


@pytest.mark.parametrize(
    ("number", "status", "words"),
    [
        ("79168880002", "CLOSED", "has closed the working day"),
        ("79168880003", "PAUSED", "has a break"),
        ("79168880004", "EXPIRED", "has not begun the working day"),
    ],
)
async def test_2i_the_workday_of_the_portal_and_a_deputy(office: Stand, number: str, status: str, words: str) -> None:
    contact(office, number, "102")
    office.portal.state.people.users[USERS["102"]].timeman_status = status
    assert (await rung_for(office, number, "101"))[:3] == [
        "the contact Клиент belongs to Петрова Анна (102)",
        f"Петрова Анна (102) {words}",
        "Иванов Иван (101) is rung for 3 s, deputising for Петрова Анна (102)",
    ]


async def test_2i_the_deputy_is_away_too(office: Stand) -> None:
    contact(office, "79168880005", "102")
    for extension in ("101", "102"):
        office.portal.state.people.users[USERS[extension]].timeman_status = "CLOSED"
    await noticed(office)
    told = await rung_for(office, "79168880005", USUAL_WAY)
    assert told[1:4] == [
        "Петрова Анна (102) has closed the working day",
        "Иванов Иван (101) has closed the working day",
        "nobody is left to be connected with: the call goes its usual way",
    ]


async def test_2i_a_portal_without_workdays_keeps_nobody_away(office: Stand) -> None:
    contact(office, "79168880006", "102")
    for user in office.portal.state.people.users.values():
        user.timeman_status = "NOT_INSTALLED"
    await rung_for(office, "79168880006", "102")


def absence(office: Stand, begin: datetime, end: datetime, accessibility: str, **given: str) -> None:
    events = office.portal.state.part(Calendars).events
    number = len(events) + 1
    events[number] = Event(
        number, "user", USERS["102"], "Отпуск", begin.timestamp(), end.timestamp(), 1, begin.timestamp(), accessibility,
        given=dict(given),
    )  # fmt: skip


MIDNIGHT = NOW.replace(hour=0, minute=0, second=0, microsecond=0)


@pytest.mark.parametrize(
    ("number", "enter", "rung"),
    [
        ("79168880010", lambda o: absence(o, NOW - timedelta(hours=1), NOW + timedelta(hours=1), "absent"), "101"),
        ("79168880011", lambda o: absence(o, MIDNIGHT, MIDNIGHT, "absent", skip_time="Y"), "101"),
        ("79168880012", lambda o: absence(o, NOW - timedelta(hours=1), NOW + timedelta(hours=1), "busy"), "102"),
        ("79168880013", lambda o: absence(o, NOW - timedelta(hours=2), NOW - timedelta(minutes=1), "absent"), "102"),
    ],
    ids=["absent", "absent all day", "a meeting", "back again"],
)
async def test_2i_absences_of_the_portals_calendar(
    office: Stand, number: str, enter: Callable[[Stand], None], rung: str
) -> None:
    contact(office, number, "102")
    enter(office)
    await noticed(office)
    told = await rung_for(office, number, rung)
    assert ("is absent until" in told[1]) is (rung == "101")


async def test_2i_do_not_disturb(office: Stand) -> None:
    contact(office, "79168880020", "102")
    await office.pbx.office.ask("DBPut", ("Family", "DND"), ("Key", "102"), ("Val", "YES"))
    assert (await rung_for(office, "79168880020", "101"))[1] == "Петрова Анна (102) does not want to be disturbed"


async def test_2i_who_is_talking_and_then_is_free(office: Stand) -> None:
    contact(office, "79168880021", "102")
    other = await office.pbx.world.call(frm="79168880029", to="74950000102")
    desk = await rings(office, "102")
    await desk.answer()
    await other.talking()
    assert (await rung_for(office, "79168880021", "101"))[1] == "Петрова Анна (102) is talking"
    await other.hangup()
    await office.pbx.world.phone("102").idle()
    await office.pbx.office.silence()
    await rung_for(office, "79168880021", "102")


async def test_2i_a_phone_that_cannot_be_reached(office: Stand) -> None:
    contact(office, "79168880022", "102")
    await office.pbx.world.phone("102").offline()
    assert (await rung_for(office, "79168880022", "101"))[1] == "the phone of Петрова Анна (102) cannot be reached"
    await office.pbx.world.phone("102").online()
    await rung_for(office, "79168880022", "102")
