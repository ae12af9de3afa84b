"""tasks.task.*, task.commentitem.* and the message to a task's chat (REST v3)."""

from __future__ import annotations

from typing import Any

import pytest
from documented_shape import differences
from portal_client import Rest

from perezvon.sandbox.portal import PortalServer
from perezvon.sandbox.portal.handlers.task_board import TaskBoard

Json = Any
MISSED: Json = {
    "TITLE": "Перезвонить +7 916 555-00-11",
    "RESPONSIBLE_ID": 12,
    "DEADLINE": "2026-11-21T18:00:00+03:00",
    "AUDITORS": [13],
    "UF_CRM_TASK": ["C_1", "L_1"],
    "TAGS": ["звонки"],
}


async def add(rest: Rest, **fields: Json) -> Json:
    return (await rest.call("tasks.task.add", fields=MISSED | fields))["task"]


class TestAdd:
    async def test_answers_the_whole_task(self, hook: Rest) -> None:
        answer = await hook.call("tasks.task.add", fields=MISSED)
        assert differences("tasks.task.add", answer, without=frozenset({"checkListTree"}), more=True) == []
        task = answer["task"]
        assert (task["title"], task["responsibleId"], task["createdBy"]) == (MISSED["TITLE"], "12", "1")
        assert (task["status"], task["deadline"], task["auditors"]) == ("2", MISSED["DEADLINE"], ["13"])
        assert task["auditorsData"]["13"]["name"] == "Пётр Сидоров"
        assert task["action"]["complete"] is True

    async def test_events(self, app: Rest) -> None:
        for change in ("ADD", "UPDATE", "DELETE"):
            await app.call("event.bind", event=f"ONTASK{change}", event_type="offline")
        number = (await add(app))["id"]
        await app.call("tasks.task.update", taskId=number, fields={"TITLE": "Другое"})
        await app.call("tasks.task.delete", taskId=number)
        rows = (await app.call("event.offline.get"))["events"]
        assert [row["EVENT_NAME"] for row in rows] == ["ONTASKADD", "ONTASKUPDATE", "ONTASKDELETE"]
        assert rows[0]["EVENT_DATA"]["FIELDS_AFTER"] == {"ID": number}

    @pytest.mark.parametrize(
        ("change", "code", "words"),
        [
            ({"TITLE": " "}, "ERROR_CORE", "Task title not specified"),
            ({"RESPONSIBLE_ID": None}, "ERROR_CORE", "Responsible person not specified"),
            ({"RESPONSIBLE_ID": 999}, "ERROR_CORE", 'User specified in the "Responsible" field not found'),
            ({"RESPONSIBLE_ID": 17}, "ERROR_CORE", 'User specified in the "Responsible" field not found'),
            ({"STATUS": 9}, "ERROR_CORE", "Incorrect status"),
            ({"PARENT_ID": 99}, "ERROR_CORE", 'Task specified in the "Parent Task" field not found'),
            (
                {"START_DATE_PLAN": "2026-11-22T10:00:00+03:00", "END_DATE_PLAN": "2026-11-21T10:00:00+03:00"},
                "ERROR_CORE",
                "The end date in scheduling is earlier than the start date",
            ),
            ({"UF_CRM_TASK": ["5"]}, "SANDBOX_WRONG_VALUE", "UF_CRM_TASK"),
            ({"DEADLINE": "завтра"}, "SANDBOX_WRONG_VALUE", "DEADLINE"),
            ({"AUDITORS": [999]}, "SANDBOX_WRONG_VALUE", "999"),
        ],
    )
    async def test_refusals(self, hook: Rest, portal: PortalServer, change: Json, code: str, words: str) -> None:
        refused = await hook.refused("tasks.task.add", fields=MISSED | change)
        assert refused.code == code
        assert words in refused.description
        assert portal.state.part(TaskBoard).tasks == {}

    async def test_without_fields(self, hook: Rest) -> None:
        assert (await hook.refused("tasks.task.add")).code == "100"


class TestStatuses:
    async def test_from_pending_to_completed_and_back(self, hook: Rest) -> None:
        number = (await add(hook))["id"]
        for action, status in (("start", "3"), ("defer", "6"), ("renew", "2"), ("complete", "5")):
            answer = await hook.call(f"tasks.task.{action}", taskId=number)
            assert answer["task"]["status"] == status, action
        assert answer["task"]["closedBy"] == "1"
        assert answer["task"]["closedDate"] is not None
        refused = await hook.refused("tasks.task.complete", taskId=number)
        assert (refused.code, refused.description) == ("0", "Action on the task is not allowed")
        renewed = (await hook.call("tasks.task.renew", taskId=number))["task"]
        assert (renewed["status"], renewed["closedDate"]) == ("2", None)

    async def test_delegated_the_former_responsible_observes(self, hook: Rest) -> None:
        number = (await add(hook))["id"]
        task = (await hook.call("tasks.task.delegate", taskId=number, userId=14))["task"]
        assert (task["responsibleId"], task["auditors"]) == ("14", ["13", "12"])
        assert (await hook.refused("tasks.task.delegate", taskId=number)).code == "100"

    @pytest.mark.parametrize(
        ("method", "params", "code", "words"),
        [
            ("complete", {}, "0", "wrong task id"),
            ("complete", {"taskId": 99}, "0", "Action on the task is not allowed"),
            ("renew", {"taskId": 99}, "1048582", "Action on the task is not allowed"),
            ("delete", {"taskId": 99}, "1048582", "No access to delete the task"),
        ],
    )
    async def test_refusals(self, hook: Rest, method: str, params: Json, code: str, words: str) -> None:
        refused = await hook.refused(f"tasks.task.{method}", **params)
        assert (refused.code, refused.description) == (code, words)

    async def test_a_task_cannot_stand_under_itself(self, hook: Rest) -> None:
        parent = (await add(hook))["id"]
        child = (await add(hook, PARENT_ID=parent))["id"]
        itself = await hook.refused("tasks.task.update", taskId=parent, fields={"PARENT_ID": parent})
        assert itself.description == "Cannot bind the node to itself<br>"
        circle = await hook.refused("tasks.task.update", taskId=parent, fields={"PARENT_ID": child})
        assert circle.description == "Creating cyclic links in tasks is prohibited<br>"


class TestReading:
    async def test_a_missing_task_is_an_empty_list(self, hook: Rest) -> None:
        assert await hook.call("tasks.task.get", taskId=99) == []

    async def test_links_to_the_crm_only_when_selected(self, hook: Rest) -> None:
        number = (await add(hook))["id"]
        assert "ufCrmTask" not in (await hook.call("tasks.task.get", taskId=number))["task"]
        task = (await hook.call("tasks.task.get", taskId=number, select=["ID", "TITLE", "UF_CRM_TASK"]))["task"]
        assert task["ufCrmTask"] == ["C_1", "L_1"]
        assert "description" not in task

    async def test_strangers_do_not_see_it(self, app: Rest, portal: PortalServer) -> None:
        number = (await add(app, RESPONSIBLE_ID=12, AUDITORS=[]))["id"]
        client = portal.app
        stranger = Rest(app.http, app.address, portal.state.authority.new_access(client, 15))
        assert await stranger.call("tasks.task.get", taskId=number) == []
        assert (await stranger.call("tasks.task.list"))["tasks"] == []
        responsible = Rest(app.http, app.address, portal.state.authority.new_access(client, 12))
        assert (await responsible.call("tasks.task.get", taskId=number))["task"]["id"] == number
        refused = await responsible.refused("tasks.task.delete", taskId=number)
        assert refused.description == "No access to delete the task"

    @pytest.mark.parametrize(
        ("filter_", "titles"),
        [
            ({"RESPONSIBLE_ID": 12}, ["а"]),
            ({"!RESPONSIBLE_ID": 12}, ["б", "в"]),
            ({"REAL_STATUS": [2, 3]}, ["а", "б"]),
            ({"STATUS": -1}, ["а"]),
            ({"STATUS": 5}, ["в"]),
            ({"UF_CRM_TASK": "L_1"}, ["а", "б", "в"]),
            ({"UF_CRM_TASK": ["C_7"]}, []),
            ({"AUDITOR": 14}, ["б"]),
            ({"TAG": "звонки"}, ["а", "б", "в"]),
            ({">=DEADLINE": "2030-01-01T00:00:00+03:00"}, ["б", "в"]),
            ({"TITLE": "а"}, ["а"]),
        ],
    )
    async def test_filters(self, hook: Rest, filter_: Json, titles: list[str]) -> None:
        later = "2031-01-01T00:00:00+03:00"
        await add(hook, TITLE="а", DEADLINE="2020-01-01T00:00:00+03:00")
        await add(hook, TITLE="б", RESPONSIBLE_ID=13, AUDITORS=[14], DEADLINE=later)
        await add(hook, TITLE="в", RESPONSIBLE_ID=14, DEADLINE=later, STATUS=5)
        answer = await hook.whole("tasks.task.list", filter=filter_, order={"ID": "asc"}, select=["ID", "TITLE", "STATUS"])
        assert [task["title"] for task in answer["result"]["tasks"]] == titles
        assert answer["total"] == len(titles)

    async def test_pages_and_unknown_order(self, hook: Rest) -> None:
        for _ in range(51):
            await add(hook)
        answer = await hook.whole("tasks.task.list", select=["ID"])
        assert (len(answer["result"]["tasks"]), answer["next"], answer["total"]) == (50, 50, 51)
        assert answer["result"]["tasks"][0]["id"] == "51", "newest first by default"
        assert (await hook.refused("tasks.task.list", order={"NOSUCH": "asc"})).description.startswith(
            "Invalid sorting key"
        )


class TestComments:
    async def test_written_read_and_deleted(self, app: Rest) -> None:
        await app.call("event.bind", event="ONTASKCOMMENTADD", event_type="offline")
        task = (await add(app))["id"]
        number = await app.call(
            "task.commentitem.add", TASKID=task, FIELDS={"POST_MESSAGE": "Звонил ещё раз", "AUTHOR_ID": 12}
        )
        comment = await app.call("task.commentitem.get", TASKID=task, ITEMID=number)
        assert differences("task.commentitem.get", comment, without=frozenset({"ATTACHED_OBJECTS"})) == []
        assert (comment["AUTHOR_NAME"], comment["POST_MESSAGE"]) == ("Анна Петрова", "Звонил ещё раз")
        assert len(await app.call("task.commentitem.getlist", TASKID=task, FILTER={"AUTHOR_ID": 12})) == 1
        assert await app.call("task.commentitem.getlist", TASKID=task, FILTER={"!AUTHOR_ID": 12}) == []
        assert (await app.call("event.offline.get"))["events"][0]["EVENT_DATA"]["FIELDS_AFTER"]["TASK_ID"] == task
        assert await app.call("task.commentitem.delete", TASKID=task, ITEMID=number) is True
        assert "ITEM_NOT_FOUND" in (await app.refused("task.commentitem.get", TASKID=task, ITEMID=number)).description

    @pytest.mark.parametrize(
        ("method", "params", "words"),
        [
            ("add", {"TASKID": 1, "FIELDS": {"POST_MESSAGE": ""}}, "Comment text is not specified"),
            ("add", {"TASKID": 1, "FIELDS": {"TEXT": "x"}}, "must not contain key TEXT"),
            ("add", {"TASKID": "первая", "FIELDS": {}}, 'expected to be of type "integer"'),
            ("get", {"TASKID": 1}, "but not given"),
            ("getlist", {"TASKID": 1, "ORDER": {"NOSUCH": "asc"}}, "(arOrder)"),
            ("getlist", {"TASKID": 1, "FILTER": {"%POST_DATE": "x"}}, 'must not contain key "%POST_DATE"'),
            ("getlist", {"TASKID": 99}, "Action failed"),
        ],
    )
    async def test_refusals(self, app: Rest, method: str, params: Json, words: str) -> None:
        await add(app)
        refused = await app.refused(f"task.commentitem.{method}", **params)
        assert refused.code == "ERROR_CORE"
        assert words in refused.description


class TestChat:
    @pytest.fixture
    def v3(self, hook: Rest, portal: PortalServer) -> Rest:
        return Rest(hook.http, portal.webhook_url.replace("/rest/", "/rest/api/"))

    async def test_a_message_goes_to_the_tasks_chat(self, hook: Rest, v3: Rest) -> None:
        task = await add(hook)
        assert await v3.call(
            "tasks.task.chat.message.send", fields={"taskId": int(task["id"]), "text": "Клиент перезвонил"}
        ) == {"result": True}
        chat = await hook.call("im.chat.get", ENTITY_TYPE="TASKS_TASK", ENTITY_ID=task["id"])
        assert str(chat["ID"]) == task["chatId"]
        assert (await hook.call("im.dialog.get", DIALOG_ID=f"chat{chat['ID']}"))["message_count"] == 1

    async def test_it_is_no_method_of_the_old_address(self, hook: Rest) -> None:
        refused = await hook.refused("tasks.task.chat.message.send", fields={"taskId": 1, "text": "x"})
        assert (refused.http, refused.code) == (404, "ERROR_METHOD_NOT_FOUND")

    async def test_errors_are_objects(self, v3: Rest) -> None:
        status, body = await v3.ask("tasks.task.chat.message.send", {"fields": {"taskId": "x"}})
        assert status == 400
        assert body["error"]["code"] == "BITRIX_REST_V3_EXCEPTION_VALIDATION_REQUESTVALIDATIONEXCEPTION"
        assert [row["field"] for row in body["error"]["validation"]] == ["taskId", "text"]
        status, body = await v3.ask("tasks.task.chat.message.send", {"fields": {"taskId": 99, "text": "x"}})
        assert (status, body["error"]["code"]) == (403, "BITRIX_REST_V3_EXCEPTION_ACCESSDENIEDEXCEPTION")
