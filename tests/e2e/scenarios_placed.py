"""Scenarios of who calls and how often: two at once, the same number again, hidden numbers, outgoing calls of all kinds."""

from __future__ import annotations

from scenario import MAIN_LINE, OUTGOING, TALK, Expected, Scenario, Scene


async def two_at_once(scene: Scene) -> None:
    first = await scene.arrives("101")
    await scene.world.phone("101").talking()
    scene.begins(0)
    await scene.shown("101")
    second = await scene.arrives("102")
    await scene.world.phone("102").talking()
    scene.begins(1)
    await second.talks(TALK)
    await scene.ends(first, 0)
    await scene.ends(second, 1)


async def twice_in_a_minute(scene: Scene) -> None:
    for number in (0, 1):
        client = await scene.arrives("103")
        await scene.world.phone("103").talking()
        scene.begins(number)
        await client.talks(TALK)
        await scene.ends(client, number)
        await scene.finished(number + 1)


async def missed_then_answered(scene: Scene) -> None:
    await scene.rings("104")
    client = await scene.arrives("104")
    await scene.rung("104")
    await scene.ends(client)
    await scene.finished(1)
    await scene.world.phone("104").answers(after=0.2)
    client = await scene.arrives("104")
    await scene.world.phone("104").talking()
    scene.begins(1)
    await client.talks(TALK)
    await scene.ends(client, 1)


async def answered_by_101(scene: Scene) -> None:
    client, _ = await scene.talk("101", "101")
    await scene.ends(client)


async def outgoing(scene: Scene) -> None:
    leg = await scene.world.phone("102").dial(scene.client)
    client = await scene.world.number(scene.client).talking()
    scene.begins()
    await leg.talks(TALK)
    await scene.ends(client)


async def outgoing_given_up(scene: Scene) -> None:
    await scene.world.number(scene.client).rings()
    leg = await scene.world.phone("102").dial(scene.client)
    await scene.world.number(scene.client).ringing()
    await scene.shown("102")
    await scene.ends(leg)


async def outgoing_not_answered(scene: Scene) -> None:
    await scene.world.number(scene.client).no_answer(after=0.5)
    leg = await scene.world.phone("104").dial(scene.client)
    await leg.ended()


async def of_another_program(scene: Scene) -> None:
    await scene.stand.pbx.office.ask(
        "Originate",
        ("Channel", "PJSIP/103"),
        ("Context", "from-internal"),
        ("Exten", scene.client),
        ("Priority", "1"),
        ("CallerID", f"<{scene.client}>"),
        ("Async", "true"),
    )
    client = await scene.world.number(scene.client).talking()
    scene.begins()
    await client.talks(TALK)
    await scene.ends(client)


SCENARIOS = (
    Scenario(
        "two calls at once from one number",
        "One number calls 101 and, during that talk, 102.",
        "101 102",
        two_at_once,
        (Expected("101", "101", "+74950000101"), Expected("102", "102", "+74950000102")),
    ),
    Scenario(
        "the same number twice within a minute",
        "One number calls 103, hangs up, and calls again at once.",
        "103",
        twice_in_a_minute,
        (Expected("103", "103", "+74950000103"), Expected("103", "103", "+74950000103")),
    ),
    Scenario(
        "missed, and answered at the second try",
        "One number gives up while 104 rings, and calls again at once.",
        "104",
        missed_then_answered,
        (Expected("104", "104", "+74950000104", "304"), Expected("104", "104", "+74950000104")),
    ),
    Scenario(
        "a hidden number",
        "The caller hides his number; 101 answers.",
        "101",
        answered_by_101,
        (Expected("101", "101", "+74950000101"),),
        caller="anonymous",
    ),
    Scenario(
        "a caller without digits",
        "The caller's SIP name is `vasya`; 101 answers.",
        "101",
        answered_by_101,
        (Expected("101", "101", "+74950000101"),),
        caller="vasya",
    ),
    Scenario(
        "outgoing, the client hangs up",
        "102 calls a client, who answers and hangs up.",
        "102",
        outgoing,
        (Expected("102", "102", MAIN_LINE, type=OUTGOING),),
    ),
    Scenario(
        "outgoing, the employee gives up",
        "102 calls a client, whose phone rings; 102 hangs up.",
        "102",
        outgoing_given_up,
        (Expected("102", "102", MAIN_LINE, "603-S", OUTGOING),),
    ),
    Scenario(
        "outgoing, not answered",
        "104 calls a client, whose network gives up.",
        "104",
        outgoing_not_answered,
        (Expected("104", "104", MAIN_LINE, "480", OUTGOING),),
    ),
    Scenario(
        "placed by another program over AMI",
        "A program has the phone of 103 called and then the client.",
        "103",
        of_another_program,
        (Expected("103", "103", MAIN_LINE, type=OUTGOING),),
    ),
)
