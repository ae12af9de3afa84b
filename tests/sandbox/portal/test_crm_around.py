"""What surrounds CRM objects: directories, search for doubles, timeline, triggers, call lists, visit traces."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from documented_shape import differences
from portal_client import Rest

from perezvon.sandbox.portal import PortalServer
from perezvon.sandbox.portal.handlers.crm_automation import Automation

Json = Any


class TestDirectories:
    async def test_sources_are_the_documented_ones(self, hook: Rest) -> None:
        answer = await hook.whole("crm.status.list", filter={"ENTITY_ID": "SOURCE"}, order={"SORT": "ASC"})
        assert [row["STATUS_ID"] for row in answer["result"]][:3] == ["CALL", "EMAIL", "WEB"]
        assert answer["total"] == 12
        statuses = await hook.call("crm.status.list", filter={"ENTITY_ID": "STATUS"})
        assert differences("crm.status.list", statuses) == []
        assert [row["EXTRA"]["SEMANTICS"] for row in statuses][-2:] == ["failure", "success"]

    async def test_a_new_source_is_taken_by_calls(self, app: Rest) -> None:
        number = await app.call("crm.status.add", fields={"ENTITY_ID": "SOURCE", "STATUS_ID": "AVITO", "NAME": "Авито"})
        assert (await app.call("crm.status.get", id=number))["NAME"] == "Авито"
        call = await app.call(
            "telephony.externalCall.register",
            USER_ID=11,
            PHONE_NUMBER="+79160000777",
            TYPE=2,
            CRM_CREATE=1,
            CRM_SOURCE="AVITO",
        )
        assert (await app.call("crm.lead.get", id=call["CRM_CREATED_LEAD"]))["SOURCE_ID"] == "AVITO"

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"NAME": "x"}, "The field ENTITY_ID is required., The field STATUS_ID is required."),
            ({"ENTITY_ID": "NOSUCH", "STATUS_ID": "A", "NAME": "x"}, "Specified entity type is not supported."),
            ({"ENTITY_ID": "SOURCE", "STATUS_ID": "A"}, "The field Title is required."),
            ({"ENTITY_ID": "SOURCE", "STATUS_ID": "CALL", "NAME": "x"}, "The specified status ID already exists."),
        ],
    )
    async def test_refusals(self, hook: Rest, fields: Json, words: str) -> None:
        assert (await hook.refused("crm.status.add", fields=fields)).description == words

    async def test_small_ones(self, hook: Rest) -> None:
        assert await hook.call("crm.settings.mode.get") == 1
        items = await hook.call("crm.status.entity.items", entityId="STATUS")
        assert items[0] == {"NAME": "Не обработан", "SORT": 10, "STATUS_ID": "NEW"}
        assert (await hook.refused("crm.status.entity.items", entityId="NO")).code.startswith("The parameter entityId")
        assert (await hook.refused("crm.status.get", id=9999)).code == "Status is not found."
        owners = await hook.call("crm.enum.ownertype")
        assert {"ID": 4, "NAME": "Company", "SYMBOL_CODE": "COMPANY", "SYMBOL_CODE_SHORT": "CO"} in owners
        for method in ("activitytype", "activitydirection", "activitystatus", "settings.mode", "ownertype"):
            assert differences(f"crm.enum.{method}", await hook.call(f"crm.enum.{method}")) == []
        assert differences("crm.currency.list", await hook.call("crm.currency.list")) == []


class TestDoubles:
    async def test_by_phone_in_any_spelling_leads_first(self, hook: Rest) -> None:
        await hook.call("crm.lead.add", fields={"PHONE": [{"VALUE": "8 (916) 555-00-11"}]})
        found = await hook.call("crm.duplicate.findbycomm", type="PHONE", values=["9165550011", "+74957770001,101"])
        assert list(found.items()) == [("LEAD", [2]), ("CONTACT", [1]), ("COMPANY", [1])]
        only = await hook.call("crm.duplicate.findbycomm", type="PHONE", values=["+79165550011"], entity_type="CONTACT")
        assert only == {"CONTACT": [1]}

    async def test_by_mail(self, hook: Rest) -> None:
        number = await hook.call("crm.contact.add", fields={"NAME": "Ян", "EMAIL": [{"VALUE": "Yan@Mail.ru"}]})
        assert await hook.call("crm.duplicate.findbycomm", type="EMAIL", values=["yan@mail.ru"]) == {"CONTACT": [number]}

    async def test_nothing_found_is_an_empty_list(self, hook: Rest) -> None:
        assert await hook.call("crm.duplicate.findbycomm", type="PHONE", values=["+79990000000"]) == []

    async def test_at_most_twenty_values_and_twenty_hits(self, hook: Rest, portal: PortalServer) -> None:
        for _ in range(25):
            portal.state.crm.add("LEAD", {"PHONE": [portal.state.crm.phone("+79165550011")]}, quiet=True)
        found = await hook.call("crm.duplicate.findbycomm", type="PHONE", values=["+79165550011"])
        assert list(found) == ["LEAD"], "twenty hits in one type suppress the later types"
        assert len(found["LEAD"]) == 20
        values = [f"+7916000{n:04}" for n in range(20)] + ["+74957770001"]
        assert await hook.call("crm.duplicate.findbycomm", type="PHONE", values=values) == []

    @pytest.mark.parametrize(
        ("params", "code"),
        [
            ({"values": ["+79165550011"]}, "Communication type is not defined"),
            ({"type": "SMS", "values": ["1"]}, "Communication type 'SMS' is not supported in current context"),
            ({"type": "PHONE"}, "Communication values is not defined"),
        ],
    )
    async def test_the_error_is_a_phrase(self, hook: Rest, params: Json, code: str) -> None:
        assert (await hook.refused("crm.duplicate.findbycomm", **params)).code == code


class TestTimeline:
    async def test_comments(self, app: Rest) -> None:
        await app.call("event.bind", event="ONCRMTIMELINECOMMENTADD", event_type="offline")
        file = ["отчёт.txt", base64.b64encode(b"text").decode()]
        number = await app.call(
            "crm.timeline.comment.add",
            fields={"ENTITY_ID": 1, "ENTITY_TYPE": "lead", "COMMENT": "Звонил дважды", "FILES": [file]},
        )
        comment = await app.call("crm.timeline.comment.get", id=number)
        assert differences("crm.timeline.comment.get", comment) == []
        assert (comment["COMMENT"], comment["AUTHOR_ID"]) == ("Звонил дважды", "1")
        url = next(iter(comment["FILES"].values()))["urlDownload"]
        async with app.http.get(url) as answer:
            assert await answer.read() == b"text"
        await app.call("crm.timeline.comment.update", id=number, fields={"COMMENT": "Звонил трижды"})
        listed = await app.whole("crm.timeline.comment.list", filter={"ENTITY_ID": 1, "ENTITY_TYPE": "lead"})
        assert [row["COMMENT"] for row in listed["result"]] == ["Звонил трижды"]
        assert [row["EVENT_NAME"] for row in (await app.call("event.offline.get"))["events"]] == ["ONCRMTIMELINECOMMENTADD"]
        bind = {"fields": {"OWNER_ID": number, "ENTITY_ID": 1, "ENTITY_TYPE": "contact"}}
        assert await app.call("crm.timeline.bindings.bind", **bind) is True
        assert len(await app.call("crm.timeline.bindings.list", filter={"OWNER_ID": number})) == 2
        assert (await app.refused("crm.timeline.comment.delete", id=number)).code == "MULTIPLE_BINDINGS"
        assert await app.call("crm.timeline.bindings.unbind", **bind) is True
        assert await app.call("crm.timeline.comment.delete", id=number) is None
        assert (await app.refused("crm.timeline.comment.get", id=number)).description == "Not found."

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"ENTITY_TYPE": "lead", "COMMENT": "x"}, "100"),
            ({"ENTITY_ID": 1, "ENTITY_TYPE": "lead", "COMMENT": " "}, "INVALID_ARG_VALUE"),
            ({"ENTITY_ID": 99, "ENTITY_TYPE": "lead", "COMMENT": "x"}, "OWNER_NOT_FOUND"),
        ],
    )
    async def test_refused_comments(self, app: Rest, fields: Json, code: str) -> None:
        assert (await app.refused("crm.timeline.comment.add", fields=fields)).code == code

    async def test_log_messages_belong_to_their_application(self, app: Rest, hook: Rest) -> None:
        fields = {"entityTypeId": 1, "entityId": 1, "title": "АТС", "text": "Клиент нажал 2", "iconCode": "info"}
        added = await app.call("crm.timeline.logmessage.add", fields=fields)
        assert differences("crm.timeline.logmessage.add", added) == []
        number = added["logMessage"]["id"]
        assert (await app.call("crm.timeline.logmessage.list", entityTypeId=1, entityId=1))[0]["text"] == "Клиент нажал 2"
        assert (await hook.refused("crm.timeline.logmessage.delete", id=number)).code == "REMOVING_DISABLED"
        assert await app.call("crm.timeline.logmessage.delete", id=number) is True
        assert (await app.refused("crm.timeline.logmessage.get", id=number)).code == "NOT_FOUND"

    async def test_blocks_of_an_application_under_a_comment(self, app: Rest, hook: Rest) -> None:
        number = await app.call("crm.timeline.comment.add", fields={"ENTITY_ID": 1, "ENTITY_TYPE": "lead", "COMMENT": "x"})
        where = {"entityTypeId": 1, "entityId": 1, "timelineId": number}
        layout = {"blocks": {"one": {"type": "text", "properties": {"value": "из АТС"}}}}
        assert await app.call("crm.timeline.layout.blocks.set", **where, layout=layout) == {"success": True}
        assert await app.call("crm.timeline.layout.blocks.get", **where) == {"layout": layout}
        assert (await hook.refused("crm.timeline.layout.blocks.get", **where)).code == "ERROR_WRONG_CONTEXT"
        assert await app.call("crm.timeline.layout.blocks.delete", **where) == {"success": True}


class TestAutomation:
    async def test_executions_of_an_applications_trigger_are_recorded(self, app: Rest, portal: PortalServer) -> None:
        await app.call("crm.automation.trigger.add", CODE="missed", NAME="Пропущенный")
        await app.call("crm.automation.trigger.add", CODE="missed", NAME="Пропущенный звонок")
        assert await app.call("crm.automation.trigger.list") == [{"NAME": "Пропущенный звонок", "CODE": "missed"}]
        assert await app.call("crm.automation.trigger.execute", CODE="missed", OWNER_TYPE_ID=1, OWNER_ID=1) is True
        done = portal.state.part(Automation).executions
        assert [(one.code, one.entity_type, one.entity_id) for one in done] == [("missed", "LEAD", 1)]

    async def test_a_webhook_names_its_target(self, hook: Rest, portal: PortalServer) -> None:
        assert await hook.call("crm.automation.trigger", target="DEAL_1", code="call") is True
        assert portal.state.part(Automation).executions[0].entity_type == "DEAL"

    @pytest.mark.parametrize(
        ("method", "params", "words"),
        [
            ("crm.automation.trigger", {}, "Target is not set."),
            ("crm.automation.trigger", {"target": "сделка"}, "Incorrect target format."),
            ("crm.automation.trigger", {"target": "CONTACT_1"}, "Incorrect target format."),
            ("crm.automation.trigger", {"target": "LEAD_99"}, "Target is not found."),
            ("crm.automation.trigger.add", {"CODE": "a b", "NAME": "x"}, "Wrong trigger code!"),
            ("crm.automation.trigger.add", {"CODE": "a"}, "Empty trigger name!"),
            ("crm.automation.trigger.delete", {"CODE": "nosuch"}, "Trigger not found"),
            (
                "crm.automation.trigger.execute",
                {"CODE": "nosuch", "OWNER_TYPE_ID": 1, "OWNER_ID": 1},
                "Trigger with code nosuch is not registered.",
            ),
        ],
    )
    async def test_refusals(self, app: Rest, method: str, params: Json, words: str) -> None:
        assert (await app.refused(method, **params)).description == words

    async def test_contacts_have_no_triggers(self, app: Rest) -> None:
        await app.call("crm.automation.trigger.add", CODE="x", NAME="x")
        refused = await app.refused("crm.automation.trigger.execute", CODE="x", OWNER_TYPE_ID=3, OWNER_ID=1)
        assert refused.description == "Incorrect parameter OWNER_TYPE_ID."


class TestCampaigns:
    async def test_a_call_list(self, app: Rest) -> None:
        number = await app.call("crm.calllist.add", ENTITY_TYPE="CONTACT", ENTITIES=[1, 2])
        assert (await app.call("crm.calllist.get", ID=number))["ENTITY_TYPE"] == "CONTACT"
        items = await app.call("crm.calllist.items.get", LIST_ID=number, FILTER={"STATUS": "IN_WORK"})
        assert items == [{"ID": 1, "STATUS": "IN_WORK", "ENTITY_TYPE": 3}, {"ID": 2, "STATUS": "IN_WORK", "ENTITY_TYPE": 3}]
        assert await app.call("crm.calllist.update", LIST_ID=number, ENTITY_TYPE="CONTACT", ENTITIES=[2]) is True
        assert len(await app.call("crm.calllist.items.get", LIST_ID=number)) == 1
        assert await app.call("crm.calllist.list", SELECT=["ID"]) == [{"ID": str(number)}]
        assert {row["STATUS_ID"] for row in await app.call("crm.calllist.statuslist")} >= {"IN_WORK", "SUCCESS"}

    @pytest.mark.parametrize(
        ("params", "code"),
        [
            ({"ENTITY_TYPE": "LEAD", "ENTITIES": [1]}, "ENTITY_TYPE_ERROR"),
            ({"ENTITY_TYPE": "CONTACT", "ENTITIES": "1"}, "ENTITIES_ERROR"),
            ({"ENTITY_TYPE": "CONTACT", "ENTITIES": [99]}, "ENTITY_ERROR"),
            ({"ENTITIES": [1]}, "ERROR_ARGUMENT"),
        ],
    )
    async def test_refused_lists(self, app: Rest, params: Json, code: str) -> None:
        assert (await app.refused("crm.calllist.add", **params)).code == code

    async def test_visit_traces(self, app: Rest) -> None:
        number = await app.call(
            "crm.tracking.trace.add", TRACE='{"url": "https://example.com"}', ENTITIES=[{"TYPE": "LEAD", "ID": 1}]
        )
        assert isinstance(number, int)
        assert await app.call("crm.tracking.trace.delete", id=number) is None
        broken = await app.refused("crm.tracking.trace.add", TRACE="{")
        assert broken.description == "Can not parse JSON in parameter TRACE."
        wrong = await app.refused("crm.tracking.trace.add", TRACE="{}", ENTITIES=[{"TYPE": "TASK", "ID": 1}])
        assert wrong.description.startswith("Wrong TYPE")
