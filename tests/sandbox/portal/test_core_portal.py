"""Addresses, bodies, authorization, parameter checks, answers: what every REST method of the pretend portal shares."""

from __future__ import annotations

import asyncio
import json
import sys

import aiohttp
import pytest
from portal_client import Rest

from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.portal.contract import contract
from perezvon.sandbox.portal.registry import registered


@pytest.mark.parametrize("address", ["user.current", "user.current.json", "USER.Current", "user.current/"])
async def test_method_names_are_read_loosely(hook: Rest, address: str) -> None:
    assert (await hook.call(address))["ID"] == "1"


async def test_every_contract_method_is_known_and_has_a_handler_or_says_so(hook: Rest, portal: PortalServer) -> None:
    handled = registered()
    assert set(handled) <= set(contract().methods)
    unhandled = [spec for name, spec in contract().methods.items() if name not in handled and name != "batch"]
    for spec in unhandled:
        if spec.v3 or spec.app_only:
            continue
        assert (await hook.refused(spec.name)).code == "NOT_IMPLEMENTED_BY_SANDBOX"
    assert len(contract().methods) == 254


async def test_unknown_method(hook: Rest) -> None:
    refused = await hook.refused("no.such.method")
    assert (refused.http, refused.code) == (404, "ERROR_METHOD_NOT_FOUND")


async def test_answer_carries_the_time_block_and_lists_their_total(hook: Rest) -> None:
    answer = await hook.whole("user.get")
    assert answer["total"] == 8
    assert "next" not in answer
    time = answer["time"]
    assert time["date_start"].endswith("+03:00")
    assert time["finish"] >= time["start"]
    assert {"duration", "processing", "date_finish", "operating", "operating_reset_at"} <= set(time)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded", b"FILTER[UF_PHONE_INNER][]=101&FILTER[UF_PHONE_INNER][]=103&sort=ID"),
        ("application/json", b'{"FILTER": {"UF_PHONE_INNER": ["101", "103"]}, "sort": "ID"}'),
    ],
)
async def test_bodies(hook: Rest, http: aiohttp.ClientSession, kind: str, body: bytes) -> None:
    async with http.post(hook.address + "user.get", data=body, headers={"Content-Type": kind}) as answer:
        result = (await answer.json())["result"]
    assert [user["UF_PHONE_INNER"] for user in result] == ["101", "103"]


async def test_query_string_and_multipart(hook: Rest, http: aiohttp.ClientSession) -> None:
    async with http.get(hook.address + "user.get?FILTER[ID]=11") as answer:
        assert [user["LAST_NAME"] for user in (await answer.json())["result"]] == ["Иванов"]
    form = aiohttp.MultipartWriter("form-data")
    form.append("12").set_content_disposition("form-data", name="FILTER[ID]")
    async with http.post(hook.address + "user.get", data=form) as answer:
        assert [user["LAST_NAME"] for user in (await answer.json())["result"]] == ["Петрова"]


async def test_a_body_that_is_no_json_is_told(hook: Rest, http: aiohttp.ClientSession) -> None:
    headers = {"Content-Type": "application/json"}
    async with http.post(hook.address + "user.get", data=b'{"FILTER":', headers=headers) as answer:
        assert (await answer.json())["error"] == "SANDBOX_BAD_BODY"


async def test_empty_maps_are_lists_as_php_writes_them(app: Rest) -> None:
    assert await app.call("app.option.get") == []


class TestAuthorization:
    async def test_nobody(self, portal: PortalServer, http: aiohttp.ClientSession) -> None:
        refused = await Rest(http, f"{portal.url}/rest/").refused("user.current")
        assert (refused.http, refused.code) == (401, "NO_AUTH_FOUND")

    async def test_wrong_webhook(self, portal: PortalServer, http: aiohttp.ClientSession) -> None:
        refused = await Rest(http, f"{portal.url}/rest/1/wrong/").refused("user.current")
        assert (refused.http, refused.code) == (401, "NO_AUTH_FOUND")

    async def test_unknown_token(self, portal: PortalServer, http: aiohttp.ClientSession) -> None:
        refused = await Rest(http, f"{portal.url}/rest/", "nonsense").refused("user.current")
        assert (refused.http, refused.code) == (401, "invalid_token")

    async def test_token_in_the_query(self, app: Rest, http: aiohttp.ClientSession) -> None:
        async with http.get(f"{app.address}user.current?auth={app.token}") as answer:
            assert (await answer.json())["result"]["ID"] == "1"

    @pytest.mark.parametrize(
        ("method", "http_status", "code"),
        [
            ("telephony.externalCall.register", 403, "WRONG_AUTH_TYPE"),
            ("telephony.externalCall.finish", 403, "WRONG_AUTH_TYPE"),
            ("telephony.externalLine.add", 403, "WRONG_AUTH_TYPE"),
            ("telephony.externalLine.get", 403, "WRONG_AUTH_TYPE"),
            ("event.bind", 403, "WRONG_AUTH_TYPE"),
            ("event.offline.get", 403, "WRONG_AUTH_TYPE"),
            ("placement.bind", 403, "WRONG_AUTH_TYPE"),
            ("app.info", 400, "ACCESS_DENIED"),
            ("app.option.get", 400, "AccessException"),
        ],
    )
    async def test_a_webhook_is_refused_where_an_application_is_needed(
        self, hook: Rest, method: str, http_status: int, code: str
    ) -> None:
        refused = await hook.refused(method)
        assert (refused.http, refused.code) == (http_status, code)

    async def test_all_app_context_methods_refuse_a_webhook(self, hook: Rest) -> None:
        for method in contract().raw["app_context_methods"]:
            refused = await hook.refused(method)
            assert refused.code in {"WRONG_AUTH_TYPE", "ACCESS_DENIED", "AccessException", "ERROR_WRONG_CONTEXT"}, method

    async def test_scope_is_needed(self, portal: PortalServer, app: Rest) -> None:
        portal.app.scopes = frozenset({"crm"})
        refused = await app.refused("user.get")
        assert (refused.http, refused.code) == (403, "insufficient_scope")
        assert await app.call("scope") == ["crm"]
        portal.app.scopes = frozenset({"user_brief"})
        assert (await app.call("user.get", FILTER={"ID": 11}))[0]["UF_PHONE_INNER"] == "101"
        assert "WORK_PHONE" not in (await app.call("user.current"))

    async def test_rights_are_needed(self, portal: PortalServer, http: aiohttp.ClientSession) -> None:
        plain = Rest(http, f"{portal.url}/rest/", portal.state.authority.new_access(portal.app, 11))
        refused = await plain.refused("voximplant.statistic.get")
        assert (refused.http, refused.code) == (403, "ACCESS_DENIED")
        portal.state.people.users[11].permissions.add("telephony.statistics.view")
        assert await plain.call("voximplant.statistic.get") == []
        assert (await plain.refused("event.offline.get")).code == "ACCESS_DENIED"
        assert (await plain.refused("app.option.set", options={"a": "b"})).code == "AccessException"
        assert await plain.call("user.admin") is False


class TestSelfHosted:
    @pytest.fixture
    def portal_config(self) -> PortalConfig:
        return PortalConfig(rate=None, strict_app_context=False)

    async def test_webhooks_may_register_but_not_bind(self, hook: Rest) -> None:
        call = await hook.call("telephony.externalCall.register", USER_ID=11, PHONE_NUMBER="+79031234567", TYPE=2)
        assert call["CALL_ID"]
        assert (await hook.refused("event.bind", event="ONEXTERNALCALLSTART")).code == "WRONG_AUTH_TYPE"


class TestParameters:
    async def test_required_with_the_documented_text(self, app: Rest) -> None:
        refused = await app.refused("telephony.externalLine.add")
        assert (refused.http, refused.code, refused.description) == (400, "ERROR_CORE", "NUMBER should not be empty")
        refused = await app.refused("telephony.externalCall.searchCrmEntities")
        assert refused.description == "PHONE_NUMBER is empty"

    async def test_required_without_a_documented_text(self, app: Rest) -> None:
        refused = await app.refused("telephony.externalCall.show")
        assert (refused.http, refused.code, refused.body["argument"]) == (400, "ERROR_ARGUMENT", "CALL_ID")

    async def test_unknown_names_are_mistakes_here(self, app: Rest) -> None:
        refused = await app.refused("telephony.externalCall.show", CALL_ID="x", USERID=1)
        assert refused.code == "SANDBOX_UNKNOWN_PARAMETER"
        refused = await app.refused("telephony.externalCall.show", call_id="x")
        assert "'CALL_ID'" in refused.description

    async def test_unknown_filter_fields_too(self, hook: Rest) -> None:
        refused = await hook.refused("user.get", FILTER={"UF_PHONE_INER": "101"})
        assert refused.code == "SANDBOX_UNKNOWN_PARAMETER"

    @pytest.mark.parametrize(
        ("method", "params"),
        [
            ("telephony.externalCall.show", {"CALL_ID": ["x"]}),
            ("telephony.externalCall.show", {"CALL_ID": "x", "USER_ID": "somebody"}),
            ("telephony.externalCall.show", {"CALL_ID": "x", "USER_ID": ["1", "a"]}),
            ("telephony.externalCall.finish", {"CALL_ID": "x", "USER_ID": 1, "STATUS_CODE": "299"}),
            ("telephony.externalCall.finish", {"CALL_ID": "x", "USER_ID": 1, "DURATION": 12.7}),
            ("telephony.externalLine.add", {"NUMBER": "1", "CRM_AUTO_CREATE": "yes"}),
            ("user.get", {"FILTER": "ID=1"}),
        ],
    )
    async def test_wrong_values(self, app: Rest, method: str, params: dict[str, object]) -> None:
        assert (await app.refused(method, **params)).code == "SANDBOX_WRONG_VALUE"

    async def test_filter_is_read_in_either_case(self, hook: Rest) -> None:
        assert len(await hook.call("user.get", filter={"ID": 11}, select=["ID"], ORDER="desc", start=0)) == 1


class TestLenient:
    @pytest.fixture
    def portal_config(self) -> PortalConfig:
        return PortalConfig(rate=None, strict_params=False)

    async def test_as_the_real_portal(self, app: Rest, portal: PortalServer) -> None:
        await app.call(
            "telephony.externalCall.register", USER_ID=11, PHONE_NUMBER="+79031234567", TYPE=2, SHOW="N", NONSENSE=1
        )
        assert portal.calls()[0].visible_to() == [11], "SHOW=N is truthy in PHP"


async def test_rest_v3_lives_apart(hook: Rest, portal: PortalServer, http: aiohttp.ClientSession) -> None:
    method = "tasks.task.chat.message.send"
    refused = await hook.refused(method, fields={"taskId": 1, "text": "x"})
    assert (refused.http, refused.code) == (404, "ERROR_METHOD_NOT_FOUND")
    address = f"{portal.url}/rest/api/1/{portal.config.webhook_secret}/{method}"
    async with http.post(address, data={"a": "b"}) as answer:
        assert (await answer.json())["error"]["code"] == "BITRIX_REST_V3_EXCEPTION_INVALIDJSONEXCEPTION"
    async with http.post(f"{portal.url}/rest/api/1/{portal.config.webhook_secret}/user.get", json={}) as answer:
        assert (await answer.json())["error"]["code"] == "ERROR_METHOD_NOT_FOUND"


async def test_journal_tells_every_request(hook: Rest, portal: PortalServer) -> None:
    await hook.call("user.get", FILTER={"ID": 11})
    await hook.refused("telephony.externalCall.show")
    entries = list(portal.state.journal)
    assert [(e.method, e.http, e.error) for e in entries] == [
        ("user.get", 200, ""),
        ("telephony.externalCall.show", 400, "ERROR_ARGUMENT"),
    ]
    assert entries[0].params == {"FILTER": {"ID": 11}}
    assert portal.state.journal.http_requests == 2
    assert "sandbox-client-secret" not in json.dumps([e.as_json() for e in entries], default=str)


async def test_paging_by_fifty(hook: Rest, portal: PortalServer) -> None:
    for number in range(100, 200):
        portal.state.people.add(type(portal.state.people.users[11])(number, "N", str(number)))
    first = await hook.whole("user.get")
    assert (len(first["result"]), first["total"], first["next"]) == (50, 108, 50)
    last = await hook.whole("user.get", start=100)
    assert (len(last["result"]), last["total"], "next" in last) == (8, 108, False)
    uncounted = await hook.whole("user.get", start=-1)
    assert "total" not in uncounted
    assert len(uncounted["result"]) == 50


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"ACTIVE": True, "!UF_PHONE_INNER": ""}, [11, 12, 13, 14, 15]),
        ({"ACTIVE": "N"}, [17]),
        ({"@ID": [11, 12]}, [11, 12]),
        ({">ID": 14, "<=ID": 16}, [15, 16]),
        ({"%LAST_NAME": "ов"}, [1, 11, 12, 13, 14, 15, 16]),
        ({"LAST_NAME=%": "x"}, None),
        ({"=%LAST_NAME": "Ивано%"}, [11]),
        ({"UF_DEPARTMENT": 3}, [14, 15]),
        ({"NAME_SEARCH": "иванов ив"}, [11]),
    ],
)
async def test_user_filters(hook: Rest, conditions: dict[str, object], expected: list[int] | None) -> None:
    if expected is None:
        assert (await hook.refused("user.get", FILTER=conditions)).code == "SANDBOX_UNKNOWN_PARAMETER"
        return
    assert [int(user["ID"]) for user in await hook.call("user.get", FILTER=conditions)] == expected


async def test_what_the_portal_says_of_itself(app: Rest, hook: Rest) -> None:
    info = await app.call("app.info")
    assert (info["STATUS"], info["INSTALLED"], info["LICENSE"]) == ("L", True, "ru_pro100")
    assert await app.call("feature.get", CODE="rest_offline_extended") == {"value": "Y"}
    assert (await app.refused("feature.get")).code == "CODE_EMPTY"
    assert await hook.call("method.get", name="user.get") == {"isExisting": True, "isAvailable": True}
    assert await hook.call("method.get", name="event.bind") == {"isExisting": True, "isAvailable": False}
    assert await hook.call("method.get", name="event.Bind") == {"isExisting": False, "isAvailable": False}
    assert "telephony" in await hook.call("scope")
    assert (await hook.call("profile"))["ADMIN"] is True
    assert len(await hook.call("department.get")) == 3


async def test_options_are_kept_for_the_application_and_for_the_user(app: Rest) -> None:
    assert await app.call("app.option.set", options={"data": "x"}) is True
    assert await app.call("app.option.get", option="data") == "x"
    assert await app.call("user.option.get", option="data") is None
    assert (await app.refused("app.option.set", options={})).code == "ArgumentNullException"


async def test_voximplant_user_get_waits_for_an_administrator(app: Rest, portal: PortalServer) -> None:
    refused = await app.refused("voximplant.user.get", USER_ID=11)
    assert (refused.http, refused.code) == (401, "METHOD_CONFIRM_WAITING")
    portal.state.authority.confirmed.add(str(app.token))
    assert (await app.call("voximplant.user.get", USER_ID=[11]))[0]["INNER_NUMBER"] == "101"


class TestPeople:
    async def test_search(self, hook: Rest) -> None:
        async def found(**conditions: object) -> list[str]:
            return [user["ID"] for user in await hook.call("user.search", FILTER=conditions)]

        assert await found(FIND="анна пет") == ["12"]
        assert await found(NAME="О", UF_DEPARTMENT_NAME="поддержка") == ["14", "15"]
        assert (await hook.refused("user.search", FILTER={"ID": 1})).code == "SANDBOX_UNKNOWN_PARAMETER"

    async def test_update(self, hook: Rest, portal: PortalServer) -> None:
        assert (
            await hook.call("user.update", ID=11, UF_PHONE_INNER="201", ACTIVE="N", PERSONAL_CITY="Тула", UF_DEPARTMENT="3")
            is True
        )
        user = portal.state.people.users[11]
        assert (user.extension, user.active, user.extra["PERSONAL_CITY"]) == ("201", False, "Тула")
        assert user.departments == [3]
        assert (await hook.refused("user.update", ID=999)).description == "invalid user ID"

    async def test_order_and_select(self, hook: Rest) -> None:
        rows = await hook.call("user.get", sort="UF_PHONE_INNER", order="DESC", select=["UF_PHONE_INNER"])
        assert [row.get("UF_PHONE_INNER") for row in rows[:3]] == ["110", "105", "104"]
        assert set(rows[0]) == {"ID", "UF_PHONE_INNER"}

    async def test_access(self, hook: Rest) -> None:
        assert await hook.call("user.access", ACCESS=["U1"]) is True
        assert await hook.call("user.access", ACCESS=["U11"]) is False
        names = await hook.call("access.name", ACCESS=["U11", "AU", "G2"])
        assert names["U11"]["name"] == "Иван Иванов"
        assert set(names) == {"U11", "AU", "G2"}
        assert await hook.call("access.name", ACCESS=["X"]) is False

    async def test_doubles_the_lowest_id_owns_the_extension(self, portal: PortalServer, app: Rest) -> None:
        people = portal.state.people
        people.add(type(people.users[11])(5, "Двойник", "", "102"))
        params = {"USER_PHONE_INNER": "102", "PHONE_NUMBER": "+79161234567", "TYPE": 2}
        await app.call("telephony.externalCall.register", **params)
        assert portal.calls()[0].user_id == 5


async def test_built_in_lines(hook: Rest) -> None:
    assert await hook.call("voximplant.line.outgoing.get") == "reg100001"
    assert await hook.call("voximplant.line.outgoing.set", LINE_ID="sip1") == 1
    assert await hook.call("voximplant.line.outgoing.set", LINE_ID="nonsense") == 1
    assert await hook.call("voximplant.line.outgoing.get") == "sip1"
    assert set(await hook.call("voximplant.line.get")) == {"reg100001", "sip1"}
    assert (await hook.call("voximplant.url.get"))["detail_statistics"].startswith("http")


@pytest.mark.slow
async def test_as_a_process_of_its_own() -> None:
    """It prints where it is, answers, and ends on SIGTERM."""
    command = [sys.executable, "-m", "perezvon.sandbox.portal", "--bind", "127.0.0.1:0", "--self-hosted"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        printed: dict[str, str] = {}
        async with asyncio.timeout(60):
            while "application" not in printed:
                line = (await process.stdout.readline()).decode()
                assert line, "the portal ended before it told its addresses"
                name, _, rest = line.partition(" ")
                printed[name] = rest.strip()
        async with aiohttp.ClientSession() as session:
            hook = Rest(session, printed["webhook"])
            params = {"USER_ID": 11, "PHONE_NUMBER": "+79161234567", "TYPE": 2}
            assert (await hook.call("telephony.externalCall.register", **params))["CALL_ID"]
            async with session.get(printed["control"]) as answer:
                assert (await answer.json())["calls"]["live"] == 1
    finally:
        process.terminate()
        assert await process.wait() == 0


async def test_sip_connections(hook: Rest) -> None:
    sip = "voximplant.sip."
    added = await hook.call(sip + "add", SERVER="sbc.megafon.ru", LOGIN="79990000000", PASSWORD="p", TITLE="Мультифон")
    assert (added["TYPE"], "INCOMING_SERVER" in added) == ("cloud", False)
    assert (await hook.call(sip + "status", REG_ID=added["REG_ID"]))["STATUS_RESULT"] == "success"
    office = await hook.call(sip + "add", SERVER="pbx", LOGIN="b24", TYPE="office", TITLE="АТС")
    assert office["INCOMING_LOGIN"] == f"sip{office['ID']}"
    assert (await hook.refused(sip + "add", SERVER="x", LOGIN="y", TITLE="АТС")).code == "TITLE_EXISTS"
    assert (await hook.refused(sip + "add", LOGIN="y")).code == "CHECK_FIELDS_ERROR"
    assert [row["LOGIN"] for row in await hook.call(sip + "get", FILTER={"TYPE": "office"})] == ["b24"]
    assert await hook.call(sip + "update", CONFIG_ID=office["CONFIG_ID"], SERVER="other") == 1
    assert await hook.call("voximplant.line.outgoing.sip.set", CONFIG_ID=office["CONFIG_ID"]) == 1
    assert await hook.call("voximplant.line.outgoing.get") == f"sip{office['ID']}"
    assert await hook.call(sip + "delete", CONFIG_ID=office["CONFIG_ID"]) == 1
    assert (await hook.refused(sip + "update", CONFIG_ID=99)).code == "ERROR_NOT_FOUND"
    for number in range(9):
        await hook.call(sip + "add", SERVER="s", LOGIN="l", TITLE=f"t{number}")
    assert (await hook.refused(sip + "add", SERVER="s", LOGIN="l")).code == "MAX_CLOUD_PBX"


async def test_idempotency_key_of_rest_v3(hook: Rest, portal: PortalServer, http: aiohttp.ClientSession) -> None:
    task = await hook.call("tasks.task.add", fields={"TITLE": "Перезвонить", "RESPONSIBLE_ID": 11})
    address = f"{portal.url}/rest/api/1/{portal.config.webhook_secret}/tasks.task.chat.message.send"
    body = {"fields": {"taskId": int(task["task"]["id"]), "text": "Клиент ждёт"}}
    answers: list[tuple[int, str | None]] = []
    for key in ("a", "a", "b"):
        async with http.post(address, json=body, headers={"Idempotency-Key": key}) as answer:
            answers.append((answer.status, answer.headers.get("Idempotent-Replayed")))
    assert answers == [(200, None), (200, "true"), (200, None)]
