"""The twelve recordings of Asterisk 22: the complete record of each, worked out by hand from the recording.

There the client is a Local pair that an Originate has made: its `;1` plays the client, its `;2` runs the dialplan as if he had
called in. Phones are PJSIP/10x, or Local/30x@phones whose dialplan answers by itself. Times are seconds of the minute in
which the recording began.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from perezvon.calls import Numbering
from perezvon.calls.recorded import read_recording, replay

Leg = tuple[str, str, str, float | None, float | None, float, str]
"""channel, party, extension, rang, answered, ended, outcome"""

BLIND, ATTENDED = "blind", "attended"

EXPECTED: dict[str, dict[str, Any]] = {
    # 301 answers, *2 302, both talk, 301 leaves; all are hung up (cause 0)
    "atxfer": {
        "client": "+79001112233",
        "line": "long",
        "times": (25.398, 25.704, 34.408),
        "rung": ["301", "302"],
        "talkers": ["301", "302"],
        "last_talker": "302",
        "transfers": [(ATTENDED, "301", "302")],
        "legs": [
            ("Local/long@inbound-00000508;1", "client", "+79001112233", None, 25.704, 34.408, "answered"),
            ("Local/301@phones-00000509;1", "employee", "301", 25.400, 25.704, 32.408, "answered"),
            ("Local/302@phones-0000050a;1", "employee", "302", 27.845, 32.406, 34.408, "answered"),
        ],
    },
    # 301 answers and sends the client to 303, which answers on the client's own channel: no phone rings
    "blind": {
        "client": "+79001112233",
        "line": "long",
        "times": (36.926, 37.233, 41.932),
        "rung": ["301"],
        "talkers": ["301"],
        "last_talker": "301",
        "transfers": [(BLIND, "301", "303")],
        "legs": [
            ("Local/long@inbound-0000050b;1", "client", "+79001112233", None, 37.233, 41.932, "answered"),
            ("Local/301@phones-0000050c;1", "employee", "301", 36.928, 37.233, 38.930, "answered"),
        ],
    },
    "busy": {
        "client": "",
        "line": "busy",
        "times": (19.530, None, 19.541),
        "rung": ["105"],
        "legs": [
            ("Local/busy@inbound-00000519;1", "client", "", None, None, 19.541, "no_answer"),
            ("PJSIP/105-00000020", "employee", "105", 19.535, None, 19.536, "busy"),
        ],
    },
    "feat": {
        "client": "+79007770001",
        "line": "feat",
        "times": (37.567, 37.877, 41.570),
        "rung": ["301"],
        "talkers": ["301"],
        "last_talker": "301",
        "legs": [
            ("Local/feat@inbound-0000051c;1", "client", "+79007770001", None, 37.877, 41.570, "answered"),
            ("Local/301@phones-0000051d;1", "employee", "301", 37.572, 37.877, 41.570, "answered"),
        ],
    },
    # 101 forwards to 103 (302), the client gives up
    "fwd": {
        "client": "+79005550002",
        "line": "fwd",
        "times": (7.502, None, 11.507),
        "rung": ["101", "103"],
        "forwarded_to": "103",
        "legs": [
            ("Local/fwd@inbound-00000516;1", "client", "+79005550002", None, None, 11.507, "no_answer"),
            ("PJSIP/101-0000001b", "employee", "101", 7.507, None, 7.511, "cancelled"),
            ("PJSIP/103-0000001c", "employee", "103", 7.517, None, 11.504, "no_answer"),
        ],
    },
    # a chain of Local channels, optimised away in the middle of the talk: no transfer
    "lo": {
        "client": "+79005550004",
        "line": "lo",
        "times": (55.472, 55.998, 59.476),
        "rung": ["102"],
        "talkers": ["102"],
        "last_talker": "102",
        "recordings": ["/tmp/lo-1795231735.2622.wav"],
        "legs": [
            ("Local/lo@inbound-00000512;1", "client", "+79005550004", None, 55.998, 59.476, "answered"),
            ("PJSIP/102-00000019", "employee", "102", 55.485, 55.998, 59.476, "answered"),
        ],
    },
    "lo2": {
        "client": "+79005550004",
        "line": "lo2",
        "times": (1.487, 2.007, 5.489),
        "rung": ["102"],
        "talkers": ["102"],
        "last_talker": "102",
        "legs": [
            ("Local/lo2@inbound-00000514;1", "client", "+79005550004", None, 2.007, 5.489, "answered"),
            ("PJSIP/102-0000001a", "employee", "102", 1.497, 2.007, 5.489, "answered"),
        ],
    },
    # 155 picks up the client's own Local channel while 401 rings; from then on the picker's channel is the call
    "pickup": {
        "client": "+79005550001",
        "line": "pk",
        "times": (43.444, 45.446, 47.947),
        "rung": ["401"],
        "talkers": ["155"],
        "last_talker": "155",
        "picked_up_by": "155",
        "legs": [
            ("Local/pk@inbound-0000050d;1", "client", "+79005550001", None, 45.446, 45.447, "answered"),
            ("Local/401@phones-0000050e;1", "employee", "401", 43.444, None, 45.446, "answered_elsewhere"),
            ("Local/picker@inbound-0000050f;2", "employee", "155", None, 45.446, 47.947, "answered"),
        ],
    },
    # ringall: PJSIP/103, and 102 behind a Local channel that stays (/n)
    "q": {
        "client": "+79005550005",
        "line": "q",
        "times": (49.455, 49.976, 53.459),
        "rung": ["103", "102"],
        "talkers": ["102"],
        "last_talker": "102",
        "queue": "sipq",
        "legs": [
            ("Local/q@inbound-00000510;1", "client", "+79005550005", None, 49.976, 53.459, "answered"),
            ("PJSIP/103-00000017", "employee", "103", 49.463, None, 49.972, "answered_elsewhere"),
            ("PJSIP/102-00000018", "employee", "102", 49.465, 49.976, 53.459, "answered"),
        ],
    },
    # 104 sends the client to 303 by REFER; as in "blind" no phone rings there
    "ref": {
        "client": "+79007770002",
        "line": "ref",
        "times": (31.547, 32.068, 35.552),
        "rung": ["104"],
        "talkers": ["104"],
        "last_talker": "104",
        "transfers": [(BLIND, "104", "303")],
        "legs": [
            ("Local/ref@inbound-0000051b;1", "client", "+79007770002", None, 32.068, 35.552, "answered"),
            ("PJSIP/104-00000021", "employee", "104", 31.556, 32.068, 33.570, "answered"),
        ],
    },
    "rg": {
        "client": "+79005550003",
        "line": "rg",
        "times": (13.518, 14.038, 17.520),
        "rung": ["102", "103", "104"],
        "talkers": ["102"],
        "last_talker": "102",
        "legs": [
            ("Local/rg@inbound-00000518;1", "client", "+79005550003", None, 14.038, 17.520, "answered"),
            ("PJSIP/102-0000001d", "employee", "102", 13.527, 14.038, 17.520, "answered"),
            ("PJSIP/103-0000001e", "employee", "103", 13.528, None, 14.034, "answered_elsewhere"),
            ("PJSIP/104-0000001f", "employee", "104", 13.530, None, 14.035, "answered_elsewhere"),
        ],
    },
    # the phone is not registered: the dial makes no channel
    "unreach": {
        "client": "",
        "line": "unreach",
        "times": (25.540, None, 25.549),
        "rung": [],
        "legs": [("Local/unreach@inbound-0000051a;1", "client", "", None, None, 25.549, "no_answer")],
    },
}
NEAR = 0.0015


def second(iso: str | None) -> float | None:
    if iso is None:
        return None
    at = datetime.fromisoformat(iso)
    return at.second + at.microsecond / 1e6


def near(value: float | None) -> Any:
    return None if value is None else pytest.approx(value, abs=NEAR)


@pytest.mark.parametrize("name", EXPECTED)
def test_recording(name: str, corpora: Path) -> None:
    expected = EXPECTED[name]
    (call,) = replay(read_recording(corpora / "asterisk22" / f"{name}.json"), Numbering())
    record = call.as_json()
    started, answered, ended = expected["times"]
    assert json.loads(json.dumps(record)) == record
    assert [second(record[key]) for key in ("started", "answered", "ended")] == [near(started), near(answered), near(ended)]
    assert record["duration"] == (pytest.approx(ended - answered, abs=2 * NEAR) if answered else 0)
    legs = [tuple(leg.values()) for leg in record["legs"]]
    assert [(*leg[:3], second(leg[3]), second(leg[4]), second(leg[5]), leg[6]) for leg in legs] == [
        (*leg[:3], near(leg[3]), near(leg[4]), near(leg[5]), leg[6]) for leg in expected["legs"]
    ]
    assert {
        key: record[key] for key in record if key not in {"id", "started", "answered", "ended", "duration", "legs"}
    } == {
        "direction": "incoming",
        "client": expected["client"],
        "line": expected["line"],
        "outcome": "answered" if answered else "missed",
        "rung": expected["rung"],
        "talkers": expected.get("talkers", []),
        "last_talker": expected.get("last_talker"),
        "transfers": [{"kind": kind, "from": from_, "to": to} for kind, from_, to in expected.get("transfers", [])],
        "picked_up_by": expected.get("picked_up_by"),
        "forwarded_to": expected.get("forwarded_to"),
        "queue": expected.get("queue"),
        "menu": [],
        "third_parties": [],
        "recordings": expected.get("recordings", []),
    }


def test_every_recording_is_expected(corpora: Path) -> None:
    assert {path.stem for path in (corpora / "asterisk22").glob("*.json")} == set(EXPECTED)


@pytest.mark.slow
def test_three_hundred_calls(corpora: Path) -> None:
    """A ring group of 201 and 202 (201 answers), or the queue `support`, for one of twelve numbers each."""
    calls = replay(read_recording(corpora / "asterisk22" / "ami-300-calls.txt.gz"), Numbering())
    assert len(calls) == 300
    assert len({call.id for call in calls}) == 300
    answered = [call for call in calls if call.outcome == "answered"]
    queued = [call for call in calls if call.queue]
    assert len(answered) == 223 + 25
    assert {call.talkers for call in answered} == {("201",)}
    assert {call.queue for call in queued} == {"support"}
    assert len(queued) == 77
    assert len([call for call in queued if call.outcome == "missed"]) == 52
    assert all(call.recordings == (f"/tmp/in-{call.line}-{call.recordings[0].split('-')[-1]}",) for call in calls)
    assert all(call.client_raw.startswith("79") and call.client_name == "Клиент Иванов" for call in calls)
    assert all(0.2 < call.duration < 1.4 for call in answered)
