"""A phone that answers by itself is told of before the events of its call are looked at: the click is not forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from ami_script import Script

from perezvon.asterisk import Fate, Originate, Originated
from perezvon.bitrix24.directory import Directory
from perezvon.bitrix24.events import CallStartClick
from perezvon.calls import Numbering, Tracker
from perezvon.recordings import Folder
from perezvon.rules import Kind
from perezvon.rules.policy import People, Policy
from perezvon.service.absence import Absence
from perezvon.service.clickbook import ClickBook
from perezvon.service.clicks import Clicks
from perezvon.service.dialling import Exchange
from perezvon.service.policies import PortalRules
from perezvon.service.switchboard import Switchboard
from perezvon.settings.pbx import AsteriskSettings
from perezvon.storage import Database, lanes

NOW = 1_800_000_000.0
PORTAL_CALL = "externalCall.1"


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with await Database.open(tmp_path / "data") as opened:
        yield opened


@dataclass
class QuickPbx:
    """Whatever it is told to dial has been answered before anybody looks."""

    dialled: asyncio.Queue[Originate] = field(default_factory=asyncio.Queue)

    async def until_live(self) -> None:
        return

    async def originate(self, call: Originate) -> Originated:
        self.dialled.put_nowait(call)
        return Originated(Fate.ANSWERED, "answered", call.channel_id, "PJSIP/101-1")


def switchboard(database: Database, folder: Path, book: ClickBook) -> Switchboard:
    rules = PortalRules("main", Policy("i", "1"), People({"101": "11"}))
    return Switchboard(
        "main",
        Tracker("main", Numbering()),
        database,
        lambda: rules,
        book,
        lambda _: None,
        lambda: None,
        Absence("main", None, Folder(folder), database),
        clock=lambda: NOW,
    )


async def test_the_portals_own_call_is_finished(database: Database, tmp_path: Path) -> None:
    book, pbx = ClickBook(), QuickPbx()
    board = switchboard(database, tmp_path, book)
    settings = AsteriskSettings.model_validate({"name": "main", "ami": "tcp://u:s@127.0.0.1:5038"})
    exchange = Exchange(settings, Numbering(), cast("Any", pbx), board, *(cast("Any", None),) * 3)
    row = {"user_id": "11", "name": "I", "extension": "101", "active": True, "phones": (), "refreshed": NOW}
    directory = Directory.from_rows([row])
    clicks = Clicks(
        "main",
        database,
        book,
        directory=lambda: directory,
        exchange=lambda: exchange,
        stored=lambda: None,
        clock=lambda: NOW,
    )
    dialling = asyncio.create_task(clicks.run())
    click = CallStartClick(PORTAL_CALL, "11", "79160000009", "+79160000009", "101", "", "", "", "", False, NOW, NOW, "k")
    await clicks.accept(click)
    call = await pbx.dialled.get()
    for _ in range(5):  # everything that wants to go on does
        await asyncio.sleep(0)

    script = Script(at=NOW)
    phone = script.new("PJSIP/101-1", uid=call.channel_id, number="79160000009")
    script.begin(None, phone, "101")
    script.ringing(phone)
    script.up(phone)
    script.end(phone, "ANSWER", sourceless=True)
    client = script.dial(phone, "PJSIP/trunk-2", "79160000009@trunk")
    script.answer(client)
    script.talk(phone, client)
    script.hangup(client, phone)
    await board.on_events(script.events)
    dialling.cancel()
    await asyncio.gather(dialling, return_exceptions=True)

    async with database.read() as conn:
        (name,) = await lanes.ready(conn, "main", 9)
        steps = (await lanes.load(conn, [name]))[name]
    assert [step.kind for step in steps if step.kind in (Kind.REGISTER, Kind.FINISH)] == [Kind.FINISH]
    assert steps[-1].params["CALL_ID"] == PORTAL_CALL
