"""Document 000, 1g: the new lead belongs to the employee who talked last, or whom the settings say; others keep theirs."""

from __future__ import annotations

import pytest
from crm_calls import made, missed, passed_on, quiet, set_up

from perezvon.sandbox.portal.seed import IVANOV, KUZNETSOVA, PETROVA, SIDOROV, SMIRNOV
from perezvon.sandbox.stand import Stand

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(120)]

SETTINGS = {
    "usual": ("", SIDOROV),
    "first": ('[crm]\nlead_responsible = "first"\n', IVANOV),
    "fixed": (f'[crm]\nlead_responsible = "fixed"\nlead_user = {SMIRNOV}\n', SMIRNOV),
    "each": ('[calls]\ntransfers = "each"\n', SIDOROV),
    "other": ('[calls]\nresponsible = "first"\n[crm]\nlead_responsible = "last"\n', SIDOROV),
    "line": (f'[[line]]\nnumber = "+74950000101"\nlead_user = {KUZNETSOVA}\n', KUZNETSOVA),
}


@pytest.mark.parametrize("name", SETTINGS)
async def test_1g_of_several_who_talked(office: Stand, name: str) -> None:
    more, owner = SETTINGS[name]
    await set_up(office, more)
    client = f"7916555300{list(SETTINGS).index(name)}"
    await passed_on(office, client, "101", "102", "103")
    call = next(call for call in office.portal.calls() if call.phone == f"+{client}" and call.created)
    lead = made(office, call)
    await office.until(lambda: True if lead.responsible == owner else None, f"the lead is user {owner}'s")
    await quiet(office)
    assert lead.responsible == owner


async def test_1g_of_a_missed_call_whoever_was_rung(office: Stand) -> None:
    await set_up(office, "")
    assert made(office, await missed(office, "79165553010")).responsible == KUZNETSOVA


async def test_1g_what_was_there_keeps_its_responsible(office: Stand) -> None:
    contact = office.portal.state.crm.of("CONTACT")[0]
    await set_up(office, '[crm]\nlead_responsible = "first"\n')
    await passed_on(office, "79165550011", "103")
    await quiet(office)
    assert contact.responsible == PETROVA
    await set_up(office, "[crm]\nhand_over = true\n")
    await passed_on(office, "79165550011", "103")
    await office.until(lambda: True if contact.responsible == SIDOROV else None, "it was handed over")
