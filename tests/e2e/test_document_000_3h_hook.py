"""Document 000, 3h: the integrator's own function says whom a caller is connected with, and never keeps him waiting."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from connections import MOSCOW, NOBODYS, USUAL_WAY, connecting_office, contact, rings, waited, why

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal import PortalServer
from perezvon.sandbox.stand import Stand

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(120)]

MARIA = "79165550011"
"""A contact of the seed: Петрова's (102)."""


@pytest.fixture(scope="module")
async def office(
    pbx_session: PbxSandbox, portal: PortalServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stand]:
    async with connecting_office(pbx_session, portal, tmp_path_factory.mktemp("perezvon")) as whole:
        yield whole


@pytest.fixture(autouse=True)
async def quiet(office: Stand) -> None:
    office.portal.state.faults.clear()
    world = office.pbx.world
    await world.reset()
    for extension in ("101", "102", "103", "104"):
        await world.phone(extension).rings()


async def hook(office: Stand, body: str) -> None:
    """Returns when it is asked; none for an empty body."""
    folder = office.service.data_dir / "customisation"
    folder.mkdir(exist_ok=True)
    file = folder / "hooks.py"
    wanted = ["customize_autodistribution"]
    if file.exists():  # lest the one before be taken for the new one
        file.unlink()
        await office.service.until(lambda status: not status["customisation"]["points"], "asks no hook")
    file.write_text(f"def customize_autodistribution(data):\n    found = data['found']\n    {body}\n", encoding="utf-8")
    await office.service.until(
        lambda status: [point["name"] for point in status["customisation"]["points"]] == wanted, f"asks {wanted}"
    )


async def chosen(office: Stand, client: str) -> list[str]:
    """How the choice came about, as the PBX tells it; without what the hooks' process says at about the same time."""
    return [reason for reason in await why(office, client) if "customize_autodistribution" not in reason]


async def test_3h_another_employee_is_rung(office: Stand) -> None:
    contact(office, "79167770301", "102", name="Нина")
    await hook(
        office,
        "return {**found, 'extension': '101', 'name': found['entity']['type'] + ' ${X} ' + data['call']['line']}",
    )
    client = await office.pbx.world.call(frm="79167770301", to=MOSCOW)
    desk = await rings(office, "101")
    assert await waited(client, desk) < 2.0
    assert desk.channel is not None
    assert desk.channel.caller_name == f"contact X {MOSCOW}", "what it says means nothing to the dialplan"
    await client.hangup()
    assert (await chosen(office, "79167770301"))[:3] == [
        "the contact Нина belongs to Петрова Анна (102)",
        "changed by customisation",
        "Иванов Иван (101) is rung for 3 s",
    ]


async def test_3h_whom_nobody_knows_is_connected_all_the_same(office: Stand) -> None:
    await hook(office, "return found if found['extension'] else {**found, 'extension': '103'}")
    client = await office.pbx.world.call(frm="79167770302", to=NOBODYS)
    await rings(office, "103")
    await client.hangup()
    client = await office.pbx.world.call(frm=MARIA, to=NOBODYS)
    await rings(office, "102")
    await client.hangup()


async def test_3h_none_is_the_usual_way(office: Stand) -> None:
    contact(office, "79167770303", "102")
    await hook(office, "return None")
    client = await office.pbx.world.call(frm="79167770303", to=MOSCOW)
    desk = await rings(office, USUAL_WAY)
    assert await waited(client, desk) < 2.0
    await client.hangup()
    assert (await chosen(office, "79167770303"))[:3] == [
        "the contact Клиент belongs to Петрова Анна (102)",
        "changed by customisation",
        "nobody is left to be connected with: the call goes its usual way",
    ]


async def test_3h_an_answer_of_no_use_changes_nothing(office: Stand) -> None:
    contact(office, "79167770304", "102")
    await hook(office, "return {**found, 'extension': '101&PJSIP/103'}")
    client = await office.pbx.world.call(frm="79167770304", to=MOSCOW)
    await rings(office, "102")
    await client.hangup()


async def test_3h_one_that_loops_keeps_nobody_waiting(office: Stand) -> None:
    contact(office, "79167770305", "102")
    await hook(office, "while True: pass")
    client = await office.pbx.world.call(frm="79167770305", to=MOSCOW)
    assert await waited(client, await rings(office, "102")) < 2.0
    await client.hangup()
    office.portal.state.faults.plan("slow", wait=2.0, seconds=60)
    await office.pbx.world.phone(USUAL_WAY).idle()
    client = await office.pbx.world.call(frm="79167770306", to=NOBODYS)
    assert await waited(client, await rings(office, USUAL_WAY)) < 2.0, "with the portal slow as well"
    await client.hangup()
    told = await why(office, "79167770306")  # by the hooks' process and by the PBX, whichever comes first
    assert "the portal did not answer in time: the client's responsible is not known" in told
    assert any("customize_autodistribution failed, the default stands" in reason for reason in told)
