"""Scenarios of calls that wait for one of several: queues, menus, ring groups."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from scenario import ADMIN, MAIN_LINE, OUTGOING, TALK, Expected, Scenario, Scene, pause


async def queue_ringall(scene: Scene) -> None:
    await scene.rings("101", "102")
    client = await scene.arrives("300")
    phone, _ = await scene.rung("101", "102")
    await phone.answer()
    scene.begins()
    await scene.goes_on(client)
    await scene.ends(client)


@asynccontextmanager
async def paused(scene: Scene, *extensions: str) -> AsyncIterator[None]:
    """These agents of the queue that rings by turn are not rung."""

    async def pause_agents(on: bool) -> None:
        for extension in extensions:
            headers = (("Queue", "support"), ("Interface", f"PJSIP/{extension}"), ("Paused", str(on).lower()))
            await scene.stand.pbx.office.ask("QueuePause", *headers)

    await pause_agents(True)
    try:
        yield
    finally:
        await pause_agents(False)


async def first_103(scene: Scene) -> None:
    """The queue that rings by turn rings 103 and then 104, whoever it rang last."""
    await scene.rings("103")
    async with paused(scene, "104"):
        await scene.arrives("310")
        await scene.rung("103")


async def queue_agent_rejects(scene: Scene) -> None:
    await first_103(scene)
    await scene.rings("104")
    await scene.world.phone("103").leg.reject()
    [other] = await scene.rung("104")
    await other.answer()
    scene.begins()
    await scene.goes_on(scene.clients[0])
    await scene.ends(other)


async def queue_abandoned(scene: Scene) -> None:
    await first_103(scene)
    await scene.ends(scene.clients[0])


async def queue_without_agents(scene: Scene) -> None:
    async with paused(scene, "103", "104"):
        client = await scene.arrives("310")
        await client.answered()
        await pause(0.5)
        await scene.ends(client)


async def queue_with_penalties(scene: Scene) -> None:
    busy = await scene.world.phone("103").dial(scene.mobile)
    await scene.world.number(scene.mobile).talking()
    client = await scene.arrives("320")
    leg = await scene.world.phone("104").talking()
    scene.begins()
    await client.talks(TALK)
    await scene.ends(leg)
    await busy.hangup()


async def menu_then_queue(scene: Scene) -> None:
    await scene.rings("101", "102")
    client = await scene.arrives("400")
    await client.answered()
    await client.press("2")
    _, phone = await scene.rung("101", "102")
    await phone.answer()
    scene.begins()
    await scene.goes_on(client)
    await scene.ends(client)


async def menu_wrong_key(scene: Scene) -> None:
    client = await scene.arrives("400")
    await client.answered()
    await client.press("7")
    await pause(0.3)
    await client.press("1")
    await scene.world.phone("101").talking()
    scene.begins()
    await client.talks(TALK)
    await scene.ends(client)


async def group_abandoned(scene: Scene) -> None:
    await scene.rings("101", "102", "103")
    client = await scene.arrives("200")
    await scene.rung("101", "102", "103")
    await scene.ends(client)


async def group_employee_hangs_up(scene: Scene) -> None:
    await scene.rings("101", "103")
    client = await scene.arrives("200")
    leg = await scene.world.phone("102").talking()
    scene.begins()
    await client.talks(TALK)
    await scene.ends(leg)


SCENARIOS = (
    Scenario(
        "queue, all ring",
        "Both agents of a queue ring; one answers, the other's phone falls silent.",
        "101 102",
        queue_ringall,
        (Expected("101", "101 -102", "+74950000300"),),
    ),
    Scenario(
        "queue by turn, an agent rejects",
        "The agent whose turn it is rejects; the next one rings and answers.",
        "103 104",
        queue_agent_rejects,
        (Expected("104", "-103 104", "+74950000310"),),
    ),
    Scenario(
        "queue, the caller gives up",
        "An agent's phone rings; the caller hangs up.",
        "103 104",
        queue_abandoned,
        (Expected("103", "103", "+74950000310", "304"),),
    ),
    Scenario(
        "queue, no agent is there",
        "The caller hears music, nobody is rung; he hangs up.",
        "103 104",
        queue_without_agents,
        (Expected(ADMIN, "", "+74950000310", "304"),),
    ),
    Scenario(
        "queue with penalties",
        "The first agent talks to somebody else, so the second one, who has a penalty, is rung and answers.",
        "103 104",
        queue_with_penalties,
        (Expected("104", "104", "+74950000320"),),
        beside=(Expected("103", "103", MAIN_LINE, type=OUTGOING),),
    ),
    Scenario(
        "menu, then a queue",
        "The caller presses 2; both agents of the queue ring, the second answers.",
        "101 102",
        menu_then_queue,
        (Expected("102", "-101 102", "+74950000400"),),
    ),
    Scenario(
        "menu, a wrong key first",
        "The caller presses 7, which leads nowhere, then 1: an employee answers.",
        "101",
        menu_wrong_key,
        (Expected("101", "101", "+74950000400"),),
    ),
    Scenario(
        "ring group, the caller gives up",
        "Three phones ring; the caller hangs up.",
        "101 102 103",
        group_abandoned,
        (Expected("103", "101 102 103", "+74950000200", "304"),),
    ),
    Scenario(
        "ring group, the employee hangs up",
        "Three phones ring, the second is answered; the employee ends the call.",
        "101 102 103",
        group_employee_hangs_up,
        (Expected("102", "-101 102 -103", "+74950000200"),),
    ),
)
