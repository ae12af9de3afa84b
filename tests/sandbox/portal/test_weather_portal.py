"""Rarer weather of the pretend portal: moved, restored from a backup, batches that fail in parts."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from portal_client import Rest

from perezvon.sandbox.portal import Fault, PortalServer

REGISTER: dict[str, Any] = {"USER_ID": 11, "PHONE_NUMBER": "+79161234567", "TYPE": 2, "CRM_CREATE": 1}


def commands(**methods: dict[str, Any]) -> dict[str, str]:
    return {key: f"telephony.externalCall.register?{urlencode(params)}" for key, params in methods.items()}


@pytest.mark.parametrize(("leaves", "status", "text"), [("deleted", 500, "PORTAL_DELETED"), ("stranger", 404, "for sale")])
async def test_an_old_name_that_tells_nothing(app: Rest, portal: PortalServer, leaves: Any, status: int, text: str) -> None:
    old = portal.url
    portal.rename("localhost", leaves)
    async with app.http.post(f"{old}/rest/server.time", json={"auth": app.token}, allow_redirects=False) as answer:
        assert answer.status == status
        assert text in await answer.text()
    async with app.http.post(f"{portal.url}/rest/server.time", json={"auth": app.token}) as answer:
        assert answer.status == 200


async def test_restored_from_a_backup(app: Rest, portal: PortalServer) -> None:
    first = (await app.call("telephony.externalCall.register", **REGISTER))["CALL_ID"]
    backup = portal.backup()
    leads = len(portal.state.crm.of("LEAD"))
    await app.call("telephony.externalCall.finish", CALL_ID=first, USER_ID=11, DURATION=5)
    second = (await app.call("telephony.externalCall.register", **{**REGISTER, "PHONE_NUMBER": "+79160000001"}))["CALL_ID"]
    await app.call("event.bind", event="ONEXTERNALCALLSTART", event_type="offline")
    for _ in range(2):
        portal.restore(backup)
        assert [(call.id, call.live) for call in portal.calls()] == [(first, True)]
        assert (portal.state.book.statistics, portal.state.events.bindings) == ([], [])
        assert len(portal.state.crm.of("LEAD")) == leads
        assert await app.call("telephony.externalCall.show", CALL_ID=second, USER_ID=11) is False
        refused = await app.refused("telephony.externalCall.finish", CALL_ID=second, USER_ID=11, DURATION=5)
        assert "not found" in refused.body["error_description"]
        await app.call("telephony.externalCall.finish", CALL_ID=first, USER_ID=11, DURATION=5)


async def test_one_command_of_a_batch_fails(app: Rest, portal: PortalServer) -> None:
    portal.state.faults.plan(
        Fault.ERROR, method="*.register", inside=True, skip=1, code="ERROR_CORE", description="bad day"
    )
    told = await app.call("batch", cmd=commands(a=REGISTER, b={**REGISTER, "TYPE": 1}, c={**REGISTER, "USER_ID": 12}))
    assert set(told["result"]) == {"a", "c"}
    assert told["result_error"] == {"b": {"error": "ERROR_CORE", "error_description": "bad day"}}
    assert len(portal.calls()) == 2


async def test_a_batch_stops_at_the_first_error_when_told_to(app: Rest, portal: PortalServer) -> None:
    portal.state.faults.plan(Fault.OPERATING, method="*.register", inside=True, skip=1)
    told = await app.call("batch", halt=1, cmd=commands(a=REGISTER, b={**REGISTER, "TYPE": 1}, c={**REGISTER, "TYPE": 4}))
    assert (set(told["result"]), set(told["result_error"])) == ({"a"}, {"b"})
    assert len(portal.calls()) == 1


async def test_an_answer_with_holes(app: Rest, portal: PortalServer) -> None:
    portal.state.faults.plan(Fault.HOLES, method="batch")
    told = await app.call("batch", cmd=commands(a=REGISTER, b={**REGISTER, "TYPE": 1}, c={**REGISTER, "TYPE": 4}))
    assert set(told["result"]) == {"b"}
    assert len(portal.calls()) == 3, "all the work was done"


async def test_the_control_moves_and_restores(app: Rest, portal: PortalServer) -> None:
    async def control(path: str, **body: Any) -> Any:
        async with aiohttp.ClientSession() as http, http.post(f"{portal.control_url}/sandbox/{path}", json=body) as answer:
            return answer.status, await answer.json()

    assert (await control("restore"))[0] == 400
    assert await control("backup") == (200, {"calls": 0})
    await app.call("telephony.externalCall.register", **REGISTER)
    assert await control("restore") == (200, {"calls": 0})
    assert (await control("move", host="localhost", leaves="nonsense"))[0] == 400
    assert (await control("move", host="localhost"))[1] == {"url": portal.url}
    assert "localhost" in portal.url
