"""The rest of an office's portal: drive, working days, calendar, robots and workflows, pushes."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from aiohttp import web
from documented_shape import differences
from portal_client import Rest

from perezvon.sandbox.portal import PortalServer
from perezvon.sandbox.portal.contract import contract
from perezvon.sandbox.portal.handlers.bizproc import Bizproc, run_robot
from perezvon.sandbox.portal.registry import registered

Json = Any
CONTENT = base64.b64encode(b"RIFF....").decode()


class TestDrive:
    async def test_a_file_in_a_folder(self, hook: Rest) -> None:
        storages = await hook.whole("disk.storage.getList", filter={"ENTITY_TYPE": "user", "ENTITY_ID": 12})
        assert differences("disk.storage.getList", storages["result"]) == []
        storage = storages["result"][0]["ID"]
        folder = await hook.call("disk.storage.addFolder", id=storage, data={"NAME": "Записи"})
        assert differences("disk.storage.addFolder", folder) == []
        deeper = await hook.call("disk.folder.addSubFolder", id=folder["ID"], data={"NAME": "2026-11"})
        file = await hook.call(
            "disk.folder.uploadFile", id=deeper["ID"], data={"NAME": "a.wav"}, fileContent=["a.wav", CONTENT]
        )
        assert differences("disk.folder.uploadFile", file) == []
        read = await hook.call("disk.file.get", id=file["ID"])
        assert differences("disk.file.get", read) == []
        async with hook.http.get(read["DOWNLOAD_URL"]) as answer:
            assert await answer.read() == b"RIFF...."
        async with hook.http.get(await hook.call("disk.file.getExternalLink", id=file["ID"])) as answer:
            assert answer.status == 200
        children = await hook.whole("disk.folder.getChildren", id=deeper["ID"])
        assert [(row["NAME"], row["TYPE"]) for row in children["result"]] == [("a.wav", "file")]
        assert await hook.call("disk.file.delete", id=file["ID"]) is True
        assert (await hook.refused("disk.file.get", id=file["ID"])).code == "ERROR_NOT_FOUND"

    async def test_names_are_unique_unless_asked_otherwise(self, hook: Rest) -> None:
        given = {"id": 1, "data": {"NAME": "a.wav"}, "fileContent": ["a.wav", CONTENT]}
        await hook.call("disk.storage.uploadFile", **given)
        assert (await hook.refused("disk.storage.uploadFile", **given)).code == "ERROR_COULD_NOT_SAVE_FILE"
        assert (await hook.call("disk.storage.uploadFile", **given, generateUniqueName=True))["NAME"] == "a (1).wav"
        await hook.call("disk.storage.addFolder", id=1, data={"NAME": "x"})
        assert (await hook.refused("disk.storage.addFolder", id=1, data={"NAME": "x"})).code == "DISK_OBJ_22000"
        assert (await hook.refused("disk.storage.addFolder", id=1, data={})).code == "DISK_BASE_SERVICE_22001"

    async def test_an_application_has_a_storage_of_its_own(self, app: Rest, hook: Rest) -> None:
        own = await app.call("disk.storage.getForApp")
        assert differences("disk.storage.getForApp", own) == []
        assert own == await app.call("disk.storage.getForApp")
        assert (await hook.refused("disk.storage.getForApp")).code == "ACCESS_DENIED"


class TestWorkingDay:
    async def test_opened_paused_closed(self, hook: Rest, portal: PortalServer) -> None:
        portal.state.people.users[12].timeman_status = "CLOSED"
        opened = await hook.call("timeman.open", USER_ID=12)
        assert differences("timeman.open", opened) == []
        assert (opened["STATUS"], opened["TIME_FINISH"], opened["DURATION"]) == ("OPENED", None, "00:00:00")
        assert (await hook.call("timeman.pause", USER_ID=12))["STATUS"] == "PAUSED"
        portal.state.clock.advance(600)
        assert (await hook.call("timeman.open", USER_ID=12))["TIME_LEAKS"] == "00:10:00"
        portal.state.clock.advance(3600)
        closed = await hook.call("timeman.close", USER_ID=12)
        assert (closed["STATUS"], closed["DURATION"]) == ("CLOSED", "01:00:00")
        found = await hook.call("telephony.externalCall.searchCrmEntities", PHONE_NUMBER="+79165550011")
        assert found[0]["ASSIGNED_BY"]["TIMEMAN_STATUS"] == "CLOSED", "routing sees the closed day"

    async def test_schedules(self, hook: Rest) -> None:
        schedule = await hook.call("timeman.schedule.get", id=1)
        assert differences("timeman.schedule.get", schedule) == []
        assert schedule["SHIFTS"][0]["WORK_DAYS"] == "12345"
        assert await hook.call("timeman.schedule.get", id=9) == []
        assert differences("timeman.settings", await hook.call("timeman.settings")) == []
        assert (await hook.refused("timeman.status", USER_ID=999)).description == "User not found"
        wrong = await hook.refused("timeman.open", TIME="2020-01-01T09:00:00+03:00")
        assert wrong.code == "WRONG_DATETIME"


class TestCalendar:
    async def test_who_is_absent(self, hook: Rest) -> None:
        number = await hook.call(
            "calendar.event.add",
            type="user",
            ownerId=12,
            name="Отпуск",
            **{"from": "2026-11-20", "to": "2026-11-25"},
            skip_time="Y",
            accessibility="absent",
            section=1,
        )
        busy = await hook.call("calendar.accessibility.get", users=[12, 13], **{"from": "2026-11-21", "to": "2026-11-22"})
        assert differences("calendar.accessibility.get", busy) == []
        assert [(row["ID"], row["ACCESSIBILITY"]) for row in busy["12"]] == [(str(number), "absent")]
        assert busy["13"] == []
        assert differences("calendar.event.get", await hook.call("calendar.event.get", type="user", ownerId=12)) == []
        assert await hook.call("calendar.event.get", type="user", ownerId=13) == []

    async def test_refusals(self, hook: Rest) -> None:
        lacking = await hook.refused("calendar.event.add", type="user", ownerId=12, name="x")
        assert lacking.description == 'The required parameter "from" for the method "calendar.event.add" is not set'
        users = await hook.refused("calendar.accessibility.get", **{"from": "2026-11-21", "to": "2026-11-22"})
        assert users.description.startswith('The required parameter "users"')
        assert differences("calendar.settings.get", await hook.call("calendar.settings.get")) == []


class TestRobots:
    async def test_run_and_answered(self, app: Rest, portal: PortalServer) -> None:
        heard: list[dict[str, str]] = []

        async def handler(request: web.Request) -> web.Response:
            heard.append({key: str(value) for key, value in (await request.post()).items()})
            return web.Response()

        listener = web.Application()
        listener.router.add_post("/robot", handler)
        runner = web.AppRunner(listener)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            url = f"http://127.0.0.1:{runner.addresses[0][1]}/robot"
            properties = {"number": {"Name": "Номер", "Type": "string"}}
            await app.call("bizproc.robot.add", CODE="call", HANDLER=url, NAME="Позвонить", PROPERTIES=properties)
            assert await app.call("bizproc.robot.list") == ["call"]
            again = await app.refused("bizproc.robot.add", CODE="call", HANDLER=url, NAME="x")
            assert again.code == "ERROR_ACTIVITY_ALREADY_INSTALLED"
            with portal.state.feed.subscribed():
                token = run_robot(portal.state, portal.app.client_id, "call", "LEAD_1", {"number": "+79161234567"})
                delivery = portal.state.events.deliveries[-1]
                while not delivery.done:
                    await app.call("server.time")
        finally:
            await runner.cleanup()
        assert heard[0]["event_token"] == token
        assert heard[0]["document_id[2]"] == "LEAD_1"
        await app.call("bizproc.event.send", EVENT_TOKEN=token, RETURN_VALUES={"result": "talked"})
        assert portal.state.part(Bizproc).answers[0]["values"] == {"result": "talked"}
        assert (await app.refused("bizproc.event.send", EVENT_TOKEN=token)).http == 403
        assert await app.call("bizproc.robot.update", CODE="call", FIELDS={"NAME": "Перезвонить"}) is True
        assert await app.call("bizproc.robot.delete", CODE="call") is True

    @pytest.mark.parametrize(
        ("params", "code"),
        [
            ({"CODE": "", "HANDLER": "https://a.b/", "NAME": "x"}, "ERROR_ACTIVITY_VALIDATION_FAILURE"),
            ({"CODE": "a b", "HANDLER": "https://a.b/", "NAME": "x"}, "ERROR_ACTIVITY_VALIDATION_FAILURE"),
            ({"CODE": "a", "HANDLER": "ftp://a.b/", "NAME": "x"}, "ERROR_UNSUPPORTED_PROTOCOL"),
            ({"CODE": "a", "HANDLER": "https://", "NAME": "x"}, "ERROR_WRONG_HANDLER_URL"),
            ({"CODE": "a", "HANDLER": "https://a.b/"}, "ERROR_ACTIVITY_VALIDATION_FAILURE"),
        ],
    )
    async def test_refusals(self, app: Rest, params: Json, code: str) -> None:
        assert (await app.refused("bizproc.robot.add", **params)).code == code

    async def test_workflows_are_noted(self, hook: Rest, portal: PortalServer) -> None:
        document = ["crm", "CCrmDocumentLead", "LEAD_1"]
        number = await hook.call("bizproc.workflow.start", TEMPLATE_ID=5, DOCUMENT_ID=document)
        assert portal.state.part(Bizproc).started[0]["id"] == number
        wrong = await hook.refused(
            "bizproc.workflow.start", TEMPLATE_ID=5, DOCUMENT_ID=["crm", "CCrmDocumentLead", "LEAD_99"]
        )
        assert wrong.description == "Wrong DOCUMENT_ID!"


async def test_pushes_are_told_to_the_feed(app: Rest, portal: PortalServer) -> None:
    with portal.state.feed.subscribed() as news:
        await app.call("pull.application.event.add", COMMAND="refresh", PARAMS={"call": 1})
        told = await anext(news)
    assert (told.kind, told.data["command"]) == ("pull", "refresh")
    assert (await app.refused("pull.application.event.add", COMMAND="плохо!")).code == "COMMAND_ERROR"
    assert (await app.refused("pull.application.push.add", USER_ID=1)).code == "TEXT_ERROR"


def test_nothing_but_built_in_telephony_is_left_out() -> None:
    """Whoever adds a method to the contract, or drops a handler, hears of it here."""
    left = {spec.name for name, spec in contract().methods.items() if name not in registered()} - {"batch"}
    assert left <= {
        "pull.application.config.get",
        "voximplant.callback.start",
        "voximplant.infocall.startwithsound",
        "voximplant.infocall.startwithtext",
        "voximplant.line.outgoing.sip.set",
        "voximplant.sip.add",
        "voximplant.sip.delete",
        "voximplant.sip.get",
        "voximplant.sip.status",
        "voximplant.sip.update",
        "voximplant.tts.voices.get",
        "voximplant.user.activatePhone",
        "voximplant.user.deactivatePhone",
    }
