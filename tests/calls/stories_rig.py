"""Stories whose clients (and phones) are Local pairs made by an Originate, as on a test rig."""

from __future__ import annotations

import asyncio

from call_story import INTERNAL, MISSED, MOBILE, MOBILE_E164, Truth, answered_by, direct, moved, story

from perezvon.asterisk import Session
from perezvon.sandbox.pbx import PbxSandbox


async def local_pair(pbx: PbxSandbox, ami: Session, exten: str) -> str:
    """Places the call and returns the name of the client's own half."""
    headers = [("Channel", f"Local/{exten}@rig"), ("Context", "long"), ("Exten", "s"), ("Priority", "1"), ("Async", "true")]
    known = set(pbx.office.channels)
    await ami.action("Originate", headers)
    name = f"Local/{exten}@rig-"

    def appeared() -> str:
        new = (channel for uid, channel in pbx.office.channels.items() if uid not in known)
        return next((channel.name for channel in new if channel.name.startswith(name) and channel.name.endswith(";1")), "")

    await pbx.office.until(lambda: bool(appeared()), f"{name} is there")
    return appeared()


async def at_office(pbx: PbxSandbox, start: str) -> str:
    """Waits until a channel of this name (without its number) is in a bridge at the office."""

    def found() -> str:
        channels = pbx.office.channels.values()
        return next((c.name for c in channels if c.name.startswith(start) and c.bridge and c.ended is None), "")

    await pbx.office.until(lambda: bool(found()), f"{start} is in a bridge")
    return found()


async def hang_up(ami: Session, *channels: str) -> None:
    for channel in channels:
        await ami.action("Hangup", [("Channel", channel)])


@story({"direction": "outgoing", "client": MOBILE_E164, "outcome": "answered", "talkers": ["101"], "rung": []})
async def rig_outgoing(pbx: PbxSandbox, ami: Session) -> Truth:
    client = await local_pair(pbx, ami, "out")
    await at_office(pbx, f"Local/{MOBILE}@world")
    await asyncio.sleep(0.5)
    await hang_up(ami, client)
    return None, None


@story(INTERNAL | {"client": "102", "outcome": "answered", "talkers": ["101", "102"], "rung": ["102"]})
async def rig_internal(pbx: PbxSandbox, ami: Session) -> Truth:
    client = await local_pair(pbx, ami, "between")
    leg = await pbx.world.phone("102").talking()
    await leg.talks(0.3)
    await hang_up(ami, client)
    return None, None


@story(answered_by(MOBILE_E164) | {"rung": ["101", MOBILE_E164], "forwarded_to": MOBILE_E164})
async def rig_mobile(pbx: PbxSandbox, ami: Session) -> Truth:
    await pbx.world.phone("101").rings()
    client = await local_pair(pbx, ami, "mobile")
    await at_office(pbx, f"Local/{MOBILE}@world")
    await asyncio.sleep(0.5)
    await hang_up(ami, client)
    return None, None


@story(answered_by("101") | {"rung": ["301", "101", "102"]})
async def rig_group(pbx: PbxSandbox, ami: Session) -> Truth:
    await pbx.world.phone("102").rings()
    await pbx.world.phone("101").answers(0.1)
    client = await local_pair(pbx, ami, "group")
    leg = await pbx.world.phone("101").talking()
    await leg.talks(0.3)
    await hang_up(ami, client)
    return None, None


@story(answered_by("103") | {"queue": "support"})
async def rig_queue(pbx: PbxSandbox, ami: Session) -> Truth:
    await pbx.world.phone("104").busy()
    client = await local_pair(pbx, ami, "queue")
    leg = await pbx.world.phone("103").talking(within=10)
    await leg.talks(0.3)
    await hang_up(ami, client)
    return None, None


@story(answered_by("102") | {"rung": ["102"], "menu": ["2"]})
async def rig_menu(pbx: PbxSandbox, ami: Session) -> Truth:
    client = await local_pair(pbx, ami, "menu")
    await asyncio.sleep(1.0)
    await ami.action("PlayDTMF", [("Channel", client), ("Digit", "2"), ("Duration", "100")])
    leg = await pbx.world.phone("102").talking()
    await leg.talks(0.3)
    await hang_up(ami, client)
    return None, None


@story(MISSED | {"rung": ["101"]})
async def rig_voicemail(pbx: PbxSandbox, ami: Session) -> Truth:
    await pbx.world.phone("101").rings()
    client = await local_pair(pbx, ami, "mail")
    await pbx.world.phone("101").ringing()
    await asyncio.sleep(2.0)
    await hang_up(ami, client)
    return None, None


@story(answered_by("101") | {"rung": []})
async def rig_room(pbx: PbxSandbox, ami: Session) -> Truth:
    client = await local_pair(pbx, ami, "room")
    await at_office(pbx, "Local/room@rig")
    leg = await pbx.world.phone("101").dial("801")
    await leg.talking()
    await asyncio.sleep(0.5)
    await hang_up(ami, client)
    await leg.hangup()
    return None, None


@story(answered_by("301", "102") | {"rung": ["301"], "picked_up_by": None})
async def rig_parked(pbx: PbxSandbox, ami: Session) -> Truth:
    client = await local_pair(pbx, ami, "talk")
    phone = await at_office(pbx, "Local/301@phones")
    await asyncio.sleep(0.5)
    await ami.action("BlindTransfer", [("Channel", phone), ("Context", "parkedcalls"), ("Exten", "70")])
    await asyncio.sleep(1.0)
    leg = await pbx.world.phone("102").dial("71")
    await leg.talking()
    await asyncio.sleep(0.5)
    await hang_up(ami, client)
    await leg.ended()
    return None, None


@story(
    answered_by("301")
    | {"rung": ["301"], "transfers": [moved("attended", "301", MOBILE_E164)], "third_parties": [MOBILE_E164]}
)
async def rig_attended_to_outside(pbx: PbxSandbox, ami: Session) -> Truth:
    client = await local_pair(pbx, ami, "talk")
    phone = await at_office(pbx, "Local/301@phones")
    await asyncio.sleep(0.5)
    await ami.action("Atxfer", [("Channel", phone), ("Context", "world"), ("Exten", MOBILE)])
    await at_office(pbx, f"Local/{MOBILE}@world")
    await asyncio.sleep(1.0)
    await hang_up(ami, phone)
    await asyncio.sleep(0.7)
    await hang_up(ami, client)
    return None, None


@story(answered_by("104") | {"rung": ["101"], "picked_up_by": "104"})
async def rig_picked_up(pbx: PbxSandbox, ami: Session) -> Truth:
    await pbx.world.phone("101").rings()
    client = await local_pair(pbx, ami, "phone")
    await pbx.world.phone("101").ringing()
    leg = await pbx.world.phone("104").dial("*8")
    await leg.talks(0.5)
    await hang_up(ami, client)
    await leg.ended()
    return None, None


@story(answered_by("101", "102") | {"rung": ["101", "102"], "transfers": [moved("attended", "101", "102")]})
async def rig_attended_by_replaces(pbx: PbxSandbox, ami: Session) -> Truth:
    client = await local_pair(pbx, ami, "phone")
    leg = await pbx.world.phone("101").talking()
    await leg.hold()
    consultation = await pbx.world.phone("101").dial("102")
    await pbx.world.phone("102").talking()
    await consultation.talks(0.3)
    await leg.refer_to_leg(consultation)
    await leg.ended()
    await consultation.ended()
    await asyncio.sleep(0.5)
    await hang_up(ami, client)
    await pbx.world.phone("102").idle()
    return None, None


@story(answered_by("101") | {"rung": ["101"], "transfers": [], "third_parties": [MOBILE_E164], "menu": []})
async def third_person_by_code(pbx: PbxSandbox, _: Session) -> Truth:
    """The client waits in a room while the employee talks to somebody outside; then all three are in the room."""
    client, leg = await direct(pbx, "74950000912")
    await leg.press("*3")
    third = await pbx.world.number(MOBILE).talking()
    await third.talks(0.5)
    await leg.press("#")
    await asyncio.sleep(1.0)
    await client.talking(to=third)
    await client.hangup()
    await leg.hangup()
    await third.hangup()
    return leg, client
