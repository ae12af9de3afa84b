"""A plain REST caller for the tests of the pretend portal: real HTTP, no retries, nothing hidden."""

from __future__ import annotations

from typing import Any

import aiohttp

Json = Any


class Refused(Exception):
    def __init__(self, http: int, body: dict[str, Json]) -> None:
        super().__init__(f"{http} {body.get('error')}: {body.get('error_description')}")
        self.http = http
        self.code = body.get("error")
        self.description = body.get("error_description", "")
        self.body = body


class Rest:
    """`address` ends in /; `token` goes into every body as `auth` (None: the address is a webhook)."""

    def __init__(self, http: aiohttp.ClientSession, address: str, token: str | None = None) -> None:
        self.http = http
        self.address = address
        self.token = token

    async def ask(self, method: str, params: dict[str, Json] | None = None) -> tuple[int, Json]:
        """(status, body) of one JSON request."""
        body = dict(params or {})
        if self.token is not None:
            body["auth"] = self.token
        async with self.http.post(self.address + method, json=body) as answer:
            return answer.status, await answer.json(content_type=None)

    async def call(self, method: str, **params: Json) -> Json:
        """The `result`; raises Refused."""
        return (await self.whole(method, **params))["result"]

    async def whole(self, method: str, **params: Json) -> dict[str, Json]:
        """The whole answer, with `time`, `total`, `next`."""
        status, body = await self.ask(method, params)
        if "error" in body or status != 200:
            raise Refused(status, body)
        return body

    async def refused(self, method: str, **params: Json) -> Refused:
        """The error; fails when there is none."""
        status, body = await self.ask(method, params)
        assert "error" in body, f"{method} should have been refused, answered {body}"
        return Refused(status, body)

    async def batch(self, cmd: dict[str, str] | list[str], **params: Json) -> Json:
        return await self.call("batch", cmd=cmd, **params)
