"""Calls that come in: one phone, groups, queues, menus."""

from __future__ import annotations

from ami_script import Chan, Script
from call_shape import CLIENT, DID, E164, INCOMING, LINE, MISSED, TRUNKS, answered_by, come_in, connect, queue, shape

from perezvon.calls import Numbering


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
