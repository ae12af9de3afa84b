"""The service's side of messages that something is wrong: queued once, kept over a restart, the portal's own absence told
when it is back, and nothing secret in them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from perezvon.delivery import announcing, rooms
from perezvon.delivery.after import Ask
from perezvon.rules.vocabulary import Kind
from perezvon.service.alerts import WHEN_BACK, Alerts, lane_of
from perezvon.settings.alerts import AlertSettings
from perezvon.settings.load import parse, settings_from
from perezvon.settings.model import Settings
from perezvon.storage import Database, lanes
from perezvon.storage.steps import State, Step
from perezvon.web import PbxStatus, PortalStatus, Status

SECRET = "s3cretsecretsecret"
SETTINGS = f"""
[[portal]]
name = "main"
webhook = "https://example.bitrix24.ru/rest/1/{SECRET}/"
[alerts]
enabled = true
to = "chat12"
minutes = 1
"""


@dataclass
class House:
    """What the service sees, and its clock."""

    database: Database
    settings: Settings
    now: float = 1_000_000.0
    pbx: PbxStatus = field(default_factory=lambda: PbxStatus("main", "live", 0.0))
    portal: PortalStatus = field(default_factory=lambda: PortalStatus("main", "ready", 0.0))
    queued: list[str] = field(default_factory=list)

    async def status(self) -> Status:
        return Status("1", self.now, 0.0, pbxs=(self.pbx,), portals=(self.portal,))

    def alerts(self) -> Alerts:
        return Alerts(self, lambda: self.settings, self.database, self.queued.append, "id", clock=lambda: self.now)

    async def goes_on(self, alerts: Alerts, seconds: float) -> None:
        for _ in range(int(seconds // 10)):
            self.now += 10
            await alerts.look()

    async def steps(self) -> list[Step]:
        async with self.database.read() as conn:
            return (await lanes.load(conn, [lane_of("main")])).get(lane_of("main"), [])

    async def texts(self) -> list[str]:
        return [str(step.params["message"]) for step in await self.steps()]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with await Database.open(tmp_path) as database:
        yield House(database, settings_from(parse(SETTINGS)))


async def test_a_trouble_is_told_once_and_its_end_also_over_a_restart(house: House) -> None:
    alerts = house.alerts()
    await house.goes_on(alerts, 300)
    assert await house.texts() == []
    house.pbx = replace(house.pbx, state="waiting", last_error=f"refused: {SECRET} [b]x[/b]")
    await house.goes_on(alerts, 300)
    [told] = await house.texts()
    assert told.startswith("[b]Перезвон: что-то не так[/b]\nasterisk main: нет связи: refused: *** (b)x(/b) (с ")
    assert SECRET not in told
    assert house.queued == ["main"]
    await house.goes_on(house.alerts(), 300)
    assert len(await house.texts()) == 1, "a new service knows what the old one has told"
    house.pbx = replace(house.pbx, state="live", last_error="")
    await house.goes_on(house.alerts(), 300)
    _, over = await house.texts()
    assert over.startswith("[b]Перезвон: снова в порядке[/b]\nasterisk main: не работало с ")


async def test_the_portals_own_absence_is_told_when_it_is_back(house: House) -> None:
    house.portal = replace(house.portal, state="unreachable", since=house.now, last_error="no route")
    await house.goes_on(house.alerts(), 600)
    [silent] = await house.steps()
    assert (silent.state, silent.note) == (State.SKIPPED, WHEN_BACK)
    house.portal = replace(house.portal, state="ready", last_error="")
    await house.goes_on(house.alerts(), 300)
    [_, told] = await house.steps()
    assert told.state is State.NEW
    assert str(told.params["message"]).startswith("[b]Перезвон: снова в порядке[/b]\nportal main: не работало с ")
    assert "10 мин" in str(told.params["message"])


async def test_nothing_is_told_to_nobody(house: House) -> None:
    house.settings = house.settings.model_copy(update={"alerts": AlertSettings()})
    house.pbx = replace(house.pbx, state="waiting", last_error="refused")
    await house.goes_on(house.alerts(), 600)
    assert await house.texts() == []


async def test_the_delivery_asks_the_chat_and_then_writes(house: House) -> None:
    house.pbx = replace(house.pbx, state="waiting", last_error="refused")
    await house.goes_on(house.alerts(), 200)
    [step] = await house.steps()
    assert step.kind is Kind.ANNOUNCE
    asked = rooms.next_of(step, [step], house.now)
    assert isinstance(asked, Ask)
    assert (asked.method, asked.params) == ("im.dialog.get", {"DIALOG_ID": "chat12"})
    person = replace(step, params={**step.params, "to": "7"})
    asked = announcing.next_of(person, [person], house.now)
    assert isinstance(asked, Ask)
    assert asked.method == "im.notify.personal.add"
    assert asked.params["MESSAGE"] == step.params["message"]
