"""Calls of every shape, played on the sandbox's real Asterisk, each with the record that it must give. Under `rung`
a set means that the order is the PBX's own business (it dials the members of a queue in threads of their own), under any
other name that each of these would be right.

A story is played by `record.py`, which keeps the AMI stream in `recordings/`; `test_recordings.py` replays that. What a
story returns is its truth, measured at the other end of the wire: the leg of the world whose answer began the talk (None:
nobody answered), and the leg of the client, whose end ends the call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from perezvon.asterisk import Session
from perezvon.sandbox.pbx import Leg, PbxSandbox

CLIENT = "79161234567"
CLIENT_E164 = "+79161234567"
MOBILE = "79160000009"
MOBILE_E164 = "+79160000009"
MAIN_LINE = "+74951234567"

Truth = tuple[Leg | None, Leg | None]
Play = Callable[[PbxSandbox, Session], Awaitable[Truth]]

EXTRA_DIALPLAN = """
[ext-did](+)
; voice mail after two seconds
exten => 74950000901,1,Gosub(sub-incoming,${EXTEN},1)
 same => n,Dial(PJSIP/101,2)
 same => n,Answer()
 same => n,Playback(${SOUNDS}/announcement)
 same => n,Wait(1)
 same => n,Hangup()
; follow-me: two Local devices, each its phone for two seconds and then a mobile
exten => 74950000902,1,Gosub(sub-incoming,${EXTEN},1)
 same => n,Dial(Local/101@followme/n&Local/102@followme/n,20,tT)
 same => n,Hangup()
; a mobile that has to press 1
exten => 74950000903,1,Gosub(sub-incoming,${EXTEN},1)
 same => n,Dial(PJSIP/79160000009@carrier,20,U(confirm))
 same => n,Hangup()
; a conference room
exten => 74950000904,1,Answer()
 same => n,ConfBridge(room1)
 same => n,Hangup()
; a group, then a mobile
exten => 74950000905,1,Gosub(sub-incoming,${EXTEN},1)
 same => n,Dial(PJSIP/101&PJSIP/102,2,tT)
 same => n,Dial(PJSIP/79160000009@carrier,20,tT)
 same => n,Hangup()
; a survey after the talk
exten => 74950000906,1,Gosub(sub-incoming,${EXTEN},1)
 same => n,Dial(PJSIP/101,20,gtT)
 same => n,Playback(${SOUNDS}/announcement)
 same => n,Wait(2)
 same => n,Hangup()
; the names of FreePBX's follow-me chain; the Local channels may be optimised away
exten => 74950000907,1,Gosub(sub-incoming,${EXTEN},1)
 same => n,Dial(Local/FMPR-101@from-internal-fm,20,tT)
 same => n,Hangup()
; the employee hears an announcement before the client
exten => 74950000908,1,Gosub(sub-incoming,${EXTEN},1)
 same => n,Dial(PJSIP/101,20,A(${SOUNDS}/announcement)tT)
 same => n,Hangup()
; the dialplan puts the number right
exten => 74950000909,1,Set(CALLERID(num)=8${CALLERID(num):1})
 same => n,Set(CALLERID(name)=VIP ${CALLERID(name)})
 same => n,Gosub(sub-incoming,${EXTEN},1)
 same => n,Dial(PJSIP/101,20,tT)
 same => n,Hangup()
; a queue that gives up after three seconds, then another queue
exten => 74950000910,1,Gosub(sub-incoming,${EXTEN},1)
 same => n,Answer()
 same => n,Queue(support,tT,,,3)
 same => n,Queue(sales,tT,,,30)
 same => n,Hangup()
; a third person: the employee presses *3, the client waits in a room with music, a colleague outside is called; # joins all
exten => 74950000912,1,Gosub(sub-incoming,${EXTEN},1)
 same => n,Set(__ROOM=${UNIQUEID})
 same => n,Dial(PJSIP/101,20,gF(third^s^1)b(third-before^s^1))
 same => n,Hangup()
exten => 74950000911,1,Answer()
 same => n,Read(CHOICE,${SOUNDS}/menu,1,,1,3)
 same => n,GotoIf($["${CHOICE}" = "1"]?ext-local,101,1)
 same => n,Hangup()

[followme]
exten => _10X,1,Dial(PJSIP/${EXTEN},2,tT)
 same => n,Dial(PJSIP/7916000000${EXTEN:-1}@carrier,20,tT)
 same => n,Hangup()

[from-internal-fm]
exten => FMPR-101,1,Dial(Local/101@from-internal-dev,20,tT)
 same => n,Hangup()

[from-internal-dev]
exten => _10X,1,Dial(PJSIP/${EXTEN},20,tT)
 same => n,Hangup()

[confirm]
exten => s,1,Read(ANSWER,${SOUNDS}/menu,1,,1,2)
 same => n,GotoIf($["${ANSWER}" = "1"]?take)
 same => n,Set(GOSUB_RESULT=CONTINUE)
 same => n(take),Return()

[from-internal](+)
exten => 801,1,Answer()
 same => n,ConfBridge(room1)
 same => n,Hangup()
exten => 777,1,Answer()
 same => n,Echo()

[phones]
exten => _30X,1,Ringing()
 same => n,Wait(0.3)
 same => n,Answer()
 same => n,Wait(30)

[client]
exten => s,1,Answer()
 same => n,Wait(2)
 same => n,Hangup()

[world]
exten => _X.,1,Ringing()
 same => n,Wait(0.3)
 same => n,Answer()
 same => n,Wait(30)

[long]
exten => s,1,Answer()
 same => n,Wait(40)

[rig]
exten => out,1,Set(CALLERID(num)=101)
 same => n,Dial(Local/79160000009@world,20,tT)
exten => between,1,Set(CALLERID(num)=101)
 same => n,Dial(PJSIP/102,20,tT)
exten => mobile,1,Set(CALLERID(num)=79161234567)
 same => n,Dial(PJSIP/101,1)
 same => n,Dial(Local/79160000009@world,20,tT)
exten => talk,1,Set(CALLERID(num)=79161234567)
 same => n,Dial(Local/301@phones,20,tT)
exten => phone,1,Set(CALLERID(num)=79161234567)
 same => n,Dial(PJSIP/101,20,tT)
exten => group,1,Set(CALLERID(num)=79161234567)
 same => n,Dial(Local/301@phones&PJSIP/101&PJSIP/102,20,tT)
exten => queue,1,Set(CALLERID(num)=79161234567)
 same => n,Queue(support,tT,,,60)
exten => room,1,Set(CALLERID(num)=79161234567)
 same => n,Answer()
 same => n,ConfBridge(room1)
exten => menu,1,Set(CALLERID(num)=79161234567)
 same => n,Answer()
 same => n,Background(${SOUNDS}/menu)
 same => n,WaitExten(3)
 same => n,Hangup()
exten => 2,1,Dial(PJSIP/102,20,tT)
exten => mail,1,Set(CALLERID(num)=79161234567)
 same => n,Dial(PJSIP/101,1)
 same => n,Answer()
 same => n,Playback(${SOUNDS}/announcement)
 same => n,Wait(1)
 same => n,Hangup()

[third-before]
exten => s,1,Set(DYNAMIC_FEATURES=third)
 same => n,Return()

[third-begins]
exten => s,1,Set(CONSULTS=1)
 same => n,ChannelRedirect(${BRIDGEPEER},third-room,s,1)
 same => n,Return()

[third]
exten => s,1,GotoIf($["${CONSULTS}" != "1"]?end)
 same => n,Set(DYNAMIC_FEATURES=join)
 same => n,Dial(PJSIP/79160000009@carrier,20,gH)
 same => n,ConfBridge(${ROOM})
 same => n(end),Hangup()

[third-joins]
exten => s,1,ChannelRedirect(${BRIDGEPEER},third-room,s,1)
 same => n,Return()

[third-room]
exten => s,1,ConfBridge(${ROOM})
 same => n,Hangup()

[local-in]
exten => 74950000101,1,Set(CALLERID(num)=79161234567)
 same => n,Dial(PJSIP/101,20,tT)
 same => n,Hangup()
"""


EXTRA_FEATURES = """
[applicationmap]
third => *3,self,Gosub(third-begins,s,1)
join => #,self,Gosub(third-joins,s,1)
"""


@dataclass(frozen=True, slots=True)
class Story:
    name: str
    play: Play
    expected: tuple[dict[str, Any], ...]


@dataclass(slots=True)
class Stories:
    told: dict[str, Story] = field(default_factory=dict[str, Story])

    def story(self, *expected: dict[str, Any]) -> Callable[[Play], Play]:
        def keep(play: Play) -> Play:
            name = play.__name__
            self.told[name] = Story(name, play, expected)
            return play

        return keep


STORIES = Stories()
story = STORIES.story

INCOMING: dict[str, Any] = {"direction": "incoming", "client": CLIENT_E164}
MISSED = INCOMING | {"outcome": "missed", "talkers": [], "last_talker": None}
OUTGOING: dict[str, Any] = {"direction": "outgoing", "client": MOBILE_E164, "line": MAIN_LINE}
INTERNAL: dict[str, Any] = {"direction": "internal"}


def answered_by(*talkers: str) -> dict[str, Any]:
    return INCOMING | {"outcome": "answered", "talkers": list(talkers), "last_talker": talkers[-1]}


def moved(kind: str, from_: str, to: str) -> dict[str, str]:
    return {"kind": kind, "from": from_, "to": to}


async def direct(pbx: PbxSandbox, to: str = "74950000101", phone: str = "101") -> tuple[Leg, Leg]:
    client = await pbx.world.call(frm=CLIENT, to=to, name="Иван")
    leg = await pbx.world.phone(phone).talking()
    await client.talks(0.5)
    return client, leg


# ---- incoming


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


# ---- transfers of a client's call


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


@story(answered_by("101", "102") | {"transfers": [moved("blind", "101", "102"), moved("blind", "102", "101")]})
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


STORIES.told["blind_and_back"].expected[0]["last_talker"] = "101"


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


# ---- outgoing


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


def originate(channel: str, exten: str, channel_id: str = "", caller: str = "") -> list[tuple[str, str]]:
    headers = [
        ("Channel", channel),
        ("Context", "from-internal"),
        ("Exten", exten),
        ("Priority", "1"),
        ("Timeout", "15000"),
        ("Async", "true"),
    ]
    if channel_id:
        headers.append(("ChannelId", channel_id))
    if caller:
        headers.append(("CallerID", caller))
    return headers


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


# ---- what happens in real offices


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


# ---- clients (and phones) that are Local pairs made by an Originate


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
