"""Document 000, 2f: black and white lists of extensions (and of lines and clients), on a real Asterisk: docs/filters.md."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from scenario import TALK, USERS

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal import PortalServer
from perezvon.sandbox.portal.calls import PortalCall
from perezvon.sandbox.service_process import ServiceProcess
from perezvon.sandbox.stand import Stand, stand

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(120)]

LISTED = "79163330001"
LISTS = f"""
[filters]
staff = ["8 (916) 333-00-02"]
[filters.extensions]
never = ["101"]
[filters.lines]
never = ["8 495 000-01-04"]
[filters.clients]
never = ["8{LISTED[1:]}"]
"""


@pytest.fixture(scope="module")
async def office(
    pbx_session: PbxSandbox, portal: PortalServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stand]:
    async with stand(pbx_session, portal, tmp_path_factory.mktemp("perezvon"), more=LISTS) as whole:
        yield whole
        await pbx_session.world.reset()


@pytest.fixture(autouse=True)
async def quiet(office: Stand) -> None:
    await office.pbx.world.reset()


def calls_with(office: Stand, client: str) -> list[PortalCall]:
    return [call for call in office.portal.calls() if call.phone == f"+{client}"]


def seen_by(call: PortalCall) -> set[int]:
    return {card.user_id for card in call.cards}


async def counted(office: Stand) -> dict[str, int]:
    return {case["setting"]: case["count"] for case in (await office.service.status())["left_out"]}


async def talk(office: Stand, client: str, to: str) -> None:
    """The client calls, whoever is there answers, they talk, the client hangs up."""
    leg = await office.pbx.world.call(frm=client, to=to)
    await leg.talking()
    await leg.talks(TALK)
    await leg.hangup()


async def kept(office: Stand, client: str) -> dict[str, Any]:
    """What our own list has of the client's newest call, once it is over."""

    def rows(status: dict[str, Any]) -> list[dict[str, Any]]:
        return [call for call in status["calls"] if call["client"] == f"+{client}" and call["ended"]]

    return rows(await office.service.until(lambda status: bool(rows(status)), f"has the call with {client}"))[0]


@pytest.mark.parametrize(
    ("client", "to", "setting"),
    [
        ("79163330010", "74950000101", "filters.extensions.never"),
        ("79163330011", "74950000104", "filters.lines.never"),
        (LISTED, "74950000102", "filters.clients.never"),
    ],
)
async def test_2f_a_call_left_out_stays_here(office: Stand, client: str, to: str, setting: str) -> None:
    before = (await counted(office)).get(setting, 0)
    await talk(office, client, to)
    row = await kept(office, client)
    assert (row["outcome"], row["sent"], row["left_out"]) == ("answered", [], setting)
    assert (await counted(office))[setting] == before + 1
    assert calls_with(office, client) == []


async def test_2f_in_a_ring_group_only_his_card_is_missing(office: Stand) -> None:
    world = office.pbx.world
    for extension in ("101", "102", "103"):
        await world.phone(extension).rings()
    client = await world.call(frm="79163330020", to="74951234567")
    desk = await world.phone("102").ringing()
    await world.phone("101").ringing()
    await office.until(
        lambda: next((True for call in calls_with(office, "79163330020") if len(call.cards) == 2), None), "cards are shown"
    )
    await desk.answer()
    await client.talks(TALK)
    await client.hangup()
    call = await office.call_of("+79163330020", recorded=True)
    assert seen_by(call) == {USERS["102"], USERS["103"]}
    assert (int(call.finish["user_id"]), call.finish["status"], call.leftover_cards) == (USERS["102"], "200", [])


async def test_2f_he_answers_out_of_a_ring_group(office: Stand) -> None:
    """The portal has the call already: answered, nobody's missed call, and its recording stays here."""
    world = office.pbx.world
    for extension in ("101", "102", "103"):
        await world.phone(extension).rings()
    client = await world.call(frm="79163330021", to="74951234567")
    await office.until(
        lambda: next((True for call in calls_with(office, "79163330021") if len(call.cards) == 2), None), "cards are shown"
    )
    await (await world.phone("101").ringing()).answer()
    await client.talks(TALK)
    await client.hangup()
    call = await office.call_of("+79163330021")
    assert seen_by(call) == {USERS["102"], USERS["103"]}
    assert (int(call.finish["user_id"]), call.finish["status"], call.leftover_cards) == (USERS["admin"], "200", [])
    assert int(call.finish["duration"]) >= 1
    status = await office.service.status()
    assert status["recordings"]["waiting"] == 0
    assert call.recording is None


async def test_2f_he_transfers_the_client_to_a_colleague(office: Stand) -> None:
    world = office.pbx.world
    client = await world.call(frm="79163330022", to="74950000101")
    first = await world.phone("101").talking()
    await client.talks(TALK)
    assert calls_with(office, "79163330022") == []
    await first.press("##102")
    second = await world.phone("102").talking()
    await client.talking(to=second)
    await client.talks(TALK)
    await client.hangup()
    call = await office.call_of("+79163330022", recorded=True)
    assert (seen_by(call), int(call.finish["user_id"])) == ({USERS["102"]}, USERS["102"])
    assert call.created, "an unknown caller's first portal call makes the lead"


async def test_2f_a_clicked_client_is_dialled_and_the_click_is_finished(office: Stand) -> None:
    world = office.pbx.world
    await world.phone("102").rings()
    call = office.portal.click(USERS["102"], f"+{LISTED}")
    desk = await world.phone("102").ringing()
    await desk.answer()
    client = await world.number(LISTED).talking()
    await client.talks(TALK)
    await desk.hangup()
    await office.until(lambda: None if call.live else call, "the click is finished")
    assert (call.finish["status"], int(call.finish["user_id"])) == ("200", USERS["102"])
    assert call.recording is None


async def test_2f_colleagues_own_phones_make_no_lead(office: Stand) -> None:
    await talk(office, "79163330002", "74950000102")
    await talk(office, "79163330003", "74950000102")
    colleague, stranger = await office.call_of("+79163330002"), await office.call_of("+79163330003")
    assert (bool(colleague.created), bool(stranger.created)) == (False, True)


async def test_2f_a_call_left_out_is_told_when_the_list_is_emptied(office: Stand) -> None:
    """The last one: from here on the lists are empty."""
    since = datetime.fromtimestamp(time.time(), UTC).isoformat()
    await talk(office, "79163330040", "74950000101")
    await kept(office, "79163330040")
    service = office.service
    before = (await service.status())["settings"]
    await service.configure(office.settings(more="[filters.extensions]\nnever = []\n"))
    await service.until(lambda status: status["settings"] > before, "has noticed the new settings")
    commands = ServiceProcess(service.data_dir)

    async def late() -> dict[str, Any]:
        return json.loads(
            await commands.command("backfill", "--from", since, "--json", "--data-dir", str(service.data_dir))
        )

    [told] = (await late())["calls"]
    while told["state"] == "running":  # for its first seconds it is the service's own
        [told] = (await late())["calls"]
    assert (told["client"], told["state"]) == ("+79163330040", "queued")
    call = await office.call_of("+79163330040", recorded=True)
    assert (int(call.finish["user_id"]), call.finish["status"]) == (USERS["101"], "200")
    assert [one["state"] for one in (await late())["calls"]] == ["there"]
    assert len(calls_with(office, "79163330040")) == 1
    await talk(office, "79163330041", "74950000101")
    assert seen_by(await office.call_of("+79163330041")) == {USERS["101"]}
