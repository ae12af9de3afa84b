"""Stories of calls that come in: one phone, groups, queues, menus."""

from __future__ import annotations

import asyncio

from call_story import CLIENT, MISSED, MOBILE, MOBILE_E164, Truth, answered_by, direct, story

from perezvon.asterisk import Session
from perezvon.sandbox.pbx import PbxSandbox


@story(answered_by("101") | {"line": "+74950000101", "rung": ["101"], "recordings": 1, "transfers": []})
async def incoming_answered(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await direct(pbx)
    await client.hangup()
    return leg, client


@story(answered_by("101"))
async def incoming_employee_hangs_up(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await direct(pbx)
    await leg.hangup()
    await client.ended()
    return leg, client


@story(MISSED | {"rung": ["104"]})
async def incoming_no_answer_cause_16(pbx: PbxSandbox, _: Session) -> Truth:
    await pbx.world.phone("104").rings()
    client = await pbx.world.call(frm=CLIENT, to="74950000700")
    await client.ended()
    return None, client


@story(MISSED | {"rung": ["101"]})
async def incoming_busy(pbx: PbxSandbox, _: Session) -> Truth:
    await pbx.world.phone("101").busy()
    client = await pbx.world.call(frm=CLIENT, to="74950000101")
    await client.ended()
    return None, client


@story(MISSED | {"rung": ["101"]})
async def incoming_rejected(pbx: PbxSandbox, _: Session) -> Truth:
    await pbx.world.phone("101").rings()
    client = await pbx.world.call(frm=CLIENT, to="74950000101")
    await (await pbx.world.phone("101").ringing()).reject()
    await client.ended()
    return None, client


@story(MISSED | {"rung": ["101"]})
async def incoming_client_gives_up(pbx: PbxSandbox, _: Session) -> Truth:
    await pbx.world.phone("101").rings()
    client = await pbx.world.call(frm=CLIENT, to="74950000101")
    await pbx.world.phone("101").ringing()
    await asyncio.sleep(0.5)
    await client.hangup()
    return None, client


@story(MISSED | {"rung": []})
async def incoming_phone_offline(pbx: PbxSandbox, _: Session) -> Truth:
    client = await pbx.world.call(frm=CLIENT, to="74950000600")
    await client.ended()
    return None, client


@story(MISSED | {"rung": [], "line": "+74950000500"})
async def incoming_announcement(pbx: PbxSandbox, _: Session) -> Truth:
    client = await pbx.world.call(frm=CLIENT, to="74950000500")
    await client.answered()
    await client.ended()
    return None, client


@story(MISSED | {"client": "", "rung": ["101"]})
async def incoming_anonymous(pbx: PbxSandbox, _: Session) -> Truth:
    await pbx.world.phone("101").rings()
    client = await pbx.world.call(frm="anonymous", to="74950000101")
    await pbx.world.phone("101").ringing()
    await client.hangup()
    return None, client


@story(answered_by("101") | {"line": "+74950000909"})
async def incoming_number_put_right(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await direct(pbx, "74950000909")
    await client.hangup()
    return leg, client


@story(answered_by("101"), answered_by("102"))
async def incoming_two_from_one_number(pbx: PbxSandbox, _: Session) -> Truth:
    first = await pbx.world.call(frm=CLIENT, to="74950000101")
    await pbx.world.phone("101").talking()
    second = await pbx.world.call(frm=CLIENT, to="74950000102")
    await pbx.world.phone("102").talking()
    await second.talks(0.3)
    await first.hangup()
    await second.hangup()
    return None, None


# ---- groups, queues, menus


@story(answered_by("102") | {"rung": ["101", "102", "103"]})
async def group_second_answers(pbx: PbxSandbox, _: Session) -> Truth:
    for extension in ("101", "103"):
        await pbx.world.phone(extension).rings()
    client = await pbx.world.call(frm=CLIENT, to="74950000200")
    leg = await pbx.world.phone("102").talking()
    await client.talks(0.5)
    await client.hangup()
    return leg, client


@story(MISSED | {"rung": ["101", "102", "103"]})
async def group_client_gives_up(pbx: PbxSandbox, _: Session) -> Truth:
    for extension in ("101", "102", "103"):
        await pbx.world.phone(extension).rings()
    client = await pbx.world.call(frm=CLIENT, to="74950000200")
    for extension in ("101", "102", "103"):
        await pbx.world.phone(extension).ringing()
    await client.hangup()
    return None, client


@story(answered_by(MOBILE_E164) | {"rung": ["101", "102", MOBILE_E164], "forwarded_to": MOBILE_E164})
async def group_then_mobile(pbx: PbxSandbox, _: Session) -> Truth:
    for extension in ("101", "102"):
        await pbx.world.phone(extension).rings()
    client = await pbx.world.call(frm=CLIENT, to="74950000905")
    leg = await pbx.world.number(MOBILE).talking()
    await client.talks(0.5)
    await client.hangup()
    return leg, client


@story(
    answered_by("+79160000002") | {"rung": {"101", "102", "+79160000001", "+79160000002"}, "forwarded_to": "+79160000002"}
)
async def follow_me(pbx: PbxSandbox, _: Session) -> Truth:
    for extension in ("101", "102"):
        await pbx.world.phone(extension).rings()
    await pbx.world.number("79160000001").rings()
    client = await pbx.world.call(frm=CLIENT, to="74950000902")
    leg = await pbx.world.number("79160000002").talking()
    await client.talks(0.5)
    await client.hangup()
    return leg, client


@story(answered_by("101") | {"rung": ["101"]})
async def freepbx_chain(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await direct(pbx, "74950000907")
    await client.talks(0.5)
    await client.hangup()
    return leg, client


@story(answered_by("102") | {"rung": {"101", "102"}, "queue": "sales"})
async def queue_ringall(pbx: PbxSandbox, _: Session) -> Truth:
    await pbx.world.phone("101").rings()
    client = await pbx.world.call(frm=CLIENT, to="74950000300")
    leg = await pbx.world.phone("102").talking()
    await client.talks(0.5)
    await client.hangup()
    return leg, client


@story(MISSED | {"rung": {"101", "102"}, "queue": "sales"})
async def queue_abandoned(pbx: PbxSandbox, _: Session) -> Truth:
    for extension in ("101", "102"):
        await pbx.world.phone(extension).rings()
    client = await pbx.world.call(frm=CLIENT, to="74950000300")
    await pbx.world.phone("102").ringing()
    await asyncio.sleep(0.5)
    await client.hangup()
    return None, client


@story(answered_by("104") | {"queue": "support"})
async def queue_agent_rejects(pbx: PbxSandbox, _: Session) -> Truth:
    await pbx.world.phone("103").rejects()
    client = await pbx.world.call(frm=CLIENT, to="74950000310")
    leg = await pbx.world.phone("104").talking(within=10)
    await client.talks(0.5)
    await client.hangup()
    return leg, client


@story(answered_by("101") | {"queue": "sales"})
async def queue_overflow(pbx: PbxSandbox, _: Session) -> Truth:
    for extension in ("103", "104"):
        await pbx.world.phone(extension).rings()
    await pbx.world.phone("102").busy()
    client = await pbx.world.call(frm=CLIENT, to="74950000910")
    leg = await pbx.world.phone("101").talking(within=10)
    await client.talks(0.5)
    await client.hangup()
    return leg, client


@story(answered_by("101") | {"menu": ["1"], "rung": ["101"], "line": "+74950000400"})
async def menu_key(pbx: PbxSandbox, _: Session) -> Truth:
    client = await pbx.world.call(frm=CLIENT, to="74950000400")
    await client.answered()
    await asyncio.sleep(0.3)
    await client.press("1")
    leg = await pbx.world.phone("101").talking()
    await client.talks(0.5)
    await client.press("5")
    await client.hangup()
    return leg, client


@story(answered_by("101") | {"menu": ["7", "2"], "queue": "sales"})
async def menu_wrong_key_then_queue(pbx: PbxSandbox, _: Session) -> Truth:
    await pbx.world.phone("102").rings()
    client = await pbx.world.call(frm=CLIENT, to="74950000400")
    await client.answered()
    await client.press("7")
    await asyncio.sleep(0.5)
    await client.press("2")
    leg = await pbx.world.phone("101").talking()
    await client.talks(0.5)
    await client.hangup()
    return leg, client


@story(MISSED | {"menu": [], "rung": []})
async def menu_client_gives_up(pbx: PbxSandbox, _: Session) -> Truth:
    client = await pbx.world.call(frm=CLIENT, to="74950000400")
    await client.answered()
    await asyncio.sleep(0.5)
    await client.hangup()
    return None, client


@story(answered_by("101") | {"menu": ["1"]})
async def menu_by_read(pbx: PbxSandbox, _: Session) -> Truth:
    client = await pbx.world.call(frm=CLIENT, to="74950000911")
    await client.answered()
    await asyncio.sleep(0.3)
    await client.press("1")
    leg = await pbx.world.phone("101").talking()
    await client.talks(0.5)
    await client.hangup()
    return leg, client


@story(MISSED | {"rung": ["101"]})
async def voicemail(pbx: PbxSandbox, _: Session) -> Truth:
    await pbx.world.phone("101").rings()
    client = await pbx.world.call(frm=CLIENT, to="74950000901")
    await client.answered()
    await client.ended()
    return None, client


@story(MISSED | {"rung": [MOBILE_E164]})
async def mobile_does_not_confirm(pbx: PbxSandbox, _: Session) -> Truth:
    client = await pbx.world.call(frm=CLIENT, to="74950000903")
    leg = pbx.world.number(MOBILE)
    await pbx.world.switch.until(lambda: any(one.up for one in leg.legs), "the mobile is up")
    await client.ended(within=15)
    return None, client


@story(answered_by(MOBILE_E164) | {"rung": [MOBILE_E164], "menu": []})
async def mobile_confirms(pbx: PbxSandbox, _: Session) -> Truth:
    client = await pbx.world.call(frm=CLIENT, to="74950000903")
    number = pbx.world.number(MOBILE)
    await pbx.world.switch.until(lambda: any(one.up for one in number.legs), "the mobile is up")
    await asyncio.sleep(0.5)
    await number.press("1")
    await number.talking()
    await client.talks(0.5)
    await client.hangup()
    return None, None


@story(answered_by("101") | {"rung": ["101"]})
async def announcement_to_the_employee(pbx: PbxSandbox, _: Session) -> Truth:
    client = await pbx.world.call(frm=CLIENT, to="74950000908")
    await pbx.world.phone("101").talking(within=10)
    await client.talks(0.5)
    await client.hangup()
    return None, None


@story(answered_by("101"))
async def survey_after_the_talk(pbx: PbxSandbox, _: Session) -> Truth:
    client, leg = await direct(pbx, "74950000906")
    await leg.hangup()
    await asyncio.sleep(1.0)
    await client.hangup()
    return leg, client
