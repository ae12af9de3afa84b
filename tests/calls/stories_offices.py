"""Stories as real offices live them: several moves in one call, rooms, third persons."""

from __future__ import annotations

import asyncio

from call_story import (
    CLIENT,
    CLIENT_E164,
    INTERNAL,
    MAIN_LINE,
    MOBILE,
    MOBILE_E164,
    OUTGOING,
    Truth,
    answered_by,
    direct,
    moved,
    originate,
    story,
)

from perezvon.asterisk import Session
from perezvon.sandbox.pbx import Leg, PbxSandbox


async def from_queue(pbx: PbxSandbox) -> tuple[Leg, Leg]:
    """101 has a client of the queue `sales`: a Local channel that stays (/n) is between them."""
    await pbx.world.phone("102").rings()
    client = await pbx.world.call(frm=CLIENT, to="74950000300")
    leg = await pbx.world.phone("101").talking()
    await client.talks(0.5)
    await pbx.world.phone("102").answers(0.3)
    return client, leg


QUEUED = {"queue": "sales", "rung": {"101", "102", "103"}}


@story(answered_by("101", "103") | QUEUED | {"transfers": [moved("blind", "101", "103")]})
async def queue_agent_blind_by_code(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await from_queue(pbx)
    await leg.press("##103")
    await leg.ended()
    await pbx.world.phone("103").talking()
    await client.talks(0.5)
    await client.hangup()
    return leg, client


@story(answered_by("101", "103") | QUEUED | {"transfers": [moved("blind", "101", "103")]})
async def queue_agent_blind_by_refer(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await from_queue(pbx)
    await leg.refer("103")
    await leg.ended()
    await pbx.world.phone("103").talking()
    await client.talks(0.5)
    await client.hangup()
    return leg, client


@story(answered_by("101", "103") | QUEUED | {"transfers": [moved("attended", "101", "103")]})
async def queue_agent_attended_by_code(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await from_queue(pbx)
    await leg.press("*2103")
    second = await pbx.world.phone("103").talking()
    await second.talks(0.5)
    await leg.hangup()
    await asyncio.sleep(0.3)
    await client.talks(0.5)
    await client.hangup()
    return leg, client


@story(answered_by("101", "103") | QUEUED | {"transfers": [moved("attended", "101", "103")]})
async def queue_agent_attended_by_replaces(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await from_queue(pbx)
    await leg.hold()
    consultation = await pbx.world.phone("101").dial("103")
    await pbx.world.phone("103").talking()
    await consultation.talks(0.4)
    await leg.refer_to_leg(consultation)
    await leg.ended()
    await consultation.ended()
    await client.talks(0.5)
    await client.hangup()
    return leg, client


@story(answered_by("101", "103") | {"queue": "support", "transfers": [moved("attended", "101", "103")]})
async def attended_to_a_queue(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await direct(pbx)
    await pbx.world.phone("104").busy()
    await leg.hold()
    consultation = await pbx.world.phone("101").dial("310")
    await pbx.world.phone("103").talking(within=10)
    await consultation.talks(0.4)
    await leg.refer_to_leg(consultation)
    await leg.ended()
    await consultation.ended()
    await client.talks(0.5)
    await client.hangup()
    return leg, client


@story(answered_by("101", "103") | {"transfers": [moved("attended", "101", "103")]})
async def blonde_to_a_queue(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await direct(pbx)
    await pbx.world.phone("104").busy()
    await pbx.world.phone("103").answers(2.0)
    await leg.hold()
    consultation = await pbx.world.phone("101").dial("310")
    await pbx.world.phone("103").ringing(within=10)
    await leg.refer_to_leg(consultation)
    await leg.ended()
    await pbx.world.phone("103").talking(within=10)
    await client.talks(0.5)
    await client.hangup()
    return leg, client


@story(answered_by("101", "102") | {"transfers": [moved("blind", "101", "600")], "rung": {"101", "102", "103"}})
async def blind_to_a_group(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await direct(pbx)
    await pbx.world.phone("103").rings()
    await pbx.world.phone("101").busy()
    await leg.press("##600")
    await leg.ended()
    await pbx.world.phone("102").talking()
    await client.talks(0.5)
    await client.hangup()
    return leg, client


@story(
    answered_by("101", "102", "103")
    | {"transfers": [moved("attended", "101", "102"), moved("blind", "102", "103")], "rung": ["101", "102", "103"]}
)
async def passed_on_twice(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await direct(pbx)
    await leg.hold()
    consultation = await pbx.world.phone("101").dial("102")
    second = await pbx.world.phone("102").talking()
    await consultation.talks(0.3)
    await leg.refer_to_leg(consultation)
    await leg.ended()
    await client.talks(0.3)
    await second.refer("103")
    await second.ended()
    await pbx.world.phone("103").talking()
    await client.talks(0.3)
    await client.hangup()
    return leg, client


@story(
    answered_by("101") | {"rung": ["101"], "transfers": []},
    INTERNAL | {"outcome": "answered", "talkers": ["101", "102"]},
)
async def client_gives_up_during_the_consultation_by_phone(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await direct(pbx)
    await leg.hold()
    consultation = await pbx.world.phone("101").dial("102")
    await pbx.world.phone("102").talking()
    await consultation.talks(0.3)
    await client.hangup()
    await leg.ended()
    await consultation.talks(0.3)
    await consultation.hangup()
    return None, None


@story(answered_by("101") | {"rung": ["101", "102"], "transfers": []})
async def client_gives_up_during_the_consultation_by_code(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await direct(pbx)
    await leg.press("*2102")
    second = await pbx.world.phone("102").talking()
    await second.talks(0.5)
    await client.hangup()
    await asyncio.sleep(0.5)
    await leg.hangup()
    return leg, client


@story(answered_by("101", "102") | {"rung": ["101", "102"], "transfers": [moved("attended", "101", "102")]})
async def client_joined_to_a_running_internal_call(pbx: PbxSandbox, _: Session) -> Truth:
    own = await pbx.world.phone("101").dial("102")
    await pbx.world.phone("102").talking()
    await own.talks(0.3)
    await own.hold()
    client = await pbx.world.call(frm=CLIENT, to="74950000101")
    leg = await (await pbx.world.phone("101").ringing()).answered()
    await client.talks(0.3)
    await own.refer_to_leg(leg)
    await own.ended()
    await leg.ended()
    await client.talks(0.5)
    await client.hangup()
    return leg, client


@story(
    answered_by("101", "103") | {"rung": ["101", "103"], "transfers": [moved("attended", "101", "103")]},
    INTERNAL | {"outcome": "busy", "rung": ["102"]},
)
async def second_consultation_succeeds(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await direct(pbx)
    await leg.hold()
    await pbx.world.phone("102").busy()
    first = await pbx.world.phone("101").dial("102")
    await first.ended()
    second = await pbx.world.phone("101").dial("103")
    await pbx.world.phone("103").talking()
    await second.talks(0.3)
    await leg.refer_to_leg(second)
    await leg.ended()
    await client.talks(0.4)
    await client.hangup()
    return leg, client


@story(answered_by("103") | {"rung": ["103"]})
async def forwarded_by_pbx_inside(pbx: PbxSandbox, _: Session) -> Truth:
    await pbx.office.ask("DBPut", ("Family", "CF"), ("Key", "101"), ("Val", "103"))
    client = await pbx.world.call(frm=CLIENT, to="74950000101")
    leg = await pbx.world.phone("103").talking()
    await client.talks(0.5)
    await client.hangup()
    return leg, client


@story(answered_by("101") | {"rung": ["101"]})
async def hung_up_by_code(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await direct(pbx)
    await leg.press("**")
    await client.ended()
    return leg, client


@story(OUTGOING | {"outcome": "answered", "talkers": ["101", "102"], "transfers": [moved("attended", "101", "102")]})
async def click_then_attended_by_code(pbx: PbxSandbox, ami: Session) -> Truth:
    await ami.action("Originate", originate("Local/101@from-internal", MOBILE, "click-8", MOBILE))
    leg = await pbx.world.phone("101").talking(within=10)
    client = await pbx.world.number(MOBILE).talking()
    await client.talks(0.5)
    await leg.press("*2102")
    second = await pbx.world.phone("102").talking()
    await second.talks(0.4)
    await leg.hangup()
    await client.talks(0.5)
    await client.hangup()
    return client, client


@story(answered_by("101") | {"rung": ["101"]})
async def both_redirected_into_a_room(pbx: PbxSandbox, ami: Session) -> Truth:
    client, leg = await direct(pbx)
    one, other = await client.office_channel(), await leg.office_channel()
    where = [("Context", "from-internal"), ("Exten", "801"), ("Priority", "1")]
    extra = [("ExtraContext", "from-internal"), ("ExtraExten", "801"), ("ExtraPriority", "1")]
    await ami.action("Redirect", [("Channel", one.name), ("ExtraChannel", other.name), *where, *extra])
    await asyncio.sleep(2.5)
    await leg.talking(to=client)
    await client.hangup()
    await leg.hangup()
    return leg, client


@story(
    answered_by("101") | {"rung": ["101"], "third_parties": [MOBILE_E164]},
    OUTGOING | {"line": "", "outcome": "answered", "third_parties": [CLIENT_E164]},
)
async def third_person_in_a_room(pbx: PbxSandbox, ami: Session) -> Truth:
    """Client and employee go into a room, and a program calls a third person into it: to the PBX a call of its own."""
    client, leg = await direct(pbx)
    one, other = await client.office_channel(), await leg.office_channel()
    where = [("Context", "from-internal"), ("Exten", "801"), ("Priority", "1")]
    extra = [("ExtraContext", "from-internal"), ("ExtraExten", "801"), ("ExtraPriority", "1")]
    await ami.action("Redirect", [("Channel", one.name), ("ExtraChannel", other.name), *where, *extra])
    await leg.talking(to=client)
    await ami.action("Originate", originate(f"PJSIP/{MOBILE}@carrier", "801"))
    third = await pbx.world.number(MOBILE).talking()
    await third.talks(0.5)
    await client.hangup()
    await leg.hangup()
    await third.hangup()
    return leg, client


@story(
    {
        "direction": "outgoing",
        "client": MOBILE_E164,
        "line": MAIN_LINE,
        "outcome": "answered",
        "talkers": ["bitrix24"],
        "rung": [],
    }
)
async def from_the_connector(pbx: PbxSandbox, _: Session) -> Truth:
    """An employee who talks in the browser calls out."""
    leg = await pbx.world.connector.dial(MOBILE)
    client = await pbx.world.number(MOBILE).talking()
    await leg.talks(0.5)
    await leg.hangup()
    await client.ended()
    return client, client
