"""The bytes of FastAGI: what we send is one line whatever is in it, what comes is understood or refused."""

from __future__ import annotations

import asyncio
import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perezvon.asterisk.agi_wire import (
    LINE_CAP,
    AgiBroken,
    AgiRefused,
    Answer,
    ChannelGone,
    Unsendable,
    Wire,
    answer,
    command_line,
    environment,
)


def as_asterisk_parses(line: bytes) -> list[str]:
    """The words of a command: res_agi.c, parse_args."""
    words: list[str] = []
    word, quoted, escaped, inside = "", False, False, False
    for character in line.decode("utf-8", "surrogateescape").removesuffix("\n"):
        if escaped:
            word, escaped, inside = word + character, False, True
        elif character == "\\":
            escaped = True
        elif character == '"':
            quoted, inside = not quoted, True
        elif character in " \t" and not quoted:
            words, word, inside = [*words, word] if inside else words, "", False
        else:
            word, inside = word + character, True
    return [*words, word] if inside else words


ONE_LINE = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=("Cs",)), max_size=200)


@given(st.lists(ONE_LINE, max_size=4))
def test_asterisk_gets_the_words_that_we_send(words: list[str]) -> None:
    line = command_line("SET VARIABLE", *words)
    assert line.count(b"\n") == 1
    assert as_asterisk_parses(line) == ["SET", "VARIABLE", *words]


@given(ONE_LINE, st.sampled_from("\r\n\0"), ONE_LINE)
def test_line_breaks_are_never_sent(before: str, breaking: str, after: str) -> None:
    with pytest.raises(Unsendable):
        command_line("SET VARIABLE", "PEREZVON_TO", before + breaking + after)


def test_longer_lines_than_asterisk_reads_are_not_sent() -> None:
    assert len(command_line("EXEC", "ы" * (LINE_CAP // 2 - 10))) < 2048
    with pytest.raises(Unsendable, match="which takes 2000"):
        command_line("EXEC", "ы" * (LINE_CAP // 2))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("200 result=0", Answer("0")),
        ("200 result=49 endpos=8000", Answer("49")),
        ("200 result=-1 endpos=0", Answer("-1")),
        ("200 result=1 (79161234567)", Answer("1", "79161234567")),
        ("200 result=1 (a (b) endpos=5)", Answer("1", "a (b) endpos=5")),
        ("200 result=1 ()", Answer("1")),
        ("200 result=12# (timeout)", Answer("12#", "timeout")),
        ("200 result= (timeout)", Answer("", "timeout")),
        ("510 Invalid or unknown command", None),
    ],
)
def test_answers(line: str, expected: Answer | None) -> None:
    assert answer(line) == expected


def test_an_environment_is_read_without_its_prefix() -> None:
    found = environment(["agi_network: yes", "agi_callerid:", "agi_threadid: 1", "agi_arg_1: a: b"])
    assert found == {"network": "yes", "callerid": "", "threadid": "1", "arg_1": "a: b"}


@pytest.mark.parametrize(
    "lines",
    [
        ["agi_callerid: 7916", "agi_arg_1: 5", "agi_threadid: 1"],
        ["agi_callerid: 7916", "agi_threadid: 1", "agi_arg_1: 5", "agi_threadid: 1", "agi_arg_1: 7"],
        ["agi_callerid: 7916", "and a line", "agi_threadid: 1"],
        ["agi_callerid: 7916", "GET / HTTP/1.1"],
    ],
    ids=["argument too early", "everything twice", "no header", "not even AGI"],
)
def test_line_breaks_in_a_callers_number_are_noticed(lines: list[str]) -> None:
    with pytest.raises(AgiBroken):
        environment(lines)


class Sent(asyncio.Transport):
    """Answers each line that is written with the next of the given bytes, in pieces."""

    def __init__(self, wire: Wire, answers: list[list[bytes]]) -> None:
        super().__init__()
        self.wire, self.answers = wire, answers
        self.open = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        loop = asyncio.get_running_loop()
        for piece in self.answers.pop(0) if self.answers else []:
            loop.call_soon(self.wire.data_received, piece)

    def close(self) -> None:
        self.open = False


def wire_that_hears(*answers: list[bytes]) -> Wire:
    wire = Wire(lambda _: None)
    wire.connection_made(Sent(wire, list(answers)))
    return wire


def cut(data: bytes, places: list[int]) -> list[bytes]:
    at = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in itertools.pairwise(at)]


VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n)"), max_size=80)


@given(VALUES, st.lists(st.integers(0, 200), max_size=6), st.booleans())
def test_a_value_arrives_in_any_pieces(value: str, places: list[int], trying: bool) -> None:
    said = (b"100 result=0 Trying...\n" if trying else b"") + f"200 result=1 ({value})\n".encode()
    found = asyncio.run(_ask(cut(said, places)))
    assert found == Answer("1", value)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n)"), max_size=20), min_size=2, max_size=4))
def test_a_value_of_several_lines_arrives(lines: list[str]) -> None:
    value = "\n".join(lines)
    assert asyncio.run(_ask([f"200 result=1 ({value})\n".encode()])) == Answer("1", value)


@given(st.binary(max_size=300))
def test_nonsense_is_refused_and_never_anything_else(said: bytes) -> None:
    try:
        asyncio.run(_ask([said], then_ends=True))
    except (AgiBroken, AgiRefused, ChannelGone):
        return
    assert re.match(rb"(1\d\d[ -].*\n)*200 result=", said) is not None


async def _ask(pieces: list[bytes], *, then_ends: bool = False) -> Answer:
    wire = wire_that_hears(pieces)
    if then_ends:
        asyncio.get_running_loop().call_later(0.002, wire.connection_lost, None)
    return await asyncio.wait_for(wire.ask(b"GET VARIABLE\n"), 5)


async def test_the_usage_is_told() -> None:
    wire = wire_that_hears(
        [b"520-Invalid command syntax.  Proper usage follows:\n Usage: ANSWER\n", b"520 End of proper usage.\n"],
        [b"200 result=0\n"],
    )
    with pytest.raises(AgiRefused, match=r"ANSWER: 520 Invalid command syntax.*Usage: ANSWER") as refused:
        await wire.ask(b"ANSWER\n")
    assert refused.value.code == 520
    assert await wire.ask(b"ANSWER\n") == Answer("0")


@pytest.mark.parametrize(
    ("said", "code"),
    [(b"510 Invalid or unknown command\n", 510), (b"511 Command Not Permitted on a dead channel\n", 511)],
)
async def test_refusals(said: bytes, code: int) -> None:
    with pytest.raises(AgiRefused) as refused:
        await wire_that_hears([said]).ask(b"ANSWER\n")
    assert refused.value.code == code


async def test_an_answer_that_a_caller_has_forged_is_noticed() -> None:
    """His name is `x)`, a line break, `200 result=1 (101`: two answers where one was asked for."""
    wire = wire_that_hears([b"200 result=1 (x)\n200 result=1 (101)\n"])
    with pytest.raises(AgiBroken, match="nobody asked for"):
        await wire.ask(b"GET VARIABLE\n")


async def test_a_hangup_between_two_commands_is_noticed() -> None:
    wire = wire_that_hears([b"200 result=0\n"], [b"200 result=0\n"])
    await wire.ask(b"ANSWER\n")
    wire.data_received(b"HANGUP\n")
    with pytest.raises(ChannelGone):
        await wire.ask(b"ANSWER\n")


@pytest.mark.parametrize("said", [b"HANGUP\nHANGUP\n", b"HANGUP\n", b"HANGUP\nHAN"])
async def test_a_hangup_right_behind_the_answer_is_noticed(said: bytes) -> None:
    with pytest.raises(ChannelGone):
        await wire_that_hears([b"200 result=-1\n" + said]).ask(b"ANSWER\n")


async def test_a_line_without_an_end_is_not_kept() -> None:
    wire = wire_that_hears([b"2" * 10_000] * 8)
    with pytest.raises(AgiBroken, match="more than 65536 bytes"):
        await wire.ask(b"ANSWER\n")
