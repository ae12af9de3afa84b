"""Shapes of calls, written as what the PBX does and the record that it must give. The tables are in the rooms `shapes_*`."""

from __future__ import annotations

from typing import Any

import pytest
import shapes_incoming
import shapes_moved
import shapes_placed
from ami_script import START, Script, calls_of, facts_of, kinds
from call_shape import CLIENT, DID, E164, SHAPES, Shape, connect

from perezvon.calls import Numbering
from perezvon.calls.call import Call

ROOMS = (shapes_incoming, shapes_moved, shapes_placed)
"""Importing a room fills the table."""


def holds(call: Call, expected: dict[str, Any]) -> dict[str, Any]:
    record = call.as_json()
    return {key: record[key] for key in expected}


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
