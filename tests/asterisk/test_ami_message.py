from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perezvon.asterisk import InjectionRefused, Message
from perezvon.asterisk.message import decode, encode, parse


def test_headers_keep_their_order_and_their_repetitions() -> None:
    message = parse(b"Event: X\r\nOutput: one\r\noutput:  two\r\nOutput: \r\nEmpty:\r\nno colon here\r\nOutput: a: b")
    assert message.pairs == (
        ("Event", "X"),
        ("Output", "one"),
        ("output", " two"),
        ("Output", ""),
        ("Empty", ""),
        ("", "no colon here"),
        ("Output", "a: b"),
    )
    assert message.all("OUTPUT") == ["one", " two", "", "a: b"]
    assert message["output"] == "one"
    assert "EMPTY" in message
    assert message["absent"] == ""


def test_the_first_event_header_counts_because_a_userevent_may_bring_another() -> None:
    message = parse(b"Event: UserEvent\r\nActionID: 1\r\nUserEvent: x\r\nEvent: Hangup\r\nActionID: 2")
    assert (message["Event"], message.action_id) == ("UserEvent", "1")


def test_originate_response_is_an_event_although_it_carries_a_response() -> None:
    message = parse(b"Event: OriginateResponse\r\nActionID: 7\r\nResponse: Failure\r\nReason: 5")
    assert message.is_event
    assert message.as_event(1.0).name == "OriginateResponse"


def test_variables_and_time_of_an_event() -> None:
    event = parse(
        b"Event: Hangup\r\nTimestamp: 1795230222.743260\r\nChanVariable: A=1\r\nChanVariable: B=x=y\r\nChanVariable: A=2"
    ).as_event(5.0)
    assert event.at == 1795230222.743260
    assert event.variables == {"A": "1", "B": "x=y"}
    assert event["chanvariable"] == "A=1"


@pytest.mark.parametrize("stamp", ["", "yesterday", "nan", "inf", "-1", "1e300"])
def test_a_senseless_timestamp_gives_the_moment_of_arrival(stamp: str) -> None:
    assert parse(f"Event: Hangup\r\nTimestamp: {stamp}".encode()).as_event(5.0).at == 5.0


def test_old_asterisk_names_the_channel_beside_its_variable() -> None:
    event = parse(b"Event: Hangup\r\nChanVariable(SIP/101-0001): A=1").as_event(5.0)
    assert event.variables == {"A": "1"}


@pytest.mark.parametrize(
    "raw",
    [
        b"Response: Follows\r\nPrivilege: Command\r\nActionID: 9\r\nName: x\n\nlast\n--END COMMAND--",
        b"Response: Follows\r\nPrivilege: Command\r\nActionID: 9\r\nName: x\r\n\r\nlast\r\n--END COMMAND--",
        b"Response: Success\r\nActionID: 9\r\nMessage: Command output follows\r\nOutput: Name: x\r\nOutput: \r\nOutput: last",
    ],
)
def test_command_output_reads_the_same_in_every_version_of_asterisk(raw: bytes) -> None:
    message = parse(raw)
    assert message.action_id == "9"
    assert message.all("Output") == ["Name: x", "", "last"]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("Клиент Иванов".encode(), "Клиент Иванов"),
        ("Клиент".encode("cp1251"), "Клиент"),
        (b"\x98", "\ufffd"),
        ("Name: Клиен".encode() + b"\xd1", "Name: Клиен"),
        ("Name: 😀 ".encode() + b"\xf0\x9f\x98", "Name: 😀 "),
        (b"Name: Jean " + "Я".encode("cp1251"), "Name: Jean Я"),
        ("A: Клиент\r\nB: ".encode() + "Клиент".encode("cp1251"), "A: Клиент\r\nB: Клиент"),
    ],
    ids=["utf-8", "cp1251", "neither", "cut utf-8", "cut emoji", "one cp1251 letter at the end", "both in one message"],
)
def test_bytes_become_text(raw: bytes, text: str) -> None:
    assert decode(raw) == text


def test_the_fallback_encoding_is_a_setting() -> None:
    assert decode("Müller".encode("latin-1"), "latin-1") == "Müller"


@given(st.binary())
def test_no_bytes_are_refused(raw: bytes) -> None:
    message = parse(raw)
    message.as_event(1.0)
    assert isinstance(decode(raw), str)


def test_an_action_is_written() -> None:
    written = encode("Originate", [("Variable", "A=1"), ("Variable", "B= Иван"), ("Empty", "")], action_id="p-1")
    assert written == "Action: Originate\r\nActionID: p-1\r\nVariable: A=1\r\nVariable: B= Иван\r\nEmpty: \r\n\r\n".encode()


@pytest.mark.parametrize("evil", ["x\r\nAction: Command", "x\ny", "x\ry", "x\0y"])
def test_nothing_can_be_injected(evil: str) -> None:
    for action, headers, action_id in [
        (evil, [], ""),
        ("Ping", [(evil, "v")], ""),
        ("Ping", [("Name", evil)], ""),
        ("Ping", [], evil),
    ]:
        with pytest.raises(InjectionRefused):
            encode(action, headers, action_id=action_id)


@pytest.mark.parametrize("name", ["", "A: B", " A", "A "])
def test_a_header_needs_a_name(name: str) -> None:
    with pytest.raises(InjectionRefused):
        encode("Ping", [(name, "v")])


HEADER = st.text(st.characters(exclude_characters="\r\n\0"))


@given(st.lists(st.tuples(st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,20}", fullmatch=True), HEADER)))
def test_what_is_written_is_read_back(pairs: list[tuple[str, str]]) -> None:
    written = encode("Test", pairs)
    assert written.count(b"\r\n\r\n") == 1
    expected = [("Action", "Test"), *((name, value.encode("utf-8", "replace").decode()) for name, value in pairs)]
    assert parse(written[:-4]) == Message.of(expected)
