"""4a, 4b, 4c and 4e of document 000 on the real PBX: what the portal makes of calls by itself, because they are told whole.

The list of calls of the desktop application, the statistics with their details, and the reports are all fed by the rows that
`voximplant.statistic.get` shows; the end-to-end analytics by the line and the source. 4d: test_document_000_4d.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from scenario import TALK

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.portal.calls import PortalCall
from perezvon.sandbox.portal.seed import IVANOV, KUZNETSOVA, PETROVA
from perezvon.sandbox.stand import Stand, stand

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(120)]

EACH = """
[calls]
transfers = "each"
"""
LINE = "+74951234567"


@pytest.fixture(scope="module")
async def whole(pbx_session: PbxSandbox, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    async with (
        PortalServer(PortalConfig(rate=None)) as portal,
        stand(pbx_session, portal, tmp_path_factory.mktemp("told"), more=EACH) as whole,
    ):
        yield whole
        await pbx_session.world.reset()


async def statistics(whole: Stand, **wanted: str) -> list[dict[str, Any]]:
    """The rows of the portal's call statistics, as its pages and reports see them."""
    body = {"FILTER": wanted, "SORT": "ID", "ORDER": "ASC"}
    url = f"{whole.portal.webhook_url}voximplant.statistic.get.json"
    async with aiohttp.ClientSession() as http, http.post(url, json=body) as answer:
        return (await answer.json())["result"]


async def incoming(whole: Stand, client: str) -> PortalCall:
    """To the line whose calls ring 101, 102 and 103; 101 answers."""
    world = whole.pbx.world
    await world.reset()
    await world.phone("102").rings()
    await world.phone("103").rings()
    caller = await world.call(frm=client, to="74951234567")
    await world.phone("101").talking()
    await caller.talks(TALK)
    await caller.hangup()
    return await whole.call_of(f"+{client}", recorded=True)


async def outgoing(whole: Stand, client: str) -> PortalCall:
    world = whole.pbx.world
    await world.reset()
    leg = await world.phone("102").dial(client)
    await leg.talking()
    await leg.talks(TALK)
    await leg.hangup()
    return await whole.call_of(f"+{client}", recorded=True)


async def missed(whole: Stand, client: str) -> PortalCall:
    world = whole.pbx.world
    await world.reset()
    await world.phone("104").rings()
    caller = await world.call(frm=client, to="74950000700")
    await world.phone("104").ringing()
    await caller.hangup()
    return await whole.call_of(f"+{client}")


async def test_4a_the_card_is_on_the_screen_while_it_rings_and_the_call_in_the_employees_list(whole: Stand) -> None:
    call = await incoming(whole, "79168880001")
    shown = {card.user_id: card for card in call.cards}
    assert IVANOV in shown and not shown[IVANOV].dropped
    assert call.finished_at is not None and shown[IVANOV].shown_at <= call.finished_at and call.leftover_cards == []
    (row,) = await statistics(whole, PORTAL_USER_ID=str(IVANOV), PHONE_NUMBER=call.phone)
    assert (row["CALL_TYPE"], row["CALL_ID"]) == ("2", call.id)


async def test_4b_statistics_show_each_call_with_all_its_details(whole: Stand) -> None:
    answered, placed, lost = (
        await incoming(whole, "79168880002"),
        await outgoing(whole, "79168880003"),
        await missed(whole, "79168880004"),
    )
    expected = ((answered, "2", "200", IVANOV), (placed, "1", "200", PETROVA), (lost, "2", "304", KUZNETSOVA))
    for call, type_, status, user in expected:
        (row,) = await statistics(whole, CALL_ID=call.id)
        assert (row["CALL_TYPE"], row["CALL_FAILED_CODE"], row["PORTAL_USER_ID"]) == (type_, status, str(user))
        assert row["PHONE_NUMBER"] == call.phone and row["CALL_CATEGORY"] == "external"
        assert row["EXTERNAL_CALL_ID"] and row["CALL_START_DATE"] and row["REST_APP_ID"]
        assert row["CRM_ENTITY_TYPE"] == "LEAD" and int(row["CRM_ENTITY_ID"]) and int(row["CRM_ACTIVITY_ID"])
        assert (int(row["CALL_DURATION"]) > 0) is (status == "200")
        assert bool(row["RECORD_FILE_ID"]) is (status == "200"), "the recording of a talk"


async def test_4c_reports_find_the_calls_by_employee_direction_outcome_and_line(whole: Stand) -> None:
    mine = await outgoing(whole, "79168880005")
    lost = await missed(whole, "79168880006")
    in_line = await incoming(whole, "79168880007")

    async def found(**wanted: str) -> set[str]:
        return {row["CALL_ID"] for row in await statistics(whole, **wanted)} & {mine.id, lost.id, in_line.id}

    assert await found(PORTAL_USER_ID=str(PETROVA)) == {mine.id}
    assert await found(CALL_TYPE="1") == {mine.id}
    assert await found(CALL_FAILED_CODE="304") == {lost.id}
    assert await found(CALL_TYPE="2", CALL_FAILED_CODE="200") == {in_line.id}
    assert in_line.id in await found(PORTAL_NUMBER=LINE)
    assert lost.id not in await found(PORTAL_NUMBER=LINE)


async def test_4e_analytics_has_the_line_of_every_call_and_the_source_of_the_lead(whole: Stand) -> None:
    call = await incoming(whole, "79168880008")
    (row,) = await statistics(whole, CALL_ID=call.id)
    assert row["PORTAL_NUMBER"] == LINE
    assert LINE in {line.number for line in whole.portal.state.book.lines}
    lead = whole.portal.state.crm.get("LEAD", int(row["CRM_ENTITY_ID"]))
    assert lead is not None and lead.text("SOURCE_ID") == "ADVERTISING"


async def test_4e_a_callback_forms_call_has_its_line_too(whole: Stand) -> None:
    world = whole.pbx.world
    await world.reset()
    await world.number("79168880009").answers(0.2)
    whole.portal.callback("+79168880009", line=LINE, crm_type="LEAD", crm_id=1)
    leg = await world.phone("101").talking()
    await leg.talks(1)
    await leg.hangup()
    call = await whole.call_of("+79168880009")
    (row,) = await statistics(whole, CALL_ID=call.id)
    assert (row["CALL_TYPE"], row["PORTAL_NUMBER"]) == ("4", LINE)


async def test_4d_a_call_out_of_a_call_list_keeps_its_list_when_the_client_is_passed_on(whole: Stand) -> None:
    """The portal registers the click itself; the next employee's portal call is ours, and belongs to the same list."""
    world = whole.pbx.world
    await world.reset()
    await world.number("79168880010").answers(0.2)
    clicked = whole.portal.click(IVANOV, "+79168880010", call_list=7)
    first = await world.phone("101").talking()
    await first.talks(1)
    await first.refer("102")
    second = await world.phone("102").talking()
    await second.talks(1)
    await second.hangup()
    calls = await whole.until(
        lambda: found if len(found := [c for c in whole.portal.calls() if c.phone == "+79168880010"]) == 2 else None,
        "the second portal call is there",
    )
    assert calls[0] is clicked
    assert str(calls[1].registration["CALL_LIST_ID"]) == "7"
