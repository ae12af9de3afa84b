"""Stories of calls that change hands: transfers, pick-up, forwarding, parking, rooms."""

from __future__ import annotations

import asyncio

from call_story import CLIENT, INTERNAL, MOBILE, MOBILE_E164, Truth, answered_by, direct, moved, story

from perezvon.asterisk import Session
from perezvon.sandbox.pbx import PbxSandbox


@story(answered_by("101", "102") | {"transfers": [moved("blind", "101", "102")], "rung": ["101", "102"]})
async def blind_by_code(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await direct(pbx)
    await leg.press("##102")
    await leg.ended()
    second = await pbx.world.phone("102").talking()
    await client.talking(to=second)
    await client.talks(0.5)
    await client.hangup()
    return leg, client


@story(answered_by("101", "102") | {"transfers": [moved("blind", "101", "102")], "rung": ["101", "102"]})
async def blind_by_refer(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await direct(pbx)
    await leg.refer("102")
    second = await pbx.world.phone("102").talking()
    await leg.ended()
    await client.talking(to=second)
    await client.talks(0.5)
    await client.hangup()
    return leg, client


@story(answered_by("101") | {"transfers": [moved("blind", "101", "102")], "rung": ["101", "102"]})
async def blind_nobody_answers(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await direct(pbx)
    await pbx.world.phone("102").rings()
    await leg.refer("102")
    await pbx.world.phone("102").ringing()
    await asyncio.sleep(1.0)
    await client.hangup()
    return leg, client


@story(
    answered_by("101")
    | {
        "transfers": [moved("blind", "101", MOBILE_E164)],
        "rung": ["101"],
        "third_parties": [MOBILE_E164],
        "forwarded_to": None,
    }
)
async def blind_to_outside(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await direct(pbx)
    await leg.refer(MOBILE)
    outside = await pbx.world.number(MOBILE).talking()
    await client.talking(to=outside)
    await client.talks(0.5)
    await client.hangup()
    return leg, client


@story(answered_by("101", "103") | {"transfers": [moved("blind", "101", "310")], "queue": "support"})
async def blind_to_queue(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await direct(pbx)
    await pbx.world.phone("104").busy()
    await leg.refer("310")
    second = await pbx.world.phone("103").talking(within=10)
    await client.talking(to=second)
    await client.talks(0.5)
    await client.hangup()
    return leg, client


@story(
    answered_by("101", "102")
    | {"transfers": [moved("blind", "101", "102"), moved("blind", "102", "101")], "last_talker": "101"}
)
async def blind_and_back(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await direct(pbx)
    await leg.refer("102")
    second = await pbx.world.phone("102").talking()
    await leg.ended()
    await client.talks(0.3)
    await second.refer("101")
    await second.ended()
    third = await pbx.world.phone("101").talking()
    await client.talking(to=third)
    await client.talks(0.3)
    await client.hangup()
    return leg, client


@story(answered_by("101", "102") | {"transfers": [moved("attended", "101", "102")], "rung": ["101", "102"]})
async def attended_by_code(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await direct(pbx)
    await leg.press("*2102")
    second = await pbx.world.phone("102").talking()
    await second.talks(0.5)
    await leg.hangup()
    await client.talking(to=second)
    await client.talks(0.5)
    await client.hangup()
    return leg, client


@story(answered_by("101", "102") | {"transfers": [moved("attended", "101", "102")], "rung": ["101", "102"]})
async def blonde_by_code(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await direct(pbx)
    await pbx.world.phone("102").rings()
    await leg.press("*2102")
    second = await pbx.world.phone("102").ringing()
    await asyncio.sleep(0.5)
    await leg.hangup()
    await asyncio.sleep(0.5)
    await second.answer()
    await client.talking(to=second)
    await client.talks(0.5)
    await client.hangup()
    return leg, client


@story(answered_by("101") | {"transfers": [], "rung": ["101", "102"]})
async def consultation_in_vain(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await direct(pbx)
    await pbx.world.phone("102").busy()
    await leg.press("*2102")
    await asyncio.sleep(2.5)
    await client.talks(0.3)
    await client.hangup()
    return leg, client


@story(answered_by("101") | {"transfers": [], "rung": ["101", "102"]})
async def consultation_and_back(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await direct(pbx)
    await leg.press("*2102")
    second = await pbx.world.phone("102").talking()
    await second.talks(0.5)
    await second.hangup()
    await asyncio.sleep(1.0)
    await client.talks(0.5)
    await client.hangup()
    return leg, client


@story(answered_by("101", "102") | {"transfers": [moved("attended", "101", "102")], "rung": ["101", "102"]})
async def attended_by_replaces(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await direct(pbx)
    await leg.hold()
    consultation = await pbx.world.phone("101").dial("102")
    await pbx.world.phone("102").talking()
    await consultation.talks(0.5)
    await leg.refer_to_leg(consultation)
    await leg.ended()
    await consultation.ended()
    await client.talks(0.5)
    await client.hangup()
    return leg, client


@story(answered_by("101", "102") | {"transfers": [moved("attended", "101", "102")], "rung": ["101", "102"]})
async def blonde_by_replaces(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await direct(pbx)
    await leg.hold()
    await pbx.world.phone("102").rings()
    consultation = await pbx.world.phone("101").dial("102")
    second = await pbx.world.phone("102").ringing()
    await asyncio.sleep(0.5)
    await leg.refer_to_leg(consultation)
    await asyncio.sleep(0.5)
    await second.answer()
    await client.talking(to=second)
    await client.talks(0.5)
    await client.hangup()
    return leg, client


@story(
    answered_by("101")
    | {"transfers": [moved("attended", "101", MOBILE_E164)], "rung": ["101"], "third_parties": [MOBILE_E164]}
)
async def attended_to_outside_by_code(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await direct(pbx)
    await leg.press(f"*2{MOBILE}")
    await pbx.world.number(MOBILE).talking()
    await asyncio.sleep(0.3)
    await leg.hangup()
    await client.talks(1.0)
    await client.hangup()
    return leg, client


@story(
    answered_by("101")
    | {"transfers": [moved("attended", "101", MOBILE_E164)], "rung": ["101"], "third_parties": [MOBILE_E164]}
)
async def attended_to_outside_by_replaces(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await direct(pbx)
    await leg.hold()
    consultation = await pbx.world.phone("101").dial(MOBILE)
    await pbx.world.number(MOBILE).talking()
    await consultation.talks(0.5)
    await leg.refer_to_leg(consultation)
    await leg.ended()
    await consultation.ended()
    await client.talks(0.5)
    await client.hangup()
    return leg, client


@story(
    answered_by("101") | {"transfers": [], "rung": ["101"]},
    INTERNAL | {"outcome": "answered", "talkers": ["101", "102"], "rung": ["102"]},
)
async def consultation_by_phone_and_back(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await direct(pbx)
    await leg.hold()
    consultation = await pbx.world.phone("101").dial("102")
    await pbx.world.phone("102").talking()
    await consultation.talks(0.5)
    await consultation.hangup()
    await leg.unhold()
    await client.talks(0.5)
    await client.hangup()
    return None, None


@story(answered_by("101", "102") | {"rung": ["101", "102"]})
async def transfer_by_ami(pbx: PbxSandbox, ami: Session) -> Truth:
    client, leg = await direct(pbx)
    channel = await leg.office_channel()
    await ami.action("Atxfer", [("Channel", channel.name), ("Context", "from-internal-xfer"), ("Exten", "102")])
    second = await pbx.world.phone("102").talking()
    await second.talks(0.5)
    await leg.hangup()
    await client.talking(to=second)
    await client.talks(0.5)
    await client.hangup()
    return leg, client


@story(answered_by("101", "102") | {"rung": ["101", "102"]})
async def redirected_by_ami(pbx: PbxSandbox, ami: Session) -> Truth:
    client, leg = await direct(pbx)
    channel = await client.office_channel()
    await ami.action(
        "Redirect",
        [("Channel", channel.name), ("Context", "from-internal-xfer"), ("Exten", "102"), ("Priority", "1")],
    )
    second = await pbx.world.phone("102").talking()
    await client.talking(to=second)
    await client.talks(0.5)
    await client.hangup()
    return leg, client


# ---- pick-up, forwarding, hold, parking, conference


@story(answered_by("102") | {"rung": ["101"], "picked_up_by": "102"})
async def pickup_group(pbx: PbxSandbox, _: Session) -> Truth:
    return await _picked_up(pbx, "*8")


@story(answered_by("102") | {"rung": ["101"], "picked_up_by": "102"})
async def pickup_directed(pbx: PbxSandbox, _: Session) -> Truth:
    return await _picked_up(pbx, "**101")


async def _picked_up(pbx: PbxSandbox, code: str) -> Truth:
    await pbx.world.phone("101").rings()
    client = await pbx.world.call(frm=CLIENT, to="74950000101")
    ringing = await pbx.world.phone("101").ringing()
    await asyncio.sleep(0.3)
    picker = await pbx.world.phone("102").dial(code)
    await ringing.ended()
    await client.talks(0.5)
    await client.hangup()
    await picker.ended()
    return picker, client


@story(answered_by("104") | {"rung": ["101", "102", "103"], "picked_up_by": "104"})
async def pickup_from_group(pbx: PbxSandbox, _: Session) -> Truth:
    for extension in ("101", "102", "103"):
        await pbx.world.phone(extension).rings()
    client = await pbx.world.call(frm=CLIENT, to="74950000200")
    for extension in ("101", "102", "103"):
        await pbx.world.phone(extension).ringing()
    picker = await pbx.world.phone("104").dial("*8")
    await client.talks(0.5)
    await client.hangup()
    await picker.ended()
    return picker, client


@story(answered_by("103") | {"rung": ["101", "103"], "forwarded_to": "103"})
async def forwarded_by_phone(pbx: PbxSandbox, _: Session) -> Truth:
    await pbx.world.phone("101").forwards_to("103")
    client = await pbx.world.call(frm=CLIENT, to="74950000101")
    leg = await pbx.world.phone("103").talking()
    await client.talks(0.5)
    await client.hangup()
    return leg, client


@story(answered_by(MOBILE_E164) | {"rung": ["101", MOBILE_E164], "forwarded_to": MOBILE_E164, "third_parties": []})
async def forwarded_by_phone_to_mobile(pbx: PbxSandbox, _: Session) -> Truth:
    await pbx.world.phone("101").forwards_to(MOBILE)
    client = await pbx.world.call(frm=CLIENT, to="74950000101")
    leg = await pbx.world.number(MOBILE).talking()
    await client.talks(0.5)
    await client.hangup()
    return leg, client


@story(answered_by(MOBILE_E164) | {"rung": [MOBILE_E164], "forwarded_to": MOBILE_E164})
async def forwarded_by_pbx(pbx: PbxSandbox, _: Session) -> Truth:
    await pbx.office.ask("DBPut", ("Family", "CF"), ("Key", "101"), ("Val", MOBILE))
    client = await pbx.world.call(frm=CLIENT, to="74950000101")
    leg = await pbx.world.number(MOBILE).talking()
    await client.talks(0.5)
    await client.hangup()
    return leg, client


@story(answered_by("101"))
async def hold(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await direct(pbx)
    await leg.hold()
    await asyncio.sleep(0.5)
    await leg.unhold()
    await client.talks(0.3)
    await client.hangup()
    return leg, client


@story(answered_by("101", "102") | {"transfers": [moved("blind", "101", "70")], "rung": ["101"], "picked_up_by": None})
async def parked_and_retrieved(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await direct(pbx)
    await leg.refer("70")
    await leg.ended()
    await asyncio.sleep(1.0)
    second = await pbx.world.phone("102").dial("71")
    await client.talking(to=second)
    await client.talks(0.5)
    await client.hangup()
    return leg, client


@story(answered_by("101") | {"transfers": [moved("blind", "101", "70")], "rung": ["101"]})
async def parked_and_given_up(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await direct(pbx)
    await leg.refer("70")
    await leg.ended()
    await asyncio.sleep(1.0)
    await client.hangup()
    return leg, client


@story(answered_by("101", "102") | {"rung": []})
async def conference_room(pbx: PbxSandbox, _: Session) -> Truth:
    client = await pbx.world.call(frm=CLIENT, to="74950000904")
    await client.answered()
    room = await client.office_channel()
    await pbx.office.until(lambda: room.bridge is not None, "the client is in the room")
    first = await pbx.world.phone("101").dial("801")
    await first.talking(to=client)
    second = await pbx.world.phone("102").dial("801")
    await second.talking(to=client)
    await client.talks(0.5)
    await client.hangup()
    for leg in (first, second):
        await leg.hangup()
    return None, None
