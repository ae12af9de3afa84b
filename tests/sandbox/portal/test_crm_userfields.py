"""Fields that the portal's owner has added: told in the list of fields, checked when written, unknown ones ignored."""

from __future__ import annotations

from typing import Any

import pytest
from portal_client import Rest

from perezvon.sandbox.portal import PortalServer
from perezvon.sandbox.portal.handlers.crm_userfields import UserField, UserFields


@pytest.fixture
def declared(portal: PortalServer) -> UserFields:
    fields = portal.state.part(UserFields)
    fields.declare("LEAD", UserField("UF_CRM_LIST", "enumeration", items={"1": "Site"}))
    fields.declare("LEAD", UserField("UF_CRM_MANY", many=True))
    fields.declare("LEAD", UserField("UF_CRM_YES", "boolean"))
    return fields


async def test_they_are_in_the_list_of_fields(declared: UserFields, app: Rest) -> None:
    told: dict[str, Any] = await app.call("crm.lead.fields")
    assert told["UF_CRM_LIST"]["items"] == [{"ID": "1", "VALUE": "Site"}]
    assert (told["UF_CRM_MANY"]["isMultiple"], told["UF_CRM_MANY"]["isDynamic"]) == (True, True)
    assert "UF_CRM_LIST" not in await app.call("crm.deal.fields")


async def test_values_are_kept_and_unknown_ones_ignored(declared: UserFields, app: Rest) -> None:
    fields = {"UF_CRM_LIST": "1", "UF_CRM_MANY": ["a", "b"], "UF_CRM_YES": "Y", "UF_CRM_NONE": "x"}
    await app.call("crm.lead.update", id=1, fields=fields)
    lead: dict[str, Any] = await app.call("crm.lead.get", id=1)
    assert (lead["UF_CRM_LIST"], lead["UF_CRM_MANY"], lead["UF_CRM_YES"]) == ("1", ["a", "b"], "1")
    assert "UF_CRM_NONE" not in lead


@pytest.mark.parametrize(("name", "value"), [("UF_CRM_LIST", "Site"), ("UF_CRM_MANY", "a"), ("UF_CRM_YES", "maybe")])
async def test_wrong_values_are_refused(declared: UserFields, app: Rest, name: str, value: str) -> None:
    assert name in (await app.refused("crm.lead.update", id=1, fields={name: value})).description
