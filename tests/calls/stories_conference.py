"""Stories of our own dialplan: a manager in the portal brings a third person into a call with a client; the voice menu.

A few lines stand in for the service: the AGI server of ours, and what it would have looked up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from call_story import CLIENT, CLIENT_E164, MOBILE, MOBILE_E164, Truth, story

from perezvon.asterisk import Session
from perezvon.asterisk.agi import AgiCall, AgiServer
from perezvon.sandbox.pbx import Leg, PbxSandbox

LINE = "70000000000"
THIRD, FOURTH = "79161112244", "79161112255"
THIRD_E164, FOURTH_E164 = "+79161112244", "+79161112255"
CODES = {"1": THIRD, "2": FOURTH, "3": "102"}
PORTAL = "bitrix24"
Talk = tuple[Leg, Leg]

ANSWERED: dict[str, Any] = {"outcome": "answered", "talkers": [PORTAL], "last_talker": PORTAL, "transfers": []}
INCOMING: dict[str, Any] = ANSWERED | {"direction": "incoming", "client": CLIENT_E164, "line": LINE, "rung": [PORTAL]}
OUTGOING: dict[str, Any] = ANSWERED | {"direction": "outgoing", "client": MOBILE_E164, "rung": []}


def with_third(*numbers: str) -> dict[str, Any]:
    return {"third_parties": list(numbers), "recordings": 1}


Handler = Callable[[AgiCall], Awaitable[None]]


@asynccontextmanager
async def serving(pbx: PbxSandbox, **scripts: Handler) -> AsyncGenerator[None]:
    async def menu(call: AgiCall) -> None: ...

    async def third(call: AgiCall) -> None:
        if number := CODES.get(call.args[0]):
            await call.set("PEREZVON_TO", number)

    server = AgiServer({"menu": menu, "third": third, **scripts})
    host, _, port = pbx.agi_bind.rpartition(":")
    await server.start(host, int(port))
    try:
        yield
    finally:
        await server.close()


async def incoming(pbx: PbxSandbox) -> Talk:
    client = await pbx.world.call(frm=CLIENT, to=LINE, name="Иван")
    manager = await pbx.world.connector.talking()
    await client.talks(1)
    return client, manager


async def outgoing(pbx: PbxSandbox) -> Talk:
    manager = await pbx.world.connector.dial(MOBILE)
    client = await pbx.world.number(MOBILE).talking()
    await manager.talks(1)
    return client, manager


async def consult(talk: Talk) -> None:
    await talk[1].press("*3")
    await asyncio.sleep(0.7)


async def private(pbx: PbxSandbox, talk: Talk, code: str = "1", number: str = THIRD) -> Leg:
    party = pbx.world.phone(number) if len(number) == 3 else pbx.world.number(number)
    await party.rings()
    await talk[1].press(f"{code}#")
    third = await party.ringing()
    await third.answer()
    await third.talking(to=talk[1])
    await third.talks(0.5)
    return third


async def merged(talk: Talk, third: Leg) -> None:
    await talk[1].press("#")
    await third.talking(to=talk[0])
    await talk[1].talking(to=talk[0])
    await third.talks(0.7)


async def everybody_gone(pbx: PbxSandbox, *legs: Leg) -> None:
    for leg in legs:
        if leg.alive:
            await leg.ended()


@story(INCOMING | with_third(THIRD_E164))
async def conference_incoming(pbx: PbxSandbox, _: Session) -> Truth:
    async with serving(pbx):
        client, manager = talk = await incoming(pbx)
        await consult(talk)
        third = await private(pbx, talk)
        await merged(talk, third)
        await client.hangup()
        await third.hangup()
        await everybody_gone(pbx, manager)
        return manager, client


@story(OUTGOING | with_third(THIRD_E164))
async def conference_outgoing(pbx: PbxSandbox, _: Session) -> Truth:
    """The manager ends it for all."""
    async with serving(pbx):
        client, manager = talk = await outgoing(pbx)
        await consult(talk)
        third = await private(pbx, talk)
        await merged(talk, third)
        await manager.hangup()
        await everybody_gone(pbx, client, third)
        return client, client


@story(INCOMING | with_third(THIRD_E164, FOURTH_E164))
async def conference_of_four(pbx: PbxSandbox, _: Session) -> Truth:
    async with serving(pbx):
        client, manager = talk = await incoming(pbx)
        await consult(talk)
        third = await private(pbx, talk)
        await merged(talk, third)
        await consult(talk)
        fourth = await private(pbx, talk, "2", FOURTH)
        await merged(talk, fourth)
        await third.hangup()
        await fourth.talks(0.5)
        await client.hangup()
        await manager.hangup()
        await everybody_gone(pbx, fourth)
        return manager, client


@story(INCOMING | with_third())
async def conference_dropped_while_ringing(pbx: PbxSandbox, _: Session) -> Truth:
    async with serving(pbx):
        client, manager = talk = await incoming(pbx)
        await consult(talk)
        number = pbx.world.number(THIRD)
        await number.rings()
        await manager.press("1#")
        third = await number.ringing()
        await asyncio.sleep(0.5)
        await manager.press("*")
        await third.ended()
        await manager.talking(to=client)
        await client.talks(0.5)
        await client.hangup()
        await everybody_gone(pbx, manager)
        return manager, client


@story(OUTGOING | with_third(THIRD_E164))
async def conference_dropped_in_private(pbx: PbxSandbox, _: Session) -> Truth:
    async with serving(pbx):
        client, manager = talk = await outgoing(pbx)
        await consult(talk)
        third = await private(pbx, talk)
        await manager.press("*")
        await third.ended()
        await manager.talking(to=client)
        await client.talks(0.5)
        await client.hangup()
        await everybody_gone(pbx, manager)
        return client, client


@story(OUTGOING | with_third(FOURTH_E164))
async def conference_busy_then_another(pbx: PbxSandbox, _: Session) -> Truth:
    async with serving(pbx):
        client, manager = talk = await outgoing(pbx)
        await consult(talk)
        await pbx.world.number(THIRD).busy()
        await manager.press("1#")
        await asyncio.sleep(1.5)
        fourth = await private(pbx, talk, "2", FOURTH)
        await merged(talk, fourth)
        await fourth.hangup()
        await manager.talks(0.5)
        await client.hangup()
        await everybody_gone(pbx, manager)
        return client, client


@story(INCOMING | with_third("102"))
async def conference_with_a_colleague(pbx: PbxSandbox, _: Session) -> Truth:
    """His phone rings, and no card comes up: he is the third person."""
    async with serving(pbx):
        client, manager = talk = await incoming(pbx)
        await consult(talk)
        third = await private(pbx, talk, "3", "102")
        await merged(talk, third)
        await third.hangup()
        await client.talks(0.3)
        await client.hangup()
        await everybody_gone(pbx, manager)
        return manager, client


@story(INCOMING | with_third(THIRD_E164))
async def conference_without_the_client(pbx: PbxSandbox, _: Session) -> Truth:
    """He hangs up during the private talk; the others go on, and ring a fourth."""
    async with serving(pbx):
        client, manager = talk = await incoming(pbx)
        await consult(talk)
        third = await private(pbx, talk)
        await client.hangup()
        await manager.press("#")
        await asyncio.sleep(0.7)
        await manager.press("*3")
        await asyncio.sleep(0.7)
        await manager.hangup()
        await everybody_gone(pbx, third)
        return manager, client


async def back(pbx: PbxSandbox) -> Leg:
    """The manager is rung back."""
    world = pbx.world
    await world.switch.until(lambda: any(leg.up for leg in world.connector.legs), "the manager is back")
    return world.connector.leg


@story(INCOMING | with_third(THIRD_E164))
async def conference_by_refer(pbx: PbxSandbox, _: Session) -> Truth:
    async with serving(pbx):
        client, first = await incoming(pbx)
        await first.refer("900")
        await first.ended()
        manager = await back(pbx)
        await asyncio.sleep(0.7)
        talk = (client, manager)
        third = await private(pbx, talk)
        await merged(talk, third)
        await client.hangup()
        await manager.hangup()
        await everybody_gone(pbx, third)
        return first, client


@story(OUTGOING | with_third(THIRD_E164) | {"rung": [PORTAL]})
async def conference_by_refer_of_an_outgoing_call(pbx: PbxSandbox, _: Session) -> Truth:
    async with serving(pbx):
        client, first = await outgoing(pbx)
        await first.refer("900")
        await first.ended()
        manager = await back(pbx)
        await asyncio.sleep(0.7)
        talk = (client, manager)
        third = await private(pbx, talk)
        await merged(talk, third)
        await client.hangup()
        await manager.hangup()
        await everybody_gone(pbx, third)
        return client, client


@story(INCOMING | with_third(THIRD_E164))
async def conference_by_a_second_call(pbx: PbxSandbox, _: Session) -> Truth:
    found: list[str] = []

    async def match(call: AgiCall) -> None:
        await call.set("PEREZVON_PEER", found[0])

    async with serving(pbx, match=match):
        client, first = await incoming(pbx)
        found.append((await client.office_channel()).name)
        second = await pbx.world.connector.dial("900")
        await first.ended()
        talk = (client, second)
        await asyncio.sleep(0.7)
        third = await private(pbx, talk)
        await merged(talk, third)
        await client.hangup()
        await second.hangup()
        await everybody_gone(pbx, third)
        return first, client


# ---- the voice menu


async def by_key(call: AgiCall) -> None:
    """A menu of two keys, without a prompt."""
    keys = {"PEREZVON_KEY_1_1": THIRD, "PEREZVON_KEY_1_2": "102"}
    rules = {"PEREZVON_RING": "2", "PEREZVON_SILENCE": "5", "PEREZVON_TRIES": "1", "PEREZVON_CYCLES": "1"}
    await call.end({**keys, **rules, "PEREZVON_FIRST": "1", "PEREZVON_PROMPTS": "0"})


@story(
    {"direction": "incoming", "client": CLIENT_E164, "line": LINE, "outcome": "answered", "menu": ["1"]}
    | {"rung": [THIRD_E164], "talkers": [THIRD_E164], "forwarded_to": THIRD_E164, "third_parties": []}
)
async def our_menu_to_an_outside_number(pbx: PbxSandbox, _: Session) -> Truth:
    async with serving(pbx, menu=by_key):
        client = await pbx.world.call(frm=CLIENT, to=LINE)
        await client.answered()
        await client.press("1")
        leg = await pbx.world.number(THIRD).talking()
        await client.talks(0.7)
        await client.hangup()
        await leg.ended()
        return leg, client


@story(INCOMING | {"menu": ["1"], "rung": [THIRD_E164, PORTAL]})
async def our_menu_in_vain_then_the_portal(pbx: PbxSandbox, _: Session) -> Truth:
    async with serving(pbx, menu=by_key):
        await pbx.world.number(THIRD).rings()
        client = await pbx.world.call(frm=CLIENT, to=LINE)
        await client.answered()
        await client.press("1")
        leg = await pbx.world.connector.talking()
        await client.talks(0.7)
        await leg.hangup()
        await client.ended()
        return leg, client


@story(INCOMING | {"menu": ["2"], "rung": ["102"], "talkers": ["102"], "last_talker": "102"})
async def our_menu_to_a_colleague(pbx: PbxSandbox, _: Session) -> Truth:
    async with serving(pbx, menu=by_key):
        client = await pbx.world.call(frm=CLIENT, to=LINE)
        await client.answered()
        await client.press("2")
        leg = await pbx.world.phone("102").talking()
        await client.talks(0.7)
        await client.hangup()
        await leg.ended()
        return leg, client


@story({"direction": "incoming", "client": CLIENT_E164, "line": LINE, "outcome": "missed", "menu": ["9"], "rung": [PORTAL]})
async def our_menu_given_up(pbx: PbxSandbox, _: Session) -> Truth:
    async with serving(pbx, menu=by_key):
        await pbx.world.connector.rings()
        client = await pbx.world.call(frm=CLIENT, to=LINE)
        await client.answered()
        await client.press("9")
        await pbx.world.connector.ringing()
        await client.hangup()
        return None, client
