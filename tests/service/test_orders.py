"""Orders: whom a callback form rings, in which order and how often; what a restart and an absent PBX make of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from test_click_answered import NOW, switchboard

from perezvon.asterisk import Fate, NotConnected, Originate, Originated
from perezvon.bitrix24 import Portal, Webhook, Wire
from perezvon.bitrix24.directory import Directory
from perezvon.bitrix24.events import CallbackRequested, RobotCall
from perezvon.calls import Numbering
from perezvon.rules import Kind, Triggers
from perezvon.rules.policy import People, Policy
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.service import dialling as room
from perezvon.service.clickbook import ClickBook
from perezvon.service.dialling import Exchange
from perezvon.service.orders import Orders
from perezvon.service.policies import PortalRules
from perezvon.settings.automation import AutomationSettings
from perezvon.settings.pbx import AsteriskSettings
from perezvon.storage import Database, lanes, orders
from perezvon.storage.clicks import ClickState
from perezvon.storage.steps import Step

IVANOV, PETROVA = "11", "12"


@dataclass
class DeadPhones:
    """Nobody is ever reached; `gone`: it is not even connected."""

    rung: list[Originate] = field(default_factory=list[Originate])
    gone: bool = False

    async def until_live(self) -> None:
        return

    async def originate(self, call: Originate) -> Originated:
        self.rung.append(call)
        if self.gone:
            raise NotConnected("the PBX is not connected")
        return Originated(Fate.NO_ANSWER, "it rang until the time was over", call.channel_id, "")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with await Database.open(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
async def client() -> AsyncIterator[Portal]:
    """Of the pretend portal: lead 1 is Ivanov's."""
    async with PortalServer(PortalConfig(rate=None)) as server:
        portal = Portal("main", Webhook.parse(server.webhook_url), wire=Wire(total=10.0))
        yield portal
        await portal.close()


Make = Callable[..., Orders]


@pytest.fixture
def make(database: Database, client: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.setattr(room, "APPEARANCE", 0.01)

    def made(pbx: DeadPhones, *, now: float = NOW, **wanted: Any) -> Orders:
        book = ClickBook()
        settings = AsteriskSettings.model_validate(
            {"name": "main", "ami": "tcp://u:s@127.0.0.1:5038", "callback_context": "perezvon-form"}
        )
        exchange = Exchange(
            settings, Numbering(), cast("Any", pbx), switchboard(database, tmp_path, book), *(cast("Any", None),) * 3
        )
        rows = [("1", "100"), (IVANOV, "101"), (PETROVA, "102"), ("16", "")]
        directory = Directory.from_rows(
            {"user_id": user, "extension": extension, "name": user, "active": True, "phones": (), "refreshed": NOW}
            for user, extension in rows
        )
        policy = Policy("inst", "1", triggers=Triggers(late=True))
        automation = AutomationSettings.model_validate({"callback_pause": 0.0, **wanted}, strict=False)
        return Orders(
            "main",
            client,
            database,
            book,
            directory=lambda: directory,
            exchange=lambda: exchange,
            rules=lambda: PortalRules("main", policy, People({"101": IVANOV})),
            settings=lambda: automation,
            stored=lambda: None,
            clock=lambda: now,
        )

    return made


@asynccontextmanager
async def running(served: Orders) -> AsyncIterator[None]:
    task = asyncio.create_task(served.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def form(number: str = "+79035550033", *, at: float = NOW, lead: str = "1") -> CallbackRequested:
    return CallbackRequested(number, "call [b]me[/b]", "", "LEAD" if lead else "", lead, "", at, NOW, f"X:{number}")


async def dropped(database: Database, key: str) -> list[Step]:
    """The steps of an order that came to nothing."""
    async with asyncio.timeout(10):
        while True:
            async with database.read() as conn:
                known = await orders.find(conn, "main", key)
                if known is not None and known.state is ClickState.DROPPED:
                    return (await lanes.load(conn, [f"order:{key}"])).get(f"order:{key}", [])
            await asyncio.sleep(0.01)


def rung(pbx: DeadPhones) -> list[str]:
    return [call.channel.partition("/")[2] for call in pbx.rung]


async def test_the_responsible_then_the_others_then_the_fallback_and_all_again(database: Database, make: Make) -> None:
    pbx = DeadPhones()
    served = make(pbx, callback_users=[PETROVA, IVANOV, "16", "99"], callback_rounds=2)
    async with running(served):
        await served.accept_callback(form())
        steps = await dropped(database, f"callback:+79035550033:{NOW:.0f}")
    assert rung(pbx) == ["101", "102", "100"] * 2
    assert [step.kind for step in steps] == [Kind.REGISTER, Kind.FINISH, Kind.TRIGGER]
    assert (steps[0].params["TYPE"], steps[0].params["CRM_ENTITY_ID"]) == (4, 1)


async def test_what_the_phone_is_told_and_what_is_played(database: Database, make: Make) -> None:
    pbx = DeadPhones()
    served = make(pbx, callback_rounds=1, callback_sound="custom/site")
    async with running(served):
        await served.accept_callback(form())
        await dropped(database, f"callback:+79035550033:{NOW:.0f}")
    call = pbx.rung[0]
    assert (call.context, call.exten) == ("perezvon-form", "79035550033")
    assert call.variables["CONNECTEDLINE(name,i)"] == "call (b)me(/b)"
    assert (call.variables["PEREZVON_SAY"], call.variables["PEREZVON_NEXT"]) == ("custom/site", "from-internal")
    assert any(name == "Variable" for name, _ in call.headers()), "it can be sent"


async def test_a_form_of_hours_ago_is_told_and_not_dialled(database: Database, make: Make) -> None:
    pbx = DeadPhones()
    served = make(pbx)
    async with running(served):
        await served.accept_callback(form(at=NOW - 3 * 3600))
        steps = await dropped(database, f"callback:+79035550033:{NOW - 3 * 3600:.0f}")
    assert pbx.rung == []
    assert steps[0].params["CALL_START_DATE"] != ""
    assert "too late" in str(steps[0].reason)


async def test_nobody_is_rung_after_a_pause_that_outlasts_the_forms_time(database: Database, make: Make) -> None:
    pbx = DeadPhones()
    served = make(pbx, callback_rounds=2, callback_pause=90, callback_within=60)
    async with running(served):
        await served.accept_callback(form())
        steps = await dropped(database, f"callback:+79035550033:{NOW:.0f}")
    assert rung(pbx) == ["101", "100"]
    assert "100 was not reached" in str(steps[0].reason)


async def test_the_pbx_may_be_back_for_the_next_round(database: Database, make: Make) -> None:
    pbx = DeadPhones(gone=True)
    served = make(pbx, callback_rounds=3)
    async with running(served):
        await served.accept_callback(form())
        steps = await dropped(database, f"callback:+79035550033:{NOW:.0f}")
    assert rung(pbx) == ["101", "100"] * 3
    assert "not connected" in str(steps[0].reason)


async def test_switched_off_a_form_is_left_alone(database: Database, make: Make) -> None:
    pbx = DeadPhones()
    await make(pbx, callback=False).accept_callback(form())
    async with database.read() as conn:
        assert await orders.unfinished(conn, "main") == []


async def test_what_was_waiting_is_dialled_after_a_restart_what_was_dialled_is_not(database: Database, make: Make) -> None:
    before = make(DeadPhones())
    await before.accept_callback(form("+79160000001"))
    await before.accept_callback(form("+79160000002"))
    second = f"callback:+79160000002:{NOW:.0f}"
    await database.write(lambda conn: orders.move(conn, "main", second, ClickState.DIALLING, uniqueid="perezvon-gone"))
    pbx = DeadPhones()
    after = make(pbx, callback_rounds=1)
    await after.restore()
    async with running(after):
        steps = await dropped(database, second)
        await dropped(database, f"callback:+79160000001:{NOW:.0f}")
    assert {call.exten for call in pbx.rung} == {"79160000001"}
    assert "not dialled a second time" in str(steps[0].reason)


async def test_a_robot_without_a_token_comes_twice_and_is_not_answered(database: Database, make: Make) -> None:
    pbx = DeadPhones()
    served = make(pbx)
    call = RobotCall("perezvon.call", "LEAD_1", "+79160000003", "", "", "", "robot:x", NOW)
    async with running(served):
        await served.accept_robot(call)
        await served.accept_robot(call)
        steps = await dropped(database, f"robot:x:{NOW:.0f}")
    assert rung(pbx) == ["101"], "the lead's responsible, once"
    assert steps == []
