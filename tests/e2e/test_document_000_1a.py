"""Document 000, 1a: a caller is connected with whoever is responsible for him, and never waits for us."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
from connections import MOSCOW, NOBODYS, OFF, USUAL_WAY, connecting_office, contact, rings, waited, why
from menu_lines import line
from scenario import TALK, USERS

from perezvon.sandbox.pbx import PbxSandbox, sounds
from perezvon.sandbox.portal import PortalServer
from perezvon.sandbox.service_process import ServiceProcess
from perezvon.sandbox.stand import Stand

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(120)]

MARIA = "79165550011"
"""A contact of the seed: Петрова's (102), of the company ООО «Ромашка»."""


@pytest.fixture(scope="module")
async def office(
    pbx_session: PbxSandbox, portal: PortalServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stand]:
    async with connecting_office(pbx_session, portal, tmp_path_factory.mktemp("perezvon")) as whole:
        yield whole


@pytest.fixture(autouse=True)
async def quiet(office: Stand) -> None:
    office.portal.state.faults.clear()
    await office.service.until(lambda _: office.portal.is_open, "has a portal again")
    world = office.pbx.world
    await world.reset()
    for extension in ("101", "102", "103", "104"):
        await world.phone(extension).rings()


async def test_1a_the_responsible_is_rung_and_sees_who_calls(office: Stand) -> None:
    client = await office.pbx.world.call(frm=MARIA, to=MOSCOW)
    desk = await rings(office, "102")
    assert desk.channel is not None
    assert desk.channel.caller_name == "Мария Клиент. / ООО «Ромашка» / Москва-линия"
    await desk.answer()
    await client.talks(TALK)
    await client.hangup()
    call = await office.call_of(f"+{MARIA}")
    assert (call.finish["status"], int(call.finish["user_id"])) == ("200", USERS["102"])
    assert {card.user_id for card in call.cards} == {USERS["102"]}
    assert (await why(office, MARIA))[:2] == [
        "the contact Мария Клиентова belongs to Петрова Анна (102)",
        "Петрова Анна (102) is rung for 3 s",
    ]


async def test_1a_who_does_not_answer_gives_way_to_the_usual_way(office: Stand) -> None:
    contact(office, "79167770021", "102", name="Нина")
    client = await office.pbx.world.call(frm="79167770021", to=MOSCOW)
    await rings(office, "102")
    usual = await rings(office, USUAL_WAY)
    assert usual.channel is not None
    assert usual.channel.caller_name == "Нина / Москва-линия", "the name is shown whoever is rung"
    await client.hangup()
    assert "102 did not answer: the call goes its usual way" in await why(office, "79167770021")


async def test_1a_nobody_is_known(office: Stand) -> None:
    client = await office.pbx.world.call(frm="79167770002", to=NOBODYS)
    desk = await rings(office, USUAL_WAY)
    assert await waited(client, desk) < 1.0
    await client.hangup()
    assert (await why(office, "79167770002"))[0] == "nobody is left to be connected with: the call goes its usual way"


async def test_1a_who_talked_last(office: Stand) -> None:
    client = await office.pbx.world.call(frm="79167770003", to="74950000101")
    await (await rings(office, "101")).answer()
    await client.talks(TALK)
    await client.hangup()
    await why(office, "79167770003")
    for lead in office.portal.state.crm.by_phone("+79167770003"):  # the call has made one
        office.portal.state.crm.delete(lead)
    client = await office.pbx.world.call(frm="79167770003", to=MOSCOW)
    await rings(office, "101")
    await client.hangup()
    assert (await why(office, "79167770003"))[0].startswith("Иванов Иван (101) talked with this client last, on ")


async def test_1a_all_objects_in_the_order_of_the_settings(office: Stand) -> None:
    crm = office.portal.state.crm
    phone = [crm.phone("+79167770004")]
    crm.add(
        "LEAD", {"TITLE": "Заявка", "STATUS_ID": "NEW", "ASSIGNED_BY_ID": str(USERS["101"]), "PHONE": phone}, quiet=True
    )
    crm.add("COMPANY", {"TITLE": "Завод", "ASSIGNED_BY_ID": str(USERS["102"]), "PHONE": phone}, quiet=True)
    client = await office.pbx.world.call(frm="79167770004", to=MOSCOW)
    desk = await rings(office, "102")
    assert desk.channel is not None
    assert desk.channel.caller_name == "Заявка / Завод / Москва-линия"
    await client.hangup()


async def test_1a_a_line_without_it_and_a_colleague_go_their_usual_way(office: Stand) -> None:
    contact(office, "79167770020", "102")
    client = await office.pbx.world.call(frm="79167770020", to=OFF)
    await rings(office, USUAL_WAY)
    await client.hangup()
    assert not any("belongs to" in reason for reason in await why(office, "79167770020"))
    await office.pbx.world.phone(USUAL_WAY).idle()
    client = await office.pbx.world.call(frm="79161110101", to=MOSCOW)  # Иванов's mobile
    await rings(office, USUAL_WAY)
    await client.hangup()
    assert (await why(office, "79161110101"))[0] == "the caller is an employee: the call goes its usual way"


async def test_1a_a_caller_without_a_number(office: Stand) -> None:
    await office.pbx.world.call(frm="anonymous", to=MOSCOW)
    await rings(office, "103")


async def test_1a_what_the_crm_says_means_nothing_to_the_dialplan(office: Stand) -> None:
    evil = '${SHELL(touch /tmp/x)}",)\r\nEvent: Hangup\r\n\\ & | ; <b>'
    contact(office, "79167770005", "102", name=evil)
    client = await office.pbx.world.call(frm="79167770005", to=MOSCOW)
    desk = await rings(office, "102")
    assert desk.channel is not None
    assert desk.channel.caller_name == "SHELL touch /tmp/x Event Hangup b / Москва-линия"
    await client.hangup()
    assert (await why(office, "79167770005"))[1] == "Петрова Анна (102) is rung for 3 s"


async def test_1a_an_extension_from_the_portal_that_is_none(office: Stand) -> None:
    contact(office, "79167770006", "105")
    office.portal.state.people.users[USERS["105"]].extension, before = "101&PJSIP/102", "105"
    try:
        await office.service.restart()
        await office.ready()
        client = await office.pbx.world.call(frm="79167770006", to=NOBODYS)
        await rings(office, USUAL_WAY)
        await client.hangup()
        assert any("has no extension" in reason for reason in await why(office, "79167770006"))
    finally:
        office.portal.state.people.users[USERS["105"]].extension = before


async def test_1a_deals_when_the_settings_want_them(office: Stand) -> None:
    crm = office.portal.state.crm
    of_contact = contact(office, "79167770007", "102")
    deal = {"TITLE": "Поставка", "STAGE_ID": "NEW", "CATEGORY_ID": "0", "CONTACT_ID": str(of_contact.id), "CLOSED": "N"}
    crm.add("DEAL", {**deal, "ASSIGNED_BY_ID": str(USERS["101"])}, quiet=True)
    before = (await office.service.status())["settings"]
    await office.service.configure('[autoconnect]\nobjects = ["deal", "contact"]\n')
    await office.service.until(lambda status: status["settings"] > before, "has noticed the new settings")
    try:
        client = await office.pbx.world.call(frm="79167770007", to=MOSCOW)
        await rings(office, "101")
        await client.hangup()
        assert (await why(office, "79167770007"))[0] == "the deal Поставка belongs to Иванов Иван (101)"
    finally:
        await office.service.configure('[autoconnect]\nobjects = ["contact", "company", "lead"]\n')


async def test_1a_behind_an_announcement_and_with_a_time_limit_of_the_route(office: Stand) -> None:
    """The channel is answered; the limit that the route has set goes on behind us."""
    contact(office, "79167770009", "102")
    route = {
        "s": ("Answer()", "Set(TIMEOUT(absolute)=4)", f"Gosub(perezvon-connect,s,1({NOBODYS}))", "Wait(60)", "Hangup()"),
        "T": ("Set(TIMEOUT(absolute)=0)", "Dial(PJSIP/104,20,r)", "Hangup()"),
    }
    async with line(office.pbx, "74950000903", "a-route", route):
        client = await office.pbx.world.call(frm="79167770009", to="74950000903")
        desk = await rings(office, "102")
        usual = await rings(office, USUAL_WAY)
        assert 3.5 < await waited(client, usual) < 5.5
        await client.hangup()
        assert client.seconds_of(sounds.RINGING) > 0.5, "he hears that somebody is rung"
        assert desk.number == "102"


async def test_1a_the_command_says_the_same(office: Stand) -> None:
    contact(office, "79167770008", "102")
    service = office.service
    commands = ServiceProcess(service.data_dir)

    async def tried(*more: str) -> dict[str, Any]:
        told = await commands.command(
            "autoconnect", "test", "8 (916) 777-00-08", "--data-dir", str(service.data_dir), "--json", *more
        )
        return json.loads(told)

    found = await tried("--line", MOSCOW)
    assert (found["connects"], found["to"], found["devices"]) == (True, "102", "")
    assert found["name"] == "Клиент / Москва-линия"
    assert found["reasons"] == ["the contact Клиент belongs to Петрова Анна (102)", "Петрова Анна (102) is rung for 3 s"]
    assert not (await tried("--line", OFF))["connects"]
    await office.pbx.office.ask("DBPut", ("Family", "DND"), ("Key", "102"), ("Val", "YES"))
    try:
        assert (await tried("--line", MOSCOW))["to"] == "103"
    finally:
        await office.pbx.office.ask("DBDelTree", ("Family", "DND"))


# ---- the caller never waits


async def test_1a_with_the_portal_slow_the_usual_way_within_two_seconds(office: Stand) -> None:
    office.portal.state.faults.plan("slow", wait=2.0, seconds=60)
    client = await office.pbx.world.call(frm="79167770010", to=NOBODYS)
    desk = await rings(office, USUAL_WAY)
    assert 1.0 < await waited(client, desk) < 2.0
    await client.hangup()
    assert (await why(office, "79167770010"))[0] == (
        "the portal did not answer in time: the client's responsible is not known"
    )


async def test_1a_who_is_known_is_connected_at_once_with_the_portal_slow_or_down(office: Stand) -> None:
    contact(office, "79167770011", "102")
    client = await office.pbx.world.call(frm="79167770011", to=NOBODYS)
    await rings(office, "102")
    await client.hangup()
    await why(office, "79167770011")
    await office.service.restart()  # nothing is in memory any more
    await office.ready()
    office.portal.state.faults.plan("slow", wait=2.0, seconds=60)
    client = await office.pbx.world.call(frm="79167770011", to=NOBODYS)
    assert await waited(client, await rings(office, "102")) < 0.5
    await client.hangup()
    office.portal.state.faults.clear()
    office.portal.outage(8.0)
    await office.pbx.world.phone("102").idle()
    client = await office.pbx.world.call(frm="79167770011", to=NOBODYS)
    assert await waited(client, await rings(office, "102")) < 0.5
    await client.hangup()
    client = await office.pbx.world.call(frm="79167770012", to=NOBODYS)
    assert await waited(client, await rings(office, USUAL_WAY)) < 2.0
    await client.hangup()


async def test_1a_with_the_service_stopped_the_usual_way_within_two_seconds(office: Stand) -> None:
    os.kill(office.service.pid, signal.SIGSTOP)
    try:
        client = await office.pbx.world.call(frm="79167770022", to=NOBODYS)
        desk = await rings(office, USUAL_WAY)
        assert 1.0 < await waited(client, desk) < 2.0
    finally:
        os.kill(office.service.pid, signal.SIGCONT)
    await client.hangup()
    assert (await why(office, "79167770022"))[
        0
    ] == "autoconnect did not answer the PBX in time: the call goes its usual way"


async def test_1a_with_the_service_killed_the_usual_way_at_once(office: Stand) -> None:
    await office.service.kill()
    client = await office.pbx.world.call(frm=MARIA, to=NOBODYS)
    assert await waited(client, await rings(office, USUAL_WAY)) < 0.5
    await client.hangup()
    await office.service.start()
    await office.ready()
    client = await office.pbx.world.call(frm=MARIA, to=NOBODYS)
    await rings(office, "102")
    await client.hangup()
