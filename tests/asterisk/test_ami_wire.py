from __future__ import annotations

import gzip
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from perezvon.asterisk import ProtocolBroken, events, messages
from perezvon.asterisk.message import parse
from perezvon.asterisk.wire import Framer, Sieve, frames
from perezvon.calls.wanted import WANTED, WANTED_VARIABLES

STREAM = (
    "Asterisk Call Manager/11.0.0\r\nResponse: Success\r\nActionID: 1\r\n\r\n"
    "Event: Newchannel\r\nTimestamp: 1795230222.74\r\nChannel: PJSIP/101-1\r\nCallerIDName: Клиент 😀\r\n"
    "ChanVariable: A=1\r\nChanVariable: B=\r\n\r\n\r\n"
    "Event: VarSet\r\nVariable: X\r\nValue: 1\r\n\r\n"
    "Event: VarSet\r\nVariable: MIXMONITOR_FILENAME\r\nValue: /a b.wav\r\n\r\n"
    "Response: Follows\r\nActionID: 2\r\none\n\r\n\r\ntwo\n--END COMMAND--\r\n\r\n"
    "Event: Hangup\r\nCause: 16\r\n\r\n"
).encode()


def cut(data: bytes, at: list[int]) -> list[bytes]:
    places = [0, *sorted({place % (len(data) + 1) for place in at}), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


@given(st.lists(st.integers(min_value=0, max_value=10_000), max_size=40))
def test_the_network_may_cut_the_stream_anywhere(at: list[int]) -> None:
    framer = Framer()
    found = [frame for piece in cut(STREAM, at) for frame in framer.feed(piece)]
    assert found == list(frames(STREAM))
    assert len(found) == 6


def test_the_network_may_bring_single_bytes() -> None:
    framer = Framer()
    assert [frame for byte in STREAM for frame in framer.feed(bytes([byte]))] == list(frames(STREAM))


def test_a_character_cut_in_the_middle_is_whole_again() -> None:
    data = "Event: Newchannel\r\nCallerIDName: Клиент\r\n\r\n".encode()
    middle = data.index("л".encode()) + 1
    framer = Framer()
    assert framer.feed(data[:middle]) == []
    [frame] = framer.feed(data[middle:])
    assert parse(frame)["CallerIDName"] == "Клиент"


def test_raw_command_output_may_contain_blank_lines() -> None:
    found = [message for message in messages(STREAM) if message["Response"] == "Follows"]
    assert [message.all("Output") for message in found] == [["one", "", "", "two"]]


def test_a_recording_whose_line_ends_became_lf_is_read() -> None:
    lf = STREAM.replace(b"\r\n", b"\n")
    assert [event.name for event in events(lf, WANTED, WANTED_VARIABLES)] == ["Newchannel", "VarSet", "Hangup"]


def test_a_large_event_is_an_event() -> None:
    large = b"Event: UserEvent\r\n" + b"".join(b"Line%d: %s\r\n" % (n, b"x" * 90) for n in range(2000)) + b"\r\n"
    assert len(large) > 200_000
    [event] = events(STREAM[:0] + large, WANTED)
    assert event["line1999"] == "x" * 90


@pytest.mark.parametrize("piece", [1 << 16, 1 << 23])
def test_five_megabytes_without_a_blank_line_are_too_much(piece: int) -> None:
    framer = Framer()
    huge = b"Event: UserEvent\r\nBody: " + b"x" * (5 * 1024 * 1024) + b"\r\n\r\n"
    with pytest.raises(ProtocolBroken, match="4194304"):
        for start in range(0, len(huge), piece):
            framer.feed(huge[start : start + piece])


def test_only_the_wanted_variables_come_through() -> None:
    found = list(events(STREAM, WANTED, WANTED_VARIABLES))
    assert [(event.name, event["variable"]) for event in found] == [
        ("Newchannel", ""),
        ("VarSet", "MIXMONITOR_FILENAME"),
        ("Hangup", ""),
    ]
    assert found[0].variables == {"A": "1", "B": ""}


NAME = st.sampled_from(
    ["Event", "event", "Response", "ActionID", "Channel", "ChanVariable", "chanvariable", "Variable", "X", ""]
)
VALUE = st.text(st.sampled_from("aЯ:= \r\n\0\ud7ff😀"), max_size=8) | st.sampled_from(
    ["Hangup", "VarSet", "A=1", "X", "nan"]
)
LINE = st.builds(lambda name, colon, value: name + colon + value, NAME, st.sampled_from([": ", ":", ""]), VALUE)


@given(st.lists(LINE, max_size=8), st.sampled_from(["utf-8", "cp1251"]))
@example(["ChanVariable=: "], "utf-8")
def test_the_fast_way_says_what_the_full_parse_says(lines: list[str], encoding: str) -> None:
    text = "\r\n".join(["Event: VarSet", *lines])
    for frame in frames(text.encode(encoding, "replace")):
        full = parse(frame)
        expected = full.as_event(5.0) if full.is_event else None
        assert Sieve(None).event(frame, 5.0) == expected
        assert Sieve(frozenset({"Hangup"})).event(frame, 5.0) == (expected if full["Event"] == "Hangup" else None)


@given(st.binary(max_size=300))
def test_fuzzed_bytes_never_break_it(data: bytes) -> None:
    sieve = Sieve(WANTED, WANTED_VARIABLES)
    for frame in Framer().feed(b"Event: Hangup\r\n" + data + b"\r\n\r\n"):
        sieve.event(frame, 5.0)


@pytest.fixture(scope="module")
def recording(corpora: Path) -> bytes:
    return gzip.decompress((corpora / "asterisk22" / "ami-300-calls.txt.gz").read_bytes())


@pytest.mark.slow
def test_of_300_recorded_calls_nothing_is_lost_or_altered(recording: bytes) -> None:
    framer = Framer()
    found = [frame for start in range(0, len(recording), 1448) for frame in framer.feed(recording[start : start + 1448])]
    assert len(found) == 51_070
    sieve, everything = Sieve(WANTED, WANTED_VARIABLES), Sieve(None)
    names: Counter[str] = Counter()
    for frame in found:
        full = parse(frame)
        expected = full.as_event(5.0) if full.is_event else None
        assert everything.event(frame, 5.0) == expected
        wanted = (
            expected is not None
            and expected.name in WANTED
            and (expected.name != "VarSet" or expected["variable"] in WANTED_VARIABLES)
        )
        assert sieve.event(frame, 5.0) == (expected if wanted else None)
        names[expected.name if expected else full["Response"]] += 1
    assert names["VarSet"] == 12_163
    assert names["Newchannel"] == names["Hangup"] == 1724
    assert names["OriginateResponse"] == 300


def test_headers_that_a_caller_brings_in_his_number_do_not_count() -> None:
    """PJSIP undoes %0D%0A in the user part of an address, and the manager writes the caller's number out as it is."""
    number = "7916\r\nContext: from-internal\r\nExten: 104\r\nUniqueid: 1.1\r\nLinkedid: 1.1\r\nChannel: PJSIP/104-1"
    frame = (
        f"Event: Newchannel\r\nChannel: PJSIP/carrier-1\r\nCallerIDNum: {number}\r\nContext: from-pstn\r\nExten: 7495\r\n"
        "Uniqueid: 2.2\r\nLinkedid: 2.2"
    ).encode()
    found = Sieve(None).event(frame, 0.0)
    assert found is not None
    told = [found[name] for name in ("channel", "calleridnum", "context", "exten", "uniqueid", "linkedid")]
    assert told == ["PJSIP/carrier-1", "7916", "from-pstn", "7495", "2.2", "2.2"]
