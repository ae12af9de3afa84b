"""batch: one request, up to fifty commands, references to earlier results, errors that fail only their command."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import pytest
import sound
from portal_client import Rest

from perezvon.sandbox.portal import PortalServer
from perezvon.sandbox.portal.dispatch import substitute

Json = Any


def command(method: str, **params: Json) -> str:
    """`$result[…]` references stay as they are."""
    return f"{method}?{urlencode(params, safe='$[]')}"


async def test_a_whole_call_in_one_request(app: Rest, portal: PortalServer) -> None:
    content = base64.b64encode(sound.mp3()).decode()
    answer = await app.batch(
        {
            "reg": command(
                "telephony.externalCall.register", USER_ID=11, PHONE_NUMBER="+79161234567", TYPE=2, CRM_CREATE=1, SHOW=0
            ),
            "show": "telephony.externalCall.show?CALL_ID=$result[reg][CALL_ID]&USER_ID[]=11&USER_ID[]=12",
            "hide": "telephony.externalCall.hide?CALL_ID=$result[reg][CALL_ID]&USER_ID[]=11&USER_ID[]=12",
            "fin": command(
                "telephony.externalCall.finish", CALL_ID="$result[reg][CALL_ID]", USER_ID=12, DURATION=5, STATUS_CODE=200
            ),
            "rec": command(
                "telephony.externalCall.attachRecord",
                CALL_ID="$result[fin][CALL_ID]",
                FILENAME="a.mp3",
                FILE_CONTENT=content,
            ),
            "off": "event.offline.get?clear=0",
        }
    )
    assert answer["result_error"] == []
    assert answer["result"]["show"] is True
    call = portal.calls()[0]
    assert call.recording is not None
    assert call.recording.decodes
    assert (call.finish["user_id"], call.leftover_cards) == (12, [])
    assert portal.state.journal.http_requests == 1
    batched = [(entry.batch, entry.method) for entry in portal.state.journal][1:]
    assert {parent for parent, _ in batched} == {1}
    assert set(answer["result_time"]) == {"reg", "show", "hide", "fin", "rec", "off"}


async def test_errors_stay_with_their_command(app: Rest) -> None:
    status, body = await app.ask(
        "batch", {"cmd": {"a": "user.current", "b": "no.such", "c": "telephony.externalCall.show", "d": "server.time"}}
    )
    assert status == 200
    result = body["result"]
    assert set(result["result"]) == {"a", "d"}
    assert result["result_error"]["b"] == {"error": "ERROR_METHOD_NOT_FOUND", "error_description": "Method not found!"}
    assert result["result_error"]["c"]["error"] == "ERROR_ARGUMENT"


@pytest.mark.parametrize("halt", [1, True, "1", "true"])
async def test_halt_stops_at_the_first_error(app: Rest, portal: PortalServer, halt: Json) -> None:
    answer = await app.batch({"a": "user.current", "b": "no.such", "c": "user.current"}, halt=halt)
    assert set(answer["result"]) == {"a"}
    assert [entry.method for entry in portal.state.journal] == ["batch", "user.current", "no.such"]


@pytest.mark.parametrize("halt", [0, False, "0", "false"])
async def test_no_halt(app: Rest, halt: Json) -> None:
    answer = await app.batch({"b": "no.such", "c": "user.current"}, halt=halt)
    assert set(answer["result"]) == {"c"}


async def test_at_most_fifty(app: Rest) -> None:
    answer = await app.batch({f"c{i}": "server.time" for i in range(52)})
    assert len(answer["result"]) == 50
    assert set(answer["result_error"]) == {"c50", "c51"}
    assert answer["result_error"]["c50"]["error"] == "ERROR_BATCH_LENGTH_EXCEEDED"


async def test_no_batch_in_a_batch(app: Rest) -> None:
    answer = await app.batch({"in": "batch?cmd[a]=user.current"})
    assert answer["result_error"]["in"]["error"] == "ERROR_BATCH_METHOD_NOT_ALLOWED"


async def test_nothing_to_do(app: Rest) -> None:
    assert (await app.refused("batch", cmd={})).code == "ERROR_ARGUMENT"
    assert (await app.refused("batch")).code == "ERROR_ARGUMENT"


async def test_list_of_commands_gives_a_list_of_results(app: Rest) -> None:
    answer = await app.batch(["user.admin", "user.admin"])
    assert answer["result"] == [True, True]
    answer = await app.batch(["no.such", "user.admin"])
    assert answer["result"] == {"1": True}, "PHP makes no list of an array whose first key is not 0"


async def test_totals_and_next(app: Rest, portal: PortalServer) -> None:
    for number in range(100, 160):
        portal.state.people.add(type(portal.state.people.users[11])(number, "N", str(number)))
    answer = await app.batch({"users": "user.get", "me": "user.current"})
    assert answer["result_total"] == {"users": 68}
    assert answer["result_next"] == {"users": 50}


async def test_application_methods_stay_closed_to_a_webhook(hook: Rest) -> None:
    answer = await hook.batch({"reg": "telephony.externalCall.register?USER_ID=11", "me": "user.current"})
    assert answer["result_error"]["reg"]["error"] == "WRONG_AUTH_TYPE"
    assert answer["result"]["me"]["ID"] == "1"


async def test_form_and_get(app: Rest, http: aiohttp.ClientSession) -> None:
    form = {"auth": str(app.token), "cmd[u]": "user.get?FILTER[ID]=11", "cmd[n]": "user.get?FILTER[ID]=$result[u][0][ID]"}
    async with http.post(app.address + "batch", data=form) as answer:
        result = (await answer.json())["result"]["result"]
    assert result["n"][0]["LAST_NAME"] == "Иванов"
    inner = quote(quote("+79161234567"))
    query = f"cmd[s]=telephony.externalCall.searchCrmEntities{quote('?')}PHONE_NUMBER{quote('=')}{inner}"
    async with http.get(f"{app.address}batch?auth={app.token}&{query}") as answer:
        assert (await answer.json())["result"]["result"] == {"s": []}


async def test_a_plus_that_was_not_encoded_becomes_a_space(app: Rest, portal: PortalServer) -> None:
    await app.batch({"r": "telephony.externalCall.register?USER_ID=11&TYPE=2&PHONE_NUMBER=+79161234567"})
    assert portal.calls()[0].phone == "79161234567"


async def test_reference_to_nothing_is_no_value(app: Rest) -> None:
    answer = await app.batch({"a": "no.such", "b": "telephony.externalCall.show?CALL_ID=$result[a][CALL_ID]"})
    assert answer["result_error"]["b"]["argument"] == "CALL_ID"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("$result[a][ID]", 7),
        ("x-$result[a][ID]-$result[list][1][ID]", "x-7-9"),
        ("$result[list]", [{"ID": 8}, {"ID": 9}]),
        ("$result[none][ID]", None),
        ("$result[a][ID][deep]", None),
        ("$result[list][5][ID]", None),
        ("=$result[none]=", "=="),
        ({"k": ["$result[a][ID]", "plain"]}, {"k": [7, "plain"]}),
        ("$result", "$result"),
    ],
)
def test_references(given: Json, expected: Json) -> None:
    assert substitute(given, {"a": {"ID": 7}, "list": [{"ID": 8}, {"ID": 9}]}) == expected
