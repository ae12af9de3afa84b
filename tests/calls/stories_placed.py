"""Stories of calls that the office places: by phone, inside, by a program, by the portal's SIP connector."""

from __future__ import annotations

import asyncio
from typing import Any

from call_story import CLIENT, INTERNAL, MOBILE, MOBILE_E164, OUTGOING, Truth, answered_by, moved, originate, story

from perezvon.asterisk import Session
from perezvon.sandbox.pbx import PbxSandbox


@story(OUTGOING | {"outcome": "answered", "talkers": ["101"], "last_talker": "101", "rung": [], "recordings": 1})
async def outgoing_answered(pbx: PbxSandbox, _: Session) -> Truth:
    leg = await pbx.world.phone("101").dial(MOBILE)
    client = await pbx.world.number(MOBILE).talking()
    await leg.talks(0.5)
    await leg.hangup()
    await client.ended()
    return client, client


@story(OUTGOING | {"outcome": "answered", "talkers": ["101"]})
async def outgoing_with_eight(pbx: PbxSandbox, _: Session) -> Truth:
    leg = await pbx.world.phone("101").dial("8" + MOBILE[1:])
    client = await pbx.world.number(MOBILE).talking()
    await leg.talks(0.3)
    await client.hangup()
    await leg.ended()
    return client, client


@story(OUTGOING | {"outcome": "busy", "talkers": []})
async def outgoing_busy(pbx: PbxSandbox, _: Session) -> Truth:
    await pbx.world.number(MOBILE).busy()
    await (await pbx.world.phone("101").dial(MOBILE)).ended()
    return None, None


@story(OUTGOING | {"outcome": "no_answer", "talkers": []})
async def outgoing_no_answer(pbx: PbxSandbox, _: Session) -> Truth:
    await pbx.world.number(MOBILE).no_answer(1.0)
    await (await pbx.world.phone("101").dial(MOBILE)).ended()
    return None, None


@story(OUTGOING | {"outcome": "cancelled", "talkers": []})
async def outgoing_cancelled(pbx: PbxSandbox, _: Session) -> Truth:
    await pbx.world.number(MOBILE).rings()
    leg = await pbx.world.phone("101").dial(MOBILE)
    await pbx.world.number(MOBILE).ringing()
    await asyncio.sleep(0.5)
    await leg.hangup()
    return None, None


@story(OUTGOING | {"outcome": "failed", "talkers": []})
async def outgoing_unknown_number(pbx: PbxSandbox, _: Session) -> Truth:
    await pbx.world.number(MOBILE).unknown()
    await (await pbx.world.phone("101").dial(MOBILE)).ended()
    return None, None


@story(OUTGOING | {"outcome": "no_answer", "talkers": []})
async def outgoing_unreachable(pbx: PbxSandbox, _: Session) -> Truth:
    await pbx.world.number(MOBILE).unreachable()
    await (await pbx.world.phone("101").dial(MOBILE)).ended()
    return None, None


@story(OUTGOING | {"outcome": "answered", "talkers": ["101", "102"], "transfers": [moved("blind", "101", "102")]})
async def outgoing_then_blind(pbx: PbxSandbox, _: Session) -> Truth:
    leg = await pbx.world.phone("101").dial(MOBILE)
    client = await pbx.world.number(MOBILE).talking()
    await leg.talks(0.3)
    await leg.refer("102")
    second = await pbx.world.phone("102").talking()
    await client.talking(to=second)
    await client.talks(0.5)
    await client.hangup()
    return client, client


@story(OUTGOING | {"outcome": "answered", "talkers": ["101", "102"], "transfers": [moved("attended", "101", "102")]})
async def outgoing_then_attended(pbx: PbxSandbox, _: Session) -> Truth:
    leg = await pbx.world.phone("101").dial(MOBILE)
    client = await pbx.world.number(MOBILE).talking()
    await leg.talks(0.3)
    await leg.hold()
    consultation = await pbx.world.phone("101").dial("102")
    await pbx.world.phone("102").talking()
    await consultation.talks(0.4)
    await leg.refer_to_leg(consultation)
    await leg.ended()
    await client.talks(0.5)
    await client.hangup()
    return client, client


# ---- internal


@story(INTERNAL | {"outcome": "answered", "talkers": ["101", "102"], "rung": ["102"], "client": "102"})
async def internal_answered(pbx: PbxSandbox, _: Session) -> Truth:
    leg = await pbx.world.phone("101").dial("102")
    second = await pbx.world.phone("102").talking()
    await leg.talks(0.4)
    await leg.hangup()
    await second.ended()
    return second, leg


@story(INTERNAL | {"outcome": "busy", "rung": ["102"]})
async def internal_busy(pbx: PbxSandbox, _: Session) -> Truth:
    await pbx.world.phone("102").busy()
    await (await pbx.world.phone("101").dial("102")).ended()
    return None, None


@story(INTERNAL | {"outcome": "cancelled", "rung": ["102"]})
async def internal_cancelled(pbx: PbxSandbox, _: Session) -> Truth:
    await pbx.world.phone("102").rings()
    leg = await pbx.world.phone("101").dial("102")
    await pbx.world.phone("102").ringing()
    await leg.hangup()
    return None, None


@story(INTERNAL | {"outcome": "failed", "rung": []})
async def internal_offline(pbx: PbxSandbox, _: Session) -> Truth:
    await (await pbx.world.phone("101").dial("105")).ended()
    return None, None


@story()
async def internal_service_number(pbx: PbxSandbox, _: Session) -> Truth:
    leg = await pbx.world.phone("101").dial("777")
    await leg.answered()
    await leg.hangup()
    return None, None


# ---- placed by a program


CLICKED: dict[str, Any] = OUTGOING | {"rung": ["101"], "talkers": ["101"], "last_talker": "101", "outcome": "answered"}
CLICKED_IN_VAIN: dict[str, Any] = {"direction": "outgoing", "client": MOBILE_E164, "rung": ["101"], "talkers": []}


async def _clicked(pbx: PbxSandbox, ami: Session, channel: str, channel_id: str, caller: str = MOBILE) -> Truth:
    await ami.action("Originate", originate(channel, MOBILE, channel_id, caller))
    await pbx.world.phone("101").talking(within=10)
    client = await pbx.world.number(MOBILE).talking()
    await client.talks(0.5)
    await client.hangup()
    await pbx.world.phone("101").idle()
    return client, client


@story(CLICKED)
async def click_to_call(pbx: PbxSandbox, ami: Session) -> Truth:
    return await _clicked(pbx, ami, "PJSIP/101", "click-1")


@story(CLICKED)
async def click_to_call_local(pbx: PbxSandbox, ami: Session) -> Truth:
    return await _clicked(pbx, ami, "Local/101@from-internal", "click-2")


@story(CLICKED)
async def click_of_another_program(pbx: PbxSandbox, ami: Session) -> Truth:
    return await _clicked(pbx, ami, "PJSIP/101", "")


@story(CLICKED)
async def click_of_another_program_local(pbx: PbxSandbox, ami: Session) -> Truth:
    return await _clicked(pbx, ami, "Local/101@from-internal", "", "101")


@story(CLICKED_IN_VAIN | {"outcome": "busy"})
async def click_employee_busy(pbx: PbxSandbox, ami: Session) -> Truth:
    await pbx.world.phone("101").busy()
    await ami.action("Originate", originate("PJSIP/101", MOBILE, "click-3", MOBILE))
    await asyncio.sleep(1.0)
    return None, None


# Whether the phone's own hangup (rejected) comes before that of the Local channel above it is a matter of luck.
@story(CLICKED_IN_VAIN | {"outcome": {"cancelled", "no_answer"}})
async def click_employee_rejects(pbx: PbxSandbox, ami: Session) -> Truth:
    await pbx.world.phone("101").rings()
    await ami.action("Originate", originate("Local/101@from-internal", MOBILE, "click-4", MOBILE))
    await (await pbx.world.phone("101").ringing()).reject()
    await asyncio.sleep(0.5)
    return None, None


@story(CLICKED_IN_VAIN | {"outcome": "no_answer"})
async def click_employee_does_not_answer(pbx: PbxSandbox, ami: Session) -> Truth:
    await pbx.world.phone("101").rings()
    headers = [pair for pair in originate("PJSIP/101", MOBILE, "click-5", MOBILE) if pair[0] != "Timeout"]
    await ami.action("Originate", [*headers, ("Timeout", "2000")])
    leg = await pbx.world.phone("101").ringing()
    await leg.ended()
    await asyncio.sleep(0.3)
    return None, None


@story(CLICKED_IN_VAIN | {"outcome": "busy"})
async def click_client_busy(pbx: PbxSandbox, ami: Session) -> Truth:
    await pbx.world.number(MOBILE).busy()
    await ami.action("Originate", originate("PJSIP/101", MOBILE, "click-6", MOBILE))
    await asyncio.sleep(1.5)
    await pbx.world.phone("101").idle()
    return None, None


@story(CLICKED_IN_VAIN | {"outcome": "cancelled"})
async def click_employee_gives_up(pbx: PbxSandbox, ami: Session) -> Truth:
    await pbx.world.number(MOBILE).rings()
    await ami.action("Originate", originate("Local/101@from-internal", MOBILE, "click-7", MOBILE))
    await pbx.world.number(MOBILE).ringing()
    await asyncio.sleep(0.5)
    await pbx.world.phone("101").hangup()
    await asyncio.sleep(0.3)
    return None, None


@story(OUTGOING | {"outcome": "answered", "line": "", "talkers": ["101"], "rung": ["101"]})
async def dialler_rings_the_client_first(pbx: PbxSandbox, ami: Session) -> Truth:
    await ami.action("Originate", originate(f"PJSIP/{MOBILE}@carrier", "101"))
    client = await pbx.world.number(MOBILE).talking(within=10)
    await pbx.world.phone("101").talking()
    await client.talks(0.5)
    await client.hangup()
    await pbx.world.phone("101").idle()
    return client, client


@story(answered_by("101") | {"line": "+74950000101"})
async def local_client(pbx: PbxSandbox, ami: Session) -> Truth:
    headers = [
        ("Channel", "Local/74950000101@local-in"),
        ("Context", "client"),
        ("Exten", "s"),
        ("Priority", "1"),
        ("Async", "true"),
    ]
    await ami.action("Originate", headers)
    leg = pbx.world.phone("101")
    await pbx.world.switch.until(lambda: any(one.up for one in leg.legs), "101 is up")
    await leg.idle(within=10)
    return None, None


# ---- the portal's SIP connector


@story(answered_by("900") | {"rung": ["900"]})
async def to_the_connector(pbx: PbxSandbox, _: Session) -> Truth:
    client = await pbx.world.call(frm=CLIENT, to="74950000800")
    leg = await pbx.world.connector.talking()
    await client.talks(0.5)
    await client.hangup()
    return leg, client
