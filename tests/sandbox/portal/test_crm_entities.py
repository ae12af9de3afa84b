"""crm.lead.*, crm.contact.*, crm.company.*, crm.deal.* and their links, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from documented_shape import differences
from portal_client import Rest

from perezvon.sandbox.portal import PortalConfig, PortalServer

Json = Any
FAMILIES = ("lead", "contact", "company", "deal")
ACCIDENTAL = frozenset({"PARENT_ID_1220", "PARENT_ID_1224", "PARENT_ID_156", "EMAIL", "IM", "SOURCE_ID"})


@pytest.mark.parametrize("family", FAMILIES)
class TestFamily:
    async def test_what_was_added_can_be_read_changed_and_deleted(self, hook: Rest, family: str) -> None:
        name = "NAME" if family == "contact" else "TITLE"
        number = await hook.call(f"crm.{family}.add", fields={name: "Первый", "ASSIGNED_BY_ID": 12, "NO_SUCH_FIELD": 1})
        assert isinstance(number, int)
        read = await hook.call(f"crm.{family}.get", id=number)
        assert (read["ID"], read[name], read["ASSIGNED_BY_ID"]) == (str(number), "Первый", "12")
        assert "NO_SUCH_FIELD" not in read
        assert await hook.call(f"crm.{family}.update", id=number, fields={name: "Второй"}) is True
        assert (await hook.call(f"crm.{family}.get", id=number))[name] == "Второй"
        assert await hook.call(f"crm.{family}.delete", id=number) is True
        assert (await hook.refused(f"crm.{family}.get", id=number)).description == "Not found"

    async def test_get_answers_as_documented(self, hook: Rest, family: str) -> None:
        read = await hook.call(f"crm.{family}.get", id=1)
        assert differences(f"crm.{family}.get", read, without=ACCIDENTAL, more=family == "company") == []

    async def test_fields_are_described_as_documented(self, hook: Rest, family: str) -> None:
        fields = await hook.call(f"crm.{family}.fields")
        assert fields["ID"]["isReadOnly"] is True
        assert {"type", "isRequired", "isReadOnly", "isImmutable", "isMultiple", "isDynamic", "title"} <= fields[
            "ID"
        ].keys()
        if family != "deal":
            assert fields["PHONE"] | {"title": ""} == fields["PHONE"] | {
                "type": "crm_multifield",
                "isMultiple": True,
                "title": "",
            }

    async def test_events_are_sent(self, app: Rest, portal: PortalServer, family: str) -> None:
        await app.call("event.bind", event=f"ONCRM{family.upper()}ADD", event_type="offline")
        await app.call("event.bind", event=f"ONCRM{family.upper()}UPDATE", event_type="offline")
        number = await app.call(f"crm.{family}.add", fields={})
        await app.call(f"crm.{family}.update", id=number, fields={"COMMENTS": "новое"})
        rows = (await app.call("event.offline.get"))["events"]
        assert {row["EVENT_NAME"]: row["EVENT_DATA"] for row in rows} == {
            f"ONCRM{family.upper()}ADD": {"FIELDS": {"ID": str(number)}},
            f"ONCRM{family.upper()}UPDATE": {"FIELDS": {"ID": str(number)}},
        }


class TestValues:
    async def test_a_lead_starts_with_the_documented_defaults(self, hook: Rest) -> None:
        number = await hook.call("crm.lead.add", fields={})
        lead = await hook.call("crm.lead.get", id=number)
        assert lead["TITLE"] == f"Лид #{number}"
        assert (lead["STATUS_ID"], lead["STATUS_SEMANTIC_ID"], lead["OPENED"]) == ("NEW", "P", "Y")
        assert (lead["ASSIGNED_BY_ID"], lead["CREATED_BY_ID"], lead["HAS_PHONE"]) == ("1", "1", "N")
        assert lead["IS_RETURN_CUSTOMER"] == "N"

    async def test_return_customer_cannot_be_set_and_follows_the_contact(self, hook: Rest) -> None:
        number = await hook.call("crm.lead.add", fields={"CONTACT_ID": 1, "IS_RETURN_CUSTOMER": "N"})
        assert (await hook.call("crm.lead.get", id=number))["IS_RETURN_CUSTOMER"] == "Y"

    async def test_a_closing_status_is_told_by_its_meaning(self, hook: Rest) -> None:
        await hook.call("crm.lead.update", id=1, fields={"STATUS_ID": "JUNK"})
        lead = await hook.call("crm.lead.get", id=1)
        assert lead["STATUS_SEMANTIC_ID"] == "F"
        assert lead["DATE_CLOSED"] is not None
        await hook.call("crm.deal.update", id=1, fields={"STAGE_ID": "WON", "CATEGORY_ID": 7})
        deal = await hook.call("crm.deal.get", id=1)
        assert (deal["STAGE_SEMANTIC_ID"], deal["CLOSED"], deal["CATEGORY_ID"]) == ("S", "Y", "0")

    async def test_custom_fields_are_kept(self, hook: Rest) -> None:
        number = await hook.call("crm.lead.add", fields={"UF_CRM_100": "значение", "UF_CRM_LIST": ["a", "b"]})
        lead = await hook.call("crm.lead.get", id=number)
        assert (lead["UF_CRM_100"], lead["UF_CRM_LIST"]) == ("значение", ["a", "b"])
        rows = await hook.call("crm.lead.list", filter={"UF_CRM_100": "значение"}, select=["ID", "UF_*"])
        assert rows == [{"ID": str(number), "UF_CRM_100": "значение", "UF_CRM_LIST": ["a", "b"]}]

    @pytest.mark.parametrize(
        ("method", "fields", "code", "words"),
        [
            ("crm.deal.add", {"CURRENCY_ID": "XXX"}, "", 'Invalid value for the "Currency" field'),
            ("crm.contact.add", {"EMAIL": [{"VALUE": "nobody"}]}, "ERROR_CORE", "invalid address"),
            ("crm.company.add", {"EMAIL": [{"VALUE": "a@b"}]}, "ERROR_CORE", "invalid address"),
            ("crm.lead.add", {"ASSIGNED_BY_ID": "Иванов"}, "SANDBOX_WRONG_VALUE", "ASSIGNED_BY_ID"),
            ("crm.lead.add", {"ASSIGNED_BY_ID": 999}, "SANDBOX_WRONG_VALUE", "ASSIGNED_BY_ID"),
            ("crm.lead.add", {"COMPANY_ID": 999}, "SANDBOX_WRONG_VALUE", "COMPANY_ID"),
            ("crm.lead.add", {"STATUS_ID": "NOSUCH"}, "SANDBOX_WRONG_VALUE", "STATUS_ID"),
            ("crm.lead.add", {"OPPORTUNITY": "много"}, "SANDBOX_WRONG_VALUE", "OPPORTUNITY"),
            ("crm.lead.add", {"BIRTHDATE": "завтра"}, "SANDBOX_WRONG_VALUE", "BIRTHDATE"),
            ("crm.contact.add", {"OPENED": "maybe"}, "SANDBOX_WRONG_VALUE", "OPENED"),
        ],
    )
    async def test_wrong_values_are_refused(self, hook: Rest, method: str, fields: Json, code: str, words: str) -> None:
        refused = await hook.refused(method, fields=fields)
        assert refused.code == code
        assert words in refused.description

    @pytest.mark.parametrize(
        ("method", "params", "words"),
        [
            ("crm.lead.get", {}, "ID is not defined or invalid"),
            ("crm.lead.get", {"id": 0}, "ID is not defined or invalid"),
            ("crm.deal.update", {"id": 99, "fields": {}}, "Not found"),
            ("crm.contact.delete", {"id": 99}, "Element not found"),
            ("crm.contact.update", {"id": 99, "fields": {}}, "Contact is not found"),
            ("crm.company.delete", {"id": 99}, "Company is not found"),
            ("crm.deal.add", {"fields": "TITLE=1"}, "Parameter 'fields' must be array"),
            ("crm.company.update", {"id": 1, "fields": "x"}, "Parameter 'fields' must be an array"),
            ("crm.deal.list", {"filter": "x"}, "Parameter 'filter' must be array."),
            ("crm.deal.list", {"order": "ID"}, "Parameter 'order' must be array."),
        ],
    )
    async def test_refusals_use_the_words_of_the_page(self, hook: Rest, method: str, params: Json, words: str) -> None:
        refused = await hook.refused(method, **params)
        assert (refused.http, refused.description) == (400, words)

    async def test_dates_are_set_only_by_an_import(self, hook: Rest) -> None:
        given = {"NAME": "Старый", "DATE_CREATE": "2020-01-01T00:00:00+03:00"}
        plain = await hook.call("crm.contact.add", fields=given)
        imported = await hook.call("crm.contact.add", fields=given, params={"IMPORT": "Y"})
        assert (await hook.call("crm.contact.get", id=plain))["DATE_CREATE"] != given["DATE_CREATE"]
        assert (await hook.call("crm.contact.get", id=imported))["DATE_CREATE"] == given["DATE_CREATE"]


class TestLenient:
    @pytest.fixture
    def portal_config(self) -> PortalConfig:
        return PortalConfig(rate=None, strict_params=False)

    async def test_a_real_portal_keeps_what_it_does_not_understand(self, hook: Rest) -> None:
        number = await hook.call("crm.lead.add", fields={"STATUS_ID": "NOSUCH"})
        assert (await hook.call("crm.lead.get", id=number))["STATUS_ID"] == "NOSUCH"


class TestPhones:
    async def test_rows_are_added_changed_and_deleted_by_their_ids(self, hook: Rest) -> None:
        number = await hook.call(
            "crm.lead.add",
            fields={"PHONE": [{"VALUE": "+79160000001", "VALUE_TYPE": "MOBILE"}, {"VALUE": "+79160000002"}]},
        )
        first, second = (await hook.call("crm.lead.get", id=number))["PHONE"]
        assert (first["VALUE_TYPE"], second["VALUE_TYPE"], first["TYPE_ID"]) == ("MOBILE", "WORK", "PHONE")
        changes = [
            {"ID": first["ID"], "VALUE": "+79160000009"},
            {"ID": second["ID"], "DELETE": "Y"},
            {"VALUE": "+79160000003"},
        ]
        await hook.call("crm.lead.update", id=number, fields={"PHONE": changes})
        phones = (await hook.call("crm.lead.get", id=number))["PHONE"]
        assert [row["VALUE"] for row in phones] == ["+79160000009", "+79160000003"]
        assert phones[0]["ID"] == first["ID"]
        assert (await hook.call("crm.duplicate.findbycomm", type="PHONE", values=["+79160000002"])) == []

    async def test_they_come_only_when_named_in_select(self, hook: Rest) -> None:
        assert "PHONE" not in (await hook.call("crm.contact.list", select=["*", "UF_*"]))[0]
        rows = await hook.call("crm.contact.list", select=["ID", "PHONE"], filter={"PHONE": "+7 (916) 555-00-11"})
        assert [row["PHONE"][0]["VALUE"] for row in rows] == ["+7 (916) 555-00-11"]

    async def test_a_contact_without_phones_has_no_such_key(self, hook: Rest) -> None:
        number = await hook.call("crm.contact.add", fields={"NAME": "Без телефона"})
        assert "PHONE" not in await hook.call("crm.contact.get", id=number)


class TestLists:
    async def test_pages_of_fifty(self, hook: Rest) -> None:
        for number in range(60):
            await hook.call("crm.lead.add", fields={"TITLE": f"лид {number}"})
        first = await hook.whole("crm.lead.list", order={"ID": "ASC"}, select=["ID"])
        assert (len(first["result"]), first["total"], first["next"]) == (50, 61, 50)
        last = await hook.whole("crm.lead.list", order={"ID": "ASC"}, select=["ID"], start=50)
        assert (len(last["result"]), last["total"], "next" in last) == (11, 61, False)
        uncounted = await hook.whole("crm.lead.list", start=-1, filter={">ID": 55}, order={"ID": "ASC"}, select=["ID"])
        assert [row["ID"] for row in uncounted["result"]] == [str(number) for number in range(56, 62)]
        assert "total" not in uncounted

    async def test_unknown_names_have_no_effect(self, hook: Rest) -> None:
        rows = await hook.call("crm.company.list", filter={"NOSUCH": 1}, order={"NOSUCH": "ASC"}, select=["ID", "NOSUCH"])
        assert rows == [{"ID": "1"}, {"ID": "2"}]

    async def test_filters_by_form_parameters(self, hook: Rest, portal: PortalServer) -> None:
        form = {"filter[>=ID]": "2", "filter[%TITLE]": "вектор", "select[]": "TITLE"}
        async with hook.http.post(f"{portal.webhook_url}crm.company.list", data=form) as answer:
            assert (await answer.json())["result"] == [{"ID": "2", "TITLE": "АО «Вектор»"}]


class TestLinks:
    @pytest.mark.parametrize("family", ["lead", "deal", "company"])
    async def test_contacts_of(self, hook: Rest, family: str) -> None:
        number = await hook.call(f"crm.{family}.add", fields={"TITLE": "Со связями"})
        assert await hook.call(f"crm.{family}.contact.items.get", id=number) == []
        assert await hook.call(f"crm.{family}.contact.add", id=number, fields={"CONTACT_ID": 1}) is True
        assert await hook.call(f"crm.{family}.contact.add", id=number, fields={"CONTACT_ID": 2, "IS_PRIMARY": "Y"}) is True
        links = await hook.call(f"crm.{family}.contact.items.get", id=number)
        assert differences(f"crm.{family}.contact.items.get", links) == []
        assert {row["CONTACT_ID"] for row in links} == {1, 2}
        if family != "company":
            assert [row["CONTACT_ID"] for row in links if row["IS_PRIMARY"] == "Y"] == [2]
            assert (await hook.call(f"crm.{family}.get", id=number))["CONTACT_ID"] == "2"
        assert await hook.call(f"crm.{family}.contact.items.set", id=number, items=[{"CONTACT_ID": 1}]) is True
        assert [row["CONTACT_ID"] for row in await hook.call(f"crm.{family}.contact.items.get", id=number)] == [1]
        assert (await hook.refused(f"crm.{family}.contact.add", id=number, fields={"CONTACT_ID": 99})).http == 400

    async def test_companies_of_a_contact_are_contacts_of_the_companies(self, hook: Rest) -> None:
        await hook.call(
            "crm.contact.company.items.set", id=2, items=[{"COMPANY_ID": 2}, {"COMPANY_ID": 1, "IS_PRIMARY": "Y"}]
        )
        assert (await hook.call("crm.contact.get", id=2))["COMPANY_ID"] == "1"
        assert 2 in [row["CONTACT_ID"] for row in await hook.call("crm.company.contact.items.get", id=2)]

    async def test_contact_ids_replace_the_whole_set(self, hook: Rest) -> None:
        await hook.call("crm.deal.update", id=1, fields={"CONTACT_IDS": [2, 1]})
        assert [row["CONTACT_ID"] for row in await hook.call("crm.deal.contact.items.get", id=1)] == [2, 1]
        assert (await hook.call("crm.deal.get", id=1))["CONTACT_ID"] == "2"

    @pytest.mark.parametrize(
        ("method", "params", "words"),
        [
            ("crm.deal.contact.items.get", {}, "The parameter ownerEntityID is invalid or not defined."),
            ("crm.deal.contact.items.get", {"id": 99}, "Not found."),
            ("crm.deal.contact.items.set", {"id": 1, "items": "x"}, "The parameter items must be array."),
            ("crm.deal.contact.add", {"id": 1, "fields": {}}, "The parameter 'fields' is not valid."),
            ("crm.lead.contact.add", {"id": 1, "fields": {}}, "Required fields not provided"),
            ("crm.lead.contact.add", {"id": 99, "fields": {"CONTACT_ID": 1}}, "Element not found"),
        ],
    )
    async def test_refusals(self, hook: Rest, method: str, params: Json, words: str) -> None:
        assert (await hook.refused(method, **params)).description == words
