"""crm.item.*: camelCase fields, numbers as numbers, phones in fm, filters that nest."""

from __future__ import annotations

from typing import Any

import pytest
from documented_shape import differences
from portal_client import Rest

from perezvon.sandbox.portal import PortalServer

Json = Any
LEAD, DEAL, CONTACT, COMPANY = 1, 2, 3, 4


async def test_add_answers_the_whole_item(hook: Rest) -> None:
    deal = await hook.call(
        "crm.item.add",
        entityTypeId=DEAL,
        fields={"title": "Поставка", "opportunity": "1500.50", "contactIds": [1, 2], "assignedById": 12, "noSuchField": 1},
    )
    assert differences("crm.item.add", deal) == []
    item = deal["item"]
    assert (item["title"], item["opportunity"], item["contactIds"], item["assignedById"]) == (
        "Поставка",
        1500.5,
        [1, 2],
        12,
    )
    assert (item["stageId"], item["stageSemanticId"], item["categoryId"], item["closed"]) == ("NEW", "P", 0, "N")
    assert item["entityTypeId"] == DEAL


async def test_a_lead_is_shown_as_documented(hook: Rest) -> None:
    added = await hook.call(
        "crm.item.add",
        entityTypeId=LEAD,
        fields={
            "name": "Анна",
            "fm": [
                {"typeId": "PHONE", "valueType": "MOBILE", "value": "+79160000001"},
                {"typeId": "EMAIL", "value": "a@b.ru"},
            ],
        },
    )
    lead = await hook.call("crm.item.get", entityTypeId=LEAD, id=added["item"]["id"])
    assert differences("crm.item.get", lead) == []
    item = lead["item"]
    assert [(row["typeId"], row["valueType"], row["value"]) for row in item["fm"]] == [
        ("PHONE", "MOBILE", "+79160000001"),
        ("EMAIL", "WORK", "a@b.ru"),
    ]
    assert (item["phoneMobile"], item["phone"], item["emailWork"], item["hasPhone"]) == ("+79160000001",) * 2 + (
        "a@b.ru",
        "Y",
    )
    classic = await hook.call("crm.lead.get", id=item["id"])
    assert (classic["NAME"], classic["PHONE"][0]["VALUE"]) == ("Анна", "+79160000001")


async def test_keys_of_fm_decide_what_is_done(hook: Rest) -> None:
    item = (await hook.call("crm.item.get", entityTypeId=CONTACT, id=1))["item"]
    row = item["fm"][0]
    added = await hook.call(
        "crm.item.update",
        entityTypeId=CONTACT,
        id=1,
        fields={"fm": {"n0": {"typeId": "PHONE", "valueType": "WORK", "value": "+74950000001"}}},
    )
    assert [one["value"] for one in added["item"]["fm"]] == [row["value"], "+74950000001"]
    changed = await hook.call(
        "crm.item.update", entityTypeId=CONTACT, id=1, fields={"fm": {str(row["id"]): {"value": "+79990000000"}}}
    )
    assert changed["item"]["fm"][0] == {**row, "value": "+79990000000"}
    gone = await hook.call("crm.item.update", entityTypeId=CONTACT, id=1, fields={"fm": {str(row["id"]): {"value": ""}}})
    assert [one["value"] for one in gone["item"]["fm"]] == ["+74950000001"]


async def test_an_update_that_changes_nothing_saves_nothing(app: Rest) -> None:
    await app.call("event.bind", event="ONCRMLEADUPDATE", event_type="offline")
    before = (await app.call("crm.item.get", entityTypeId=LEAD, id=1))["item"]
    await app.call("crm.item.update", entityTypeId=LEAD, id=1, fields={"title": before["title"], "nothing": 5})
    assert (await app.call("event.offline.get"))["events"] == []
    await app.call("crm.item.update", entityTypeId=LEAD, id=1, fields={"title": "Новый"})
    assert len((await app.call("event.offline.get"))["events"]) == 1


async def test_delete_answers_an_empty_list(hook: Rest) -> None:
    assert await hook.call("crm.item.delete", entityTypeId=LEAD, id=1) == []
    refused = await hook.refused("crm.item.get", entityTypeId=LEAD, id=1)
    assert (refused.code, refused.description) == ("NOT_FOUND", "Item not found")


async def test_fields_by_item_names(hook: Rest) -> None:
    fields = (await hook.call("crm.item.fields", entityTypeId=LEAD))["fields"]
    assert fields["assignedById"]["upperName"] == "ASSIGNED_BY_ID"
    assert fields["stageId"]["upperName"] == "STATUS_ID"
    assert fields["id"]["isReadOnly"] is True
    assert "fm" not in fields


async def test_custom_fields_under_either_name(hook: Rest) -> None:
    added = await hook.call("crm.item.add", entityTypeId=LEAD, fields={"ufCrm_1700000000": "да"})
    number = added["item"]["id"]
    assert added["item"]["ufCrm_1700000000"] == "да"
    original = await hook.call("crm.item.get", entityTypeId=LEAD, id=number, useOriginalUfNames="Y")
    assert original["item"]["UF_CRM_1700000000"] == "да"


class TestList:
    async def test_select_filter_and_order(self, hook: Rest) -> None:
        answer = await hook.whole(
            "crm.item.list",
            entityTypeId=CONTACT,
            select=["id", "name", "fm"],
            filter={"logic": "OR", "0": {"%lastName": "клиент"}, "1": {"=id": 2}},
            order={"id": "DESC"},
        )
        assert answer["result"] == {"items": [{"id": 2, "name": "Глеб"}, {"id": 1, "name": "Мария"}]}
        assert answer["total"] == 2

    async def test_only_the_asterisk_brings_phones(self, hook: Rest) -> None:
        items = (await hook.call("crm.item.list", entityTypeId=CONTACT, select=["*"]))["items"]
        assert items[0]["fm"][0]["typeId"] == "PHONE"

    async def test_pages(self, hook: Rest, portal: PortalServer) -> None:
        for number in range(55):
            portal.state.crm.add("LEAD", {"TITLE": f"лид {number}"}, quiet=True)
        first = await hook.whole("crm.item.list", entityTypeId=LEAD, select=["id"])
        assert (len(first["result"]["items"]), first["total"], first["next"]) == (50, 56, 50)

    @pytest.mark.parametrize(
        ("params", "words"),
        [
            ({"filter": {"nosuch": 1}}, "Invalid filter: field 'nosuch' is not allowed in filter"),
            ({"filter": {"0": {">nosuch": 1}}}, "Invalid filter: field 'nosuch' is not allowed in filter"),
            ({"filter": {"id": "первый"}}, "Invalid filter: field 'id' has invalid value"),
            ({"order": {"nosuch": "ASC"}}, "Invalid order: field 'nosuch' is not allowed in order"),
            (
                {"order": {"id": "UP"}},
                "Invalid order: allowed sort directions are ASC, DESC. But got 'UP' for field 'id'",
            ),
        ],
    )
    async def test_refusals(self, hook: Rest, params: Json, words: str) -> None:
        refused = await hook.refused("crm.item.list", entityTypeId=LEAD, **params)
        assert (refused.code, refused.description) == ("INVALID_ARG_VALUE", words)


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"assignedById": "abc"}, "CRM_FIELD_ERROR_VALUE_NOT_VALID", 'Invalid value for field "assignedById"'),
        ({"assignedById": 999}, "CRM_FIELD_ERROR_VALUE_NOT_VALID", 'Invalid value for field "assignedById"'),
        ({"stageId": "NOSUCH"}, "CRM_FIELD_ERROR_VALUE_NOT_VALID", 'Invalid value for field "stageId"'),
        ({"currencyId": "XXX"}, "CRM_FIELD_ERROR_VALUE_NOT_VALID", 'Invalid value for field "currencyId"'),
        ({"companyId": 999}, "CRM_FIELD_ERROR_VALUE_NOT_VALID", 'Invalid value for field "companyId"'),
        ({"contactIds": 1}, "100", "Expected iterable value for multiple field, but got integer instead"),
        ({"fm": [{"typeId": "EMAIL", "value": "x"}]}, "CRM_FIELD_ERROR_VALUE_NOT_VALID", 'Invalid value for field "fm"'),
    ],
)
async def test_wrong_values_are_refused(hook: Rest, fields: Json, code: str, words: str) -> None:
    refused = await hook.refused("crm.item.add", entityTypeId=LEAD, fields=fields)
    assert (refused.code, refused.description) == (code, words)


async def test_other_types_are_not_there(hook: Rest) -> None:
    refused = await hook.refused("crm.item.get", entityTypeId=177, id=1)
    assert (refused.code, refused.description) == ("NOT_FOUND", "SPA not found")
