"""Faults on demand, the outage, and the control API through which they are ordered."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from portal_client import Rest

from perezvon.sandbox.portal import Fault, PortalServer

Json = Any
REGISTER: dict[str, Json] = {"USER_ID": 11, "PHONE_NUMBER": "+79161234567", "TYPE": 2}


@pytest.mark.parametrize(
    ("fault", "http_status", "code"),
    [
        (Fault.UNAVAILABLE, 503, "QUERY_LIMIT_EXCEEDED"),
        (Fault.OVERLOADED, 503, "OVERLOAD_LIMIT"),
        (Fault.BROKEN, 500, "INTERNAL_SERVER_ERROR"),
        (Fault.OPERATING, 429, "OPERATION_TIME_LIMIT"),
        (Fault.EXPIRED_TOKEN, 401, "expired_token"),
    ],
)
async def test_refusals_strike_once_and_do_no_work(
    app: Rest, portal: PortalServer, fault: Fault, http_status: int, code: str
) -> None:
    portal.state.faults.plan(fault)
    refused = await app.refused("telephony.externalCall.register", **REGISTER)
    assert (refused.http, refused.code) == (http_status, code)
    assert portal.calls() == []
    await app.call("telephony.externalCall.register", **REGISTER)
    assert [entry.fault for entry in portal.state.journal] == [fault.value, ""]


async def test_any_error(app: Rest, portal: PortalServer) -> None:
    portal.state.faults.plan(Fault.ERROR, code="PORTAL_DELETED", description="Portal was deleted", http=500, times=2)
    refused = [await app.refused("server.time") for _ in range(2)]
    assert [(r.http, r.code) for r in refused] == [(500, "PORTAL_DELETED")] * 2
    await app.call("server.time")


async def test_operating_limit_says_until_when(app: Rest, portal: PortalServer) -> None:
    portal.state.faults.plan(Fault.OPERATING, wait=120)
    refused = await app.refused("server.time")
    assert refused.body["time"]["operating_reset_at"] == pytest.approx(portal.state.now() + 120, abs=3)


async def test_lost_answer_the_work_is_done(app: Rest, portal: PortalServer) -> None:
    portal.state.faults.plan(Fault.LOST_ANSWER)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await app.call("telephony.externalCall.register", **REGISTER)
    assert len(portal.calls()) == 1
    assert not next(iter(portal.state.journal)).answered


async def test_dropped_answer_the_work_is_done(app: Rest, portal: PortalServer) -> None:
    portal.state.faults.plan(Fault.DROPPED_ANSWER)
    with pytest.raises(aiohttp.ClientConnectionError):
        await app.call("telephony.externalCall.register", **REGISTER)
    assert len(portal.calls()) == 1
    await app.call("server.time")


async def test_reset_nothing_is_done(app: Rest, portal: PortalServer) -> None:
    portal.state.faults.plan(Fault.RESET)
    with pytest.raises(aiohttp.ClientConnectionError):
        await app.call("telephony.externalCall.register", **REGISTER)
    assert portal.calls() == []


async def test_malformed_json(app: Rest, portal: PortalServer) -> None:
    portal.state.faults.plan(Fault.MALFORMED)
    with pytest.raises(json.JSONDecodeError):
        await app.call("telephony.externalCall.register", **REGISTER)
    assert len(portal.calls()) == 1


async def test_html_page(app: Rest, portal: PortalServer) -> None:
    portal.state.faults.plan(Fault.HTML)
    async with app.http.post(app.address + "server.time", json={"auth": app.token}) as answer:
        assert (answer.status, answer.content_type) == (502, "text/html")
        assert "nginx" in await answer.text()


async def test_slow(app: Rest, portal: PortalServer) -> None:
    portal.state.faults.plan(Fault.SLOW, wait=0.1)
    begun = portal.state.monotonic()
    await app.call("server.time")
    assert portal.state.monotonic() - begun >= 0.1


async def test_only_the_named_method_also_inside_a_batch(app: Rest, portal: PortalServer) -> None:
    portal.state.faults.plan(Fault.BROKEN, method="telephony.externalcall.*")
    await app.call("server.time")
    refused = await app.refused("batch", cmd={"a": "server.time", "b": "telephony.externalCall.show?CALL_ID=1"})
    assert refused.http == 500


async def test_for_a_time_and_after_some(app: Rest, portal: PortalServer) -> None:
    portal.state.clock.stop()
    portal.state.faults.plan(Fault.UNAVAILABLE, seconds=300, skip=1)
    statuses = [(await app.ask("server.time"))[0] for _ in range(3)]
    assert statuses == [200, 503, 503]
    portal.state.clock.advance(301)
    assert (await app.ask("server.time"))[0] == 200


async def test_token_server_too(portal: PortalServer, http: aiohttp.ClientSession) -> None:
    _, refresh_token = portal.install()
    portal.state.faults.plan(Fault.DROPPED_ANSWER, method="oauth.token")
    query = {
        "grant_type": "refresh_token",
        "client_id": portal.config.client_id,
        "client_secret": portal.config.client_secret,
        "refresh_token": refresh_token,
    }
    with pytest.raises(aiohttp.ClientConnectionError):
        await http.post(f"{portal.url}/oauth/token/", data=query)
    assert portal.state.authority.rotations == 1
    async with http.get(f"{portal.url}/oauth/token/", params=query) as answer:
        assert (await answer.json())["error"] == "invalid_grant", "the answer with the new one was lost"


async def test_outage_refuses_connections_and_ends(app: Rest, portal: PortalServer, http: aiohttp.ClientSession) -> None:
    await app.call("server.time")
    with portal.state.feed.subscribed() as news:
        portal.outage(0.2)
        assert (await anext(news)).data["fault"] == "outage"
        with pytest.raises(aiohttp.ClientConnectionError):
            await app.call("server.time")  # the connection that was open is broken
        with pytest.raises(aiohttp.ClientConnectorError):
            await app.call("server.time")  # and a new one is refused
        async with http.get(f"{portal.control_url}/sandbox/state") as answer:
            assert (await answer.json())["open"] is False
        assert (await anext(news)).data["fault"] == "outage over"
    await app.call("server.time")


class Control:
    def __init__(self, http: aiohttp.ClientSession, portal: PortalServer) -> None:
        self._http = http
        self._address = f"{portal.control_url}/sandbox/"

    async def get(self, path: str) -> Json:
        async with self._http.get(self._address + path) as answer:
            assert answer.status == 200
            return await answer.json()

    async def delete(self, path: str) -> None:
        async with self._http.delete(self._address + path) as answer:
            assert answer.status == 200

    async def post(self, path: str, body: Json = None, status: int = 200) -> Json:
        async with self._http.post(self._address + path, json=body) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json()


@pytest.fixture
async def control(http: aiohttp.ClientSession, portal: PortalServer) -> Control:
    return Control(http, portal)


class TestControl:
    async def test_a_click_and_its_call(self, control: Control, app: Rest) -> None:
        call = await control.post("click", {"user_id": 12, "number": "+79161234567"})
        assert (await control.get("state"))["cards"] == {"12": [call["id"]]}
        assert [c["id"] for c in await control.get("calls?live=1")] == [call["id"]]
        await app.call("telephony.externalCall.finish", CALL_ID=call["id"], USER_ID=12)
        assert await control.get("calls?live=1") == []
        assert (await control.get("calls"))[0]["finish"]["status"] == "304"
        assert [e["method"] for e in await control.get("journal")] == ["telephony.externalCall.finish"]

    async def test_closing_a_card_by_hand(self, control: Control, portal: PortalServer) -> None:
        call = await control.post("click", {"user_id": 12, "number": "+79161234567"})
        await control.post("card/close", {"user_id": 12, "call_id": call["id"]})
        assert portal.calls()[0].cards[0].hidden_by == "user"

    async def test_employees(self, control: Control, hook: Rest) -> None:
        await control.post("employees", {"id": 11, "extension": "201"})
        await control.post("employees", {"name": "Двойник", "extension": "102"})
        rows = await hook.call("user.get", FILTER={"UF_PHONE_INNER": ["201", "102"]})
        assert [(row["ID"], row["UF_PHONE_INNER"]) for row in rows] == [("11", "201"), ("12", "102"), ("18", "102")]
        problem = await control.post("employees", {"id": 11, "extention": "1"}, 400)
        assert "extention" in problem["error"]
        problem = await control.post("employees", {"id": 11, "active": "no"}, 400)
        assert problem["error"] == "active should be bool"

    async def test_faults_limits_clock_reset(self, control: Control, app: Rest, portal: PortalServer) -> None:
        await control.post("faults", {"fault": "500", "method": "server.time", "times": 1})
        assert (await app.ask("server.time"))[0] == 500
        await control.post("limits", {"per_second": 1, "block_above": 1, "empty": True})
        portal.state.clock.stop()
        assert [(await app.ask("server.time"))[0] for _ in range(2)] == [200, 503]
        await control.post("clock", {"advance": 3600})
        await control.post("limits", {"unlimited": True})
        assert (await app.refused("server.time")).code == "expired_token"
        await control.post("reset")
        assert await control.get("journal") == []
        assert "advance" not in (await control.post("faults", {"fault": "nonsense"}, 400))["error"]
        assert "is missing" in (await control.post("click", {}, 400))["error"]

    async def test_feed(self, control: Control, portal: PortalServer, http: aiohttp.ClientSession, app: Rest) -> None:
        async with http.get(f"{portal.url}/sandbox/feed") as stream:
            assert stream.content_type == "text/event-stream"
            assert await stream.content.readline() == b": listening\n"
            await app.call("telephony.externalCall.register", **REGISTER, CRM_CREATE=1)
            kinds: list[str] = []
            async with asyncio.timeout(5):
                while "request" not in kinds:
                    line = (await stream.content.readline()).decode()
                    if line.startswith("event: "):
                        kinds.append(line.removeprefix("event: ").strip())
        assert kinds == ["crm.add", "call.registered", "card.shown", "request"]

    async def test_looking_around(self, control: Control, app: Rest, portal: PortalServer) -> None:
        await app.call("event.bind", event="ONEXTERNALCALLBACKSTART", event_type="offline")
        await control.post("callback", {"number": "+79161234567"})
        events = await control.get("events")
        assert events["offline"][0]["data"]["PHONE_NUMBER"] == "+79161234567"
        assert events["bindings"][0]["offline"] is True
        assert [fields["TITLE"] for fields in await control.get("crm/lead")] == ["Заявка с сайта"]
        assert len(await control.get("employees")) == 8
        planned = await control.post("faults", {"fault": "slow", "seconds": 10, "wait": 1})
        assert [fault["fault"] for fault in await control.get("faults")] == [planned["fault"]] == ["slow"]
        await control.delete("faults")
        assert await control.get("faults") == []
        await control.post("tokens/expire")
        assert (await app.refused("server.time")).code == "expired_token"
        await control.post("uninstall")
        assert (await control.get("events"))["bindings"] == []

    async def test_outage(self, control: Control, portal: PortalServer) -> None:
        with portal.state.feed.subscribed() as news:
            await control.post("faults", {"fault": "outage", "seconds": 0.05})
            assert [(await anext(news)).data["fault"] for _ in range(2)] == ["outage", "outage over"]
        assert (await control.get("state"))["open"] is True

    async def test_install_gives_tokens(self, control: Control, portal: PortalServer, http: aiohttp.ClientSession) -> None:
        tokens = await control.post("install")
        assert (await Rest(http, f"{portal.url}/rest/", tokens["access_token"]).call("user.current"))["ID"] == "1"


@pytest.mark.slow
async def test_a_handler_that_breaks_answers_500_and_the_next_call_works(hook: Rest, portal: PortalServer) -> None:
    portal.state.people.users[11].departments = None  # type: ignore[assignment]  # something no handler foresees
    refused = await hook.refused("user.get")
    assert (refused.http, refused.code) == (500, "INTERNAL_SERVER_ERROR")
    await hook.call("server.time")
