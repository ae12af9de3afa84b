"""Scenarios with a portal call for each employee to whom the client is passed on (`calls.transfers = "each"`)."""

from __future__ import annotations

from typing import Any

from scenario import MAIN_LINE, OUTGOING, TALK, Expected, Scenario, Scene, pause
from scenarios_moved import consultation_in_vain, consults

from perezvon.sandbox.pbx import Leg


async def goes_on_with(scene: Scene, client: Leg, extension: str, call: int) -> Leg:
    """The client talks with the next one, whose portal call that is."""
    leg = await scene.world.phone(extension).talking()
    scene.begins(call)
    await scene.goes_on(client, to=leg)
    return leg


async def blind_by_code(scene: Scene) -> None:
    client, first = await scene.talk("101", "101")
    await first.press("##10")
    scene.is_over(0)
    await first.press("2")
    await scene.ends(await goes_on_with(scene, client, "102", 1), 1)


async def attended_by_code(scene: Scene) -> None:
    client, first = await scene.talk("101", "101")
    await first.press("*2102")
    second = await scene.world.phone("102").talking()
    await second.talks(0.5)
    scene.is_over(0)
    scene.begins(1)
    await first.hangup()
    await scene.goes_on(client, to=second)
    await scene.ends(client, 1)


async def attended_by_replaces(scene: Scene) -> None:
    client, first = await scene.talk("103", "103")
    consultation = await consults(scene, first, "103", "104")
    second = await scene.world.phone("104").talking()
    await consultation.talks(0.5)
    scene.is_over(0)
    scene.begins(1)
    await first.refer_to_leg(consultation)
    await scene.goes_on(client, to=second)
    await scene.ends(client, 1)


async def chain(scene: Scene) -> None:
    client, leg = await scene.talk("101", "101")
    for call, extension in enumerate(("102", "103")):
        scene.is_over(call)
        await leg.refer(extension)
        leg = await goes_on_with(scene, client, extension, call + 1)
    await scene.ends(client, 2)


async def then_missed(scene: Scene) -> None:
    client, first = await scene.talk("103", "103")
    await scene.rings("104")
    scene.is_over(0)
    await first.refer("104")
    await scene.world.phone("104").ringing()
    await scene.shown("104", call=1)
    scene.is_over(1)
    await client.hangup()


async def to_group(scene: Scene) -> None:
    client, first = await scene.talk("104", "104")
    await scene.rings("101", "103")
    scene.is_over(0)
    await first.refer("600")
    await scene.ends(await goes_on_with(scene, client, "102", 1), 1)


async def parked_in_vain(scene: Scene) -> None:
    client, first = await scene.talk("103", "103")
    scene.is_over(0)
    await first.refer("70")
    await first.ended()
    await pause(0.5)
    scene.is_over(1)
    await client.hangup()


async def to_outside(scene: Scene) -> None:
    client, first = await scene.talk("104", "104")
    scene.is_over(0)
    await first.refer(scene.mobile)
    outside = await scene.world.number(scene.mobile).talking()
    await scene.goes_on(client, to=outside)
    scene.is_over(1)
    await client.hangup()


async def outgoing(scene: Scene) -> None:
    await scene.world.phone("101").dial(scene.client)
    client = await scene.world.number(scene.client).talking()
    scene.begins()
    await client.talks(TALK)
    scene.is_over(0)
    await scene.world.phone("101").leg.refer("102")
    await scene.ends(await goes_on_with(scene, client, "102", 1), 1)


def first(user: str, cards: str, line: str = "", **more: Any) -> Expected:
    """The portal call of the first talk, which has the recording of all."""
    return Expected(user, cards, line or f"+74950000{user}", recording="whole", **more)


def then(user: str, cards: str, line: str, **more: Any) -> Expected:
    return Expected(user, cards, line, recording="none", **more)


SCENARIOS = (
    Scenario(
        "blind transfer by code",
        "101 answers and dials ##102; 102 talks and hangs up.",
        "101 102",
        blind_by_code,
        (first("101", "101"), then("102", "102", "+74950000101")),
    ),
    Scenario(
        "attended transfer by code",
        "101 dials *2102, talks to 102, who sees the first call's card meanwhile, and hangs up.",
        "101 102",
        attended_by_code,
        (first("101", "101 102"), then("102", "102", "+74950000101")),
    ),
    Scenario(
        "attended transfer by REFER with Replaces",
        "103 holds the client, calls 104, and its phone joins the two.",
        "103 104",
        attended_by_replaces,
        (first("103", "103 ?104"), then("104", "104", "+74950000103")),
    ),
    Scenario(
        "passed on twice",
        "101 to 102, 102 to 103: three portal calls.",
        "101 102 103",
        chain,
        (first("101", "101"), then("102", "102", "+74950000101"), then("103", "103", "+74950000101")),
    ),
    Scenario(
        "the caller hangs up while the transfer rings",
        "103 sends the caller to 104, whose phone rings: the second call is a missed one of 104.",
        "103 104",
        then_missed,
        (first("103", "103"), then("104", "104", "+74950000103", status="304")),
    ),
    Scenario(
        "parked, and the caller gives up",
        "103 parks the client, nobody is rung: the second call is a missed one of 103.",
        "103",
        parked_in_vain,
        (first("103", "103"), then("103", "", "+74950000103", status="304")),
    ),
    Scenario(
        "transfer to a ring group",
        "104 sends the caller to a group: three phones ring, 102 answers; the others have no portal calls.",
        "101 102 103 104",
        to_group,
        (first("104", "104"), then("102", "-101 102 -103", "+74950000104")),
    ),
    Scenario(
        "transfer to an outside number",
        "104 sends the caller to an outside number, which answers: no employee's call.",
        "104",
        to_outside,
        (first("104", "104", files=2),),
    ),
    Scenario(
        "consultation in vain",
        "101 dials *2102; 102 rejects, the client is back with 101: one portal call.",
        "101 102",
        consultation_in_vain,
        (first("101", "101 -102"),),
    ),
    Scenario(
        "outgoing call transferred",
        "101 calls a client and sends him to 102.",
        "101 102",
        outgoing,
        (first("101", "101", MAIN_LINE, type=OUTGOING), then("102", "102", MAIN_LINE, type=OUTGOING)),
    ),
)
