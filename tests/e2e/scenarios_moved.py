"""Scenarios of calls that change hands: transfers of every kind, parking, hold, conference rooms."""

from __future__ import annotations

from scenario import MAIN_LINE, OUTGOING, TALK, Expected, Scenario, Scene, pause
from scenarios_queued import paused

from perezvon.sandbox.pbx import Leg


async def blind_by_code(scene: Scene) -> None:
    client, first = await scene.talk("101", "101")
    await first.press("##102")
    second = await scene.world.phone("102").talking()
    await scene.goes_on(client, to=second)
    await scene.ends(second)


async def blind_by_refer(scene: Scene) -> None:
    client, first = await scene.talk("103", "103")
    await first.refer("104")
    second = await scene.world.phone("104").talking()
    await scene.goes_on(client, to=second)
    await scene.ends(client)


async def attended_by_code(scene: Scene) -> None:
    client, first = await scene.talk("101", "101")
    await first.press("*2102")
    second = await scene.world.phone("102").talking()
    await second.talks(0.5)
    await first.hangup()
    await scene.goes_on(client, to=second)
    await scene.ends(client)


async def consults(scene: Scene, first: Leg, extension: str, number: str) -> Leg:
    """Puts the client on hold and calls somebody. Gives the leg of the consultation."""
    await first.hold()
    return await scene.world.phone(extension).dial(number)


async def attended_by_replaces(scene: Scene) -> None:
    client, first = await scene.talk("103", "103")
    consultation = await consults(scene, first, "103", "104")
    second = await scene.world.phone("104").talking()
    await consultation.talks(0.5)
    await first.refer_to_leg(consultation)
    await scene.goes_on(client, to=second)
    await scene.ends(client)


async def blonde_by_code(scene: Scene) -> None:
    client, first = await scene.talk("101", "101")
    await scene.rings("102")
    await first.press("*2102")
    second = await scene.world.phone("102").ringing()
    await first.hangup()
    await scene.shown("102")
    await second.answer()
    await scene.goes_on(client, to=second)
    await scene.ends(client)


async def blonde_by_replaces(scene: Scene) -> None:
    client, first = await scene.talk("103", "103")
    await scene.rings("104")
    consultation = await consults(scene, first, "103", "104")
    second = await scene.world.phone("104").ringing()
    await first.refer_to_leg(consultation)
    await scene.shown("104")
    await second.answer()
    await scene.goes_on(client, to=second)
    await scene.ends(client)


async def consultation_in_vain(scene: Scene) -> None:
    client, first = await scene.talk("101", "101")
    await scene.rings("102")
    await first.press("*2102")
    await (await scene.world.phone("102").ringing()).reject()
    await scene.goes_on(client, to=first)
    await scene.ends(client)


async def gives_up_during_consultation(scene: Scene) -> None:
    client, first = await scene.talk("103", "103")
    consultation = await consults(scene, first, "103", "104")
    await consultation.talks(0.5)
    await scene.ends(client)


async def gives_up_while_transferred(scene: Scene) -> None:
    client, first = await scene.talk("101", "101")
    await scene.rings("102")
    await first.refer("102")
    await scene.rung("102")
    await scene.ends(client)


async def to_queue(scene: Scene) -> None:
    client, first = await scene.talk("101", "101")
    async with paused(scene, "104"):
        await first.refer("310")
        second = await scene.world.phone("103").talking()
    await scene.goes_on(client, to=second)
    await scene.ends(client)


async def out_of_queue(scene: Scene) -> None:
    await scene.rings("102")
    client = await scene.arrives("300")
    first = await scene.world.phone("101").talking()
    scene.begins()
    await client.talks(TALK)
    await first.press("##103")
    second = await scene.world.phone("103").talking()
    await second.talks(TALK)
    await scene.ends(client)


async def to_group(scene: Scene) -> None:
    client, first = await scene.talk("104", "104")
    await scene.rings("101", "103")
    await first.press("##600")
    second = await scene.world.phone("102").talking()
    await scene.goes_on(client, to=second)
    await scene.ends(client)


async def and_back(scene: Scene) -> None:
    client, first = await scene.talk("101", "101")
    await first.refer("102")
    second = await scene.world.phone("102").talking()
    await first.ended()
    await scene.goes_on(client, to=second)
    await second.refer("101")
    await second.ended()
    third = await scene.world.phone("101").talking()
    await scene.goes_on(client, to=third)
    await scene.ends(client)


async def attended_then_blind(scene: Scene) -> None:
    client, first = await scene.talk("101", "101")
    await first.press("*2102")
    second = await scene.world.phone("102").talking()
    await first.hangup()
    await scene.goes_on(client, to=second)
    await second.press("##103")
    third = await scene.world.phone("103").talking()
    await scene.goes_on(client, to=third)
    await scene.ends(client)


async def blind_to_outside(scene: Scene) -> None:
    client, first = await scene.talk("104", "104")
    await first.refer(scene.mobile)
    outside = await scene.world.number(scene.mobile).talking()
    await scene.goes_on(client, to=outside)
    await scene.ends(client)


async def attended_to_outside_by_code(scene: Scene) -> None:
    client, first = await scene.talk("104", "104")
    await first.press(f"*2{scene.mobile}")
    outside = await scene.world.number(scene.mobile).talking()
    await outside.talks(0.5)
    await first.hangup()
    await scene.goes_on(client)
    await scene.ends(client)


async def attended_to_outside_by_replaces(scene: Scene) -> None:
    client, first = await scene.talk("102", "102")
    consultation = await consults(scene, first, "102", scene.mobile)
    outside = await scene.world.number(scene.mobile).talking()
    await consultation.talks(0.5)
    await first.refer_to_leg(consultation)
    await scene.goes_on(client, to=outside)
    await scene.ends(client)


async def outgoing_transferred(scene: Scene) -> None:
    await scene.world.phone("103").dial(scene.client)
    client = await scene.world.number(scene.client).talking()
    scene.begins()
    await client.talks(TALK)
    await scene.world.phone("103").leg.refer("104")
    second = await scene.world.phone("104").talking()
    await scene.goes_on(client, to=second)
    await scene.ends(second)


async def hold(scene: Scene) -> None:
    client, leg = await scene.talk("102", "102")
    await leg.hold()
    await pause(0.5)
    await leg.unhold()
    await scene.goes_on(client, to=leg)
    await scene.ends(client)


async def gives_up_on_hold(scene: Scene) -> None:
    client, leg = await scene.talk("102", "102")
    await leg.hold()
    await pause(0.5)
    await scene.ends(client)


async def parked(scene: Scene) -> Leg:
    client, first = await scene.talk("103", "103")
    await first.press("##70")
    await first.ended()
    channel = await client.office_channel()
    await scene.world.office.until(lambda: channel.bridge is not None, "the client is parked")
    return client


async def parked_and_fetched(scene: Scene) -> None:
    client = await parked(scene)
    second = await scene.world.phone("104").dial("71")
    await scene.goes_on(client, to=second)
    await scene.ends(client)


async def parked_and_given_up(scene: Scene) -> None:
    client = await parked(scene)
    await pause(0.5)
    await scene.ends(client)


async def conference_room(scene: Scene) -> None:
    client = await scene.arrives("810")
    await client.answered()
    first = await scene.world.phone("101").dial("801")
    await first.talking(to=client)
    scene.begins()
    second = await scene.world.phone("102").dial("801")
    await second.talking(to=client)
    await client.talks(TALK)
    await first.hangup()
    await client.talks(TALK)
    await scene.ends(client)


SCENARIOS = (
    Scenario(
        "blind transfer by code",
        "101 answers and dials ##102; 102 talks and hangs up.",
        "101 102",
        blind_by_code,
        (Expected("102", "-101 102", "+74950000101"),),
    ),
    Scenario(
        "blind transfer by SIP REFER",
        "103 answers; its phone's transfer key sends the caller to 104.",
        "103 104",
        blind_by_refer,
        (Expected("104", "-103 104", "+74950000103"),),
    ),
    Scenario(
        "attended transfer by code",
        "101 dials *2102, talks to 102 while the client hears music, and hangs up.",
        "101 102",
        attended_by_code,
        (Expected("102", "-101 102", "+74950000101"),),
    ),
    Scenario(
        "attended transfer by REFER with Replaces",
        "103 holds the client, calls 104, and its phone joins the two.",
        "103 104",
        attended_by_replaces,
        (Expected("104", "-103 104", "+74950000103"),),
    ),
    Scenario(
        "blonde transfer by code",
        "101 dials *2102 and hangs up while 102 still rings; 102 answers.",
        "101 102",
        blonde_by_code,
        (Expected("102", "-101 102", "+74950000101"),),
    ),
    Scenario(
        "blonde transfer by REFER with Replaces",
        "103 calls 104, whose phone still rings when 103's phone joins the two; 104 answers.",
        "103 104",
        blonde_by_replaces,
        (Expected("104", "-103 104", "+74950000103"),),
    ),
    Scenario(
        "consultation in vain",
        "101 dials *2102; 102 rejects, the client is back with 101.",
        "101 102",
        consultation_in_vain,
        (Expected("101", "101 -102", "+74950000101"),),
    ),
    Scenario(
        "the caller hangs up during the consultation",
        "103 holds the client and talks to 104; the client hangs up.",
        "103 104",
        gives_up_during_consultation,
        (Expected("103", "103", "+74950000103"),),
    ),
    Scenario(
        "the caller hangs up while the transfer rings",
        "101 sends the caller to 102, whose phone rings; the caller hangs up.",
        "101 102",
        gives_up_while_transferred,
        (Expected("101", "-101 102", "+74950000101"),),
    ),
    Scenario(
        "transfer to a queue",
        "101 sends the caller to a queue; its agent 103 answers.",
        "101 103 104",
        to_queue,
        (Expected("103", "-101 103", "+74950000101"),),
    ),
    Scenario(
        "transfer out of a queue",
        "An agent of a queue (Local/…/n) dials ##103; 103 talks.",
        "101 102 103",
        out_of_queue,
        (Expected("103", "-101 -102 103", "+74950000300"),),
    ),
    Scenario(
        "transfer to a ring group",
        "104 dials ##600: three phones ring, 102 answers.",
        "101 102 103 104",
        to_group,
        (Expected("102", "-104 -101 102 -103", "+74950000104"),),
    ),
    Scenario(
        "transfer and back",
        "101 sends the caller to 102, who sends him back to 101.",
        "101 102",
        and_back,
        (Expected("101", "-101 -102 101", "+74950000101"),),
    ),
    Scenario(
        "passed on twice",
        "101 to 102 attended, 102 to 103 blind.",
        "101 102 103",
        attended_then_blind,
        (Expected("103", "-101 -102 103", "+74950000101"),),
    ),
    Scenario(
        "transfer to an outside number, blind",
        "104 sends the caller to an outside number through the trunk; the two go on talking.",
        "104",
        blind_to_outside,
        (Expected("104", "-104", "+74950000104", files=2),),
    ),
    Scenario(
        "transfer to an outside number, attended by code",
        "104 dials *2 and an outside number, talks to it, and hangs up.",
        "104",
        attended_to_outside_by_code,
        (Expected("104", "-104", "+74950000104", files=2),),
    ),
    Scenario(
        "transfer to an outside number, by REFER with Replaces",
        "102 holds the client, calls an outside number, and its phone joins the two. The second call is the one to that number.",
        "102",
        attended_to_outside_by_replaces,
        (Expected("102", "-102", "+74950000102", files=2),),
        beside=(Expected("102", "?102", MAIN_LINE, type=OUTGOING),),
    ),
    Scenario(
        "outgoing call transferred",
        "103 calls a client and sends him to 104.",
        "103 104",
        outgoing_transferred,
        (Expected("104", "-103 104", MAIN_LINE, type=OUTGOING),),
    ),
    Scenario(
        "hold",
        "102 puts the client on hold and takes him back.",
        "102",
        hold,
        (Expected("102", "102", "+74950000102"),),
    ),
    Scenario(
        "the caller hangs up on hold",
        "102 puts the client on hold; the client hangs up.",
        "102",
        gives_up_on_hold,
        (Expected("102", "102", "+74950000102"),),
    ),
    Scenario(
        "parked and fetched",
        "103 parks the client (##70); 104 dials 71 and talks.",
        "103 104",
        parked_and_fetched,
        (Expected("104", "-103 104", "+74950000103"),),
    ),
    Scenario(
        "parked, and the caller gives up",
        "103 parks the client, nobody fetches him.",
        "103 104",
        parked_and_given_up,
        (Expected("103", "-103", "+74950000103"),),
    ),
    Scenario(
        "conference room of three",
        "The client is put into a room; 101 joins, then 102; 101 leaves, then the client.",
        "101 102",
        conference_room,
        (Expected("102", "-101 102", "+74950000810"),),
    ),
)
