"""Recordings in the forms that people keep them in, and what is said of those that cannot be read."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from call_stories import TOLD

from perezvon.calls import Numbering
from perezvon.calls.recorded import RecordingError, read_recording, replay

RECORDINGS = Path(__file__).parent / "recordings"
EVENTS = [
    {"Event": "Newchannel", "Timestamp": "1795231729.455458", "Uniqueid": "1795231729.1", "Channel": "PJSIP/m-1"},
    {"Event": "Hangup", "Timestamp": "1795231730.5", "Uniqueid": "1795231729.1", "Cause": 16},
]
PAIRS = [[[name, value] for name, value in event.items()] for event in EVENTS]
WIRE = "\r\n\r\n".join("\r\n".join(f"{name}: {value}" for name, value in event.items()) for event in EVENTS) + "\r\n\r\n"
FORMS = {
    "raw": WIRE.encode(),
    "raw with lone line feeds": WIRE.replace("\r\n", "\n").encode(),
    "raw with a greeting and answers": b"Asterisk Call Manager/11.0.0\r\nResponse: Success\r\n\r\n" + WIRE.encode(),
    "raw with an empty line too many": WIRE.replace("\r\n\r\n", "\r\n\r\n\r\n").encode(),
    "gzipped": gzip.compress(WIRE.encode()),
    "objects": json.dumps(EVENTS).encode(),
    "pairs": json.dumps(PAIRS).encode(),
    "both": json.dumps([EVENTS[0], PAIRS[1]]).encode(),
    "with a byte order mark": b"\xef\xbb\xbf" + json.dumps(EVENTS).encode(),
    "wrapped as ami": json.dumps({"scenario": "x", "ami": PAIRS, "ari": []}).encode(),
    "wrapped as ami_events": json.dumps({"ami_events": EVENTS}).encode(),
    "wrapped as events": json.dumps({"events": EVENTS}).encode(),
    "one a line": "\n".join(map(json.dumps, EVENTS)).encode(),
    "gzipped objects": gzip.compress(json.dumps(EVENTS).encode()),
}


@pytest.mark.parametrize("raw", [pytest.param(raw, id=name) for name, raw in FORMS.items()])
def test_form(raw: bytes) -> None:
    events = read_recording(raw)
    assert [(event.name, event.at, event["uniqueid"]) for event in events] == [
        ("Newchannel", 1795231729.455458, "1795231729.1"),
        ("Hangup", 1795231730.5, "1795231729.1"),
    ]
    assert events[1]["cause"] == "16"


def test_a_single_event_is_a_recording() -> None:
    assert len(read_recording(json.dumps(EVENTS[0]).encode())) == 1


def test_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "recording.txt"
    path.write_bytes(FORMS["raw"])
    assert len(read_recording(path)) == len(read_recording(str(path))) == 2


def test_the_first_of_a_repeated_header_counts() -> None:
    raw = (
        b"Event: UserEvent\r\nEvent: Hangup\r\nChannel: a\r\nchannel: b\r\nChanVariable: X=1\r\nChanVariable: Y=a=b\r\n\r\n"
    )
    pairs = [["Event", "UserEvent"], ["Event", "Hangup"], ["Channel", "a"], ["channel", "b"]]
    pairs += [["ChanVariable", "X=1"], ["ChanVariable", "Y=a=b"]]
    several = [{"Event": ["UserEvent", "Hangup"], "Channel": ["a", "b"], "ChanVariable": ["X=1", "Y=a=b"]}]
    for form in (raw, json.dumps([pairs]).encode(), json.dumps(several).encode()):
        (event,) = read_recording(form)
        assert (event.name, event["channel"]) == ("UserEvent", "a")
        assert event.variables == {"X": "1", "Y": "a=b"}


def test_text_that_is_not_utf8() -> None:
    raw = "Event: Newchannel\r\nCallerIDName: Клиент\r\nChannel: ж\r\n\r\n"
    assert read_recording(raw.encode("cp1251"))[0]["calleridname"] == "Клиент"
    assert read_recording(raw.encode())[0]["calleridname"] == "Клиент"
    assert read_recording(b"Event: Newchannel\r\nCallerIDName: \x98\xff\r\n\r\n")[0]["calleridname"]


def test_times_where_there_are_none() -> None:
    """One millisecond a step, from the second in which the first channel was made; with time stamps the last one holds on."""
    bare = [{"Event": "FullyBooted"}, *({"Event": "Newstate", "Uniqueid": f"pbx-1529941338.{n}"} for n in range(3))]
    assert [event.at for event in read_recording(json.dumps(bare).encode())] == pytest.approx(
        [0.0, 1529941338.0, 1529941338.001, 1529941338.002]
    )
    mixed = [{"Event": "A", "Timestamp": "5.5"}, {"Event": "B"}, {"Event": "C", "Timestamp": "soon"}]
    assert [event.at for event in read_recording(json.dumps(mixed).encode())] == [5.5, 5.5, 5.5]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"hello\nworld", r"line 1 \('hello'\): neither JSON nor AMI"),
        (b"\x00\x01\x02", "neither JSON nor AMI"),
        (b'[{"Event": ]', "line 1, column 12"),
        (b'{"Event": "A"}\n{"Event": }', "line 2, column 11"),
        (b'{"a": 1}', "none of the lists 'ami'"),
        (b"[1]", "the list, event 0: expected an object"),
        (b'{"ami": [["Event", "A"], 5]}', "'ami', event 0: expected a .header, value. pair"),
        (b'[{"Event": "A"}, [["Event"]]]', "the list, event 1"),
        (b'[{"Event": {"a": 1}}]', "event 0, 'Event': expected text, found dict"),
        (gzip.compress(b"Event: A\r\n\r\n")[:-6], "gzip file is damaged"),
    ],
)
def test_what_cannot_be_read(raw: bytes, message: str) -> None:
    with pytest.raises(RecordingError, match=message):
        read_recording(raw)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nothing"):
        read_recording(tmp_path / "nothing")


def test_replay_of_several_calls_and_one_that_goes_on() -> None:
    names = [name for name in TOLD if name.startswith("incoming_")]
    events = [event for name in names for event in read_recording(RECORDINGS / f"{name}.ami.gz")]
    last = max(index for index, event in enumerate(events) if event.name == "Hangup")
    calls = replay(events[:last], Numbering())
    assert len(calls) == sum(len(TOLD[name].expected) for name in names)
    assert [call.started for call in calls] == sorted(call.started for call in calls)
    assert [call.end_seen for call in calls].count(False) <= 1
    assert all(call.ended is not None for call in calls)
