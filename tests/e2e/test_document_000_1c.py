"""Document 000, 1c: leads for incoming and outgoing calls; without leads (simple CRM mode) contacts and deals."""

from __future__ import annotations

import pytest
from crm_calls import called, made, passed_on, set_up

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.portal.seed import IVANOV, PETROVA
from perezvon.sandbox.stand import Stand, stand

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(120)]


async def test_1c_a_lead_for_an_incoming_and_for_an_outgoing_call(office: Stand) -> None:
    incoming = made(office, await passed_on(office, "79165551001"))
    assert (incoming.values("PHONE"), incoming.responsible) == (["+79165551001"], IVANOV)
    outgoing = made(office, await called(office, "79165551002", "102"))
    assert (outgoing.values("PHONE"), outgoing.responsible) == (["+79165551002"], PETROVA)


async def test_1c_the_second_call_of_a_client_makes_no_second_lead(office: Stand) -> None:
    made(office, await passed_on(office, "79165551003"))
    again = await called(office, "79165551003")
    assert again.created == []
    assert again.crm_type == "LEAD"


async def test_1c_without_leads_a_contact_and_a_deal(
    pbx_session: PbxSandbox, tmp_path_factory: pytest.TempPathFactory
) -> None:
    more = f"""
[crm]
lead_responsible = "fixed"
lead_user = {PETROVA}
[[crm.field]]
of = "deal"
name = "UTM_SOURCE"
value = "{{line.number}}"
"""
    async with (
        PortalServer(PortalConfig(rate=None, crm_mode=2)) as portal,
        stand(pbx_session, portal, tmp_path_factory.mktemp("simple"), more=more) as office,
    ):
        call = await passed_on(office, "79165551004")
        contact, deal = made(office, call, "CONTACT"), made(office, call, "DEAL")
        assert call.crm_type == "CONTACT"
        await office.until(lambda: True if deal.responsible == PETROVA else None, "the deal has its responsible")
        await office.until(lambda: True if contact.responsible == PETROVA else None, "so has the contact")
        await office.until(lambda: deal.text("UTM_SOURCE") or None, "the deal's field is filled")
        assert deal.text("UTM_SOURCE") == "+74950000101"
        await pbx_session.world.reset()


async def test_1c_settings_apply_without_a_restart(office: Stand) -> None:
    await set_up(office, "[calls]\ncreate_lead_incoming = false\n")
    assert (await passed_on(office, "79165551005")).created == []
    await set_up(office, "[calls]\ncreate_lead_incoming = true\n")
    made(office, await passed_on(office, "79165551006"))
