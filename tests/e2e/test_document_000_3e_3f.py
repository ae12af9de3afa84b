"""Document 000, 3e and 3f: leads, contacts, deals and activities are filled with whatever is known of the call."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from crm_calls import activities, made, passed_on, quiet, set_up

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.portal.handlers.crm_userfields import UserField, UserFields
from perezvon.sandbox.service_process import ServiceTrouble
from perezvon.sandbox.stand import Stand, stand

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(120)]

LINE = '[[line]]\nnumber = "+74950000101"\nname = "Щит на МКАДе"\n'


def fill(of: str, name: str, value: str, **more: str) -> str:
    named = {"of": of, "name": name, "value": value, **more}
    return "[[crm.field]]\n" + "".join(f"{key} = '{one}'\n" for key, one in named.items())


@pytest.fixture
async def fresh(pbx_session: PbxSandbox, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    async with PortalServer(PortalConfig(rate=None)) as portal:
        declared = portal.state.part(UserFields)
        declared.declare("LEAD", UserField("UF_CRM_AD", "enumeration", items={"31": "Сайт", "32": "Щит на МКАДе"}))
        declared.declare("LEAD", UserField("UF_CRM_WAITED", "integer"))
        declared.declare("LEAD", UserField("UF_CRM_RECORD", "url"))
        declared.declare("LEAD", UserField("UF_CRM_VIP", "boolean"))
        declared.declare("CONTACT", UserField("UF_CRM_LINES", many=True))
        async with stand(pbx_session, portal, tmp_path_factory.mktemp("fields")) as whole:
            yield whole
            await pbx_session.world.reset()


async def test_3e_3f_a_new_lead_and_its_activity(fresh: Stand) -> None:
    more = (
        LINE
        + fill("lead", "TITLE", "{client} со щита, {employee}", existing="overwrite", objects="new")
        + fill("lead", "UF_CRM_AD", "{line.name}")
        + fill("lead", "UF_CRM_WAITED", "{waited}")
        + fill("lead", "UF_CRM_RECORD", "{recording}")
        + fill("lead", "UF_CRM_VIP", "{employee}")
        + fill("lead", "UTM_SOURCE", "{line.number}")
        + fill("lead", "COMMENTS", "Говорили: {talked}")
        + fill("activity", "SUBJECT", "Звонок на {line.name}", existing="overwrite")
        + fill("activity", "DESCRIPTION", "Ждал {waited} с, меню: {menu|default:нет}")
    )
    await set_up(fresh, more)
    call = await passed_on(fresh, "79165556001", "101", "102")
    lead = made(fresh, call)
    await fresh.until(lambda: lead.fields.get("UF_CRM_RECORD"), "the lead has the recording's address")
    assert lead.text("TITLE") == "+79165556001 со щита, Петрова Анна"
    assert lead.fields["UF_CRM_AD"] == "32", "the entry of the list"
    assert 0 <= int(lead.fields["UF_CRM_WAITED"]) < 10
    assert lead.fields["UF_CRM_RECORD"] == fresh.portal.state.book.row_of(call)["CALL_RECORD_URL"]
    assert lead.fields.get("UF_CRM_VIP") is None, "a name is neither yes nor no: refused, and nothing waits for it"
    assert lead.text("UTM_SOURCE") == "+74950000101"
    assert lead.text("COMMENTS") == "Говорили: Иванов Иван (101), Петрова Анна (102)"
    await quiet(fresh)
    (activity,) = activities(fresh, call)
    assert activity.text("SUBJECT") == "Звонок на Щит на МКАДе"
    assert activity.text("DESCRIPTION").endswith("с, меню: нет")
    assert activity.text("DESCRIPTION").startswith("Сотрудники\n")


async def test_3e_a_known_client_keeps_what_he_has(fresh: Stand) -> None:
    contact = fresh.portal.state.crm.of("CONTACT")[0]
    deal = fresh.portal.state.crm.of("DEAL")[0]
    contact.fields.update({"COMMENTS": "Любит ромашки", "UF_CRM_LINES": ["Сайт"]})
    more = (
        LINE
        + fill("contact", "COMMENTS", "{line.name}")
        + fill("contact", "UF_CRM_LINES", "{line.name}")
        + fill("contact", "NAME", "{client}", objects="new", existing="overwrite")
        + fill("deal", "UTM_TERM", "{line.name}")
    )
    await set_up(fresh, more)
    for _ in range(2):
        await passed_on(fresh, "79165550011")
        await quiet(fresh)
    assert contact.text("COMMENTS") == "Любит ромашки"
    assert contact.fields["UF_CRM_LINES"] == ["Сайт", "Щит на МКАДе"]
    assert contact.text("NAME") == "Мария"
    assert deal.text("UTM_TERM") == "Щит на МКАДе", "the client's newest open deal"


async def test_3e_3f_checked_against_the_portal_when_saved(fresh: Stand) -> None:
    with pytest.raises(ServiceTrouble, match="UF_CRM_ADD"):
        await set_up(fresh, fill("lead", "UF_CRM_ADD", "{line}"))
    with pytest.raises(ServiceTrouble, match="perhaps is neither yes nor no"):
        await set_up(fresh, fill("lead", "UF_CRM_VIP", "perhaps"))
    with pytest.raises(ServiceTrouble, match=r"lines\.name"):
        await set_up(fresh, fill("lead", "UTM_SOURCE", "{lines.name}"))
