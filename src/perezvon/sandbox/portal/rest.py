"""The REST face of the portal over HTTP: addresses, authorization, bodies, limits, faults, and the shape of answers.

`/rest/{user}/{secret}/{method}` and `/rest/{method}`, with `.json` or a slash behind; `/rest/api/…` is REST v3;
`/rest/…upload/` takes the second step of an upload; `/rest/download/…` gives files.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from perezvon.sandbox.portal.dispatch import Answer, Dispatcher
from perezvon.sandbox.portal.journal import Entry
from perezvon.sandbox.portal.mishap import WORK_FIRST, Mishaps, system_error
from perezvon.sandbox.portal.params import as_list
from perezvon.sandbox.portal.php import encode, parse_form, parse_query
from perezvon.sandbox.portal.registry import Caller, RestError
from perezvon.sandbox.portal.state import PortalState

Json = Any


@dataclass(frozen=True, slots=True)
class Target:
    """What an address names. `user` and `secret` of a webhook."""

    method: str
    v3: bool = False
    user: int = 0
    secret: str = ""


def target_of(path: str) -> Target:
    """`path`: what follows /rest/."""
    parts = [part for part in path.split("/") if part]
    v3 = bool(parts) and parts[0] == "api"
    parts = parts[1:] if v3 else parts
    method = (parts[-1] if parts else "").removesuffix(".json")
    if len(parts) == 3 and parts[0].isdigit():
        return Target(method, v3, int(parts[0]), parts[1])
    return Target(method, v3)


class Rest:
    """An ASGI application."""

    def __init__(self, portal: PortalState, dispatcher: Dispatcher, mishaps: Mishaps) -> None:
        self._portal = portal
        self._dispatcher = dispatcher
        self._mishaps = mishaps
        self._replays: dict[tuple[str, str], tuple[str, bytes, int]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        target = target_of(scope["path_params"]["path"])
        try:
            if target.method == "upload":
                response = await self._upload(request, target)
            else:
                response = await self._rest(request, target)
        except ClientDisconnect:
            return
        if response is not None:
            await response(scope, receive, send)

    async def _rest(self, request: Request, target: Target) -> Response | None:
        portal = self._portal
        arrived, monotonic, ip = portal.now(), portal.monotonic(), _ip(request)
        portal.journal.http_requests += 1
        values, broken = await self._values(request, target)
        entry = portal.journal.open(
            arrived, monotonic, self._dispatcher.spelled(target.method), values, _who(target, values), ip
        )
        if not portal.buckets.take(ip, arrived):
            return self._finish(entry, system_error("QUERY_LIMIT_EXCEEDED"), target)
        if broken is not None:
            return self._finish(entry, broken, target)
        fault = self._mishaps.planned(entry, _methods(target.method, values))
        if fault is not None and fault.fault not in WORK_FIRST:
            return await self._mishaps.refuse(request, entry, fault, self._responder(target))
        try:
            who = self._authenticate(request, target, values)
        except RestError as failure:
            return self._finish(entry, failure, target)
        values.pop("auth", None)
        if portal.config.delay:
            await asyncio.sleep(portal.config.delay)
        replayed = self._replay(request, target, who, values)
        if replayed is not None:
            return replayed
        answer = await self._dispatcher.call(target.method, values, who, entry, v3=target.v3)
        entry.ms = round((portal.monotonic() - monotonic) * 1000, 3)
        portal.publish("request", entry=entry.number, method=entry.method, http=entry.http, error=entry.error, ms=entry.ms)
        response = _response(answer, target)
        self._remember(request, target, who, values, response)
        return response if fault is None else await self._mishaps.spoil(request, entry, fault, response)

    async def _values(self, request: Request, target: Target) -> tuple[dict[str, Json], RestError | None]:
        """Parameters from the address and the body, and what is wrong with the body."""
        values = {} if target.v3 else parse_query(request.url.query)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        body = await request.body()
        if kind == "application/json":
            try:
                read: Json = json.loads(body) if body else {}
            except ValueError:
                return values, RestError("SANDBOX_BAD_BODY", "The body is no JSON; a real portal would see no parameters")
            if not isinstance(read, dict):
                return values, RestError("SANDBOX_BAD_BODY", "The body should be a JSON object with the parameters")
            return values | cast("dict[str, Json]", read), None
        if target.v3:
            return values, RestError("BITRIX_REST_V3_EXCEPTION_INVALIDJSONEXCEPTION", "The body should be JSON")
        if kind == "application/x-www-form-urlencoded":
            return values | parse_query(body.decode("utf-8", "replace")), None
        if kind == "multipart/form-data":
            async with request.form() as form:
                return values | parse_form(
                    (name, value) for name, value in form.multi_items() if isinstance(value, str)
                ), None
        return values, None

    def _authenticate(self, request: Request, target: Target, values: Mapping[str, Json]) -> Caller:
        portal = self._portal
        base = portal.base_url
        ip = _ip(request)
        if target.secret:
            hook = portal.authority.webhook(target.user, target.secret)
            user = portal.people.active(target.user)
            if hook is None or user is None:
                raise system_error("NO_AUTH_FOUND")
            return Caller(
                user_id=user.id,
                kind="webhook",
                scopes=hook.scopes,
                app=f"webhook:{hook.id}",
                token=hook.secret,
                rest_url=f"{base}/rest/{user.id}/{hook.secret}/",
                ip=ip,
            )
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ").strip() if target.v3 else ""
        token = str(values.get("auth") or bearer)
        if not token:
            raise system_error("NO_AUTH_FOUND")
        grant = portal.authority.grant(token)
        app = portal.authority.apps.get(grant.client_id) if grant else None
        if grant is None or app is None or app.removed:
            raise RestError("invalid_token", "Unable to get application by token", 401)
        if grant.expires <= portal.now():
            raise system_error("expired_token")
        if grant.user_id in app.denied or portal.people.active(grant.user_id) is None:
            raise system_error("user_access_error")
        return Caller(
            user_id=grant.user_id,
            kind="oauth",
            scopes=app.scopes,
            app=app.client_id,
            app_id=app.id,
            app_name=app.name,
            token=token,
            rest_url=f"{base}/rest/",
            ip=ip,
        )

    async def _upload(self, request: Request, target: Target) -> Response | None:
        """The second step of an upload: one multipart field with the file."""
        portal = self._portal
        values = parse_query(request.url.query)
        portal.journal.http_requests += 1
        entry = portal.journal.open(portal.now(), portal.monotonic(), "upload", values, _who(target, values), _ip(request))
        if not portal.buckets.take(entry.ip, entry.at):
            return self._finish(entry, system_error("QUERY_LIMIT_EXCEEDED"), target)
        fault = self._mishaps.planned(entry, ["upload"])
        if fault is not None and fault.fault not in WORK_FIRST:
            return await self._mishaps.refuse(request, entry, fault, self._responder(target))
        answer = Answer()
        try:
            who = self._authenticate(request, target, values)
            if portal.config.delay:
                await asyncio.sleep(portal.config.delay)
            answer.result = await self._take_file(request, entry, who, str(values.get("token", "")))
        except RestError as failure:
            answer.failure = failure
            entry.error, entry.description = failure.code, failure.description
        entry.http = answer.http
        entry.ms = round((portal.monotonic() - entry.monotonic) * 1000, 3)
        entry.result = answer.result
        response = _response(answer, target)
        return response if fault is None else await self._mishaps.spoil(request, entry, fault, response)

    async def _take_file(self, request: Request, entry: Entry, who: Caller, token: str) -> Json:
        expected = self._portal.uploads.get(token)
        if expected is None or expected.user_id != who.user_id:
            raise RestError("ERROR_CORE", "Upload token is unknown or used")
        entry.call_id = expected.call_id
        async with request.form() as form:
            file = form.get(expected.field)
            if not isinstance(file, UploadFile):
                raise RestError("ERROR_CORE", f"The multipart body has no file in the field {expected.field}")
            result = expected.complete(file.filename or expected.name, await file.read())
        self._portal.uploads.pop(token, None)
        return result

    def _finish(self, entry: Entry, failure: RestError, target: Target) -> Response:
        entry.http, entry.error, entry.description = failure.http, failure.code, failure.description
        self._portal.publish(
            "request", entry=entry.number, method=entry.method, http=entry.http, error=entry.error, ms=entry.ms
        )
        return _response(Answer(failure=failure), target)

    def _responder(self, target: Target) -> Callable[[RestError, int], Response]:
        return lambda failure, reset_at: _response(Answer(failure=failure, time={"operating_reset_at": reset_at}), target)

    def _replay(self, request: Request, target: Target, who: Caller, values: Mapping[str, Json]) -> Response | None:
        """REST v3: the same Idempotency-Key with the same body gets the stored answer again."""
        key = request.headers.get("idempotency-key", "")
        stored = self._replays.get((who.app, key)) if key and target.v3 else None
        if stored is None or stored[0] != _digest(values):
            return None
        _, body, status = stored
        headers = {"Idempotent-Replayed": "true"}
        return Response(body, status, headers=headers, media_type="application/json; charset=utf-8")

    def _remember(
        self, request: Request, target: Target, who: Caller, values: Mapping[str, Json], response: Response
    ) -> None:
        key = request.headers.get("idempotency-key", "")
        if key and target.v3:
            self._replays[who.app, key] = (_digest(values), bytes(response.body), response.status_code)


def _response(answer: Answer, target: Target) -> Response:
    body = answer.body_v3() if target.v3 else answer.body()
    return Response(encode(body), answer.http, media_type="application/json; charset=utf-8")


def _methods(method: str, values: Mapping[str, Json]) -> list[str]:
    """The method, and for a batch those of its commands."""
    commands = values.get("cmd") if method.lower() == "batch" else None
    return [method, *(str(command).partition("?")[0] for command in as_list(commands))]


def _ip(request: Request) -> str:
    return request.client.host if request.client else ""


def _who(target: Target, values: Mapping[str, Json]) -> str:
    if target.secret:
        return f"webhook of user {target.user}"
    return "application" if values.get("auth") else "nobody"


def _digest(values: Mapping[str, Json]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
