"""The outside world as the page sees it: the four requests of `sandbox/world_api.py`, passed on by the portal.

A world that is not there, or does not answer in time, is an error text for the page and never an exception.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import aiohttp

from perezvon.sandbox.world_api import AT_ONCE, BEHAVIOURS

Json = Any
PATIENCE = aiohttp.ClientTimeout(total=8, connect=2)


class WorldError(Exception):
    """The world refused or is not there; the text says what it said."""


class WorldClient:
    """`url`: where the world listens, without a trailing slash."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    async def state(self) -> dict[str, Json]:
        """Phones, calls and lines in the form the page shows; empty with `error` when the world is not there."""
        try:
            told = await self._ask("GET", "/phones")
        except WorldError as problem:
            return {"phones": [], "calls": [], "lines": [], "error": str(problem)}
        return {
            "phones": [_phone(row) for row in told.get("phones", [])],
            "calls": [_call(row) for row in told.get("calls", []) if row.get("alive", True)],
            "lines": told.get("lines", []),
            "error": "",
        }

    async def call(self, wanted: Mapping[str, Json]) -> Json:
        return await self._ask("POST", "/call", {key: str(wanted.get(key) or "") for key in ("from", "to", "name")})

    async def hang_up(self, wanted: Mapping[str, Json]) -> Json:
        return await self._ask("POST", "/hangup", {"from": str(wanted["from"])} if wanted.get("from") else {})

    async def behave(self, extension: str, wanted: Mapping[str, Json]) -> Json:
        if not extension.isdigit() or wanted.get("behaviour") not in (*BEHAVIOURS, *AT_ONCE):
            raise WorldError(f"phone {extension!r}: behaviour should be one of {', '.join((*BEHAVIOURS, *AT_ONCE))}")
        return await self._ask("POST", f"/phone/{extension}", dict(wanted))

    async def _ask(self, verb: str, path: str, body: Json = None) -> Json:
        try:
            async with (
                aiohttp.ClientSession(timeout=PATIENCE) as http,
                http.request(verb, self.url + path, json=body) as answer,
            ):
                told = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as problem:
            raise WorldError(
                f"the outside world at {self.url} does not answer: {problem or type(problem).__name__}"
            ) from problem
        if answer.status >= 400:
            raise WorldError(_reason(told) or f"the outside world answered {answer.status}")
        return told


def _reason(told: Json) -> str:
    return str(cast("dict[str, Json]", told).get("error", "")) if isinstance(told, dict) else ""


def _phone(row: Mapping[str, Json]) -> dict[str, Json]:
    state = row.get("state") or ("busy" if row.get("busy") else "idle")
    return {"extension": str(row["extension"]), "behaviour": row["behaviour"], "state": state}


def _call(row: Mapping[str, Json]) -> dict[str, Json]:
    return {
        "from": str(row.get("from", "")),
        "to": str(row.get("to", "")),
        "state": "talking" if row.get("talking") else "ringing",
    }
