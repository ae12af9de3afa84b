"""crm.activity.*: activities of calls, their bindings, to-dos, an application's own activities and badges."""

from __future__ import annotations

from typing import Any

import pytest
from documented_shape import differences
from portal_client import Rest

from perezvon.sandbox.portal import PortalServer

Json = Any
CALL = {
    "OWNER_TYPE_ID": 3,
    "OWNER_ID": 1,
    "TYPE_ID": 2,
    "SUBJECT": "Исходящий звонок",
    "RESPONSIBLE_ID": 12,
    "DIRECTION": 2,
    "START_TIME": "2026-11-21T10:00:00+03:00",
    "COMMUNICATIONS": [{"VALUE": "+79165550011", "ENTITY_ID": 1, "ENTITY_TYPE_ID": 3, "TYPE": "PHONE"}],
}

OWNER: Json = {"ownerTypeId": 1, "ownerId": 1}
LAYOUT: Json = {
    "icon": {"code": "call-completed"},
    "header": {"title": "Звонок в АТС"},
    "body": {
        "logo": {"code": "call-incoming"},
        "blocks": {"client": {"type": "text", "properties": {"value": "Мария"}}},
    },
}


async def finished_call(app: Rest, **finish: Json) -> Json:
    call = await app.call("telephony.externalCall.register", USER_ID=11, PHONE_NUMBER="+79165550011", TYPE=2, SHOW=0)
    end = {"CALL_ID": call["CALL_ID"], "USER_ID": 12, "DURATION": 30, "STATUS_CODE": "200"} | finish
    return await app.call("telephony.externalCall.finish", **end)


class TestOfCalls:
    async def test_a_finished_call_is_an_activity_of_its_client(self, app: Rest) -> None:
        row = await finished_call(app)
        activity = await app.call("crm.activity.get", id=row["CRM_ACTIVITY_ID"])
        assert differences("crm.activity.get", activity, more=True) == []
        assert (activity["TYPE_ID"], activity["PROVIDER_ID"], activity["DIRECTION"]) == ("2", "VOXIMPLANT_CALL", "1")
        assert (activity["RESPONSIBLE_ID"], activity["COMPLETED"]) == ("12", "Y")
        assert activity["ORIGIN_ID"] == f"VI_{row['CALL_ID']}"

    async def test_it_is_found_by_what_it_is_bound_to(self, app: Rest) -> None:
        row = await finished_call(app)
        found = await app.call(
            "crm.activity.list",
            filter={"PROVIDER_ID": "VOXIMPLANT_CALL", "BINDINGS": [{"OWNER_TYPE_ID": 2, "OWNER_ID": 1}]},
            select=["ID", "COMMUNICATIONS"],
        )
        assert [one["ID"] for one in found] == [str(row["CRM_ACTIVITY_ID"])], "the open deal of the contact is bound too"
        assert found[0]["COMMUNICATIONS"][0]["VALUE"] == "+79165550011"
        assert await app.call("crm.activity.list", filter={"BINDINGS": [{"OWNER_TYPE_ID": 4, "OWNER_ID": 2}]}) == []

    async def test_a_missed_call_waits(self, app: Rest) -> None:
        row = await finished_call(app, DURATION=0, STATUS_CODE="304")
        found = await app.call("crm.activity.list", filter={"COMPLETED": "N", "RESPONSIBLE_ID": 12}, select=["ID"])
        assert found == [{"ID": str(row["CRM_ACTIVITY_ID"])}]

    async def test_transcripts_attached_by_applications_are_not_seen(self, app: Rest) -> None:
        row = await finished_call(app)
        assert await app.call("crm.activity.call.getTranscript", activityId=row["CRM_ACTIVITY_ID"]) is None
        assert (await app.refused("crm.activity.call.getTranscript", activityId=999)).code == "NOT_FOUND"


class TestMadeByHand:
    async def test_added_changed_and_deleted(self, app: Rest) -> None:
        await app.call("event.bind", event="ONCRMACTIVITYADD", event_type="offline")
        number = await app.call("crm.activity.add", fields=CALL)
        assert [row["EVENT_NAME"] for row in (await app.call("event.offline.get"))["events"]] == ["ONCRMACTIVITYADD"]
        activity = await app.call("crm.activity.get", id=number)
        assert (activity["SUBJECT"], activity["DEADLINE"], activity["STATUS"]) == (CALL["SUBJECT"], CALL["START_TIME"], "1")
        await app.call("crm.activity.update", id=number, fields={"COMPLETED": "Y", "SUBJECT": "Готово"})
        activity = await app.call("crm.activity.get", id=number)
        assert (activity["SUBJECT"], activity["COMPLETED"], activity["STATUS"]) == ("Готово", "Y", "2")
        assert await app.call("crm.activity.delete", id=number) is True
        assert (await app.refused("crm.activity.get", id=number)).description == "Activity is not found"

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"SUBJECT": " "}, "The field SUBJECT is not defined or empty"),
            ({"RESPONSIBLE_ID": 999}, "The field RESPONSIBLE_ID is not defined or invalid"),
            ({"TYPE_ID": 77}, "The field TYPE_ID is not defined or invalid"),
            ({"COMMUNICATIONS": []}, "The field COMMUNICATIONS is not defined or invalid"),
            ({"COMMUNICATIONS": CALL["COMMUNICATIONS"] * 2}, "The only one communication is allowed"),
            ({"OWNER_ID": 99}, "Could not build binding"),
            ({"TYPE_ID": 6}, "The custom activity without provider"),
        ],
    )
    async def test_refusals(self, app: Rest, change: Json, words: str) -> None:
        assert (await app.refused("crm.activity.add", fields=CALL | change)).description.startswith(words)

    async def test_fields(self, app: Rest) -> None:
        fields = await app.call("crm.activity.fields")
        assert differences("crm.activity.fields", fields, more=True, without=frozenset({"isDeprecated"})) == []
        assert fields["ID"]["isReadOnly"] is True


class TestBindings:
    async def test_added_moved_and_deleted(self, app: Rest) -> None:
        number = await app.call("crm.activity.add", fields=CALL)
        assert await app.call("crm.activity.binding.list", activityId=number) == [{"entityTypeId": 3, "entityId": 1}]
        lead = {"activityId": number, "entityTypeId": 1, "entityId": 1}
        assert await app.call("crm.activity.binding.add", **lead) is True
        assert (await app.refused("crm.activity.binding.add", **lead)).code == "ACTIVITY_IS_ALREADY_BOUND"
        move = {"activityId": number, "sourceEntityTypeId": 3, "sourceEntityId": 1}
        assert await app.call("crm.activity.binding.move", **move, targetEntityTypeId=3, targetEntityId=2) is True
        links = await app.call("crm.activity.binding.list", activityId=number)
        assert links == [{"entityTypeId": 3, "entityId": 2}, {"entityTypeId": 1, "entityId": 1}]
        assert await app.call("crm.activity.binding.delete", **lead) is True
        last = await app.refused("crm.activity.binding.delete", activityId=number, entityTypeId=3, entityId=2)
        assert last.code == "LAST_BINDING_CANNOT_BE_DELETED"

    @pytest.mark.parametrize(
        ("method", "params", "code"),
        [
            ("add", {"activityId": 99, "entityTypeId": 1, "entityId": 1}, "NOT_FOUND"),
            ("add", {"activityId": 1, "entityTypeId": 1, "entityId": 99}, "OWNER_NOT_FOUND"),
            ("delete", {"activityId": 1, "entityTypeId": 1, "entityId": 1}, "BINDING_NOT_FOUND"),
        ],
    )
    async def test_refusals(self, app: Rest, method: str, params: Json, code: str) -> None:
        await app.call("crm.activity.add", fields=CALL)
        assert (await app.refused(f"crm.activity.binding.{method}", **params)).code == code


class TestTodos:
    async def test_a_todo_lives_until_it_is_done(self, app: Rest, portal: PortalServer) -> None:
        added = await app.call(
            "crm.activity.todo.add",
            **OWNER,
            deadline="2026-11-22T12:00:00+03:00",
            title="Перезвонить",
            responsibleId=12,
        )
        todo = {"id": added["id"], **OWNER}
        await app.call("crm.activity.todo.updateDeadline", **todo, value="2026-11-23T09:00:00+00:00")
        await app.call("crm.activity.todo.updateDescription", **todo, value="Просил после обеда")
        await app.call("crm.activity.todo.updateResponsibleUser", **todo, responsibleId=13)
        await app.call("crm.activity.todo.updateColor", **todo, colorId="3")
        activity = await app.call("crm.activity.get", id=added["id"])
        assert (activity["DEADLINE"], activity["DESCRIPTION"]) == ("2026-11-23T12:00:00+03:00", "Просил после обеда")
        assert (activity["RESPONSIBLE_ID"], activity["PROVIDER_ID"]) == ("13", "CRM_TODO")
        wrong = await app.refused("crm.activity.todo.updateColor", **todo, colorId="pink")
        assert wrong.code == "CAN_NOT_UPDATE_WRONG_COLOR_TODO"
        entity = portal.state.crm.get("ACTIVITY", added["id"])
        assert entity is not None
        portal.state.crm.update(entity, {"COMPLETED": "Y"})
        assert (
            await app.refused("crm.activity.todo.updateDescription", **todo, value="x")
        ).code == "CAN_NOT_UPDATE_COMPLETED_TODO"

    async def test_refusals(self, app: Rest) -> None:
        bad = await app.refused("crm.activity.todo.add", **OWNER, deadline="2026-11-22 12:00")
        assert bad.code == "WRONG_DATETIME_FORMAT"
        lost = await app.refused("crm.activity.todo.add", ownerTypeId=1, ownerId=99, deadline="2026-11-22T12:00:00+03:00")
        assert lost.code == "OWNER_NOT_FOUND"


class TestConfigurable:
    async def test_added_read_and_changed_by_its_application(self, app: Rest) -> None:
        await app.call("crm.activity.badge.add", code="missed", title="Пропущен", value="Перезвонить", type="failure")
        added = await app.call(
            "crm.activity.configurable.add",
            ownerTypeId=1,
            ownerId=1,
            fields={"completed": True, "responsibleId": 12, "badgeCode": "missed"},
            layout=LAYOUT,
        )
        number = added["activity"]["id"]
        read = await app.call("crm.activity.configurable.get", id=number)
        assert read["activity"]["layout"] == LAYOUT
        assert (read["activity"]["fields"]["completed"], read["activity"]["fields"]["badgeCode"]) == (True, "missed")
        await app.call("crm.activity.configurable.update", id=number, fields={"completed": "N"}, layout=LAYOUT)
        assert (await app.call("crm.activity.configurable.get", id=number))["activity"]["fields"]["completed"] is False

    async def test_not_for_webhooks(self, hook: Rest) -> None:
        refused = await hook.refused("crm.activity.configurable.add", ownerTypeId=1, ownerId=1, fields={}, layout=LAYOUT)
        assert refused.code == "ERROR_WRONG_CONTEXT"

    @pytest.mark.parametrize(
        ("fields", "layout", "code"),
        [
            ({}, {}, "ERROR_EMPTY_LAYOUT"),
            ({}, {"icon": {}, "header": {"title": "x"}, "body": {"logo": {"code": "x"}}}, "FIELD_IS_REQUIRED"),
            ({}, {**LAYOUT, "colour": 1}, "FIELD_IS_REDUNDANT"),
            ({}, {**LAYOUT, "header": {"title": "x", "tags": {"a": {}, "b": {}, "c": {}}}}, "TOO_MANY_ITEMS"),
            ({}, {**LAYOUT, "body": {"logo": {"code": "x"}, "blocks": {"плохо": {}}}}, "KEY_CONTAIN_WRONG_SYMBOLS"),
            (
                {"isIncomingChannel": "Y", "deadline": "2026-11-22T12:00:00+03:00"},
                LAYOUT,
                "INCOMING_ACTIVITY_CAN_NOT_BE_WITH_DEADLINE",
            ),
            ({"badgeCode": "nosuch"}, LAYOUT, "WRONG_FIELD_VALUE"),
        ],
    )
    async def test_refusals(self, app: Rest, fields: Json, layout: Json, code: str) -> None:
        refused = await app.refused("crm.activity.configurable.add", ownerTypeId=1, ownerId=1, fields=fields, layout=layout)
        assert refused.code == code

    async def test_badges(self, app: Rest) -> None:
        badge = {"code": "late", "title": "Поздно", "value": "Перезвонить", "type": "warning"}
        assert await app.call("crm.activity.badge.add", **badge) == {"badge": badge}
        assert await app.call("crm.activity.badge.get", code="late") == {"badge": badge}
        assert await app.call("crm.activity.badge.list") == {"badges": [badge]}
        assert await app.call("crm.activity.badge.delete", code="late") is True
        assert (await app.refused("crm.activity.badge.get", code="late")).code == "NOT_FOUND"
