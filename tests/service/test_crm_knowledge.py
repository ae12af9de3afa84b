"""The portal's list of fields: asked when a setting needs it, later when it cannot be asked, remembered over a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from perezvon.bitrix24 import Portal, Webhook
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.portal.faults import Fault
from perezvon.sandbox.portal.handlers.crm_directories import status_name
from perezvon.sandbox.portal.handlers.crm_userfields import UserField, UserFields
from perezvon.service import crm_knowledge
from perezvon.service.crm_knowledge import CHECK, OBJECTS, RETRY, CrmKnowledge, Listed, listed
from perezvon.settings.load import parse, settings_from
from perezvon.settings.model import Settings
from perezvon.storage import Database

FIELD = "[[crm.field]]\nof = 'lead'\nname = '{name}'\nvalue = 'x'\n"


@pytest.fixture
async def server() -> AsyncIterator[PortalServer]:
    async with PortalServer(PortalConfig(rate=None, crm_mode=1)) as running:
        running.state.part(UserFields).declare("LEAD", UserField("UF_CRM_1", "enumeration", items={"5": "x"}))
        yield running


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with await Database.open(tmp_path) as opened:
        yield opened


def settings(name: str = "") -> Settings:
    return settings_from(parse(FIELD.format(name=name) if name else ""))


@asynccontextmanager
async def knowing(
    server: PortalServer,
    database: Database,
    chosen: Callable[[], Settings],
    clock: Callable[[], float] = lambda: 1000.0,
) -> AsyncIterator[tuple[CrmKnowledge, list[str]]]:
    changed: list[str] = []
    made = CrmKnowledge("main", database, chosen, lambda: True, lambda: changed.append("changed"), clock=clock)
    await made.load()
    client = Portal("main", Webhook.parse(server.webhook_url))
    task = asyncio.create_task(made.run(client), name="knowledge under test")
    try:
        yield made, changed
    finally:
        task.cancel()
        await asyncio.wait([task])
        await client.close()


async def until(look: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not look():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_types_are_known_and_remembered(server: PortalServer, database: Database) -> None:
    async with knowing(server, database, lambda: settings("UF_CRM_1")) as (made, changed):
        await until(lambda: changed)
        found = made.known.type_of("lead", "UF_CRM_1")
        assert found is not None
        assert (found.kind, dict(found.items), made.known.mode) == ("enumeration", {"5": "x"}, 1)
        assert made.wrong == ()
    again = CrmKnowledge("main", database, settings, lambda: False, lambda: None, clock=lambda: 2000.0)
    await again.load()
    kept = again.known.type_of("lead", "UF_CRM_1")
    assert kept is not None
    assert (kept.kind, dict(kept.items), again.known.mode) == ("enumeration", {"5": "x"}, 1)


async def test_a_portal_that_cannot_be_asked_is_asked_later(
    server: PortalServer, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crm_knowledge, "RETRY", 0.05)
    server.state.faults.plan(Fault.BROKEN, times=2)
    async with knowing(server, database, lambda: settings("UF_CRM_2")) as (made, _):
        await until(lambda: made.trouble)
        assert str(made.wrong[0]).startswith("the fields of [[crm.field]] cannot be checked: ")
        await until(lambda: made.problems)
        assert [str(why) for why in made.wrong] == [
            "the lead has no field UF_CRM_2 in the portal; there is UF_CRM_1",
        ]


async def test_nothing_is_asked_that_no_setting_needs(server: PortalServer, database: Database) -> None:
    chosen = [settings()]
    async with knowing(server, database, lambda: chosen[0]) as (made, changed):
        chosen[0] = settings("UF_CRM_2")
        assert list(server.state.journal) == []
        made.wake()
        await until(lambda: made.problems)
        chosen[0] = settings()
        made.wake()
        await until(lambda: not made.problems)
        assert len(changed) == 1


async def test_all_fields_are_listed_for_people_to_choose_from(server: PortalServer, database: Database) -> None:
    """For them alone: what the settings need stays what it was. A list is asked for again after an hour."""
    for number in range(2, 250):
        server.state.part(UserFields).declare("LEAD", UserField(f"UF_CRM_{number}", title="Откуда узнал " * 10))
    now = [1000.0]
    async with knowing(server, database, settings, lambda: now[0]) as (made, changed):
        assert await listed(database, "main") == Listed({}, {})
        assert await made.list_fields(10)
        told = await listed(database, "main")
        found = told.fields
        assert set(found) == set(OBJECTS)
        assert told.sources["CALL"] == status_name(server.state, "SOURCE", "CALL")
        assert {f"UF_CRM_{number}" for number in range(1, 250)} < set(found["lead"])
        assert found["lead"]["UF_CRM_249"].title == ("Откуда узнал " * 10)[:80]
        assert found["lead"]["ID"].read_only
        assert not found["lead"]["TITLE"].read_only
        assert not changed
        asked = len(server.state.journal)
        now[0] += CHECK - 1
        assert not await made.list_fields(10)
        assert len(server.state.journal) == asked
        now[0] += 1
        server.state.part(UserFields).declare("LEAD", UserField("UF_CRM_NEW"))
        assert await made.list_fields(10)
        assert "UF_CRM_NEW" in (await listed(database, "main")).fields["lead"]


async def test_a_list_that_is_refused_leaves_what_was_listed(server: PortalServer, database: Database) -> None:
    now = [1000.0]
    async with knowing(server, database, settings, lambda: now[0]) as (made, _):
        assert await made.list_fields(10)
        kept = await listed(database, "main")
        now[0] += CHECK
        server.state.faults.plan(Fault.ERROR, method="crm.company.fields", inside=True, code="ACCESS_DENIED", times=1)
        assert not await made.list_fields(10)
        assert await listed(database, "main") == kept != Listed({}, {})
        assert not await made.list_fields(10), "not at once again"
        now[0] += RETRY
        assert await made.list_fields(10)
