"""Document 000, 2d: the first employee of a line; 2c: each line with its own, by any of its names, and its own hours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from connections import MOSCOW, NOBODYS, USUAL_WAY, connecting_office, contact, rings, why

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal import PortalServer
from perezvon.sandbox.stand import Stand

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(120)]

OTHER_DAY = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[(datetime.now(ZoneInfo("Europe/Moscow")).weekday() + 3) % 7]
LINES = f"""
[working_time]
time_zone = "Europe/Moscow"
[[line]]
number = "+74950000923"
name = "Питер"
aliases = ["74950000924"]
first_employee = "101"
[[line]]
number = "+74950000925"
name = "Склад"
first_employee = "101"
working_time = ["{OTHER_DAY} 10:00-11:00"]
"""


@pytest.fixture(scope="module")
async def office(
    pbx_session: PbxSandbox, portal: PortalServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stand]:
    async with connecting_office(pbx_session, portal, tmp_path_factory.mktemp("perezvon"), LINES) as whole:
        yield whole


@pytest.fixture(autouse=True)
async def quiet(office: Stand) -> None:
    world = office.pbx.world
    await world.reset()
    for extension in ("101", "102", "103", "104"):
        await world.phone(extension).rings()


@pytest.mark.parametrize(
    ("client", "to", "extension", "told"),
    [
        ("79169990001", MOSCOW, "103", "Сидоров Пётр (103) is the first employee of the line Москва-линия"),
        ("79169990002", "74950000923", "101", "Иванов Иван (101) is the first employee of the line Питер"),
        ("79169990003", "74950000924", "101", "Иванов Иван (101) is the first employee of the line Питер"),
        ("79169990004", NOBODYS, USUAL_WAY, "nobody is left to be connected with: the call goes its usual way"),
        (
            "79169990005",
            "74950000925",
            USUAL_WAY,
            "the line Склад is out of its working hours: the call goes its usual way",
        ),
        ("79169990006", "74950000926", USUAL_WAY, "nobody is left to be connected with: the call goes its usual way"),
    ],
)
async def test_2d_the_first_employee_of_the_line(office: Stand, client: str, to: str, extension: str, told: str) -> None:
    leg = await office.pbx.world.call(frm=client, to=to)
    await rings(office, extension)
    await leg.hangup()
    assert (await why(office, client))[0] == told


async def test_2d_only_when_nobody_is_nearer_to_the_client(office: Stand) -> None:
    contact(office, "79169990010", "102")
    leg = await office.pbx.world.call(frm="79169990010", to=MOSCOW)
    await rings(office, "102")
    await leg.hangup()
