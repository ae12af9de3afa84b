"""Calls that change hands: transfers, pick-up, forwarding, parking, rooms, masquerades."""

from __future__ import annotations

from ami_script import UP, Script
from call_shape import CLIENT, DID, E164, INCOMING, LINE, MISSED, answered_by, come_in, connect, consult, queue, shape

from perezvon.calls import Numbering


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
