"""Our pages in the portal's places: bound once, bound anew, removed when they are switched off; the doctor sees what is missing.
Which call a card belongs to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection
from test_portal_automation import Made, happened, made, offer, server, settings  # noqa: F401  fixtures

from perezvon.bitrix24.placements import ANALYTICS, CARD, MENU
from perezvon.calls.call import Direction
from perezvon.doctor.portal import examine_portal
from perezvon.rules.vocabulary import Kind, Priority, Reason, Ref, StepDraft
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.portal.config import ALL_SCOPES
from perezvon.service.placements import wanted
from perezvon.service.portals import PortalLink
from perezvon.settings.secrets import SecretBox
from perezvon.storage import Database, calls, clicks, lanes, portal_calls
from perezvon.storage.calls import StoredCall
from perezvon.storage.clicks import Click, ClickState
from perezvon.storage.steps import Settled, State

URL = 'public_url = "https://pbx.example.com/"\n'
ROOT = "https://pbx.example.com/bitrix24/main"
ALL = {(CARD, f"{ROOT}/card"), (ANALYTICS, f"{ROOT}/analytics"), (MENU, f"{ROOT}/app")}


def places(portal: PortalServer) -> set[tuple[str, str]]:
    return {(row["placement"], row["handler"]) for row in portal.state.placements}


@asynccontextmanager
async def kept(link: PortalLink) -> AsyncIterator[None]:
    """While inside, the places are kept."""
    keeping = asyncio.create_task(link.pages.run(), name="pages under test")
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])


async def test_bound_at_installation_and_removed_when_switched_off(server: PortalServer, made: Made) -> None:  # noqa: F811
    link = await made(URL)
    async with kept(link):
        await link.install(offer(server))
        await happened(lambda: places(server) == ALL)
        row = next(row for row in server.state.placements if row["placement"] == CARD)
        assert (row["title"], row["langAll"]["en"]["TITLE"]) == ("Конференция", "Conference")
        server.state.placements.append({**row, "handler": "https://other.example.com/card"})  # of another program of theirs
        whole = settings(server, URL + "card_tab = false\nreport_page = false")
        link.change(whole.portal[0], whole)
        left = {(MENU, f"{ROOT}/app"), (CARD, "https://other.example.com/card")}
        await happened(lambda: places(server) == left)
        whole = settings(server, "")
        link.change(whole.portal[0], whole)
        await happened(lambda: places(server) == {(CARD, "https://other.example.com/card")})
        server.state.placements.clear()
        whole = settings(server, URL)
        link.change(whole.portal[0], whole)
        await happened(lambda: places(server) == ALL)
        server.state.placements.clear()  # a backup, or another installation, has lost them
        await link.install(offer(server))
        await happened(lambda: places(server) == ALL)
        assert link.pages.problems == ()


async def test_nothing_is_wanted_without_an_address(server: PortalServer) -> None:  # noqa: F811
    assert wanted(settings(server, "").portal[0]) == []
    assert {place.code for place in wanted(settings(server, URL).portal[0])} == {CARD, ANALYTICS, MENU}


async def test_a_missing_permission_is_told(tmp_path: Path) -> None:
    poor = PortalConfig(rate=None, scopes=ALL_SCOPES - {"placement"})
    async with PortalServer(poor) as portal, await Database.open(tmp_path) as database:
        whole = settings(portal, URL)
        link = PortalLink(whole.portal[0], whole, database, SecretBox.open(tmp_path), "test", clock=lambda: 1_800_000_000.0)
        await link.open()
        await link.install(offer(portal))
        async with kept(link):
            await happened(lambda: bool(link.pages.problems))
        assert "scope" in str(link.pages.problems[0])
        await link.close()


async def test_the_doctor_sees_what_is_missing(server: PortalServer, made: Made) -> None:  # noqa: F811
    link = await made(URL + "report_page = false")
    await link.install(offer(server))

    async def seen() -> tuple[str, str]:
        [check] = [one for one in await examine_portal(link.settings, link.client) if one.name == "portal.pages"]
        return check.state.value, str(check.seen)

    assert await seen() == ("warning", "these pages of ours are not in the portal: CALL_CARD, LEFT_MENU")
    async with kept(link):
        await happened(lambda: len(places(server)) == 2)
    assert (await seen())[0] == "ok"


async def test_a_card_is_found_by_the_portals_id_of_its_call(tmp_path: Path) -> None:
    at = 1_700_000_000.0
    portal_call = f"externalCall.{'a' * 32}.{at:.0f}"
    clicked = f"externalCall.{'b' * 32}.{at:.0f}"
    why = Reason("because")
    drafts = [
        StepDraft("k1", Kind.REGISTER, {"USER_ID": "11", "SHOW": 0}, Priority.CARD, why),
        StepDraft("k2", Kind.SHOW, {"CALL_ID": Ref(Kind.REGISTER, "CALL_ID"), "USER_ID": ["12", "13"]}, Priority.CARD, why),
    ]

    async def work(conn: AsyncConnection) -> None:
        rows = [
            StoredCall(name, "main", Direction.INCOMING, at - 5, True, "main", "+79161234567") for name in ("one", "two")
        ]
        await calls.save(conn, rows)
        await lanes.append(conn, "main", "one", drafts, at)
        steps = (await lanes.load(conn, ["one"]))["one"]
        await lanes.settle(conn, [Settled(steps[0].id, State.DONE, {"CALL_ID": portal_call})], at)
        await clicks.take(conn, Click("main", clicked, "14", "+79161234567", at, call="two", state=ClickState.CALLING))

    async with await Database.open(tmp_path) as database:
        await database.write(work)
        async with database.read() as conn:
            found = await portal_calls.find(conn, "main", portal_call)
            assert found is not None
            assert (found.call, found.pbx, found.users) == ("one", "main", {"11", "12", "13"})
            found = await portal_calls.find(conn, "main", clicked)
            assert found is not None
            assert (found.call, found.users) == ("two", {"14"})
            for wrong in ("", "x", portal_call[:-1], f"externalCall.{'c' * 32}.{at:.0f}", portal_call + "%", "%"):
                assert await portal_calls.find(conn, "main", wrong) is None
            assert await portal_calls.find(conn, "other", portal_call) is None
