"""Channel names, dial strings and numbers, taken apart."""

from __future__ import annotations

import pytest

from perezvon.calls.names import Name, dialled_number, number_on, parse
from perezvon.calls.numbering import Numbering


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("PJSIP/101-0000002a", Name("PJSIP", "101", "", 0)),
        ("SIP/trunk-with-dashes-00000063", Name("SIP", "trunk-with-dashes", "", 0)),
        ("SIP/10.0.0.5-00000001", Name("SIP", "10.0.0.5", "", 0)),
        ("IAX2/office-1187", Name("IAX2", "office", "", 0)),
        ("DAHDI/i1/79161234567-1b", Name("DAHDI", "i1", "", 0)),
        ("DAHDI/12-1", Name("DAHDI", "12", "", 0)),
        ("Local/101@from-queue-00000005;1", Name("Local", "101", "from-queue", 1)),
        ("Local/+7916@ctx-0000000a;2", Name("Local", "+7916", "ctx", 2)),
        ("Local/FMPR-101@from-internal-00000005;2", Name("Local", "FMPR-101", "from-internal", 2)),
        ("AsyncGoto/SIP/101-00000002", Name("SIP", "101", "", 0)),
        ("SIP/101-00000002<ZOMBIE>", Name("SIP", "101", "", 0)),
        ("AsyncGoto/SIP/101-00000002<ZOMBIE>", Name("SIP", "101", "", 0)),
        ("Bridge/SIP/101-00000002", Name("SIP", "101", "", 0)),
        ("CBAnn/room-00000001;2", Name("CBAnn", "room", "", 0)),
        ("nonsense", Name("", "nonsense", "", 0)),
        ("", Name("", "", "", 0)),
        ("Local/", Name("Local", "", "", 0)),
    ],
)
def test_name(name: str, expected: Name) -> None:
    assert parse(name) == expected


@pytest.mark.parametrize(
    ("dial_string", "peer", "number"),
    [
        ("101", "101", ""),
        ("79161234567@multifon", "multifon", "79161234567"),
        ("multifon/79161234567", "multifon", "79161234567"),
        ("multifon/sip:79161234567@sbc.example:5060", "multifon", "79161234567"),
        ("101/sip:101@10.0.0.5:5060;ob", "101", ""),
        ("150010002/150010002/172.20.0.13!!201", "150010002", ""),
        ("+31260010001@carrier", "carrier", "+31260010001"),
        ("user:secret@office/79161234567@default", "office", "79161234567"),
        ("g0/79161234567", "i1", "79161234567"),
        ("i1/79161234567", "i1", "79161234567"),
        ("112@multifon", "multifon", "112"),
        ("101@10.0.0.5", "101", ""),
        ("", "101", ""),
    ],
)
def test_dialled_number(dial_string: str, peer: str, number: str) -> None:
    assert dialled_number(dial_string, peer) == number


def test_number_in_a_port_name() -> None:
    assert number_on("DAHDI/i1/79161234567-1b") == "79161234567"
    assert number_on("DAHDI/12-1") == ""
    assert number_on("PJSIP/101-0000002a") == ""


@pytest.mark.parametrize(
    ("raw", "number"),
    [
        ("79161234567", "+79161234567"),
        ("89161234567", "+79161234567"),
        ("9161234567", "+79161234567"),
        ("+7 (916) 123-45-67", "+79161234567"),
        ("tel:+79161234567", "+79161234567"),
        ("sip:79161234567@sbc.megafon.ru;user=phone", "+79161234567"),
        ("+31260010001", "+31260010001"),
        ("810380441234567", "+380441234567"),
        ("101", "101"),
        ("112", "112"),
        ("<unknown>", ""),
        ("Anonymous", ""),
        ("", ""),
        ("sales", "sales"),
        ("lo2", "lo2"),
        ("пётр", "пётр"),
    ],
)
def test_international(raw: str, number: str) -> None:
    assert Numbering().international(raw) == number


@pytest.mark.parametrize("number", ["10", "101", "1001"])
def test_extensions(number: str) -> None:
    assert Numbering().is_extension(number)


@pytest.mark.parametrize("number", ["", "1", "10001", "*97", "101 ", "ext101"])
def test_no_extensions(number: str) -> None:
    assert not Numbering().is_extension(number)
