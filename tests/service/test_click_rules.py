"""A click on a number that a rule changes: what is dialled, and that its call says so. The call is still with the client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from ami_script import Script
from test_click_answered import NOW, QuickPbx, switchboard

from perezvon.bitrix24.directory import Directory
from perezvon.bitrix24.events import CallStartClick
from perezvon.calls import Numbering
from perezvon.rules import NumberRule
from perezvon.service.clickbook import ClickBook
from perezvon.service.clicks import Clicks
from perezvon.service.dialling import Exchange, dialled
from perezvon.settings.pbx import AsteriskSettings
from perezvon.storage import Database, calls, journal

EIGHT = NumberRule(r"\+7(\d{10})", r"98\1", "nine and eight")
MOSCOW = NumberRule(r"\+7495(\d{7})", r"\1", "Moscow", frozenset({"+74951234567"}))


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with await Database.open(tmp_path / "data") as opened:
        yield opened


@pytest.mark.parametrize(
    ("clicked", "line", "expected"),
    [
        ("8 (916) 123-45-67 доб. 12", "", "989161234567"),
        ("+7 495 765-43-21", "+74951234567", "7654321"),
        ("+7 495 765-43-21", "74951234567", "7654321"),
        ("+7 495 765-43-21", "", "984957654321"),
        ("112", "", "112"),
        ("79161234567\r\nAction: Originate", "", ""),
        ("${SHELL(id)}", "", ""),
    ],
)
def test_what_is_dialled(clicked: str, line: str, expected: str) -> None:
    assert dialled(clicked, Numbering(), line, (MOSCOW, EIGHT)).number == expected


async def test_the_call_says_what_was_dialled(database: Database, tmp_path: Path) -> None:
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
        to_pbx=lambda: (EIGHT,),
    )
    dialling = asyncio.create_task(clicks.run())
    number = "+79160000009"
    await clicks.accept(CallStartClick("c.1", "11", number, number, "101", "", "", "", "", False, NOW, NOW, "k"))
    call = await pbx.dialled.get()
    assert call.exten == "989160000009"

    script = Script(at=NOW)
    phone = script.new("PJSIP/101-1", uid=call.channel_id, number="101")
    script.begin(None, phone, "101")
    script.ringing(phone)
    script.up(phone)
    script.end(phone, "ANSWER", sourceless=True)
    client = script.dial(phone, "PJSIP/trunk-2", f"{call.exten}@trunk")
    script.answer(client)
    script.talk(phone, client)
    script.hangup(client, phone)
    await board.on_events(script.events)
    dialling.cancel()
    await asyncio.gather(dialling, return_exceptions=True)

    async with database.read() as conn:
        (found,) = await calls.search(conn, calls.Search())
        stored = await calls.find(conn, found.id)
        story = [reason for _, reason, _ in await journal.decisions(conn, found.id)]
    assert stored is not None
    assert (stored.client, stored.state["third_parties"]) == (number, [])
    assert story[0] == "number rule nine and eight: 989160000009 is dialled instead of +79160000009"
