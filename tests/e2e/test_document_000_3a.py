"""Document 000, 3a: the format of a number is changed before it goes to the CRM, and before it is dialled. On a real PBX."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing

import pytest

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal import PortalServer
from perezvon.sandbox.portal.seed import IVANOV
from perezvon.sandbox.stand import Stand, stand
from perezvon.sandbox.stories import answered

pytestmark = pytest.mark.asterisk

RULES = r"""
[[numbers.to_crm]]
name = "with 8"
match = '\+7(\d{10})'
replace = '8\1'

[[numbers.to_pbx]]
name = "over the second line"
match = '\+7(916200006)1'
replace = '8\g<1>2'

[[numbers.to_pbx]]
name = "nonsense"
match = '\+7916200006(.*)'
replace = '\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1'
"""


@pytest.fixture(scope="module")
async def office(
    pbx_session: PbxSandbox, portal: PortalServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stand]:
    async with stand(pbx_session, portal, tmp_path_factory.mktemp("perezvon"), more=RULES) as whole:
        yield whole
        await pbx_session.world.reset()


def story_of(office: Stand, client: str) -> list[str]:
    """What was decided for the calls with this client, as the call tells it."""
    with closing(sqlite3.connect(office.service.data_dir / "perezvon.sqlite3")) as database:
        found = database.execute(
            "SELECT body ->> 'reason' FROM fact JOIN call ON call.id = fact.call "
            "WHERE client = ? AND kind = 'Decision' ORDER BY fact.id",
            (client,),
        )
        return [reason for (reason,) in found]


async def test_3a_the_portal_is_told_the_number_as_the_rule_makes_it(office: Stand) -> None:
    spoken = await answered(office)
    call = await office.call_of("8" + spoken.client.removeprefix("+7"))
    assert (call.finish["status"], int(call.finish["user_id"])) == (spoken.status, spoken.user)
    assert office.portal.state.crm.by_phone(spoken.client) == office.portal.state.crm.by_phone(call.phone) != []
    told = f"number rule with 8: the portal is told {call.phone} instead of {spoken.client}"
    assert story_of(office, spoken.client).count(told) == 1


async def test_3a_a_clicked_number_is_dialled_as_the_rule_makes_it(office: Stand) -> None:
    """It is still the client who was clicked whom the call is with."""
    world = office.pbx.world
    await world.reset()
    call = office.portal.click(IVANOV, "+79162000061")
    outside = await world.number("79162000062").talking()
    await outside.talks(1)
    await outside.hangup()
    await office.until(lambda: None if call.live else call, "the click is finished")
    assert (call.finish["status"], int(call.finish["user_id"])) == ("200", IVANOV)
    assert [one for one in office.portal.calls() if one.phone.endswith("9162000062")] == []
    told = "number rule over the second line: 89162000062 is dialled instead of +79162000061"
    assert story_of(office, "+79162000061").count(told) == 1
    assert story_of(office, "+79162000062") == []


async def test_3a_what_cannot_be_dialled_is_not_and_the_call_says_so(office: Stand) -> None:
    world = office.pbx.world
    await world.reset()
    call = office.portal.click(IVANOV, "+79162000063")
    outside = await world.number("79162000063").talking()
    await outside.hangup()
    await office.until(lambda: None if call.live else call, "the click is finished")
    (told,) = [reason for reason in story_of(office, "+79162000063") if "number rule" in reason]
    assert told.startswith("number rule nonsense makes 3333")
    assert told.endswith("of +79162000063, which cannot be dialled: not applied")


async def test_3a_new_rules_apply_to_the_next_call(office: Stand) -> None:
    before = await office.service.status()
    await office.service.configure("numbers = { to_crm = [], to_pbx = [] }")
    await office.service.until(lambda status: status["settings"] > before["settings"], "has noticed the new settings")
    spoken = await answered(office)
    call = await office.call_of(spoken.client)
    assert call.finish["status"] == "200"
