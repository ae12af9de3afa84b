"""A service that knows a menu for each of the company's numbers, without a database, and what the dialplan tells of callers in
them. For the tests of the menu on a real Asterisk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from perezvon.asterisk import AmiAddress, Session
from perezvon.asterisk.agi import AgiCall, AgiServer
from perezvon.calls import Event
from perezvon.ivr.finding import Part
from perezvon.ivr.menu import MenuRules, give_menu
from perezvon.ivr.prompts import Prompt
from perezvon.ivr.scenario import Scenario
from perezvon.sandbox.pbx import PbxSandbox


@dataclass(frozen=True, slots=True)
class FolderShelf:
    """Takes every recording for there; a key has none."""

    folder: Path = Path("/nowhere")

    async def ready(self, scenario: Scenario) -> None:
        return

    def spoken(self, part: Part, name: str) -> Sequence[Prompt]:
        return () if part is Part.KEY or not name else (Prompt(str(self.folder / name), 1.0),)


@dataclass
class Service:
    """`menus`: number -> what is asked there, and how; "" stands for all others."""

    pbx: PbxSandbox
    menus: Mapping[str, tuple[Scenario, MenuRules]]
    shelf: FolderShelf = field(default_factory=FolderShelf)

    async def __aenter__(self) -> Service:
        self._server = AgiServer({"menu": self._menu})
        host, _, port = self.pbx.agi_bind.rpartition(":")
        await self._server.start(host, int(port))
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._server.close()

    async def _menu(self, call: AgiCall) -> None:
        scenario, rules = self.menus.get(call.args[0]) or self.menus.get("") or (None, MenuRules())
        await give_menu(call, scenario, self.shelf, rules)


class Story:
    """What is told of the menu of each caller."""

    def __init__(self) -> None:
        self._told: list[Event] = []
        self._more = asyncio.Condition()

    @asynccontextmanager
    async def following(self, pbx: PbxSandbox) -> AsyncIterator[Story]:
        async with await Session.open(AmiAddress.parse(pbx.office_ami), wanted=frozenset({"UserEvent"})) as session:
            task = asyncio.create_task(self._follow(session), name="story")
            try:
                yield self
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _follow(self, session: Session) -> None:
        async for events in session.events():
            async with self._more:
                self._told += [event for event in events if event["userevent"] == "PerezvonMenu"]
                self._more.notify_all()

    def events(self, uniqueid: str) -> list[Event]:
        return [event for event in self._told if event["uniqueid"] == uniqueid]

    def of(self, uniqueid: str) -> str:
        """`began key 1 102 over 102 ANSWER`."""
        told = self.events(uniqueid)
        return " ".join(" ".join(filter(None, (e["step"], e["key"], e["to"], e["result"]))) for e in told)

    def heard(self, uniqueid: str) -> list[str]:
        """After each step but the first."""
        return [" ".join(event["heard"].split()) for event in self.events(uniqueid)][1:]

    async def until(self, uniqueid: str, last: str, within: float = 10) -> str:
        async with asyncio.timeout(within), self._more:
            await self._more.wait_for(lambda: last in self.of(uniqueid))
        return self.of(uniqueid)
