"""Shapes of calls, written as what the PBX does and the record that it must give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ami_script import START, UP, Chan, Script, calls_of, facts_of, kinds

from perezvon.calls import Numbering
from perezvon.calls.call import Call

CLIENT = "79161234567"
E164 = "+79161234567"
DID = "74951234567"
LINE = "+74951234567"
TRUNKS = Numbering(trunks=frozenset({"multifon", "carrier"}), lines=frozenset({LINE}))
PLAIN = Numbering()

Shape = Callable[[Script], None]
SHAPES: list[tuple[str, Shape, Numbering, list[dict[str, Any]]]] = []

INCOMING: dict[str, Any] = {"direction": "incoming", "client": E164, "line": LINE}
MISSED = INCOMING | {"outcome": "missed", "duration": 0.0, "talkers": [], "last_talker": None, "answered": None}


def answered_by(*talkers: str) -> dict[str, Any]:
    return INCOMING | {"outcome": "answered", "talkers": list(talkers), "last_talker": talkers[-1]}


def shape(*expected: dict[str, Any], numbering: Numbering = PLAIN) -> Callable[[Shape], Shape]:
    def keep(build: Shape) -> Shape:
        SHAPES.append((build.__name__, build, numbering, list(expected)))
        return build

    return keep


def holds(call: Call, expected: dict[str, Any]) -> dict[str, Any]:
    record = call.as_json()
    return {key: record[key] for key in expected}


def come_in(pbx: Script, name: str = "PJSIP/multifon-00000001") -> Chan:
    return pbx.incoming(name, CLIENT, DID)


def connect(pbx: Script, client: Chan, name: str, extension: str) -> Chan:
    phone = pbx.dial(client, name, extension)
    pbx.ringing(phone)
    pbx.answer(phone)
    pbx.talk(client, phone)
    return phone


# ---- incoming


@shape(answered_by("101") | {"rung": ["101"], "duration": 10.02}, numbering=TRUNKS)
def incoming(pbx: Script) -> None:
    client = come_in(pbx)
    phone = connect(pbx, client, "PJSIP/101-00000002", "101")
    pbx.wait(10)
    pbx.hangup(client, phone)


@shape(MISSED | {"rung": ["101"]})
def cause_zero_is_no_failure(pbx: Script) -> None:
    client = come_in(pbx)
    phone = pbx.dial(client, "PJSIP/101-00000002", "101")
    pbx.ringing(phone)
    pbx.wait(5)
    pbx.hangup(client, phone, cause=0)


@shape(
    INCOMING
    | {
        "outcome": "answered",
        "legs": [
            {"channel": "SIP/multifon-00000001", "party": "client", "extension": E164},
            {"channel": "SIP/101-00000002", "party": "employee", "extension": "101"},
        ],
    }
)
def chan_sip(pbx: Script) -> None:
    client = come_in(pbx, "SIP/multifon-00000001")
    phone = connect(pbx, client, "SIP/101-00000002", "101")
    pbx.hangup(phone, client)


@shape(answered_by("101"))
def iax_trunk(pbx: Script) -> None:
    client = come_in(pbx, "IAX2/provider-4711")
    phone = connect(pbx, client, "IAX2/101-815", "101")
    pbx.hangup(phone, client)


@shape(answered_by("12"))
def isdn_line_and_analogue_phone(pbx: Script) -> None:
    """The port of a DAHDI channel is not an extension, however it looks."""
    client = come_in(pbx, "DAHDI/i1/79161234567-1")
    phone = pbx.dial(client, "DAHDI/33-1", "33", number="12")
    pbx.answer(phone)
    pbx.talk(client, phone)
    pbx.hangup(phone, client)


@shape(MISSED | {"client": "", "rung": ["101"]})
def anonymous(pbx: Script) -> None:
    client = pbx.incoming("PJSIP/multifon-00000001", "", DID)
    phone = pbx.dial(client, "PJSIP/101-00000002", "101")
    pbx.hangup(client, phone)


@shape(MISSED | {"client": "sipgate-user", "rung": ["101"]})
def caller_without_a_number(pbx: Script) -> None:
    client = pbx.incoming("PJSIP/multifon-00000001", "sipgate-user", DID)
    phone = pbx.dial(client, "PJSIP/101-00000002", "101")
    pbx.hangup(client, phone)


@shape(MISSED | {"line": LINE})
def line_from_a_variable(pbx: Script) -> None:
    client = pbx.incoming("PJSIP/multifon-00000001", CLIENT, "s")
    pbx.variable(client, "__FROM_DID", DID)
    phone = pbx.dial(client, "PJSIP/101-00000002", "101")
    pbx.hangup(client, phone)


@shape(answered_by("101"), answered_by("102"))
def two_calls_of_one_number(pbx: Script) -> None:
    first, second = come_in(pbx), come_in(pbx, "PJSIP/multifon-00000003")
    one = connect(pbx, first, "PJSIP/101-00000002", "101")
    other = connect(pbx, second, "PJSIP/102-00000004", "102")
    pbx.hangup(first, one)
    pbx.hangup(second, other)


@shape(MISSED | {"rung": []})
def gives_up_before_anything_happens(pbx: Script) -> None:
    pbx.hangup(come_in(pbx))


@shape(answered_by("101") | {"rung": ["101"]}, numbering=Numbering(ignored_peers=frozenset({"recorder"})))
def ignored_peer(pbx: Script) -> None:
    client = come_in(pbx)
    recorder = pbx.dial(client, "PJSIP/recorder-00000009", "recorder")
    phone = connect(pbx, client, "PJSIP/101-00000002", "101")
    pbx.hangup(recorder, phone, client)


# ---- groups and queues


@shape(answered_by("102") | {"rung": ["101", "102", "103"]})
def ring_group(pbx: Script) -> None:
    """Trap 1: the losers' CANCEL comes before the winner's ANSWER."""
    client = come_in(pbx)
    phones = [pbx.dial(client, f"PJSIP/{n}-000000{n}", str(n)) for n in (101, 102, 103)]
    pbx.ringing(*phones)
    pbx.end(phones[0], "CANCEL")
    pbx.end(phones[2], "CANCEL")
    pbx.answer(phones[1])
    pbx.hangup(phones[0], phones[2], cause=26)
    pbx.talk(client, phones[1])
    pbx.hangup(client, phones[1])


@shape(answered_by("101"))
def two_devices_of_one_employee(pbx: Script) -> None:
    client = come_in(pbx)
    desk = pbx.dial(client, "PJSIP/101-00000002", "101/sip:101@10.0.0.5:5060")
    soft = pbx.dial(client, "PJSIP/101-00000003", "101/sip:101@10.0.0.6:5060")
    pbx.ringing(desk, soft)
    pbx.up(soft)
    pbx.end(desk, "CANCEL")
    pbx.end(soft, "ANSWER")
    pbx.talk(client, soft)
    pbx.hangup(desk, cause=26)
    pbx.hangup(client, soft)


def agent(pbx: Script, client: Chan, extension: str) -> tuple[Chan, Chan]:
    one = pbx.dial_local(client, extension, "from-queue")
    assert one.twin is not None
    return one, pbx.dial(one.twin, f"PJSIP/{extension}-0000{extension}", extension)


def queue(pbx: Script, client: Chan, name: str) -> None:
    pbx.send("QueueCallerJoin", **{"channel": client.name, "uniqueid": client.uid, "queue": name})


@shape(answered_by("102") | {"rung": ["101", "102"], "queue": "sales"})
def queue_with_local_members(pbx: Script) -> None:
    """Traps 2 and 3: two CANCELs for a losing leg; the member is a Local channel."""
    client = come_in(pbx)
    pbx.up(client)
    queue(pbx, client, "sales")
    (out1, phone1), (out2, phone2) = agent(pbx, client, "101"), agent(pbx, client, "102")
    pbx.ringing(phone1, phone2, out1, out2)
    pbx.answer(phone2)
    pbx.end(out2, "ANSWER")
    for _ in range(2):
        pbx.end(out1, "CANCEL")
        pbx.end(phone1, "CANCEL")
    assert out1.twin is not None
    assert out2.twin is not None
    pbx.hangup(phone1, out1, out1.twin, cause=26)
    pbx.talk(phone2, out2.twin)
    pbx.talk(out2, client)
    pbx.wait(3)
    pbx.hangup(client, out2, out2.twin, phone2)


@shape(answered_by("102") | {"rung": ["101", "102"], "queue": "sales"})
def queue_agent_rejects_then_the_next(pbx: Script) -> None:
    client = come_in(pbx)
    pbx.up(client)
    queue(pbx, client, "sales")
    first = pbx.dial(client, "PJSIP/101-00000002", "101")
    pbx.end(first, "NOANSWER")
    pbx.hangup(first, cause=21)
    phone = connect(pbx, client, "PJSIP/102-00000003", "102")
    pbx.hangup(phone, client)


@shape(MISSED | {"rung": ["101"], "queue": "sales"})
def queue_abandoned(pbx: Script) -> None:
    client = come_in(pbx)
    pbx.up(client)
    queue(pbx, client, "sales")
    phone = pbx.dial(client, "PJSIP/101-00000002", "101")
    pbx.ringing(phone)
    pbx.send("QueueCallerAbandon", uniqueid=client.uid, queue="sales")
    pbx.end(phone, "CANCEL")
    pbx.hangup(phone, client)


@shape(MISSED | {"rung": [], "queue": "sales"})
def queue_abandoned_before_anybody_rang(pbx: Script) -> None:
    client = come_in(pbx)
    pbx.up(client)
    queue(pbx, client, "sales")
    pbx.wait(4)
    pbx.hangup(client)


@shape(answered_by("101") | {"queue": "support"})
def second_queue_answers(pbx: Script) -> None:
    client = come_in(pbx)
    queue(pbx, client, "sales")
    queue(pbx, client, "support")
    phone = connect(pbx, client, "PJSIP/101-00000002", "101")
    pbx.hangup(phone, client)


@shape(answered_by("+79160000009") | {"rung": ["101", "+79160000009"], "forwarded_to": "+79160000009", "third_parties": []})
def group_then_mobile(pbx: Script) -> None:
    client = come_in(pbx)
    phone = pbx.dial(client, "PJSIP/101-00000002", "101")
    pbx.wait(20)
    pbx.end(phone, "NOANSWER")
    pbx.hangup(phone)
    mobile = pbx.dial(client, "PJSIP/multifon-00000003", "79160000009@multifon")
    pbx.answer(mobile)
    pbx.talk(client, mobile)
    pbx.hangup(client, mobile)


@shape(answered_by("101") | {"rung": ["101", "+79160000009"], "forwarded_to": None})
def mobile_rings_along_in_vain(pbx: Script) -> None:
    client = come_in(pbx)
    phone = pbx.dial(client, "PJSIP/101-00000002", "101")
    mobile = pbx.dial(client, "PJSIP/multifon-00000003", "79160000009@multifon")
    pbx.ringing(phone, mobile)
    pbx.up(phone)
    pbx.end(mobile, "CANCEL")
    pbx.end(phone, "ANSWER")
    pbx.talk(client, phone)
    pbx.hangup(mobile, cause=26)
    pbx.hangup(client, phone)


@shape(MISSED | {"rung": ["101"]})
def voicemail_is_no_answer(pbx: Script) -> None:
    client = come_in(pbx)
    phone = pbx.dial(client, "PJSIP/101-00000002", "101")
    pbx.end(phone, "NOANSWER")
    pbx.hangup(phone)
    pbx.up(client)
    pbx.exten(client, "VoiceMail", "101@default,u")
    pbx.key(client, "#")
    pbx.wait(10)
    pbx.hangup(client)


@shape(MISSED | {"rung": []})
def voicemail_of_a_local_member_is_no_answer(pbx: Script) -> None:
    """The member is not to be disturbed: his Local channel's dialplan goes to voice mail without ringing anything."""
    client = come_in(pbx)
    out = pbx.dial_local(client, "101", "from-queue")
    assert out.twin is not None
    pbx.exten(out.twin, "VoiceMail", "101@default,b")
    pbx.up(out.twin)
    pbx.answer(out)
    pbx.talk(client, out)
    pbx.wait(5)
    pbx.hangup(client, out, out.twin)


# ---- menus


@shape(MISSED | {"menu": ["2", "1"], "rung": []})
def menu_and_gone(pbx: Script) -> None:
    client = come_in(pbx)
    pbx.up(client)
    pbx.exten(client, "Background", "menu")
    pbx.key(client, "2")
    pbx.key(client, "1")
    pbx.hangup(client)


@shape(MISSED | {"menu": ["2"], "rung": ["102"]})
def menu_known_by_the_jump_only(pbx: Script) -> None:
    """The AMI user may not see keys: then the jump of the dialplan tells them."""
    client = come_in(pbx)
    pbx.up(client)
    pbx.exten(client, "Background", "menu", context="ivr", exten="s")
    pbx.exten(client, "WaitExten", "3")
    pbx.exten(client, "Goto", "ext-local,102,1", exten="2")
    pbx.exten(client, "Dial", "PJSIP/102", context="ext-local", exten="102")
    phone = pbx.dial(client, "PJSIP/102-00000002", "102")
    pbx.hangup(client, phone)


@shape(MISSED | {"menu": ["3"]})
def menu_by_read(pbx: Script) -> None:
    client = come_in(pbx)
    pbx.up(client)
    pbx.exten(client, "Read", "CHOICE,menu,1")
    pbx.variable(client, "CHOICE", "3")
    pbx.hangup(client)


@shape(answered_by("101") | {"menu": ["1"]})
def keys_told_twice_count_once_and_talk_has_no_menu(pbx: Script) -> None:
    client = come_in(pbx)
    pbx.up(client)
    pbx.exten(client, "Background", "menu", exten="s")
    pbx.key(client, "1")
    pbx.exten(client, "Goto", "ext-local,101,1", exten="1")
    phone = connect(pbx, client, "PJSIP/101-00000002", "101")
    pbx.key(client, "5")
    pbx.key(phone, "#")
    pbx.hangup(client, phone)


# ---- transfers


@shape(answered_by("101", "102") | {"transfers": [{"kind": "blind", "from": "101", "to": "102"}], "rung": ["101", "102"]})
def blind(pbx: Script) -> None:
    client = come_in(pbx)
    phone = connect(pbx, client, "PJSIP/101-00000002", "101")
    pbx.blind(phone, client, "102")
    pbx.leave(phone)
    pbx.hangup(phone)
    pbx.leave(client)
    second = connect(pbx, client, "PJSIP/102-00000003", "102")
    pbx.hangup(client, second)


@shape(
    answered_by("101")
    | {"transfers": [{"kind": "blind", "from": "101", "to": "+79160000009"}], "third_parties": ["+79160000009"]}
)
def blind_to_outside(pbx: Script) -> None:
    client = come_in(pbx)
    phone = connect(pbx, client, "PJSIP/101-00000002", "101")
    pbx.blind(phone, client, "89160000009")
    pbx.leave(client)
    pbx.hangup(phone)
    outside = pbx.dial(client, "PJSIP/multifon-00000003", "79160000009@multifon")
    pbx.answer(outside)
    pbx.talk(client, outside)
    pbx.wait(5)
    pbx.hangup(client, outside)


@shape(
    answered_by("101")
    | {"transfers": [{"kind": "attended", "from": "101", "to": "+79031112233"}], "third_parties": ["+79031112233"]},
    answered_by("101")
    | {
        "client": "+79031112233",
        "transfers": [{"kind": "attended", "from": "101", "to": E164}],
        "third_parties": [E164],
    },
)
def two_clients_joined(pbx: Script) -> None:
    """Each called in: each has his own call, to its end."""
    client = come_in(pbx)
    phone = connect(pbx, client, "PJSIP/101-00000002", "101")
    other = pbx.incoming("PJSIP/multifon-00000003", "79031112233", DID)
    line = pbx.dial(other, "PJSIP/101-00000004", "101")
    pbx.answer(line)
    bridge = pbx.talk(other, line)
    pbx.leave(client)
    pbx.leave(line)
    pbx.enter(client, bridge)
    pbx.attended(phone, line, client, other)
    pbx.hangup(line, phone)
    pbx.wait(3)
    pbx.hangup(client, other)


@shape(answered_by("101") | {"rung": ["101"]})
def trunk_that_looks_like_an_extension(pbx: Script) -> None:
    client = pbx.incoming("PJSIP/100-00000001", CLIENT, DID, context="from-pstn")
    phone = connect(pbx, client, "PJSIP/101-00000002", "101")
    pbx.hangup(client, phone)


@shape(
    {"direction": "outgoing", "client": "+79160000009", "outcome": "answered", "talkers": ["connector"], "rung": []},
    numbering=Numbering(trunks=frozenset({"connector", "multifon"}), lines=frozenset({LINE})),
)
def somebody_behind_a_trunk_calls_out(pbx: Script) -> None:
    browser = pbx.incoming("PJSIP/connector-00000001", DID, "89160000009", context="from-connector")
    client = pbx.dial(browser, "PJSIP/multifon-00000002", "79160000009@multifon")
    pbx.answer(client)
    pbx.talk(browser, client)
    pbx.hangup(browser, client)


@shape(answered_by("301") | {"rung": ["301"]})
def phone_played_by_a_dialplan_that_does_not_ring(pbx: Script) -> None:
    client = come_in(pbx)
    out = pbx.dial_local(client, "301", "phones")
    assert out.twin is not None
    pbx.exten(out.twin, "Wait", "1")
    pbx.exten(out.twin, "Answer")
    pbx.up(out.twin)
    pbx.answer(out)
    pbx.talk(client, out)
    pbx.hangup(client, out, out.twin)


@shape(MISSED | {"rung": ["301"]})
def phone_played_by_a_dialplan_that_does_not_answer_either(pbx: Script) -> None:
    client = come_in(pbx)
    out = pbx.dial_local(client, "301", "phones")
    assert out.twin is not None
    pbx.exten(out.twin, "Wait", "60")
    pbx.hangup(client, out, out.twin)


@shape({"direction": "outgoing", "client": "+79160000009", "outcome": "failed", "rung": []})
def originated_outgoing_call_without_a_channel(pbx: Script) -> None:
    out = pbx.local("out", "rig")
    assert out.twin is not None
    pbx.caller_id(out.twin, "101")
    pbx.begin(None, out, "out@rig")
    pbx.exten(out.twin, "Dial", "PJSIP/79160000009@multifon,30")
    pbx.hangup(out.twin, out, cause=20)


def consult(pbx: Script, extension: str, name: str, second: str, second_name: str) -> tuple[Chan, Chan, str]:
    """A desk phone's second line calls a colleague: a call with a linkedid of its own."""
    line = pbx.new(name, number=extension, exten=second, state=4)
    colleague = pbx.dial(line, second_name, second)
    pbx.ringing(colleague)
    pbx.answer(colleague)
    return line, colleague, pbx.talk(line, colleague)


@shape(
    answered_by("101", "102") | {"transfers": [{"kind": "attended", "from": "101", "to": "102"}], "rung": ["101", "102"]}
)
def attended_by_phone(pbx: Script) -> None:
    client = come_in(pbx)
    phone = connect(pbx, client, "PJSIP/101-00000002", "101")
    pbx.send("Hold", channel=phone.name, uniqueid=phone.uid)
    line, colleague, bridge = consult(pbx, "101", "PJSIP/101-00000003", "102", "PJSIP/102-00000004")
    pbx.wait(5)
    pbx.leave(client)
    pbx.leave(line)
    pbx.enter(client, bridge, swapuniqueid=line.uid)
    pbx.attended(phone, line, client, colleague)
    pbx.hangup(line, phone)
    pbx.wait(5)
    pbx.hangup(client, colleague)


@shape(
    answered_by("101", "102") | {"transfers": [{"kind": "attended", "from": "101", "to": "102"}], "rung": ["101", "102"]}
)
def attended_the_client_came_second(pbx: Script) -> None:
    """101 talks with 102, then a client comes in on the other line, and 101 joins them."""
    line, colleague, bridge = consult(pbx, "101", "PJSIP/101-00000003", "102", "PJSIP/102-00000004")
    client = come_in(pbx)
    phone = connect(pbx, client, "PJSIP/101-00000002", "101")
    pbx.wait(5)
    pbx.leave(client)
    pbx.leave(line)
    pbx.enter(client, bridge)
    pbx.attended(line, phone, colleague, client)
    pbx.hangup(line, phone)
    pbx.hangup(colleague, client)


@shape(
    answered_by("101")
    | {"transfers": [{"kind": "attended", "from": "101", "to": "+79160000009"}], "third_parties": ["+79160000009"]}
)
def attended_to_outside(pbx: Script) -> None:
    client = come_in(pbx)
    phone = connect(pbx, client, "PJSIP/101-00000002", "101")
    line = pbx.new("PJSIP/101-00000003", number="101", exten="89160000009", state=4)
    outside = pbx.dial(line, "PJSIP/multifon-00000004", "79160000009@multifon")
    pbx.answer(outside)
    bridge = pbx.talk(line, outside)
    pbx.leave(client)
    pbx.leave(line)
    pbx.enter(client, bridge)
    pbx.attended(phone, line, client, outside)
    pbx.hangup(line, phone)
    pbx.wait(2)
    pbx.hangup(client, outside)


@shape(
    answered_by("101", "102") | {"transfers": [{"kind": "attended", "from": "101", "to": "102"}], "rung": ["101", "102"]}
)
def blonde(pbx: Script) -> None:
    """The transferer leaves while the colleague's phone still rings: his dial is handed over to the client's channel."""
    client = come_in(pbx)
    phone = connect(pbx, client, "PJSIP/101-00000002", "101")
    line = pbx.new("PJSIP/101-00000003", number="101", exten="102", state=4)
    colleague = pbx.dial(line, "PJSIP/102-00000004", "102")
    pbx.ringing(colleague)
    pbx.attended(phone, line, client, None, desttype="App")
    pbx.leave(phone)
    pbx.leave(client)
    pbx.end(colleague, "NOANSWER")
    pbx.begin(client, colleague, "102")
    pbx.hangup(line, phone)
    pbx.wait(3)
    pbx.answer(colleague)
    pbx.talk(client, colleague)
    pbx.hangup(client, colleague)


@shape(answered_by("101", "102"))
def merged_bridges_without_a_word_of_transfer(pbx: Script) -> None:
    """The transfer's own event is missing: the consultation is still a part of the client's call."""
    client = come_in(pbx)
    phone = connect(pbx, client, "PJSIP/101-00000002", "101")
    line, colleague, bridge = consult(pbx, "101", "PJSIP/101-00000003", "102", "PJSIP/102-00000004")
    pbx.leave(client)
    pbx.enter(client, bridge)
    pbx.hangup(phone, line)
    pbx.hangup(client, colleague)


@shape(answered_by("101") | {"transfers": []})
def consultation_fails(pbx: Script) -> None:
    """Trap 11: a consultation by feature code has no DialBegin, and its DialEnd no source."""
    client = come_in(pbx)
    phone = connect(pbx, client, "PJSIP/101-00000002", "101")
    pbx.leave(phone)
    consulted = pbx.local("102", "from-internal-xfer", linked=client)
    assert consulted.twin is not None
    colleague = pbx.dial(consulted.twin, "PJSIP/102-00000003", "102")
    pbx.ringing(colleague, consulted)
    bridge = pbx.talk(consulted, phone)
    assert bridge
    pbx.end(colleague, "NOANSWER")
    pbx.end(consulted, "NOANSWER", sourceless=True)
    pbx.hangup(colleague, consulted, consulted.twin)
    pbx.leave(phone)
    pbx.enter(phone, "bridge-1")
    pbx.wait(2)
    pbx.hangup(client, phone)


@shape(
    answered_by("101", "103")
    | {"transfers": [{"kind": "blind", "from": "101", "to": "400"}], "queue": "support", "rung": ["101", "103"]}
)
def transfer_to_a_queue(pbx: Script) -> None:
    client = come_in(pbx)
    phone = connect(pbx, client, "PJSIP/101-00000002", "101")
    pbx.blind(phone, client, "400")
    pbx.leave(client)
    pbx.hangup(phone)
    queue(pbx, client, "support")
    second = connect(pbx, client, "PJSIP/103-00000003", "103")
    pbx.hangup(client, second)


@shape(answered_by("101") | {"transfers": [{"kind": "blind", "from": "101", "to": "500"}], "menu": ["9"]})
def transfer_back_to_the_menu(pbx: Script) -> None:
    client = come_in(pbx)
    phone = connect(pbx, client, "PJSIP/101-00000002", "101")
    pbx.blind(phone, client, "500")
    pbx.leave(client)
    pbx.hangup(phone)
    pbx.key(client, "9")
    pbx.hangup(client)


@shape(answered_by("101", "102"))
def local_optimisation_is_no_transfer(pbx: Script) -> None:
    """Trap 4, with a transfer afterwards to prove that the tracker has not lost the thread."""
    client = come_in(pbx)
    out = pbx.dial_local(client, "101", "hop")
    assert out.twin is not None
    phone = pbx.dial(out.twin, "PJSIP/101-00000002", "101")
    pbx.answer(phone)
    inner = pbx.talk(phone, out.twin)
    pbx.end(out, "ANSWER")
    pbx.talk(out, client)
    pbx.leave(client)
    pbx.leave(out.twin)
    pbx.enter(client, inner, swapuniqueid=out.twin.uid)
    pbx.hangup(out, out.twin)
    pbx.wait(2)
    pbx.blind(phone, client, "102")
    pbx.leave(client)
    pbx.hangup(phone)
    second = connect(pbx, client, "PJSIP/102-00000003", "102")
    pbx.hangup(client, second)


# ---- pick-up, forwarding, parking, conference, masquerade


@shape(answered_by("103") | {"rung": ["101"], "picked_up_by": "103"})
def pickup(pbx: Script) -> None:
    client = come_in(pbx)
    phone = pbx.dial(client, "PJSIP/101-00000002", "101")
    pbx.ringing(phone)
    picker = pbx.new("PJSIP/103-00000003", number="103", exten="*8", state=4)
    pbx.up(picker)
    pbx.send(
        "Pickup",
        **{"channel": picker.name, "uniqueid": picker.uid, "targetchannel": phone.name, "targetuniqueid": phone.uid},
    )
    pbx.hangup(phone, cause=26)
    pbx.end(picker, "ANSWER", sourceless=True)
    pbx.talk(client, picker)
    pbx.hangup(client, picker)


@shape(answered_by("103") | {"rung": ["101", "103"], "forwarded_to": "103"})
def forward_by_the_phone(pbx: Script) -> None:
    """Trap 12."""
    client = come_in(pbx)
    phone = pbx.dial(client, "PJSIP/101-00000002", "101")
    out = pbx.local("103", "from-internal", linked=client)
    assert out.twin is not None
    pbx.end(phone, "CANCEL", forward="103@from-internal")
    pbx.begin(client, out, "103@from-internal")
    pbx.hangup(phone, cause=23)
    second = pbx.dial(out.twin, "PJSIP/103-00000003", "103")
    pbx.answer(second)
    pbx.talk(second, out.twin)
    pbx.end(out, "ANSWER")
    pbx.talk(out, client)
    pbx.hangup(client, out, out.twin, second)


@shape(answered_by("101", "102") | {"rung": ["101"], "picked_up_by": None})
def parked_and_retrieved(pbx: Script) -> None:
    client = come_in(pbx)
    phone = connect(pbx, client, "PJSIP/101-00000002", "101")
    pbx.blind(phone, client, "700")
    pbx.leave(client)
    lot = pbx.talk(client, technology="holding_bridge")
    pbx.hangup(phone)
    other = pbx.new("PJSIP/104-00000009", number="104", exten="702", state=UP)
    pbx.enter(other, lot, "holding_bridge")  # another parked one: they do not hear each other
    pbx.wait(10)
    retriever = pbx.new("PJSIP/102-00000003", number="102", exten="701", state=4)
    pbx.up(retriever)
    pbx.leave(client)
    pbx.talk(client, retriever)
    pbx.hangup(client, retriever, other)


@shape(answered_by("101", "102"), INCOMING | {"client": "+79031112233", "outcome": "answered", "talkers": ["101", "102"]})
def two_clients_in_one_conference(pbx: Script) -> None:
    """Each client has a call of his own; both talk with everybody."""
    client = come_in(pbx)
    other = pbx.incoming("PJSIP/multifon-00000009", "79031112233", DID)
    pbx.up(client, other)
    room = pbx.talk(client, technology="softmix")
    pbx.enter(other, room, "softmix")
    for n, extension in ((5, "101"), (6, "102")):
        phone = pbx.new(f"PJSIP/{extension}-0000000{n}", number=extension, exten="800", state=UP)
        pbx.enter(phone, room, "softmix")
    announcer = pbx.new("CBAnn/room-00000001;2", state=UP)
    pbx.enter(announcer, room, "softmix")
    pbx.wait(5)
    pbx.hangup(client)
    pbx.hangup(other)


@shape(answered_by("101"))
def redirected_by_masquerade(pbx: Script) -> None:
    """Asterisk 12 and older: the device goes on under another unique id, the old one hangs up as a zombie."""
    client = come_in(pbx, "SIP/multifon-00000001")
    phone = connect(pbx, client, "SIP/101-00000002", "101")
    moved = pbx.new("AsyncGoto/SIP/multifon-00000001", linked=client, state=UP)
    pbx.send("Rename", channel=client.name, newname=f"{client.name}<MASQ>", uniqueid=client.uid)
    pbx.send("Rename", channel=moved.name, newname=client.name, uniqueid=moved.uid)
    pbx.send("Rename", channel=f"{client.name}<MASQ>", newname=f"{moved.name}<ZOMBIE>", uniqueid=client.uid)
    pbx.hangup(client)
    pbx.wait(3)
    pbx.hangup(phone)
    pbx.wait(3)
    pbx.hangup(moved)


# ---- outgoing

OUTGOING: dict[str, Any] = {"direction": "outgoing", "client": "+79160000009"}


def place(pbx: Script, *, number: str = "89160000009", tech: str = "PJSIP") -> tuple[Chan, Chan]:
    phone = pbx.new(f"{tech}/101-00000001", number="101", exten=number, state=4)
    pbx.caller_id(phone, DID)
    return phone, pbx.dial(phone, f"{tech}/multifon-00000002", "79160000009@multifon")


@shape(OUTGOING | {"outcome": "answered", "talkers": ["101"], "last_talker": "101", "rung": [], "line": LINE})
def outgoing(pbx: Script) -> None:
    phone, client = place(pbx)
    pbx.ringing(client)
    pbx.answer(client)
    pbx.talk(phone, client)
    pbx.wait(7)
    pbx.hangup(phone, client)


@shape(OUTGOING | {"outcome": "busy", "talkers": [], "duration": 0.0})
def outgoing_busy(pbx: Script) -> None:
    phone, client = place(pbx)
    pbx.end(client, "BUSY")
    pbx.hangup(client, phone, cause=17)


@shape(OUTGOING | {"outcome": "no_answer"})
def outgoing_no_answer(pbx: Script) -> None:
    phone, client = place(pbx)
    pbx.ringing(client)
    pbx.wait(60)
    pbx.end(client, "NOANSWER")
    pbx.hangup(client, phone, cause=19)


@shape(OUTGOING | {"outcome": "cancelled"})
def outgoing_cancelled(pbx: Script) -> None:
    phone, client = place(pbx)
    pbx.ringing(client)
    pbx.end(client, "CANCEL")
    pbx.hangup(client, phone, cause=0)


@shape(OUTGOING | {"outcome": "failed"})
def outgoing_trunk_down(pbx: Script) -> None:
    phone, client = place(pbx)
    pbx.end(client, "CHANUNAVAIL")
    pbx.hangup(client, phone, cause=20)


@shape(OUTGOING | {"outcome": "failed"})
def outgoing_without_a_channel(pbx: Script) -> None:
    """`Dial` to a trunk that is not registered makes no channel and no event."""
    phone = pbx.new("PJSIP/101-00000001", number="101", exten="89160000009", state=4)
    pbx.hangup(phone, cause=20)


@shape(OUTGOING | {"outcome": "answered"})
def outgoing_by_the_second_trunk(pbx: Script) -> None:
    phone, client = place(pbx)
    pbx.end(client, "CONGESTION")
    pbx.hangup(client, cause=34)
    again = pbx.dial(phone, "PJSIP/second-00000003", "79160000009@second")
    pbx.answer(again)
    pbx.talk(phone, again)
    pbx.hangup(phone, again)


@shape(OUTGOING | {"outcome": "answered", "talkers": ["101", "102"], "last_talker": "102"})
def outgoing_then_transferred(pbx: Script) -> None:
    phone, client = place(pbx)
    pbx.answer(client)
    pbx.talk(phone, client)
    pbx.blind(phone, client, "102")
    pbx.leave(client)
    pbx.hangup(phone)
    pbx.wait(1)
    second = connect(pbx, client, "PJSIP/102-00000003", "102")
    pbx.hangup(second)
    pbx.hangup(client)


@shape({"direction": "outgoing", "client": "112", "outcome": "answered"})
def outgoing_to_a_short_number(pbx: Script) -> None:
    phone = pbx.new("PJSIP/101-00000001", number="101", exten="112", state=4)
    client = pbx.dial(phone, "PJSIP/multifon-00000002", "112@multifon")
    pbx.answer(client)
    pbx.talk(phone, client)
    pbx.hangup(phone, client)


@shape({"direction": "internal", "rung": ["+79160000009"], "forwarded_to": "+79160000009", "outcome": "answered"})
def internal_call_to_a_forwarded_phone(pbx: Script) -> None:
    phone = pbx.new("PJSIP/101-00000001", number="101", exten="102", state=4)
    mobile = pbx.dial(phone, "PJSIP/multifon-00000002", "79160000009@multifon")
    pbx.answer(mobile)
    pbx.talk(phone, mobile)
    pbx.hangup(phone, mobile)


@shape(
    OUTGOING | {"outcome": "answered", "talkers": ["201"], "line": "+74957654321"},
    numbering=Numbering(),
)
def account_with_a_name_of_its_own(pbx: Script) -> None:
    """`SIP/150010001` with caller id 201, before the company's number is put on it."""
    phone = pbx.new("SIP/150010001-00000001", number="150010001", exten="89160000009", state=4)
    pbx.caller_id(phone, "201")
    pbx.caller_id(phone, "74957654321")
    client = pbx.dial(phone, "SIP/provider-00000002", "provider/79160000009")
    pbx.answer(client)
    pbx.talk(phone, client)
    pbx.hangup(phone, client)


@shape(OUTGOING | {"outcome": "answered", "rung": ["101"], "talkers": ["101"]})
def click_of_another_program(pbx: Script) -> None:
    out = pbx.local("101", "from-internal")
    assert out.twin is not None
    pbx.begin(None, out, "101@from-internal")
    phone = pbx.dial(out.twin, "PJSIP/101-00000002", "101")
    pbx.ringing(phone)
    pbx.answer(phone)
    pbx.talk(phone, out.twin)
    client = pbx.dial(out, "PJSIP/multifon-00000003", "79160000009@multifon")
    pbx.answer(client)
    pbx.talk(out, client)
    pbx.wait(2)
    pbx.hangup(client, out, out.twin, phone)


@shape()
def click_of_another_program_refused(pbx: Script) -> None:
    """The client was never called: there is nothing to tell."""
    out = pbx.local("101", "from-internal")
    assert out.twin is not None
    pbx.caller_id(out.twin, "79160000009")
    pbx.begin(None, out, "101@from-internal")
    phone = pbx.dial(out.twin, "PJSIP/101-00000002", "101")
    pbx.end(phone, "BUSY")
    pbx.hangup(phone, out.twin, out, cause=17)


@shape({"direction": "outgoing", "client": "+79160000009", "outcome": "answered", "talkers": ["101"], "rung": ["101"]})
def dialler_rings_the_client_first(pbx: Script) -> None:
    client = pbx.new("PJSIP/multifon-00000001", number="79160000009", exten="s")
    pbx.begin(None, client, "79160000009@multifon")
    pbx.up(client)
    pbx.end(client, "ANSWER", sourceless=True)
    phone = connect(pbx, client, "PJSIP/101-00000002", "101")
    pbx.hangup(client, phone)


@shape({"direction": "internal", "client": "102", "outcome": "answered", "talkers": ["101", "102"], "rung": ["102"]})
def internal(pbx: Script) -> None:
    line, colleague, _ = consult(pbx, "101", "PJSIP/101-00000001", "102", "PJSIP/102-00000002")
    pbx.hangup(line, colleague)


@shape({"direction": "internal", "outcome": "answered", "talkers": ["101", "102", "103"], "last_talker": "103"})
def internal_transferred_by_the_caller(pbx: Script) -> None:
    line, colleague, _ = consult(pbx, "101", "PJSIP/101-00000001", "102", "PJSIP/102-00000002")
    pbx.blind(line, colleague, "103")
    pbx.leave(colleague)
    pbx.hangup(line)
    third = connect(pbx, colleague, "PJSIP/103-00000003", "103")
    pbx.wait(1)
    pbx.hangup(colleague, third)


@shape()
def feature_code_is_no_call(pbx: Script) -> None:
    phone = pbx.new("PJSIP/101-00000001", number="101", exten="*97", state=4)
    pbx.up(phone)
    pbx.hangup(phone)


@pytest.mark.parametrize(
    ("build", "numbering", "expected"),
    [pytest.param(build, numbering, expected, id=name) for name, build, numbering, expected in SHAPES],
)
def test_shape(build: Shape, numbering: Numbering, expected: list[dict[str, Any]]) -> None:
    pbx = Script()
    build(pbx)
    calls = calls_of(pbx, numbering)
    simple = [dict(one) for one in expected]
    for one in simple:
        one.pop("legs", None)
    assert [holds(call, one) for call, one in zip(calls, simple, strict=True)] == [
        one | ({"duration": pytest.approx(one["duration"], abs=0.011)} if "duration" in one else {}) for one in simple
    ]
    for call, one in zip(calls, expected, strict=True):
        for leg, wanted in zip(call.as_json()["legs"], one.get("legs", []), strict=False):
            assert {key: leg[key] for key in wanted} == wanted


@pytest.mark.parametrize("build", [pytest.param(build, id=name) for name, build, _, _ in SHAPES])
def test_facts_come_in_order(build: Shape) -> None:
    """CallStarted first, CallEnded last and once; nobody stops ringing who did not ring; time never goes back."""
    pbx = Script()
    build(pbx)
    facts = facts_of(pbx)
    for call in dict.fromkeys(fact.call for fact in facts):
        own = [fact for fact in facts if fact.call == call]
        names = kinds(own)
        assert names[0] == "CallStarted"
        assert names[-1] == "CallEnded"
        assert names.count("CallStarted") == names.count("CallEnded") == 1
        assert own[0].at <= own[-1].at
        ringing: set[str] = set()
        for fact, name in zip(own, names, strict=True):
            if name == "Ringing":
                assert fact.extension  # type: ignore[union-attr]
                ringing.add(fact.channel)  # type: ignore[union-attr]
            elif name in {"StoppedRinging", "Answered"}:
                if name == "StoppedRinging":
                    assert fact.channel in ringing  # type: ignore[union-attr]
                ringing.discard(fact.channel)  # type: ignore[union-attr]
        assert not ringing
    assert min((fact.at for fact in facts), default=START) >= START


def test_a_bank_with_a_short_number_does_not_make_its_trunk_a_phone() -> None:
    """No trunks in the settings, a context of no telling name: the bank's own call cannot be told from a phone's, the next
    caller's can."""
    pbx = Script()
    for number in ("900", CLIENT):
        client = pbx.incoming("PJSIP/goip-00000001", number, DID, context="goip")
        phone = connect(pbx, client, "PJSIP/101-00000002", "101")
        pbx.hangup(client, phone)
    last = calls_of(pbx.events, Numbering())[-1]
    assert (last.direction.value, last.client, last.last_talker) == ("incoming", E164, "101")
