"""Scenarios of calls for one employee: pickups, forwards, follow-me, mail boxes, callers who give up."""

from __future__ import annotations

from scenario import ADMIN, TALK, Expected, Scenario, Scene, pause

SURELY = 3.0
"""Seconds of talk for which it is certain that the PBX's two files, of the client's leg and of the mobile's, hold the same
(recordings/parts.py)."""


async def picked_up(scene: Scene, code: str, picker: str) -> None:
    await scene.rings("101")
    client = await scene.arrives("101")
    await scene.rung("101")
    await scene.world.phone(picker).dial(code)
    await scene.world.phone(picker).talking()
    scene.begins()
    await client.talks(TALK)
    await scene.ends(client)


async def pickup_directed(scene: Scene) -> None:
    await picked_up(scene, "**101", "102")


async def pickup_group(scene: Scene) -> None:
    await picked_up(scene, "*8", "104")


async def pickup_from_ring_group(scene: Scene) -> None:
    await scene.rings("101", "102", "103")
    client = await scene.arrives("200")
    await scene.rung("101", "102", "103")
    await scene.world.phone("104").dial("*8")
    await scene.world.phone("104").talking()
    scene.begins()
    await client.talks(TALK)
    await scene.ends(client)


async def talks_on_mobile(scene: Scene, mobile: str) -> None:
    leg = await scene.world.number(mobile).talking()
    scene.begins()
    await scene.clients[0].talks(SURELY)
    await scene.ends(leg)


async def forwarded_by_dialplan(scene: Scene) -> None:
    await scene.stand.pbx.office.ask("DBPut", ("Family", "CF"), ("Key", "102"), ("Val", scene.mobile))
    await scene.arrives("102")
    await talks_on_mobile(scene, scene.mobile)


async def forwarded_by_302(scene: Scene) -> None:
    await scene.world.phone("102").forwards_to(scene.mobile)
    await scene.arrives("102")
    await talks_on_mobile(scene, scene.mobile)


async def forwarded_to_known_mobile(scene: Scene) -> None:
    await scene.world.phone("104").forwards_to(KNOWN_MOBILE)
    await scene.arrives("104")
    await talks_on_mobile(scene, KNOWN_MOBILE)


async def forwarded_inside(scene: Scene) -> None:
    await scene.world.phone("103").forwards_to("104")
    client = await scene.arrives("103")
    await scene.world.phone("104").talking()
    scene.begins()
    await client.talks(TALK)
    await scene.ends(client)


KNOWN_MOBILE = "79161110102"
FOLLOW_ME_MOBILE = "79161110103"


async def follow_me_desk(scene: Scene) -> None:
    await scene.rings("103")
    await scene.world.number(FOLLOW_ME_MOBILE).rings()
    client = await scene.arrives("730")
    [leg] = await scene.rung("103")
    await scene.world.number(FOLLOW_ME_MOBILE).ringing()
    await leg.answer()
    scene.begins()
    await scene.goes_on(client)
    await scene.ends(client)


async def follow_me_mobile(scene: Scene) -> None:
    await scene.rings("103")
    await scene.world.number(FOLLOW_ME_MOBILE).rings()
    await scene.arrives("730")
    await scene.rung("103")
    await scene.world.number(FOLLOW_ME_MOBILE).answer()
    await talks_on_mobile(scene, FOLLOW_ME_MOBILE)


async def voicemail(scene: Scene) -> None:
    await scene.rings("104")
    client = await scene.arrives("720")
    await scene.rung("104")
    await client.answered()
    await pause(0.5)
    await scene.ends(client)


async def announcement(scene: Scene) -> None:
    client = await scene.arrives("500")
    await client.answered()
    await scene.ends(client)


async def phone_switched_off(scene: Scene) -> None:
    client = await scene.arrives("600")
    await client.ended()


async def rejected(scene: Scene) -> None:
    await scene.rings("104")
    await scene.arrives("104")
    [leg] = await scene.rung("104")
    await leg.reject()


async def gives_up_while_ringing(scene: Scene) -> None:
    await scene.rings("104")
    client = await scene.arrives("104")
    await scene.rung("104")
    await scene.ends(client)


async def gives_up_before_it_rings(scene: Scene) -> None:
    client = await scene.arrives("750")
    await client.at_office()
    await pause(0.3)
    await scene.ends(client)


async def hangs_up_in_mid_talk(scene: Scene) -> None:
    client, _ = await scene.talk("103", "103")
    await scene.ends(client)


async def through_local_that_stays(scene: Scene) -> None:
    client, _ = await scene.talk("740", "104")
    await scene.ends(client)


async def through_local_optimised(scene: Scene) -> None:
    client, leg = await scene.talk("741", "104")
    await scene.goes_on(client, to=leg)
    await scene.ends(client)


SCENARIOS = (
    Scenario(
        "directed pickup",
        "101 rings; 102 dials **101 and talks.",
        "101 102",
        pickup_directed,
        (Expected("102", "-101 102", "+74950000101"),),
    ),
    Scenario(
        "group pickup",
        "101 rings; 104 dials *8 and talks.",
        "101 102 103 104",
        pickup_group,
        (Expected("104", "-101 104", "+74950000101"),),
    ),
    Scenario(
        "group pickup out of a ring group",
        "Three phones ring; a fourth employee dials *8 and talks.",
        "101 102 103 104",
        pickup_from_ring_group,
        (Expected("104", "-101 -102 -103 104", "+74950000200"),),
    ),
    Scenario(
        "forwarded to a mobile by the PBX",
        "102 has set *72: the PBX dials a mobile through the trunk (Local/…/n), which answers.",
        "102",
        forwarded_by_dialplan,
        (Expected("102", "", "+74950000102"),),
    ),
    Scenario(
        "forwarded to a mobile by the phone",
        "The phone of 102 says 302: the PBX dials a mobile through the trunk, which answers.",
        "102",
        forwarded_by_302,
        (Expected("102", "?102", "+74950000102"),),
    ),
    Scenario(
        "forwarded to a mobile that the portal knows",
        "The phone of 104 says 302 to the mobile of 102, as the portal's profile has it; it answers, with the card up.",
        "104",
        forwarded_to_known_mobile,
        (Expected("102", "?104 102", "+74950000104"),),
    ),
    Scenario(
        "forwarded to a colleague by the phone",
        "The phone of 103 says 302 to 104, who answers.",
        "103 104",
        forwarded_inside,
        (Expected("104", "?103 104", "+74950000103"),),
    ),
    Scenario(
        "follow-me, the desk phone answers",
        "The desk phone and the mobile of 103 ring together; the desk phone is answered.",
        "103",
        follow_me_desk,
        (Expected("103", "103", "+74950000730"),),
    ),
    Scenario(
        "follow-me, the mobile answers",
        "The desk phone and the mobile of 103 ring together; the mobile is answered.",
        "103",
        follow_me_mobile,
        (Expected("103", "103", "+74950000730"),),
    ),
    Scenario(
        "voice mail",
        "104 does not answer, the mail box does; the caller hangs up in the greeting.",
        "104",
        voicemail,
        (Expected("104", "-104", "+74950000720", "304"),),
    ),
    Scenario(
        "announcement",
        "An announcement answers; the caller hangs up. Nobody is rung.",
        "",
        announcement,
        (Expected(ADMIN, "", "+74950000500", "304"),),
    ),
    Scenario(
        "the phone is switched off",
        "The phone that should ring is not registered.",
        "",
        phone_switched_off,
        (Expected(ADMIN, "", "+74950000600", "304"),),
    ),
    Scenario(
        "rejected",
        "The phone rings; the employee rejects the call.",
        "104",
        rejected,
        (Expected("104", "104", "+74950000104", "304"),),
    ),
    Scenario(
        "the caller gives up while it rings",
        "One phone rings; the caller hangs up.",
        "104",
        gives_up_while_ringing,
        (Expected("104", "104", "+74950000104", "304"),),
    ),
    Scenario(
        "the caller gives up before any phone rings",
        "The dialplan waits before it rings 104; the caller hangs up.",
        "104",
        gives_up_before_it_rings,
        (Expected(ADMIN, "", "+74950000750", "304"),),
    ),
    Scenario(
        "the caller hangs up in mid-talk",
        "An employee answers; the caller hangs up.",
        "103",
        hangs_up_in_mid_talk,
        (Expected("103", "103", "+74950000103"),),
    ),
    Scenario(
        "through a Local channel that stays",
        "The phone is dialled through Local/…/n.",
        "104",
        through_local_that_stays,
        (Expected("104", "104", "+74950000740"),),
    ),
    Scenario(
        "through a Local channel that is optimised away",
        "The phone is dialled through Local/…: in mid-talk the two channels are joined directly.",
        "104",
        through_local_optimised,
        (Expected("104", "104", "+74950000741"),),
    ),
)
