"""What is known of clients: asked of the pretend portal while they wait, kept, and never waited for too long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from perezvon.asking import OwnTables
from perezvon.autoconnect import clients as room
from perezvon.autoconnect.clients import Clients, Known, Told
from perezvon.bitrix24 import Bucket, Portal, Webhook
from perezvon.rules.connecting import CrmObject
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.storage import Database, answers

pytestmark = pytest.mark.slow

MARIA = "+79165550011"
SEARCH = "telephony.externalCall.searchCrmEntities"

PATIENT = 30.0
"""Seconds: where it does not matter how long something takes, on a loaded machine either."""


@pytest.fixture
async def server() -> AsyncIterator[PortalServer]:
    async with PortalServer(PortalConfig(rate=None)) as running:
        yield running


@pytest.fixture
async def portal(server: PortalServer) -> AsyncIterator[Portal]:
    async with Portal("main", Webhook.parse(server.webhook_url), bucket=Bucket(2, 50)) as portal:
        yield portal


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Database]:
    async with await Database.open(tmp_path / "data") as database:
        yield database


class Desk:
    """`now`: what its clock says, moved by hand. `noticed`: the workdays that answers have told."""

    def __init__(self, portal: Portal | None, storage: Database, **more: bool) -> None:
        self.now = time.time()
        self.noticed: dict[str, str] = {}
        self.own = OwnTables(storage, "autoconnect")
        self.clients = Clients("main", lambda: portal, self.own, self.noticed.__setitem__, clock=lambda: self.now, **more)

    async def ask(self, client: str, patience: float = PATIENT, *, deals: bool = False, company: bool = False) -> Told:
        deadline = asyncio.get_running_loop().time() + patience
        return await self.clients.ask(client, client, deadline, deals=deals, company=company)


@asynccontextmanager
async def desk(portal: Portal | None, storage: Database, **more: bool) -> AsyncIterator[Desk]:
    made = Desk(portal, storage, **more)
    try:
        yield made
    finally:
        await made.own.close()


def asked(server: PortalServer, method: str = SEARCH) -> int:
    return len(server.state.journal.of(method))


def kinds(told: Told) -> list[tuple[str, str]]:
    assert told.known is not None
    return [(one.kind, one.user) for one in told.known.objects]


async def test_whose_a_client_is(portal: Portal, storage: Database, server: PortalServer) -> None:
    server.state.people.users[12].timeman_status = "PAUSED"
    async with desk(portal, storage) as one:
        told = await one.ask(MARIA)
        assert (kinds(told), told.late, told.before) == ([("contact", "12")], False, False)
        assert told.known is not None
        assert told.known.person == "Мария Клиентова"
        assert one.noticed == {"12": "PAUSED"}
        assert asked(server) == 1


async def test_his_company_and_his_open_deals_come_with_a_second_request(
    portal: Portal, storage: Database, server: PortalServer
) -> None:
    deal = server.state.crm.of("DEAL")[0]
    done = {**deal.fields, "STAGE_ID": "WON", "CLOSED": "Y", "TITLE": "Старая"}
    server.state.crm.add("DEAL", {name: value for name, value in done.items() if name != "ID"}, quiet=True)
    async with desk(portal, storage) as one:
        told = await one.ask(MARIA, deals=True, company=True)
        assert told.known is not None
        assert told.known.company == "ООО «Ромашка»"
        assert kinds(told) == [("contact", "12"), ("deal", "12")]
        assert server.state.journal.http_requests == 2
        nobody = await one.ask("+79160000000", deals=True, company=True)
        assert nobody.known is not None
        assert nobody.known.objects == ()
        assert server.state.journal.http_requests == 3, "nobody has neither deals nor a company"


async def test_what_is_fresh_is_not_asked_again_and_what_is_old_is(
    portal: Portal, storage: Database, server: PortalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "GRACE", PATIENT)
    async with desk(portal, storage) as one:
        await one.ask(MARIA)
        one.now += room.FRESH - 1
        assert (await one.ask(MARIA)).before
        assert asked(server) == 1
        one.now += 2
        server.state.crm.of("CONTACT")[0].fields["ASSIGNED_BY_ID"] = "11"
        assert kinds(await one.ask(MARIA)) == [("contact", "11")], "within the grace"
        assert asked(server) == 2


async def test_who_is_known_waits_for_the_grace_only_and_the_answer_is_kept(
    portal: Portal, storage: Database, server: PortalServer
) -> None:
    async with desk(portal, storage) as one:
        await one.ask(MARIA)
        one.now += 1000
        server.state.faults.plan("slow", wait=2.0)
        server.state.crm.of("CONTACT")[0].fields["ASSIGNED_BY_ID"] = "11"
        told = await one.ask(MARIA)
        assert (kinds(told), told.late) == ([("contact", "12")], True), "the portal's answer was waited for"
        await one.own.close()  # the answer has come
        assert kinds(await one.ask(MARIA)) == [("contact", "11")]
        assert asked(server) == 2


async def test_who_is_not_known_waits_for_the_patience_only(
    portal: Portal, storage: Database, server: PortalServer
) -> None:
    async with desk(portal, storage) as one:
        server.state.faults.plan("slow", wait=2.0)
        assert await one.ask(MARIA, 0.4) == Told(None, late=True), "the portal's answer was waited for"
        await one.own.close()
        assert kinds(await one.ask(MARIA)) == [("contact", "12")]


async def test_what_was_known_is_known_after_a_restart_without_a_portal(
    portal: Portal, storage: Database, server: PortalServer
) -> None:
    async with desk(portal, storage) as one:
        await one.ask(MARIA, company=True)
    async with desk(None, storage) as one:
        told = await one.ask(MARIA)
        assert kinds(told) == [("contact", "12")]
        assert told.known is not None
        assert (told.known.company, told.late) == ("ООО «Ромашка»", False)
        one.now += 1000
        assert (await one.ask(MARIA)).late
        assert await one.ask("+79160000001") == Told(None, late=True)


async def test_who_is_recalled_takes_the_place_of_another(storage: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many call while the portal is away."""
    monkeypatch.setattr(room, "MOST_KEPT", 3)
    body = Known((CrmObject("contact", "7", "11", "x"),)).body()
    async with desk(None, storage) as one:
        for n in range(8):
            client = f"+7916000030{n}"
            await storage.write(
                lambda conn, client=client: answers.remember(conn, "autoconnect:main", client, body, one.now)
            )
            assert kinds(await one.ask(client)) == [("contact", "11")]
            assert len(one.clients._known) <= 3  # pyright: ignore[reportPrivateUsage]


async def test_a_portal_that_has_failed_is_not_waited_for(portal: Portal, storage: Database, server: PortalServer) -> None:
    server.state.faults.plan("500", seconds=60)
    async with desk(portal, storage) as one:
        assert (await one.ask("+79160000002")).late
        server.state.faults.clear()
        server.state.faults.plan("slow", wait=0.5)
        assert (await one.ask("+79160000003")).late, "the portal's answer was waited for"
        assert (await one.ask("+79160000004")).late
        await one.own.close()
        assert asked(server) == 2, "one at a time finds out"
        assert not (await one.ask("+79160000005")).late
        assert one.clients.trouble == ""


async def test_an_empty_bucket_is_left_to_calls(storage: Database, server: PortalServer) -> None:
    bucket = Bucket(2, 50)
    bucket.take(count=50)
    async with (
        Portal("main", Webhook.parse(server.webhook_url), bucket=bucket) as portal,
        desk(portal, storage) as one,
    ):
        assert (await one.ask(MARIA)).late
        assert asked(server) == 0


async def test_many_at_once_ask_once_each(portal: Portal, storage: Database, server: PortalServer) -> None:
    async with desk(portal, storage) as one:
        told = await asyncio.gather(*(one.ask(f"+7916000010{n % 10}") for n in range(40)))
        assert all(not one.late for one in told)
        assert asked(server) == 10


async def test_a_kept_answer_that_cannot_be_read_is_none(portal: Portal, storage: Database) -> None:
    await storage.write(lambda conn: answers.remember(conn, "autoconnect:main", MARIA, "[1]", 1.0))
    async with desk(portal, storage) as one:
        assert kinds(await one.ask(MARIA)) == [("contact", "12")]


async def test_a_test_keeps_nothing_and_old_clients_are_forgotten(
    portal: Portal, storage: Database, server: PortalServer
) -> None:
    async def kept() -> list[str]:
        async with storage.read() as conn:
            return [one.value for one in await answers.recall_all(conn, "autoconnect:main")]

    async with desk(portal, storage, remember=False) as one:
        await one.ask(MARIA)
    assert await kept() == []
    async with desk(portal, storage) as one:
        await one.ask(MARIA)
        one.now += room.KEPT_FOR + 1000
        await one.ask("+79265550022")
    assert await kept() == ["+79265550022"]


async def test_hostile_answers_harm_nothing(portal: Portal, storage: Database, server: PortalServer) -> None:
    for fault in ("malformed", "html", "reset"):
        server.state.faults.plan(fault)
        async with desk(portal, storage) as one:
            assert (await one.ask(f"+7916000020{len(fault)}")).late
            assert one.clients.trouble
