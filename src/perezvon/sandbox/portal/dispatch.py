"""One REST call from its name and raw parameters to its answer: checks, handler, operating time, journal; and `batch`.

Knows nothing of HTTP: `server.py` brings requests here and writes the answers out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import structlog

from perezvon.sandbox.portal.checks import check_caller, check_params
from perezvon.sandbox.portal.contract import MethodSpec, contract
from perezvon.sandbox.portal.journal import Entry, brief
from perezvon.sandbox.portal.mishap import command_failure
from perezvon.sandbox.portal.params import as_flag, as_int, as_mapping
from perezvon.sandbox.portal.php import parse_query
from perezvon.sandbox.portal.registry import Caller, Page, RestError, registered
from perezvon.sandbox.portal.state import PortalState, acting_user

Json = Any
log = structlog.get_logger(__name__)
BATCH_MAX = 50
REFERENCE = re.compile(r"\$result((?:\[[^\[\]]*\])+)")
KEY = re.compile(r"\[([^\[\]]*)\]")


@dataclass(slots=True)
class Answer:
    """What came of a call. `time` is the block every answer carries; `failure` is set instead of a result."""

    result: Json = None
    total: int | None = None
    next: int | None = None
    failure: RestError | None = None
    time: dict[str, Json] = field(default_factory=dict[str, Json])

    @property
    def http(self) -> int:
        return self.failure.http if self.failure else 200

    def body(self) -> dict[str, Json]:
        if self.failure:
            body: dict[str, Json] = {"error": self.failure.code, "error_description": self.failure.description}
            if self.failure.argument:
                body["argument"] = self.failure.argument
            if self.failure.code == "OPERATION_TIME_LIMIT":
                body["time"] = self.time
            return body
        body = {"result": self.result}
        if self.next is not None:
            body["next"] = self.next
        if self.total is not None:
            body["total"] = self.total
        return body | {"time": self.time}

    def body_v3(self) -> dict[str, Json]:
        """REST v3: errors are objects with code and message."""
        if self.failure is None:
            return {"result": self.result, "time": self.time}
        code = V3_CODES.get(self.failure.code, self.failure.code)
        error: dict[str, Json] = {"code": code, "message": self.failure.description}
        if self.failure.validation:
            error["validation"] = [dict(row) for row in self.failure.validation]
        elif self.failure.argument:
            error["code"] = "BITRIX_REST_V3_EXCEPTION_VALIDATION_REQUESTVALIDATIONEXCEPTION"
            error["validation"] = [{"field": self.failure.argument, "message": self.failure.description}]
        return {"error": error}


V3_CODES = {
    "insufficient_scope": "BITRIX_REST_V3_EXCEPTION_INSUFFICIENTSCOPEEXCEPTION",
    "ACCESS_DENIED": "BITRIX_REST_V3_EXCEPTION_ACCESSDENIEDEXCEPTION",
}


class Dispatcher:
    def __init__(self, portal: PortalState) -> None:
        self._portal = portal
        self._registered = registered()

    def known(self, name: str) -> MethodSpec | None:
        return contract().methods.get(name.lower())

    async def call(
        self, name: str, values: Mapping[str, Json], who: Caller, entry: Entry, *, v3: bool = False, nested: bool = False
    ) -> Answer:
        """Run one method. Whatever the outcome, it is an Answer: also for a handler that breaks (500, logged)."""
        portal = self._portal
        begun, clock = portal.now(), portal.monotonic()
        spec = self.known(name)
        answer = Answer()
        try:
            if name.lower() == "batch":
                outcome = await self._batch(values, who, entry, nested)
            else:
                outcome = await self._run(spec, name, values, who, v3)
            answer.result = outcome
            if isinstance(outcome, Page):
                answer.result, answer.total, answer.next = outcome.items, outcome.total, outcome.next
        except RestError as failure:
            answer.failure = failure
        except Exception:
            log.exception("portal handler broke", method=name)
            answer.failure = RestError("INTERNAL_SERVER_ERROR", "Internal server error", 500)
        used = portal.monotonic() - clock
        answer.time = self._time(who.app, spec.name if spec else name, begun, used)
        entry.ms = round(used * 1000, 3)
        entry.http = answer.http
        entry.error = answer.failure.code if answer.failure else ""
        entry.description = answer.failure.description if answer.failure else ""
        entry.result = brief(answer.result)
        self._note_call(entry, values, answer.result)
        return answer

    async def _run(self, spec: MethodSpec | None, name: str, values: Mapping[str, Json], who: Caller, v3: bool) -> Json:
        portal = self._portal
        if spec is None or spec.v3 != v3:
            error = contract().system_error("ERROR_METHOD_NOT_FOUND")
            raise RestError(error.code, "Method not found!", error.http)
        if not portal.operating.allowed(who.app, spec.name, portal.now()):
            raise RestError("OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit.", 429)
        check_caller(portal, spec, who)
        handler = self._registered.get(spec.name.lower())
        if handler is None:
            raise RestError(
                "NOT_IMPLEMENTED_BY_SANDBOX",
                f"{spec.name} is documented, but the pretend portal cannot do it: add it to sandbox/portal/handlers",
                501,
            )
        params = check_params(portal, spec, handler, values)
        token = acting_user.set(who.user_id)
        started = portal.monotonic()
        try:
            return await handler.handler(portal, who, params)
        finally:
            acting_user.reset(token)
            portal.operating.charge(who.app, spec.name, portal.now(), portal.monotonic() - started)

    async def _batch(self, values: Mapping[str, Json], who: Caller, entry: Entry, nested: bool) -> dict[str, Json]:
        """Commands run one after the other in the given order; their errors do not fail the batch."""
        if nested:
            error = contract().system_error("ERROR_BATCH_METHOD_NOT_ALLOWED")
            raise RestError(error.code, error.description, error.http)
        commands = as_mapping(values.get("cmd"))
        if not commands:
            raise RestError("ERROR_ARGUMENT", "Argument 'cmd' is null or empty", 400, argument="cmd")
        halt = as_flag(values.get("halt") or "")
        results: dict[str, Json] = {}
        errors: dict[str, Json] = {}
        totals: dict[str, Json] = {}
        nexts: dict[str, Json] = {}
        times: dict[str, Json] = {}
        for position, (key, command) in enumerate(commands.items()):
            if position >= BATCH_MAX:
                error = contract().system_error("ERROR_BATCH_LENGTH_EXCEEDED")
                errors[key] = {"error": error.code, "error_description": error.description}
                continue
            name, _, query = str(command).partition("?")
            name = name.removesuffix(".json").strip("/")
            params = cast("dict[str, Json]", substitute(parse_query(query), results))
            inner = self._portal.journal.open(
                self._portal.now(),
                self._portal.monotonic(),
                self.spelled(name),
                params,
                entry.caller,
                entry.ip,
                entry.number,
            )
            planned = self._portal.faults.strike([name], inside=True)
            if planned is None:
                answer = await self.call(name, params, who, inner, nested=True)
            else:
                answer = Answer(failure=command_failure(planned))
                inner.fault, inner.error = planned.fault.value, answer.failure.code if answer.failure else ""
            if answer.failure:
                errors[key] = {"error": answer.failure.code, "error_description": answer.failure.description}
                if answer.failure.argument:
                    errors[key]["argument"] = answer.failure.argument
                if halt:
                    break
                continue
            results[key] = answer.result
            times[key] = answer.time
            if answer.total is not None:
                totals[key] = answer.total
            if answer.next is not None:
                nexts[key] = answer.next
        return {
            "result": results,
            "result_error": errors,
            "result_total": totals,
            "result_next": nexts,
            "result_time": times,
        }

    def spelled(self, name: str) -> str:
        """The contract's spelling of a method; an unknown one as it came."""
        spec = self.known(name)
        return spec.name if spec else name

    def _time(self, app: str, method: str, begun: float, used: float) -> dict[str, Json]:
        portal = self._portal
        block: dict[str, Json] = {
            "start": begun,
            "finish": begun + used,
            "duration": used,
            "processing": used,
            "date_start": portal.iso(begun),
            "date_finish": portal.iso(begun + used),
        }
        if portal.config.operating is not None:
            block["operating_reset_at"] = portal.operating.reset_at(app, method, begun)
            block["operating"] = portal.operating.spent(app, method, portal.now())
        return block

    def _note_call(self, entry: Entry, values: Mapping[str, Json], result: Json) -> None:
        """Tie the request to the call it is about, for the per-call view."""
        made = cast("dict[str, Json]", result).get("CALL_ID") if isinstance(result, dict) else None
        call_id = values.get("CALL_ID") or made
        call = self._portal.book.calls.get(call_id) if isinstance(call_id, str) else None
        if call is not None:
            entry.call_id = call.id
            call.requests.append(entry.number)


def substitute(value: Json, results: Mapping[str, Json]) -> Json:
    """`$result[key][FIELD]` inside the parameters of a later command. A text that is nothing but one reference takes the
    value as it is (also a list); a reference to nothing gives null alone, nothing inside a text."""
    if isinstance(value, dict):
        return {key: substitute(item, results) for key, item in cast("dict[str, Json]", value).items()}
    if isinstance(value, list):
        return [substitute(item, results) for item in cast("list[Json]", value)]
    if not isinstance(value, str) or "$result" not in value:
        return value
    whole = REFERENCE.fullmatch(value)
    if whole:
        return _look_up(whole.group(1), results)
    return REFERENCE.sub(lambda found: _as_text(_look_up(found.group(1), results)), value)


def _look_up(path: str, results: Mapping[str, Json]) -> Json:
    place: Json = results
    for key in KEY.findall(path):
        if isinstance(place, Mapping):
            place = cast("Mapping[str, Json]", place).get(key)
        elif isinstance(place, list) and 0 <= as_int(key, -1) < len(cast("list[Json]", place)):
            place = cast("list[Json]", place)[int(key)]
        else:
            return None
    return place


def _as_text(value: Json) -> str:
    return "" if value is None else str(value)
