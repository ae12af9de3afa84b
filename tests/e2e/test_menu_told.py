"""Every menu's story has an end, whoever ends it: the caller, whoever is rung, Bitrix24's turn, or our own death."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from menu_service import Service, Story
from talks import LINE

from perezvon.ivr.menu import MenuRules
from perezvon.ivr.scenario import Button, Scenario
from perezvon.sandbox.pbx import Leg, PbxSandbox

pytestmark = pytest.mark.asterisk

OUTSIDE, BUSY, INSIDE = "79161112266", "79161112277", "102"
BUTTONS = (Button("1", "", OUTSIDE), Button("2", "", BUSY), Button("3", "", INSIDE))
RULES = MenuRules(silence=1.5, ring=2.0)
FIRST = 79151006000


@pytest.fixture(scope="module")
async def story(pbx_session: PbxSandbox) -> AsyncIterator[Story]:
    async with Story().following(pbx_session) as story:
        yield story


def serving(pbx: PbxSandbox, buttons: tuple[Button, ...] = BUTTONS, *, asked: bool = True) -> Service:
    """One that knows a scenario for everybody, until it is stopped."""
    return Service(pbx, {"": (Scenario(LINE, "", buttons, asked=asked), RULES)} if buttons else {})


@asynccontextmanager
async def hanging(pbx: PbxSandbox) -> AsyncIterator[None]:
    """A service that stops in the middle of its answer, with its connection open."""

    async def menu(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"EXEC MSet PEREZVON_KEY_1_1=101,PEREZVON_SILENCE=2\n")
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
    async with serving(pbx):
        client, uid = await calls(pbx, 1)
        await presses(client, "1")
        other = await pbx.world.number(OUTSIDE).talking()
        await other.hangup()
        told = f"began key 1 {OUTSIDE} over {OUTSIDE} ANSWER"
        assert await story.until(uid, "over") == told
        client, uid = await calls(pbx, 2)
        await presses(client, "3")
        await pbx.world.phone(INSIDE).talking()
        await client.hangup()
        assert await story.until(uid, "over") == f"began key 3 {INSIDE} over {INSIDE} ANSWER"


async def test_busy_and_given_up_while_it_rings(pbx: PbxSandbox, story: Story) -> None:
    await pbx.world.number(BUSY).busy()
    await pbx.world.number(OUTSIDE).rings()
    async with serving(pbx):
        client, uid = await calls(pbx, 3)
        await presses(client, "2")
        await pbx.world.connector.talking()
        assert await story.until(uid, "over") == f"began key 2 {BUSY} over {BUSY} BUSY"
        await client.hangup()
        client, uid = await calls(pbx, 4)
        await presses(client, "1")
        await pbx.world.number(OUTSIDE).ringing()
        await client.hangup()
        assert await story.until(uid, "over") == f"began key 1 {OUTSIDE} over {OUTSIDE} CANCEL"


async def test_on_to_bitrix24(pbx: PbxSandbox, story: Story) -> None:
    """Told when it goes on, and not once more when the caller hangs up."""
    async with serving(pbx):
        for number, key, told in ((5, "9", "wrong 9"), (6, "", "silence")):
            client, uid = await calls(pbx, number)
            await presses(client, key)
            await pbx.world.connector.talking()
            await client.hangup()
            await pbx.office.until(lambda uid=uid: uid not in pbx.office.channels, "the caller's channel is gone")
            assert await story.until(uid, "over") == f"began {told} over PORTAL"


async def test_the_caller_hangs_up_in_the_menu(pbx: PbxSandbox, story: Story) -> None:
    async with serving(pbx):
        client, uid = await calls(pbx, 7)
        await client.answered()
        await client.hangup()
        assert await story.until(uid, "over") == "began over HANGUP"


async def test_perezvon_dies_in_the_menu_and_hangs_before_it(pbx: PbxSandbox, story: Story) -> None:
    async with serving(pbx):
        client, uid = await calls(pbx, 8)
        await story.until(uid, "began")
    await presses(client, "3")
    await pbx.world.phone(INSIDE).talking()
    await client.hangup()
    assert await story.until(uid, "over") == f"began key 3 {INSIDE} over {INSIDE} ANSWER"
    async with hanging(pbx):
        client, uid = await calls(pbx, 9)
        await pbx.world.connector.talking()
        assert story.of(uid) == "", "half a menu is none"
        await client.hangup()


async def test_without_a_menu_there_is_no_story(pbx: PbxSandbox, story: Story) -> None:
    async with serving(pbx, ()):
        client, nothing = await calls(pbx, 10)
        await pbx.world.connector.talking()
        await client.hangup()
    async with serving(pbx, (Button("", "", OUTSIDE),), asked=False):
        client, one = await calls(pbx, 11)
        await pbx.world.number(OUTSIDE).talking()
        await client.hangup()
        assert await story.until(one, "over") == f"rings {OUTSIDE} over {OUTSIDE} ANSWER"
    assert story.of(nothing) == ""
