"""The facts in time: what is told at which event, and what is not."""

from __future__ import annotations

from ami_script import Chan, Script, facts_of, kinds

from perezvon.calls import (
    Answered,
    CallEnded,
    CallStarted,
    Event,
    ExpectedCall,
    Held,
    LeftTalk,
    MenuChosen,
    Numbering,
    Recorded,
    Ringing,
    StoppedRinging,
    Tracker,
    Transferred,
)
from perezvon.calls.call import Direction, LegOutcome, Outcome, TransferKind
from perezvon.calls.facts import Fact

CLIENT, DID = "79161234567", "74951234567"


def step_by_step(pbx: Script, expected: ExpectedCall | None = None) -> list[tuple[Event, list[Fact]]]:
    tracker = Tracker("pbx", Numbering())
    if expected is not None:
        tracker.expect(expected)
    return [(event, tracker.feed(event)) for event in pbx.events]


def told_at(pbx: Script, name: str) -> list[list[str]]:
    return [kinds(facts) for event, facts in step_by_step(pbx) if event.name == name]


def incoming(pbx: Script) -> tuple[Chan, Chan]:
    client = pbx.incoming("PJSIP/multifon-00000001", CLIENT, DID, caller="Иван")
    return client, pbx.dial(client, "PJSIP/101-00000002", "101")


def talking(pbx: Script) -> tuple[Chan, Chan]:
    client, phone = incoming(pbx)
    pbx.ringing(phone)
    pbx.answer(phone)
    pbx.talk(client, phone)
    return client, phone


def test_a_phone_rings_at_the_dial_itself() -> None:
    """The card must be up before the phone confirms."""
    pbx = Script()
    client, phone = incoming(pbx)
    started, ringing = step_by_step(pbx)[-1][1]
    assert started == CallStarted(
        call=f"pbx-{client.uid}",
        at=pbx.events[0].at,
        direction=Direction.INCOMING,
        client="+79161234567",
        client_raw=CLIENT,
        client_name="Иван",
        line="+74951234567",
        line_raw=DID,
        trunk="multifon",
        extension="",
        expected="",
        channel=client.name,
    )
    assert ringing == Ringing(f"pbx-{client.uid}", pbx.events[-1].at, "101", phone.name)


def test_a_trunk_that_was_dialled_without_a_number_stays_a_trunk() -> None:
    pbx = Script()
    client, phone = incoming(pbx)
    pbx.dial(client, "PJSIP/multifon-00000003", "multifon")
    pbx.hangup(client, phone)
    again = pbx.incoming("PJSIP/multifon-00000004", "79160000009", DID)
    pbx.dial(again, "PJSIP/101-00000005", "101")
    started = [fact for fact in facts_of(pbx) if isinstance(fact, CallStarted)]
    assert [(fact.direction, fact.client) for fact in started] == [
        (Direction.INCOMING, "+79161234567"),
        (Direction.INCOMING, "+79160000009"),
    ]


def test_a_phone_may_ring_before_its_dial_is_told() -> None:
    """The threads of Asterisk do not wait for each other: Newstate can come before DialBegin."""
    pbx = Script()
    client = pbx.incoming("PJSIP/multifon-00000001", CLIENT, DID)
    phone = pbx.new("PJSIP/multifon-00000002", linked=client, number="102")
    pbx.ringing(phone)
    pbx.begin(client, phone, "79160000009@multifon")
    ringing = [fact for fact in facts_of(pbx) if isinstance(fact, Ringing)]
    assert [fact.extension for fact in ringing] == ["+79160000009"]


def test_the_losers_of_a_group_stop_at_once() -> None:
    pbx = Script()
    client, first = incoming(pbx)
    second = pbx.dial(client, "PJSIP/102-00000003", "102")
    pbx.ringing(first, second)
    pbx.up(second)
    pbx.end(first, "CANCEL")
    pbx.end(first, "CANCEL")
    pbx.end(second, "ANSWER")
    pbx.hangup(first, cause=26)
    stopped = [fact for fact in facts_of(pbx) if isinstance(fact, StoppedRinging)]
    assert [(fact.extension, fact.outcome) for fact in stopped] == [("101", LegOutcome.ANSWERED_ELSEWHERE)]


def test_the_record_knows_better_than_the_fact_in_time() -> None:
    """At the loser's CANCEL nobody has answered yet; his hangup tells."""
    pbx = Script()
    client, first = incoming(pbx)
    second = pbx.dial(client, "PJSIP/102-00000003", "102")
    pbx.end(first, "CANCEL")
    pbx.answer(second)
    pbx.hangup(first, cause=26)
    pbx.talk(client, second)
    pbx.hangup(client, second)
    facts = facts_of(pbx)
    stopped = next(fact for fact in facts if isinstance(fact, StoppedRinging))
    ended = facts[-1]
    assert isinstance(ended, CallEnded)
    assert stopped.outcome is LegOutcome.CANCELLED
    assert [leg.outcome for leg in ended.record.legs] == [
        LegOutcome.ANSWERED,
        LegOutcome.ANSWERED_ELSEWHERE,
        LegOutcome.ANSWERED,
    ]


def test_answered_is_told_when_they_hear_each_other() -> None:
    pbx = Script()
    talking(pbx)
    steps = step_by_step(pbx)
    assert [kinds(facts) for event, facts in steps if event.name in {"Newstate", "DialEnd"}] == [[], [], [], []]
    assert [kinds(facts) for event, facts in steps if event.name == "BridgeEnter"] == [[], ["Answered"]]


def test_an_employee_who_hangs_up_first_has_not_left_the_call() -> None:
    pbx = Script()
    client, phone = talking(pbx)
    pbx.hangup(phone)
    pbx.hangup(client)
    assert kinds(facts_of(pbx))[-2:] == ["Answered", "CallEnded"]


def test_an_employee_has_left_when_the_call_goes_on() -> None:
    pbx = Script()
    client, phone = talking(pbx)
    pbx.hangup(phone)
    gone = pbx.events[-1].at
    pbx.wait(2)
    pbx.exten(client, "Playback", "survey")
    pbx.hangup(client)
    left = next(fact for fact in facts_of(pbx) if isinstance(fact, LeftTalk))
    assert (left.extension, left.at) == ("101", gone)


def test_transferred_is_told_before_the_next_phone_rings() -> None:
    pbx = Script()
    client, phone = talking(pbx)
    pbx.blind(phone, client, "102")
    pbx.leave(client)
    pbx.hangup(phone)
    pbx.dial(client, "PJSIP/102-00000003", "102")
    facts = facts_of(pbx)
    assert kinds(facts)[-3:] == ["Transferred", "LeftTalk", "Ringing"]
    moved = facts[-3]
    assert isinstance(moved, Transferred)
    assert (moved.kind, moved.from_, moved.to) == (TransferKind.BLIND, "101", "102")


def test_held_comes_in_pairs() -> None:
    pbx = Script()
    client, phone = talking(pbx)
    for name in ("Unhold", "Hold", "Hold", "Unhold", "Unhold"):
        pbx.send(name, channel=phone.name, uniqueid=phone.uid)
    pbx.send("Hold", channel=client.name, uniqueid=client.uid)
    held = [fact for fact in facts_of(pbx) if isinstance(fact, Held)]
    assert [(fact.extension, fact.on) for fact in held] == [("101", True), ("101", False)]


def test_keys_and_recordings_are_told_once() -> None:
    pbx = Script()
    client = pbx.incoming("PJSIP/multifon-00000001", CLIENT, DID)
    pbx.up(client)
    pbx.variable(client, "MIXMONITOR_FILENAME", "/monitor/a.wav")
    pbx.variable(client, "MIXMONITOR_FILENAME", "/monitor/a.wav")
    pbx.key(client, "2")
    pbx.variable(client, "MIXMONITOR_FILENAME", "")
    pbx.hangup(client)
    facts = facts_of(pbx)
    assert kinds(facts) == ["CallStarted", "Recorded", "MenuChosen", "CallEnded"]
    assert [fact.path for fact in facts if isinstance(fact, Recorded)] == ["/monitor/a.wav"]
    assert [fact.key for fact in facts if isinstance(fact, MenuChosen)] == ["2"]


def test_the_recording_of_a_private_talk_is_none_of_the_clients() -> None:
    pbx = Script()
    client, phone = talking(pbx)
    pbx.variable(client, "MIXMONITOR_FILENAME", "2026/11/21/in-74951234567-79161234567-1.wav")
    pbx.variable(phone, "MIXMONITOR_FILENAME", "/monitor/2026/11/21/private-74951234567-79161234567-2.wav")
    paths = [fact.path for fact in facts_of(pbx) if isinstance(fact, Recorded)]
    assert paths == ["2026/11/21/in-74951234567-79161234567-1.wav"]


def test_a_recording_whose_name_is_not_told() -> None:
    """No VarSet for this AMI user: the application's argument has to do, once the recording has begun."""
    pbx = Script()
    client, phone = incoming(pbx)
    pbx.exten(client, "MixMonitor", "2026/11/21/in-1.wav,b")
    pbx.send("MixMonitorStart", channel=client.name, uniqueid=client.uid)
    pbx.hangup(client, phone)
    assert [fact.path for fact in facts_of(pbx) if isinstance(fact, Recorded)] == ["2026/11/21/in-1.wav"]


def test_the_name_alone_is_no_recording() -> None:
    """FreePBX sets CALLFILENAME for every call, recorded or not."""
    pbx = Script()
    client, phone = incoming(pbx)
    pbx.variable(client, "CALLFILENAME", "in-1")
    pbx.hangup(client, phone)
    assert not [fact for fact in facts_of(pbx) if isinstance(fact, Recorded)]


def test_a_caller_in_the_menu_is_told_of_while_he_listens() -> None:
    pbx = Script()
    client = pbx.incoming("PJSIP/multifon-00000001", CLIENT, DID)
    pbx.up(client)
    pbx.wait(1.5)
    pbx.exten(client, "Playback", "more")
    assert kinds(facts_of(pbx)) == ["CallStarted"]


def clicked(pbx: Script, status: str, cause: int) -> list[Fact]:
    phone = pbx.new("PJSIP/101-00000001", uid="click", number="79160000009")
    pbx.begin(None, phone, "101")
    pbx.ringing(phone)
    if status:
        pbx.end(phone, status, sourceless=True)
    pbx.hangup(phone, cause=cause)
    return facts_of(pbx, expected=[ExpectedCall(pbx.at, "click", "101", "89160000009")])


def test_click_to_call_is_told_at_its_first_channel() -> None:
    pbx = Script()
    phone = pbx.new("PJSIP/101-00000001", uid="click", number="79160000009")
    pbx.begin(None, phone, "101")
    pbx.ringing(phone)
    pbx.up(phone)
    pbx.end(phone, "ANSWER", sourceless=True)
    client = pbx.dial(phone, "PJSIP/multifon-00000002", "79160000009@multifon")
    pbx.ringing(client)
    pbx.answer(client)
    pbx.talk(phone, client)
    pbx.wait(3)
    pbx.hangup(client, phone)
    steps = step_by_step(pbx, ExpectedCall(pbx.at, "click", "101", "89160000009"))
    assert [(event.name, kinds(facts)) for event, facts in steps if facts] == [
        ("Newchannel", ["CallStarted"]),
        ("DialBegin", ["Ringing"]),
        ("BridgeEnter", ["Answered"]),
        ("Hangup", ["CallEnded"]),
    ]
    facts = [fact for _, told in steps for fact in told]
    started, ringing, answered, ended = facts
    assert isinstance(started, CallStarted)
    assert (started.direction, started.expected, started.extension) == (Direction.OUTGOING, "click", "101")
    assert (started.client, started.client_raw) == ("+79160000009", "89160000009")
    assert isinstance(ringing, Ringing)
    assert ringing.extension == "101"
    assert isinstance(answered, Answered)
    assert (answered.extension, answered.channel) == ("101", phone.name)
    assert isinstance(ended, CallEnded)
    assert ended.record.outcome is Outcome.ANSWERED
    assert 2.9 < ended.record.duration < 3.1


def test_click_to_call_in_vain() -> None:
    wanted = {
        ("BUSY", 17): Outcome.BUSY,
        ("NOANSWER", 19): Outcome.NO_ANSWER,
        ("", 19): Outcome.NO_ANSWER,
        ("NOANSWER", 21): Outcome.CANCELLED,
        ("CHANUNAVAIL", 20): Outcome.FAILED,
        ("", 0): Outcome.CANCELLED,
    }
    for (status, cause), outcome in wanted.items():
        ended = clicked(Script(), status, cause)[-1]
        assert isinstance(ended, CallEnded)
        assert (ended.record.outcome, ended.record.duration) == (outcome, 0.0), (status, cause)
        assert ended.record.client == "+79160000009"


def test_click_to_call_that_never_came() -> None:
    tracker = Tracker("pbx", Numbering())
    assert tracker.expect(ExpectedCall(1.0, "click", "101", "89160000009")) == []
    tracker.forget("click")
    tracker.forget("click")
    pbx = Script()
    pbx.new("PJSIP/101-00000001", uid="click")
    assert tracker.feed(pbx.events[0]) == []
