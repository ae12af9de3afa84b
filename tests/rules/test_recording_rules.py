"""What becomes of recordings by line, and how pauses are noted and told."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC

import pytest
from ami_script import Script, facts_of, told
from test_plan import PEOPLE, POLICY, T, started

from perezvon.calls.call import Direction
from perezvon.calls.facts import RecordingPaused
from perezvon.rules import Line, PlanState, Telling
from perezvon.rules.account import account
from perezvon.rules.notes import MOST, Notes, note, pass_on
from perezvon.rules.recordings import mode_of


@pytest.mark.parametrize(
    ("line", "everywhere", "mode", "why"),
    [
        (Line("+7495"), "upload", "upload", "the recording is uploaded, as set"),
        (Line("+7495"), "off", "off", "the recording stays on the PBX, as set"),
        (
            Line("+7495", recordings="off"),
            "upload",
            "off",
            "the recording stays on the PBX: so it is set for the line +7495",
        ),
        (
            Line("+7495", name="Щит", recordings="link"),
            "off",
            "link",
            "the recording stays here, the portal gets a link: so it is set for the line Щит",
        ),
    ],
)
def test_a_lines_own_setting_goes_first(line: Line, everywhere: str, mode: str, why: str) -> None:
    found, reason = mode_of(line, replace(POLICY, recordings=everywhere))  # pyright: ignore[reportArgumentType]
    assert (found, str(reason)) == (mode, why)


def pause(at: float, on: bool, extension: str = "101") -> RecordingPaused:
    return RecordingPaused("c", T + at, on, extension)


def test_pauses_are_told() -> None:
    notes = Notes()
    for fact in (pause(10, True), pause(25, False), pause(40, True, "carrier")):
        notes = note(notes, fact)
    assert account(notes, T + 50, PEOPLE, Telling(zone=UTC)).split("\n")[:3] == [
        "Recording",
        "paused 00:16:50-00:17:05 (15 s), by 101",
        "paused 00:17:20-00:17:30 (10 s), to the end",
    ]
    state = PlanState(started(direction=Direction.INCOMING), notes=notes)
    assert PlanState.from_json(json.loads(json.dumps(state.as_json()))) == state
    assert PlanState.from_json({"notes": {"menu": [], "guests": []}}).notes == Notes(), "as it was stored before"
    (later,) = pass_on(notes, T + 45).pauses
    assert (later.since, later.until) == (T + 45, None)


def test_an_endless_number_of_pauses_stays_small() -> None:
    notes = Notes()
    for at in range(100):
        notes = note(note(notes, pause(at, True)), pause(at + 0.5, False))
    assert (len(notes.pauses), notes.more) == (MOST, 70)


def test_the_tracker_tells_of_pauses_once_each_and_of_nobody_elses() -> None:
    pbx = Script()
    client = pbx.incoming("PJSIP/carrier-1", "79161234567", "74950000101")
    employee = pbx.dial(client, "PJSIP/101-2", "101")
    pbx.answer(employee)
    pbx.talk(client, employee)
    for step in ("resumed", "paused", "paused", "nonsense", "resumed", "paused"):
        pbx.send("UserEvent", **told(client), userevent="PerezvonRecording", step=step)
    pbx.send("UserEvent", **told(client), userevent="Survey", step="resumed")
    pbx.hangup(client, employee)
    facts = [fact for fact in facts_of(pbx) if isinstance(fact, RecordingPaused)]
    assert [(fact.on, fact.extension) for fact in facts] == [(True, "101"), (False, "101"), (True, "101")]
