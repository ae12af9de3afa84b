"""What the doctor says of fields, users and chats of the settings, and how the portal's fields are read."""

from __future__ import annotations

import pytest

from perezvon.bitrix24 import Portal
from perezvon.bitrix24.crm_fields import known_crm
from perezvon.doctor import Check, State
from perezvon.doctor.after_call import examine_after_call
from perezvon.rules.field_values import FieldType
from perezvon.sandbox.portal.handlers.crm_userfields import UserField, UserFields
from perezvon.sandbox.portal.handlers.messenger import Messenger
from perezvon.sandbox.portal.server import PortalServer
from perezvon.settings.errors import told
from perezvon.settings.load import parse, settings_from
from perezvon.web.translations import catalog

FIELD = "[[crm.field]]\nof = '{of}'\nname = '{name}'\nvalue = '{value}'\n"


async def found(portal: Portal, more: str) -> list[Check]:
    text = f'[[portal]]\nname = "main"\nwebhook = "http://p/rest/1/t/"\n{more}'
    checks = await examine_after_call(settings_from(parse(text, "t"), text=text, source="t"), portal, "portal main")
    translate = catalog("ru").gettext
    for check in checks:
        assert check.fix or check.state is State.OK
        assert translate(check.seen.text) != check.seen.text or check.seen.text == "{setting}: {name}"
        assert told(check.seen, translate)
    return checks


async def test_the_portals_fields_are_read(server: PortalServer, app: Portal) -> None:
    server.state.part(UserFields).declare("LEAD", UserField("UF_CRM_1", "enumeration", True, "Ad", {"7": "Site"}))
    known = await known_crm(app, ["lead", "activity"])
    assert known.mode == 1
    assert known.types["lead"]["UF_CRM_1"] == FieldType("enumeration", True, False, "Ad", {"7": "Site"})
    assert known.types["lead"]["ID"].read_only
    assert known.types["lead"]["OPPORTUNITY"].kind == "double"
    assert known.types["activity"]["SUBJECT"].kind == "string"


async def test_nothing_is_asked_when_nothing_is_set(server: PortalServer, app: Portal) -> None:
    before = len(list(server.state.journal))
    assert await found(app, "") == []
    assert len(list(server.state.journal)) == before


@pytest.mark.parametrize(
    ("of", "name", "value", "seen"),
    [
        ("lead", "UTM_SORCE", "x", "the lead has no field UTM_SORCE in the portal; there is UTM_SOURCE"),
        ("lead", "UF_CRM_9", "x", "the lead has no field UF_CRM_9 in the portal"),
        ("lead", "DATE_CLOSED", "x", "the field DATE_CLOSED of the lead is kept by the portal itself"),
        ("deal", "CLOSEDATE", "soon", "soon is no date"),
        ("contact", "PHOTO", "{client}", "the field PHOTO cannot be filled from a text"),
    ],
)
async def test_a_field_that_cannot_be_filled(
    server: PortalServer, app: Portal, of: str, name: str, value: str, seen: str
) -> None:
    (check,) = await found(app, FIELD.format(of=of, name=name, value=value))
    assert check.state is State.PROBLEM
    assert str(check.seen).startswith(seen)
    (good,) = await found(app, FIELD.format(of="deal", name="CLOSEDATE", value="{started}"))
    assert good.state is State.OK


async def test_leads_in_a_portal_without_them(server: PortalServer, app: Portal) -> None:
    server.state.crm.mode = 2
    (check,) = await found(app, FIELD.format(of="lead", name="TITLE", value="x"))
    assert str(check.seen) == "the portal has no leads (simple CRM mode): use contact or deal"


async def test_users_and_chats(server: PortalServer, app: Portal) -> None:
    chat = server.state.part(Messenger).new_chat("group", "Leads", 1, [1], 0.0).id
    more = '[crm]\nlead_responsible = "fixed"\nlead_user = 11\n[[line]]\nnumber = "+74951234567"\nlead_user = 17\n'
    checks = await found(app, more + f'[chat]\nleads = "chat{chat}"\nmissed = "chat99"\n')
    assert [check.state for check in checks] == [State.OK, State.PROBLEM, State.OK, State.PROBLEM]
    assert str(checks[1].seen) == "line[+74951234567].lead_user: the portal has no active user 17"
    assert str(checks[3].seen).startswith("chat.missed: nothing can be told in chat99: ")
