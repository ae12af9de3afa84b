"""Every menu's story has an end, whoever ends it: the caller, whoever is rung, Bitrix24's turn, or our own death."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from talks import LINE

from perezvon.asterisk import AmiAddress, Session
from perezvon.asterisk.agi import AgiCall, AgiServer
from perezvon.calls import Event
from perezvon.ivr.finding import Part
from perezvon.ivr.menu import MenuRules, run_menu
from perezvon.ivr.prompts import Prompt
from perezvon.ivr.scenario import Button, Scenario
from perezvon.sandbox.pbx import Leg, PbxSandbox

pytestmark = pytest.mark.asterisk

OUTSIDE, BUSY, INSIDE = "79161112266", "79161112277", "102"
BUTTONS = (Button("1", "", OUTSIDE), Button("2", "", BUSY), Button("3", "", INSIDE))
RULES = MenuRules(silence=1.5, ring=2.0, margin=1.0)
FIRST = 79151006000


class NoPrompts:
    async def ready(self, scenario: Scenario) -> None: ...
    def spoken(self, part: Part, name: str) -> Sequence[Prompt]:
        return ()


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

    def of(self, uniqueid: str) -> str:
        told = [event for event in self._told if event["uniqueid"] == uniqueid]
        return " ".join(" ".join(filter(None, (e["step"], e["key"], e["to"], e["result"]))) for e in told)

    async def until(self, uniqueid: str, last: str) -> str:
        async with asyncio.timeout(10), self._more:
            await self._more.wait_for(lambda: last in self.of(uniqueid))
        return self.of(uniqueid)


@pytest.fixture(scope="module")
async def story(pbx_session: PbxSandbox) -> AsyncIterator[Story]:
    async with Story().following(pbx_session) as story:
        yield story


class Service:
    """One that knows a scenario for everybody, until it is stopped."""

    def __init__(self, pbx: PbxSandbox, buttons: tuple[Button, ...] = BUTTONS, *, asked: bool = True) -> None:
        self._scenario = Scenario(LINE, "", buttons, asked=asked) if buttons else None
        self._server = AgiServer({"menu": self._menu})
        self._bind = pbx.agi_bind

    async def __aenter__(self) -> Service:
        host, _, port = self._bind.rpartition(":")
        await self._server.start(host, int(port))
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._server.close()

    async def _menu(self, call: AgiCall) -> None:
        await run_menu(call, self._scenario, NoPrompts(), RULES)


@asynccontextmanager
async def hanging(pbx: PbxSandbox) -> AsyncIterator[None]:
    """A service that stops in the middle of the menu, with its connection open."""

    async def menu(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SET VARIABLE PEREZVON_MENU began\n")
        await reader.read()  # until Asterisk has given up
        writer.close()

    host, _, port = pbx.agi_bind.rpartition(":")
    async with await asyncio.start_server(menu, host, int(port)):
        yield


async def calls(pbx: PbxSandbox, number: int) -> tuple[Leg, str]:
    client = await pbx.world.call(frm=str(FIRST + number), to=LINE)
    return client, (await client.office_channel()).uniqueid


async def presses(client: Leg, key: str) -> None:
    await client.answered()
    await client.press(key)


async def test_whoever_answers(pbx: PbxSandbox, story: Story) -> None:
    async with Service(pbx):
        client, uid = await calls(pbx, 1)
        await presses(client, "1")
        other = await pbx.world.number(OUTSIDE).talking()
        await other.hangup()
        told = f"began key 1 {OUTSIDE} rings {OUTSIDE} over {OUTSIDE} ANSWER"
        assert await story.until(uid, "over") == told
        client, uid = await calls(pbx, 2)
        await presses(client, "3")
        await pbx.world.phone(INSIDE).talking()
        await client.hangup()
        assert await story.until(uid, "over") == f"began key 3 {INSIDE} rings {INSIDE} over {INSIDE} ANSWER"


async def test_busy_and_given_up_while_it_rings(pbx: PbxSandbox, story: Story) -> None:
    await pbx.world.number(BUSY).busy()
    await pbx.world.number(OUTSIDE).rings()
    async with Service(pbx):
        client, uid = await calls(pbx, 3)
        await presses(client, "2")
        await pbx.world.connector.talking()
        assert await story.until(uid, "over") == f"began key 2 {BUSY} rings {BUSY} over {BUSY} BUSY"
        await client.hangup()
        client, uid = await calls(pbx, 4)
        await presses(client, "1")
        await pbx.world.number(OUTSIDE).ringing()
        await client.hangup()
        assert await story.until(uid, "over") == f"began key 1 {OUTSIDE} rings {OUTSIDE} over {OUTSIDE} CANCEL"


async def test_on_to_bitrix24(pbx: PbxSandbox, story: Story) -> None:
    """Told when it goes on, and not once more when the caller hangs up."""
    async with Service(pbx):
        for number, key, told in ((5, "9", "wrong 9"), (6, "", "silence")):
            client, uid = await calls(pbx, number)
            await presses(client, key)
            await pbx.world.connector.talking()
            await client.hangup()
            await pbx.office.until(lambda uid=uid: uid not in pbx.office.channels, "the caller's channel is gone")
            assert await story.until(uid, "over") == f"began {told} over PORTAL"


async def test_the_caller_hangs_up_in_the_menu(pbx: PbxSandbox, story: Story) -> None:
    async with Service(pbx):
        client, uid = await calls(pbx, 7)
        await client.answered()
        await client.hangup()
        assert await story.until(uid, "over") == "began over HANGUP"


async def test_perezvon_dies_or_hangs_in_the_menu(pbx: PbxSandbox, story: Story) -> None:
    async with Service(pbx):
        client, uid = await calls(pbx, 8)
        await story.until(uid, "began")
        await client.answered()
    await pbx.world.connector.talking()
    assert await story.until(uid, "over") == "began over PORTAL"
    await client.hangup()
    async with hanging(pbx):
        client, uid = await calls(pbx, 9)
        await pbx.world.connector.talking()
        assert await story.until(uid, "over") == "over TIMEOUT"
        await client.hangup()


async def test_without_a_menu_there_is_no_story(pbx: PbxSandbox, story: Story) -> None:
    async with Service(pbx, ()):
        client, nothing = await calls(pbx, 10)
        await pbx.world.connector.talking()
        await client.hangup()
    async with Service(pbx, (Button("", "", OUTSIDE),), asked=False):
        client, one = await calls(pbx, 11)
        await pbx.world.number(OUTSIDE).talking()
        await client.hangup()
        assert await story.until(one, "over") == f"rings {OUTSIDE} over {OUTSIDE} ANSWER"
    assert story.of(nothing) == ""
