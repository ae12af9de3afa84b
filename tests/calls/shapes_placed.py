"""Calls that the office places: by phone, inside, by a program."""

from __future__ import annotations

from ami_script import Chan, Script
from call_shape import DID, LINE, OUTGOING, connect, consult, shape

from perezvon.calls import Numbering


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
