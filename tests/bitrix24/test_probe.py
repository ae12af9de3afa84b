"""What the doctor is told of a portal in each condition, and that asking changes nothing there."""

from __future__ import annotations

import socket

import pytest
from portal_grants import keeper_of

from perezvon.bitrix24 import Portal, Webhook
from perezvon.bitrix24.probe import Finding, Level, examine
from perezvon.sandbox.portal.config import PortalConfig
from perezvon.sandbox.portal.people import User
from perezvon.sandbox.portal.server import PortalServer


def told(findings: list[Finding]) -> dict[str, tuple[Level, str]]:
    for finding in findings:
        assert (finding.fix is None) or str(finding.fix)
    return {finding.check: (finding.level, str(finding.text)) for finding in findings}


async def test_a_healthy_application(server: PortalServer, app: Portal) -> None:
    found = told(await examine(app))
    assert {check for check, (level, _) in found.items() if level is not Level.OK} == set()
    assert set(found) == {
        "auth",
        "administrator",
        "scope",
        "register",
        "clock",
        "application",
        "offline",
        "employees",
        "without_extension",
    }
    assert "Порталов Админ" in found["auth"][1]
    assert "5 employees" in found["employees"][1]
    assert server.calls() == []


async def test_a_webhook_at_a_strict_portal_cannot_register(server: PortalServer, hook: Portal) -> None:
    findings = await examine(hook)
    assert told(findings)["register"][0] is Level.FAILURE
    fix = next(f.fix for f in findings if f.check == "register")
    assert "local application" in str(fix)
    assert server.calls() == []


@pytest.mark.parametrize("config", [PortalConfig(strict_app_context=False)])
async def test_a_webhook_at_a_lenient_portal_can_with_limits(server: PortalServer, hook: Portal) -> None:
    level, text = told(await examine(hook))["register"]
    assert level is Level.WARNING
    assert "cannot be clicked" in text
    assert server.calls() == []


@pytest.mark.parametrize("config", [PortalConfig(scopes=frozenset({"crm", "user_brief", "im"}))])
async def test_missing_permissions_are_named(server: PortalServer, app: Portal) -> None:
    findings = [f for f in await examine(app) if f.check in ("scope", "register")]
    texts = {(f.level, str(f.text)) for f in findings}
    assert (Level.FAILURE, "these permissions are missing: telephony") in texts
    assert (Level.WARNING, "some functions need these permissions too: task, placement") in texts
    assert any(f.check == "register" and f.level is Level.FAILURE for f in findings)


@pytest.mark.parametrize(
    ("offset", "level", "text"),
    [(0, Level.OK, "agree"), (-30, Level.WARNING, "s behind"), (3600, Level.FAILURE, "s ahead")],
)
async def test_clocks_are_compared(server: PortalServer, app: Portal, offset: float, level: Level, text: str) -> None:
    found = told(await examine(app, clock=lambda: server.state.now() + offset))
    assert found["clock"][0] is level
    assert text in found["clock"][1]


async def test_doubled_and_missing_extensions(server: PortalServer, app: Portal) -> None:
    server.state.people.add(User(50, "Второй", "Сотоварищ", "101"))
    found = told(await examine(app))
    assert found["doubles"] == (Level.WARNING, "the extension 101 belongs to several employees (11, 50); calls go to 11")
    assert "Начальникова" in found["without_extension"][1]
    for user in server.state.people.users.values():
        user.extension = ""
    assert told(await examine(app))["employees"][0] is Level.FAILURE


async def test_a_plan_without_rest(server: PortalServer, app: Portal) -> None:
    refusal = "REST API is available only on commercial plans"
    server.state.faults.plan("error", http=403, code="ACCESS_DENIED", description=refusal, times=9)
    (finding,) = await examine(app)
    assert (finding.check, finding.level) == ("auth", Level.FAILURE)
    assert "commercial plan" in str(finding.text)


async def test_an_application_that_is_not_installed_to_the_end(server: PortalServer, app: Portal) -> None:
    server.state.authority.apps[server.config.client_id].installed = False
    assert told(await examine(app))["application"][0] is Level.FAILURE


async def test_a_user_without_rights(server: PortalServer, app: Portal) -> None:
    server.state.people.users[1].admin = False
    assert told(await examine(app))["administrator"][0] is Level.WARNING


@pytest.mark.parametrize("config", [PortalConfig(features=frozenset())])
async def test_a_plan_without_confirmation(server: PortalServer, app: Portal) -> None:
    assert told(await examine(app))["offline"][0] is Level.WARNING


async def test_wrong_credentials_and_no_portal_at_all(server: PortalServer) -> None:
    async with Portal("main", Webhook.parse(f"{server.url}/rest/1/wrongsecret1/")) as portal:
        (finding,) = await examine(portal)
        assert "new incoming webhook" in str(finding.fix)
        assert "wrongsecret1" not in str(finding.text)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with Portal("main", Webhook.parse(f"http://127.0.0.1:{taken.getsockname()[1]}/rest/1/secret12/")) as portal:
            (finding,) = await examine(portal)
            assert (finding.level, finding.check) == (Level.FAILURE, "auth")
            assert "network" in str(finding.fix)


async def test_a_portal_that_fails_half_way_is_told_as_far_as_it_went(server: PortalServer) -> None:
    async with Portal("main", keeper_of(server)) as portal:
        server.state.faults.plan("500", method="batch")
        found = await examine(portal)
    assert [f.check for f in found] == ["auth", "administrator", "auth"]
