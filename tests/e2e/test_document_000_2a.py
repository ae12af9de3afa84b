"""Document 000, 2a: leads for incoming or outgoing calls switched off, everywhere or by line; repeat leads and deals bound."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from crm_calls import activities, called, made, passed_on, quiet, set_up

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal import PortalServer
from perezvon.sandbox.stand import Stand, stand

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(120)]

BY_LINE = """
[calls]
create_lead_incoming = false
[[line]]
number = "+74950000102"
create_lead_incoming = true
"""


@pytest.fixture(scope="module")
async def office(
    pbx_session: PbxSandbox, portal: PortalServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stand]:
    async with stand(pbx_session, portal, tmp_path_factory.mktemp("perezvon")) as whole:
        yield whole
        await pbx_session.world.reset()


@pytest.mark.parametrize(("incoming", "outgoing"), [(True, False), (False, True), (False, False)])
async def test_2a_each_direction_by_itself(office: Stand, incoming: bool, outgoing: bool) -> None:
    wanted = f"create_lead_incoming = {str(incoming).lower()}\ncreate_lead_outgoing = {str(outgoing).lower()}\n"
    await set_up(office, f"[calls]\n{wanted}")
    number = 79165552000 + 10 * incoming + 100 * outgoing
    came = await passed_on(office, str(number))
    went = await called(office, str(number + 1))
    assert (bool(came.created), bool(went.created)) == (incoming, outgoing)
    assert [call.crm_type != "" for call in (came, went)] == [incoming, outgoing]


async def test_2a_by_line(office: Stand) -> None:
    await set_up(office, BY_LINE)
    assert (await passed_on(office, "79165552201", "101")).created == []
    made(office, await passed_on(office, "79165552202", "102"))


async def test_2a_repeat_leads_are_bound(office: Stand) -> None:
    crm = office.portal.state.crm
    client = crm.of("CONTACT")[0]
    link = {"CONTACT_ID": str(client.id), "ASSIGNED_BY_ID": "11", "STATUS_ID": "NEW"}
    first, newest = (crm.add("LEAD", {**link, "TITLE": f"Повторный лид {n}"}) for n in (1, 2))
    await set_up(office, "")
    call = await passed_on(office, client.values("PHONE")[0].translate(str.maketrans("", "", "+ ()-")))
    await quiet(office)
    assert leads_of(office, call) == set(), "nothing is bound that the settings do not want"
    await set_up(office, '[crm]\nbind_leads = "newest"\nbind_deals = "all"\n')
    call = await passed_on(office, "79165550011")
    await office.until(lambda: leads_of(office, call) or None, "the repeat lead is bound")
    assert leads_of(office, call) == {newest.id}
    assert first.id != newest.id
    await quiet(office)


def leads_of(office: Stand, call: object) -> set[int]:
    found = activities(office, call)  # type: ignore[arg-type]
    assert len(found) == 1, "one activity for the whole call"
    return {int(row["OWNER_ID"]) for row in found[0].fields["BINDINGS"] if row["OWNER_TYPE_ID"] == "1"}
