"""What the doctor says of a portal in each weather, and what to do; in both languages."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from portal_grants import authorization, grant_of, host_of

from perezvon.bitrix24 import GrantKeeper, Portal, Webhook
from perezvon.bitrix24.binding import bind
from perezvon.doctor import Check, State
from perezvon.doctor.portal import examine_portal
from perezvon.sandbox.portal import desk
from perezvon.sandbox.portal.server import PortalServer
from perezvon.settings.errors import told
from perezvon.settings.portal import PortalSettings
from perezvon.web.translations import catalog


def settings(**more: Any) -> PortalSettings:
    given = {"name": "main", "domain": "h", "client_id": "c", "client_secret": "s"}
    return PortalSettings.model_validate({**given, **more})


async def found(portal: Portal, **more: Any) -> dict[str, Check]:
    checks = await examine_portal(settings(**more), portal)
    translate = catalog("ru").gettext
    for check in checks:
        assert check.fix or check.state is State.OK
        assert re.search("[а-я]{4}", told(check.seen, translate)) or "{" in check.seen.text
        assert check.fix is None or re.search("[а-я]{4}", told(check.fix, translate))
    return {check.name: check for check in checks}


async def test_clicks_that_the_portal_would_not_tell(server: PortalServer, app: Portal) -> None:
    lost = (await found(app))["portal.events"]
    assert (lost.state, "ONEXTERNALCALLSTART" in str(lost.seen)) == (State.WARNING, True)
    await bind(app)
    assert (await found(app))["portal.events"].state is State.OK
    handler = {"events": "both", "public_url": "https://pbx.example"}
    assert (await found(app, **handler))["portal.events"].state is State.WARNING, "one way of two"
    await bind(app, handler="https://pbx.example/bitrix24/main/events")
    assert (await found(app, **handler))["portal.events"].state is State.OK
    assert "portal.events" not in await found(app, events="off")


async def test_a_portal_that_has_moved(server: PortalServer) -> None:
    grant = grant_of(server, named=host_of(server))
    old = host_of(server)
    async with Portal("main", GrantKeeper(grant, server=authorization(server))) as portal:
        assert "portal.moved" not in await found(portal)
        server.rename("localhost")
        moved = (await found(portal))["portal.moved"]
    assert str(moved.seen).startswith(f"the portal has moved from {old} to {host_of(server)}")
    assert str(moved.fix) == f"put {host_of(server)} into the settings as its domain"


async def test_a_webhook_whose_portal_has_moved(server: PortalServer, hook: Portal) -> None:
    server.rename("localhost")
    check = (await found(hook))["portal.auth"]
    assert check.state is State.PROBLEM
    assert f"moved to {server.url}" in str(check.seen)
    assert str(check.fix).startswith(f"if {server.url} is your portal")


async def test_an_application_that_was_removed(server: PortalServer, app: Portal) -> None:
    desk.uninstall(server.state)
    check = (await found(app))["portal.auth"]
    assert "add it anew" in str(check.fix)


async def test_tokens_that_are_worth_nothing(server: PortalServer) -> None:
    grant = replace(grant_of(server), refresh_token="gone", access_token="gone")
    async with Portal("main", GrantKeeper(grant, server=authorization(server))) as portal:
        check = (await found(portal))["portal.auth"]
    assert "install the local application anew" in str(check.fix)


async def test_a_webhook_that_was_deleted(server: PortalServer) -> None:
    async with Portal("main", Webhook.parse(f"{server.url}/rest/1/deletedsecret/")) as portal:
        check = (await found(portal))["portal.auth"]
    assert "make a new incoming webhook" in str(check.fix)
    assert "deletedsecret" not in str(check.seen)


@pytest.mark.parametrize(
    ("fault", "fix"),
    [
        ({"fault": "503"}, "nothing needs to be done"),
        ({"fault": "overload"}, "support"),
        ({"fault": "500"}, "browser"),
        ({"fault": "html"}, "browser"),
        ({"fault": "html", "http": 404}, "address in a browser"),
        ({"fault": "error", "code": "PORTAL_DELETED", "http": 500}, "another address"),
        ({"fault": "error", "code": "PAYMENT_REQUIRED", "http": 402}, "pay"),
        ({"fault": "error", "code": "user_access_error", "http": 403}, "access to it"),
        ({"fault": "error", "code": "insufficient_scope", "http": 403}, "permissions"),
    ],
)
async def test_what_to_do_about_the_rest(server: PortalServer, app: Portal, fault: dict[str, Any], fix: str) -> None:
    server.state.faults.plan(**fault, times=9)
    check = (await found(app))["portal.auth"]
    assert check.state is State.PROBLEM
    assert fix in str(check.fix)
