"""What the doctor says of autoconnect."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from perezvon.bitrix24 import Portal, Webhook
from perezvon.doctor.autoconnect import examine_connecting, examine_dialplan
from perezvon.doctor.check import State
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.settings.load import settings_from
from perezvon.settings.model import Settings


@pytest.fixture
async def server() -> AsyncIterator[PortalServer]:
    async with PortalServer(PortalConfig(rate=None)) as running:
        yield running


async def examined(server: PortalServer, **more: object) -> list[tuple[str, State, str]]:
    settings: Settings = settings_from({"autoconnect": {"enabled": True}, **more})
    async with Portal("main", Webhook.parse(server.webhook_url)) as portal:
        return [(check.name, check.state, str(check.seen)) for check in await examine_connecting(settings, "main", portal)]


async def test_all_is_well(server: PortalServer) -> None:
    line = {"number": "+74951234567", "first_employee": "101"}
    [(name, state, _)] = await examined(server, line=[line])
    assert (name, state) == ("autoconnect.scope", State.OK)


async def test_permissions_that_are_missing(server: PortalServer) -> None:
    server.state.authority.webhooks[0].scopes = frozenset({"telephony", "user", "crm"})
    [(_, state, told)] = await examined(server)
    assert state is State.WARNING
    assert told.endswith(": timeman, calendar")
    [(_, state, _)] = await examined(server, autoconnect={"enabled": True, "checks": ["schedule", "device"]})
    assert state is State.OK


async def test_people_whom_the_portal_does_not_know(server: PortalServer) -> None:
    deputies = {"enabled": True, "deputy": [{"employee": "101", "deputies": ["199"]}]}
    told = await examined(server, line=[{"number": "1", "first_employee": "198"}], autoconnect=deputies)
    assert [seen for name, _, seen in told if name == "autoconnect.employee"] == [
        "no employee of the portal has the extension 198 of line.first_employee",
        "no employee of the portal has the extension 199 of autoconnect.deputy",
    ]


async def test_a_portal_that_cannot_be_asked(server: PortalServer) -> None:
    server.state.faults.plan("500", seconds=60)
    [(_, state, _)] = await examined(server)
    assert state is State.WARNING


def test_the_dialplan() -> None:
    assert examine_dialplan("asterisk main", None) == []
    assert [check.state for check in examine_dialplan("x", True)] == [State.OK]
    assert [check.state for check in examine_dialplan("x", False)] == [State.WARNING]
