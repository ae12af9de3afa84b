"""The whole state of the PBX is put over what is known: nothing lives on that is gone, nothing that lives is missed."""

from __future__ import annotations

from ami_script import START, Chan, Script, kinds
from pbx_model import snapshot_after

from perezvon.calls import CallEnded, CallStarted, Numbering, Snapshot, Tracker
from perezvon.calls.call import Call, Direction, Outcome
from perezvon.calls.facts import Fact

NUMBERING = Numbering(trunks=frozenset({"multifon"}))


def ended(facts: list[Fact]) -> list[Call]:
    return [fact.record for fact in facts if isinstance(fact, CallEnded)]


def talk(pbx: Script) -> tuple[Chan, Chan]:
    client = pbx.incoming("PJSIP/multifon-00000001", "79161234567", "74951234567")
    pbx.exten(client, "Dial", "PJSIP/101,20")
    phone = pbx.dial(client, "PJSIP/101-00000002", "101")
    pbx.ringing(phone)
    pbx.answer(phone)
    pbx.talk(client, phone)
    return client, phone


def fed(pbx: Script) -> Tracker:
    tracker = Tracker("pbx", NUMBERING)
    for event in pbx.events:
        tracker.feed(event)
    return tracker


def test_nothing_has_changed() -> None:
    pbx = Script()
    talk(pbx)
    tracker = fed(pbx)
    before = tracker.live()
    assert tracker.resync(snapshot_after(pbx.events)) == []
    assert tracker.live() == before


def test_a_call_that_is_gone_ends_now() -> None:
    pbx = Script()
    talk(pbx)
    tracker = fed(pbx)
    facts = tracker.resync(Snapshot(START + 60, (), {}, {}))
    (call,) = ended(facts)
    assert (call.ended, call.end_seen, call.outcome, call.talkers) == (START + 60, False, Outcome.ANSWERED, ("101",))
    assert tracker.live() == []
    assert tracker.resync(Snapshot(START + 61, (), {}, {})) == []


def test_a_restart_ends_everything_even_what_looks_alive() -> None:
    """Unique ids are counted anew from the second of the start; a call of before cannot be one of now."""
    pbx = Script()
    talk(pbx)
    tracker = fed(pbx)
    snapshot = snapshot_after(pbx.events)
    again = Snapshot(snapshot.at + 5, snapshot.channels, snapshot.bridges, snapshot.waiting, restarted=True)
    facts = tracker.resync(again)
    assert kinds(facts) == ["CallEnded", "CallStarted", "Ringing", "Answered"]


def test_calls_found_in_the_dump_begin() -> None:
    pbx = Script()
    client, phone = talk(pbx)
    tracker = Tracker("pbx", NUMBERING)
    pbx.wait(30)
    facts = tracker.resync(snapshot_after(pbx.events, pbx.at))
    assert kinds(facts) == ["CallStarted", "Ringing", "Answered"]
    started = facts[0]
    assert isinstance(started, CallStarted)
    assert (started.direction, started.client, started.line) == (Direction.INCOMING, "+79161234567", "+74951234567")
    assert abs(started.at - START) < 1.1
    pbx.events.clear()
    pbx.hangup(client, phone)
    (call,) = ended([fact for event in pbx.events for fact in tracker.feed(event)])
    assert (call.outcome, call.talkers, call.end_seen) == (Outcome.ANSWERED, ("101",), True)


def test_a_ringing_call_is_found() -> None:
    pbx = Script()
    client = pbx.incoming("PJSIP/multifon-00000001", "79161234567", "74951234567")
    pbx.exten(client, "Dial", "PJSIP/101&PJSIP/79160000009@multifon,20")
    pbx.ringing(pbx.dial(client, "PJSIP/101-00000002", "101"))
    pbx.ringing(pbx.dial(client, "PJSIP/multifon-00000003", "79160000009@multifon"))
    tracker = Tracker("pbx", NUMBERING)
    tracker.resync(snapshot_after(pbx.events))
    (call,) = tracker.live()
    assert call.rung == ("101", "+79160000009")
    assert call.answered is None


def test_a_queue_with_local_members_is_found() -> None:
    pbx = Script()
    client = pbx.incoming("PJSIP/multifon-00000001", "79161234567", "74951234567")
    pbx.up(client)
    pbx.exten(client, "Queue", "sales")
    pbx.send("QueueCallerJoin", channel=client.name, uniqueid=client.uid, queue="sales")
    out = pbx.dial_local(client, "101", "from-queue")
    assert out.twin is not None
    pbx.exten(out.twin, "Dial", "PJSIP/101,20")
    pbx.ringing(pbx.dial(out.twin, "PJSIP/101-00000002", "101"), out)
    tracker = Tracker("pbx", NUMBERING)
    facts = tracker.resync(snapshot_after(pbx.events))
    assert kinds(facts) == ["CallStarted", "Ringing"]
    (call,) = tracker.live()
    assert (call.queue, call.rung) == ("sales", ("101",))


def test_an_outgoing_call_is_found() -> None:
    pbx = Script()
    phone = pbx.new("PJSIP/101-00000001", number="101", exten="89160000009", state=4)
    pbx.exten(phone, "Dial", "PJSIP/79160000009@multifon")
    client = pbx.dial(phone, "PJSIP/multifon-00000002", "79160000009@multifon")
    pbx.answer(client)
    pbx.talk(phone, client)
    tracker = Tracker("pbx", NUMBERING)
    facts = tracker.resync(snapshot_after(pbx.events))
    assert kinds(facts) == ["CallStarted", "Answered"]
    (call,) = tracker.live()
    assert (call.direction, call.client, call.talkers) == (Direction.OUTGOING, "+79160000009", ("101",))


def test_an_answer_missed_is_made_up_for() -> None:
    pbx = Script()
    client = pbx.incoming("PJSIP/multifon-00000001", "79161234567", "74951234567")
    pbx.exten(client, "Dial", "PJSIP/101&PJSIP/102,20")
    phone = pbx.dial(client, "PJSIP/101-00000002", "101")
    other = pbx.dial(client, "PJSIP/102-00000003", "102")
    tracker = fed(pbx)
    pbx.answer(phone)
    pbx.hangup(other, cause=26)
    pbx.talk(client, phone)
    facts = tracker.resync(snapshot_after(pbx.events))
    assert sorted(kinds(facts)) == ["Answered", "StoppedRinging"]


def test_a_transfer_missed_is_made_up_for() -> None:
    pbx = Script()
    client, phone = talk(pbx)
    tracker = fed(pbx)
    pbx.blind(phone, client, "102")
    pbx.leave(client)
    pbx.hangup(phone)
    second = pbx.dial(client, "PJSIP/102-00000003", "102")
    pbx.answer(second)
    pbx.talk(client, second)
    tracker.resync(snapshot_after(pbx.events))
    (call,) = tracker.live()
    assert call.talkers == ("101", "102")
    assert call.last_talker == "102"


def test_parked_clients_hear_nobody() -> None:
    pbx = Script()
    one = pbx.incoming("PJSIP/multifon-00000001", "79161234567", "74951234567")
    other = pbx.incoming("PJSIP/multifon-00000002", "79031112233", "74951234567")
    pbx.up(one, other)
    for channel in (one, other):
        pbx.exten(channel, "Park", "")
    pbx.talk(one, other, technology="holding_bridge")
    tracker = Tracker("pbx", NUMBERING)
    tracker.resync(snapshot_after(pbx.events))
    assert [call.third_parties for call in tracker.live()] == [(), ()]


def test_a_client_listening_to_the_menu_is_found() -> None:
    pbx = Script()
    client = pbx.incoming("PJSIP/multifon-00000001", "79161234567", "74951234567")
    pbx.up(client)
    pbx.exten(client, "BackGround", "menu")
    tracker = Tracker("pbx", NUMBERING)
    assert kinds(tracker.resync(snapshot_after(pbx.events))) == ["CallStarted"]


def test_variables_of_the_dump() -> None:
    pbx = Script()
    client = pbx.incoming("PJSIP/multifon-00000001", "79161234567", "s")
    pbx.up(client)
    tracker = Tracker("pbx", NUMBERING)
    snapshot = snapshot_after(pbx.events)
    (entry,) = snapshot.channels
    told = {**entry, "variable.FROM_DID": "74951234567", "variable.MIXMONITOR_FILENAME": "/monitor/a.wav"}
    assert kinds(tracker.resync(Snapshot(snapshot.at, (told,), {}, {}))) == ["CallStarted", "Recorded"]
    (call,) = tracker.live()
    assert (call.line, call.recordings) == ("+74951234567", ("/monitor/a.wav",))


def test_a_dump_full_of_nonsense_does_no_harm() -> None:
    tracker = Tracker("pbx", NUMBERING)
    entries = ({}, {"uniqueid": "1"}, {"channel": "x"}, {"uniqueid": "2", "channel": "", "duration": "a:b:c"})
    assert tracker.resync(Snapshot(START, entries, {"b": ("nobody",)}, {"q": ("nobody",)})) == []
