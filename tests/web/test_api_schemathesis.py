"""The whole API of the real service, as its own description tells of it: whatever is sent, nothing breaks, and each answer
is one that the description names. Routes of later rooms are found by themselves."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from pages_server import PASSWORD
from schemathesis.checks import CHECKS
from stored_calls import many
from test_every_page_browser import SETTINGS, Service

from perezvon.settings.secrets import SecretBox
from perezvon.storage import Database
from perezvon.web.people import Actor, People
from perezvon.web.rights import SCOPES, Role

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

STREAMS = ("/api/events",)
"""They never end: test_conference_api.py."""

EXAMPLES = 25
AS_DESCRIBED = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance")


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[tuple[str, str]]:
    """Its address, and a token with all that a token can have."""
    service = Service(tmp_path / "data")
    service.data_dir.mkdir()
    await service.configure(SETTINGS)
    async with await Database.open(service.data_dir, own=False) as database:
        people = People(database, SecretBox.open(service.data_dir), time.time)
        anna, link = await people.add("anna", "", Role.ADMINISTRATOR, Actor("test"))
        await people.accept(link, PASSWORD, Actor("", "127.0.0.1"))
        token = await people.make_token(anna, "test", SCOPES, None, Actor("anna"))
        await many(database, 30, time.time())
    await service.start()
    yield service.url, token
    await service.stop()


async def test_nothing_breaks_and_every_answer_is_described(service: tuple[str, str]) -> None:
    seen = await asyncio.to_thread(examine, *service)
    assert {
        "GET /status",
        "GET /metrics",
        "GET /health",
        "POST /doctor",
        "GET /api/calls",
        "POST /api/calls/{call}/{action}",
        "GET /api/journal/{call}",
        "POST /api/missed/call-back",
        "POST /api/deliveries/{portal}/pause",
        "PATCH /api/settings",
        "GET /api/audit",
    } <= seen


def examine(url: str, token: str) -> set[str]:
    bearer = {"Authorization": f"Bearer {token}"}
    schema = schemathesis.openapi.from_url(f"{url}/api/openapi.json", headers=bearer)
    seen: set[str] = set()
    checks = CHECKS.get_by_names(list(AS_DESCRIBED))
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path in STREAMS:
            continue
        given = re.search(r"\{", operation.path) or list(operation.query) or list(operation.body)
        for headers in (bearer, {}):
            try_out(operation, headers, checks, EXAMPLES if given else 1)
        seen.add(f"{operation.method.upper()} {operation.path}")
    return seen


def try_out(operation: Any, headers: dict[str, str], checks: Any, examples: int) -> None:
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    )
    @hypothesis.given(case=operation.as_strategy())
    def holds(case: Any) -> None:
        response = case.call(headers=headers, timeout=20)
        assert "server" not in response.headers, "which versions there are is nobody's business"
        case.validate_response(response, checks=checks, headers=headers)

    holds()
