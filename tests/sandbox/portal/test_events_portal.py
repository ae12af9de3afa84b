"""Events: handlers, the offline queue, click-to-call and callback forms, widgets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from portal_client import Rest

from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.portal.php import parse_form

Json = Any
CLIENT = "+79161234567"


class Handler:
    """An application's event handler."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        self.events: asyncio.Queue[Json] = asyncio.Queue()

    async def next(self) -> Json:
        async with asyncio.timeout(5):
            return await self.events.get()


@pytest.fixture
async def handler() -> AsyncIterator[Handler]:
    received = Handler()

    async def take(request: web.Request) -> web.Response:
        assert request.content_type == "application/x-www-form-urlencoded"
        received.events.put_nowait(parse_form((await request.post()).items()))
        return web.Response(status=received.status)

    application = web.Application()
    application.router.add_post("/{name}", take)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    received.url = f"http://127.0.0.1:{runner.addresses[0][1]}/handler"
    yield received
    await runner.cleanup()


def plain(portal: PortalServer, http: aiohttp.ClientSession) -> Rest:
    """The application with the token of an employee who is no administrator."""
    return Rest(http, f"{portal.url}/rest/", portal.state.authority.new_access(portal.app, 11))


class TestClick:
    async def test_portal_registers_shows_and_tells(self, app: Rest, portal: PortalServer, handler: Handler) -> None:
        await app.call("event.bind", event="OnExternalCallStart", handler=handler.url)
        call = portal.click(12, "8 (916) 555-00-11")
        assert (call.type, call.external_id, call.visible_to(), call.crm_type) == (1, "", [12], "CONTACT")
        event = await handler.next()
        assert event["event"] == "ONEXTERNALCALLSTART"
        assert event["data"] == {
            "PHONE_NUMBER": "8 (916) 555-00-11",
            "PHONE_NUMBER_INTERNATIONAL": "+79165550011",
            "EXTENSION": "",
            "USER_ID": "12",
            "CALL_LIST_ID": "0",
            "LINE_NUMBER": "",
            "IS_MOBILE": "0",
            "CALL_ID": call.id,
            "CRM_ENTITY_TYPE": "CONTACT",
            "CRM_ENTITY_ID": "1",
        }
        auth = event["auth"]
        assert auth["application_token"] == portal.app.application_token
        assert "refresh_token" not in auth
        assert auth["user_id"] == "12"
        assert event["event_handler_id"]
        assert event["ts"].isdigit()

    async def test_the_same_call_is_finished(self, app: Rest, portal: PortalServer) -> None:
        call = portal.click(12, CLIENT)
        await app.call("telephony.externalCall.finish", CALL_ID=call.id, USER_ID=12, STATUS_CODE=480)
        row = (await app.call("voximplant.statistic.get"))[0]
        assert (row["CALL_ID"], row["CALL_TYPE"], row["EXTERNAL_CALL_ID"]) == (call.id, "1", None)
        assert call.leftover_cards == []

    async def test_token_of_the_event_works(
        self, app: Rest, portal: PortalServer, http: aiohttp.ClientSession, handler: Handler
    ) -> None:
        await app.call("event.bind", event="ONEXTERNALCALLSTART", handler=handler.url)
        portal.click(12, CLIENT)
        auth = (await handler.next())["auth"]
        assert (await Rest(http, auth["client_endpoint"], auth["access_token"]).call("user.current"))["ID"] == "12"

    async def test_line_flag_decides_over_the_lead(self, app: Rest, portal: PortalServer) -> None:
        await app.call("telephony.externalLine.add", NUMBER="1", CRM_AUTO_CREATE="N")
        assert portal.click(12, CLIENT, line="1").created == []
        assert portal.click(12, "+79160000001").created == [("LEAD", 2)]

    async def test_handler_and_offline_queue_both_hear(self, app: Rest, portal: PortalServer, handler: Handler) -> None:
        await app.call("event.bind", event="ONEXTERNALCALLSTART", handler=handler.url)
        await app.call("event.bind", event="ONEXTERNALCALLSTART", event_type="offline")
        call = portal.click(12, CLIENT)
        rows = (await app.call("event.offline.get"))["events"]
        assert rows[0]["EVENT_DATA"] == (await handler.next())["data"]
        assert rows[0]["EVENT_DATA"]["CALL_ID"] == call.id

    async def test_callback_form(self, app: Rest, portal: PortalServer, handler: Handler) -> None:
        await app.call("event.bind", event="ONEXTERNALCALLBACKSTART", handler=handler.url)
        portal.callback(CLIENT, crm_type="LEAD", crm_id=1)
        data = (await handler.next())["data"]
        assert (data["PHONE_NUMBER"], data["CRM_ENTITY_TYPE"], data["CRM_ENTITY_ID"]) == (CLIENT, "LEAD", "1")
        assert "CALL_ID" not in data


class TestHandlers:
    async def test_at_most_once(self, app: Rest, portal: PortalServer, handler: Handler) -> None:
        handler.status = 500
        await app.call("event.bind", event="ONEXTERNALCALLSTART", handler=handler.url)
        portal.click(12, CLIENT)
        await handler.next()
        portal.click(13, CLIENT)
        assert (await handler.next())["data"]["USER_ID"] == "13", "the failed one is not sent again"

    async def test_a_dead_handler_delays_nobody(self, app: Rest, portal: PortalServer, handler: Handler) -> None:
        await app.call("event.bind", event="ONEXTERNALCALLSTART", handler="http://127.0.0.1:9/dead")
        await app.call("event.bind", event="ONEXTERNALCALLSTART", handler=handler.url)
        portal.click(12, CLIENT)
        assert (await handler.next())["data"]["USER_ID"] == "12"

    async def test_nothing_before_the_installation_is_complete(
        self, app: Rest, portal: PortalServer, handler: Handler
    ) -> None:
        await app.call("event.bind", event="ONEXTERNALCALLSTART", handler=handler.url)
        portal.app.installed = False
        portal.click(12, CLIENT)
        portal.app.installed = True
        portal.click(13, CLIENT)
        assert (await handler.next())["data"]["USER_ID"] == "13"

    async def test_bind_get_unbind(self, app: Rest) -> None:
        await app.call("event.bind", event="onExternalCallStart", handler="https://a.example/h")
        await app.call("event.bind", event="ONEXTERNALCALLSTART", event_type="offline")
        assert await app.call("event.get") == [
            {"event": "ONEXTERNALCALLSTART", "handler": "https://a.example/h", "auth_type": "0", "offline": 0},
            {"event": "ONEXTERNALCALLSTART", "handler": "", "auth_type": "0", "offline": 1},
        ]
        refused = await app.refused("event.bind", event="ONEXTERNALCALLSTART", handler="https://a.example/h")
        assert "Unable to set event handler" in refused.description
        assert await app.call("event.unbind", event="ONEXTERNALCALLSTART", handler="https://a.example/h") == {"count": 1}
        assert await app.call("event.unbind", event="ONEXTERNALCALLSTART", event_type="offline") == {"count": 1}
        await app.call("event.bind", event="ONCRMLEADADD", handler="https://a.example/h")
        assert await app.call("event.unbind") == {"count": 1}
        assert await app.call("event.get") == []

    async def test_bind_refusals(self, app: Rest, portal: PortalServer, http: aiohttp.ClientSession) -> None:
        assert (await app.refused("event.bind", event="ONNOTHING", handler="https://a/")).code == "ERROR_EVENT_NOT_FOUND"
        assert (await app.refused("event.bind", event="ONCRMLEADADD")).body["argument"] == "HANDLER"
        employee = plain(portal, http)
        refused = await employee.refused("event.bind", event="ONCRMLEADADD", event_type="offline")
        assert "Offline events binding requires administrator" in refused.description
        refused = await employee.refused("event.bind", event="ONCRMLEADADD", handler="https://a/", auth_type=1)
        assert "AUTH_TYPE requires administrator" in refused.description
        assert await employee.call("event.bind", event="ONCRMLEADADD", handler="https://a/", auth_type=11) is True
        await app.call("event.bind", event="ONCRMLEADADD", handler="https://b/")
        assert [row["handler"] for row in await employee.call("event.get")] == ["https://a/"]

    async def test_reinstallation_forgets_handlers(self, app: Rest, portal: PortalServer) -> None:
        await app.call("event.bind", event="ONCRMLEADADD", handler="https://a.example/h")
        portal.install()
        assert await app.call("event.get") == []

    async def test_event_test(self, app: Rest, handler: Handler) -> None:
        await app.call("event.bind", event="ONAPPTEST", handler=handler.url)
        assert await app.call("event.test", any="thing", deep={"a": [1, 2]}) == 1
        data = (await handler.next())["data"]
        assert data["QUERY"] == {"any": "thing", "deep": {"a": ["1", "2"]}}

    async def test_handler_of_one_user_gets_his_token(self, app: Rest, portal: PortalServer, handler: Handler) -> None:
        await app.call("event.bind", event="ONEXTERNALCALLSTART", handler=handler.url, auth_type=1)
        portal.click(12, CLIENT)
        assert (await handler.next())["auth"]["user_id"] == "1"

    async def test_outgoing_webhook_has_no_tokens(self, app: Rest, portal: PortalServer, handler: Handler) -> None:
        portal.state.events.outgoing_webhooks.append((handler.url, frozenset({"ONVOXIMPLANTCALLINIT"}), "proof"))
        await app.call("telephony.externalCall.register", USER_ID=11, PHONE_NUMBER=CLIENT, TYPE=2)
        auth = (await handler.next())["auth"]
        assert set(auth) == {"domain", "client_endpoint", "server_endpoint", "member_id", "application_token"}
        assert auth["application_token"] == "proof"


class TestOfflineQueue:
    @pytest.fixture
    async def queue(self, app: Rest, portal: PortalServer) -> Rest:
        """Three clicks wait in it."""
        await app.call("event.bind", event="ONEXTERNALCALLSTART", event_type="offline")
        for user in (11, 12, 13):
            portal.click(user, CLIENT)
        return app

    async def test_reading_deletes_by_default(self, queue: Rest) -> None:
        answer = await queue.call("event.offline.get")
        assert answer["process_id"] is None
        assert [row["EVENT_DATA"]["USER_ID"] for row in answer["events"]] == ["11", "12", "13"]
        assert set(answer["events"][0]) == {
            "ID",
            "TIMESTAMP_X",
            "EVENT_NAME",
            "EVENT_DATA",
            "EVENT_ADDITIONAL",
            "MESSAGE_ID",
        }
        assert (await queue.call("event.offline.get"))["events"] == []

    async def test_list_only_looks(self, queue: Rest) -> None:
        for _ in range(2):
            answer = await queue.whole("event.offline.list")
            assert (answer["total"], answer["result"][0]["PROCESS_ID"]) == (3, "")

    async def test_safe_mode(self, queue: Rest) -> None:
        first = await queue.call("event.offline.get", clear=0, limit=2)
        assert len(first["events"]) == 2
        second = await queue.call("event.offline.get", clear=0)
        assert len(second["events"]) == 1, "parallel readers get disjoint rows"
        assert second["process_id"] != first["process_id"]
        again = await queue.call("event.offline.get", clear=0, process_id=first["process_id"])
        assert again["events"] == first["events"]
        done = [first["events"][0]["ID"]]
        assert await queue.call("event.offline.clear", process_id=first["process_id"], id=done) is True
        again = await queue.call("event.offline.get", clear=0, process_id=first["process_id"])
        assert [row["ID"] for row in again["events"]] == [first["events"][1]["ID"]]
        await queue.call(
            "event.offline.clear", process_id=first["process_id"], message_id=[first["events"][1]["MESSAGE_ID"]]
        )
        await queue.call("event.offline.clear", process_id=second["process_id"])
        assert (await queue.whole("event.offline.list"))["total"] == 0

    async def test_marked_rows_are_read_again_with_error(self, queue: Rest) -> None:
        first = await queue.call("event.offline.get", clear=0)
        messages = [first["events"][0]["MESSAGE_ID"]]
        await queue.call("event.offline.error", process_id=first["process_id"], message_id=messages)
        again = await queue.call("event.offline.get", error=1, clear=0)
        assert [row["MESSAGE_ID"] for row in again["events"]] == messages

    async def test_reservations_live_thirty_days(self, queue: Rest, portal: PortalServer) -> None:
        await queue.call("event.offline.get", clear=0)
        portal.state.clock.advance(29 * 86400)
        queue.token, _ = str(portal.state.authority.new_access(portal.app, 1)), None
        assert (await queue.whole("event.offline.list"))["total"] == 3
        portal.state.clock.advance(2 * 86400)
        queue.token = portal.state.authority.new_access(portal.app, 1)
        assert (await queue.whole("event.offline.list"))["total"] == 0

    async def test_queue_keeps_the_latest_state_of_an_object(self, app: Rest, portal: PortalServer) -> None:
        await app.call("event.bind", event="ONCRMLEADUPDATE", event_type="offline")
        lead = portal.state.crm.of("LEAD")[0]
        for title in ("a", "b", "c"):
            portal.state.crm.update(lead, {"TITLE": title})
        assert len((await app.call("event.offline.get"))["events"]) == 1

    async def test_filter_and_order(self, queue: Rest) -> None:
        rows = await queue.call("event.offline.list", filter={">ID": 1}, order={"ID": "DESC"})
        assert [row["ID"] for row in rows] == ["3", "2"]
        refused = await queue.refused("event.offline.get", filter={"PROCESS_ID": "x"})
        assert refused.code == "SANDBOX_UNKNOWN_PARAMETER"

    async def test_auth_connector_splits_the_queue(self, app: Rest, portal: PortalServer) -> None:
        await app.call("event.bind", event="ONEXTERNALCALLSTART", event_type="offline", auth_connector="perezvon")
        portal.click(12, CLIENT)
        assert (await app.call("event.offline.get"))["events"] == []
        assert len((await app.call("event.offline.get", auth_connector="perezvon"))["events"]) == 1

    async def test_doorbell(self, app: Rest, portal: PortalServer, handler: Handler) -> None:
        await app.call("event.bind", event="ONOFFLINEEVENT", handler=handler.url)
        await app.call("event.bind", event="ONEXTERNALCALLSTART", event_type="offline")
        portal.click(12, CLIENT)
        assert (await handler.next())["event"] == "ONOFFLINEEVENT"

    async def test_administrator_only(self, portal: PortalServer, http: aiohttp.ClientSession) -> None:
        refused = await plain(portal, http).refused("event.offline.list")
        assert (refused.http, refused.code) == (403, "ACCESS_DENIED")


class TestSmallPlan:
    @pytest.fixture
    def portal_config(self) -> PortalConfig:
        return PortalConfig(rate=None, features=frozenset())

    async def test_no_safe_mode(self, app: Rest) -> None:
        assert await app.call("feature.get", CODE="rest_offline_extended") == {"value": "N"}
        assert (await app.refused("event.offline.get", clear=0)).code == "ACCESS_DENIED"
        assert (await app.call("event.offline.get"))["events"] == []


class TestPlacements:
    async def test_life_of_a_widget(self, app: Rest) -> None:
        card = {"PLACEMENT": "CALL_CARD", "HANDLER": "https://a.example/card"}
        assert await app.call("placement.bind", **card, TITLE="Карточка", OPTIONS={"x": "y"}) is True
        row = (await app.call("placement.get"))[0]
        assert (row["placement"], row["title"], row["options"]) == ("CALL_CARD", "Карточка", [])
        assert await app.call("placement.unbind", **card) == {"count": 2}
        assert await app.call("placement.get") == []

    async def test_background_worker(self, app: Rest) -> None:
        worker: dict[str, Json] = {"PLACEMENT": "PAGE_BACKGROUND_WORKER", "HANDLER": "https://a.example/w"}
        status, body = await app.ask("placement.bind", worker)
        assert (status, body["error"]) == (200, "EMPTY_ERROR_HANDLER_URL")
        worker["OPTIONS"] = {"errorHandlerUrl": "https://a.example/e"}
        assert await app.call("placement.bind", **worker) is True
        status, body = await app.ask("placement.bind", worker | {"HANDLER": "https://a.example/other"})
        assert (status, body["error"]) == (200, "ERROR_PLACEMENT_MAX_COUNT")
        assert await app.call("placement.bind", **worker, USER_ID=12) is True

    @pytest.mark.parametrize(
        ("params", "http_status", "code"),
        [
            ({"PLACEMENT": "", "HANDLER": "https://a/"}, 200, "ERROR_ARGUMENT"),
            ({"PLACEMENT": "NO_SUCH", "HANDLER": "https://a/"}, 400, "ERROR_PLACEMENT_NOT_FOUND"),
            ({"PLACEMENT": "CALL_CARD", "HANDLER": "https://a/", "USER_ID": 1}, 200, "ERROR_PLACEMENT_USER_MODE"),
        ],
    )
    async def test_refusals(self, app: Rest, params: dict[str, Json], http_status: int, code: str) -> None:
        status, body = await app.ask("placement.bind", params)
        assert (status, body["error"]) == (http_status, code)

    async def test_scope_of_the_place(self, app: Rest, portal: PortalServer) -> None:
        portal.app.scopes = frozenset({"placement"})
        refused = await app.refused("placement.bind", PLACEMENT="CALL_CARD", HANDLER="https://a/")
        assert refused.code == "ERROR_PLACEMENT_NOT_FOUND"
        assert "CALL_CARD" not in await app.call("placement.list")
