"""What the patterns of a list fit, and what is refused with which words."""

from __future__ import annotations

import re
import time

import pytest

from perezvon.calls import Numbering
from perezvon.rules import NumberList
from perezvon.rules.number_lists import BadPattern, client_pattern, extension_pattern, forms, number_pattern

MOSCOW = forms("+74951234567", "84951234567", "RU")
BELARUS = forms("+375291234567", "+375291234567", "RU")


@pytest.mark.parametrize(
    "text",
    [
        "+74951234567",
        "74951234567",
        "84951234567",
        "4951234567",
        "8 (495) 123-45-67",
        "+7 495 123 45 67",
        "+7*",
        "+7495*",
        "7495*",
        "8495*",
        "8 (495)*",
        "495*",
    ],
)
def test_every_written_form_fits(text: str) -> None:
    patterns = NumberList.of([number_pattern(text)], Numbering())
    assert patterns.find(MOSCOW) == text
    assert patterns.find(BELARUS) == ""
    assert bool(patterns.find(forms("+79161234567", "89161234567", "RU"))) is (text == "+7*")


@pytest.mark.parametrize(
    ("text", "fits"), [("+375*", True), ("375291234567", True), ("+375291234567", True), ("8*", False), ("29*", False)]
)
def test_another_country(text: str, fits: bool) -> None:
    assert bool(NumberList.of([number_pattern(text)], Numbering()).find(BELARUS)) is fits


def test_a_foreign_number_is_not_taken_for_a_national_one() -> None:
    vietnam = forms("+84951234567", "+84951234567", "RU")
    assert NumberList.of([number_pattern("8495*")], Numbering()).find(vietnam) == ""


def test_a_name_fits_as_it_is_written() -> None:
    patterns = NumberList.of([number_pattern("Multifon-In"), number_pattern("sip-*")], Numbering())
    assert patterns.find(forms("multifon-in", "multifon-in", "RU")) == "Multifon-In"
    assert patterns.find(forms("sip-7", "sip-7", "RU")) == "sip-*"
    assert patterns.find(forms("multifon", "multifon", "RU")) == ""


@pytest.mark.parametrize(
    ("text", "fitting", "others"),
    [
        ("101", {"101"}, {"1011", "10", "0101"}),
        ("1*", {"1", "10", "199"}, {"21", "+71"}),
        ("100-199", {"100", "150", "199"}, {"99", "200", "0150", "1500", "1a0"}),
        ("010 - 019", {"010", "019"}, {"10", "020"}),
    ],
)
def test_extensions(text: str, fitting: set[str], others: set[str]) -> None:
    patterns = NumberList.of([extension_pattern(text)])
    assert {number for number in fitting | others if patterns.find((number,))} == fitting


@pytest.mark.parametrize(
    ("read", "text", "complaint"),
    [
        (number_pattern, "", "is empty"),
        (number_pattern, "  ", "is empty"),
        (number_pattern, "*", "* alone would be every number"),
        (number_pattern, "74*95", "one * stands at the very end"),
        (number_pattern, "*495", "one * stands at the very end"),
        (number_pattern, "7495**", "one * stands at the very end"),
        (number_pattern, "_8495XXXXXXX", "is a pattern of the dialplan"),
        (number_pattern, "^(8|7)495", "has what no number has: ^|"),
        (number_pattern, "7495[12]", "has what no number has: []"),
        (number_pattern, "()-", "is no number"),
        (number_pattern, "7+495", "is no number"),
        (number_pattern, "100-199", "ranges are for extensions"),
        (number_pattern, "7" * 65, "is longer than 64 characters"),
        (extension_pattern, "100-1999", "must have the same number of digits"),
        (extension_pattern, "199-100", "runs backwards: write 100-199"),
        (extension_pattern, "(a+)+$", "has what no number has: $"),
        (client_pattern, "_hidden", "is a pattern of the dialplan"),
    ],
)
def test_what_is_refused(read: type, text: str, complaint: str) -> None:
    with pytest.raises(BadPattern, match=re.escape(complaint)):
        read(text)


@pytest.mark.parametrize("text", ["hidden", "Anonymous", "unknown"])
def test_hidden_callers_are_one(text: str) -> None:
    assert NumberList.of([client_pattern(text)], Numbering()).find(("hidden",)) == text


def test_a_long_list_costs_little_whatever_is_asked() -> None:
    texts = [f"+7{number:07d}*" for number in range(1000)] + [f"+7495{number:07d}" for number in range(1000)]
    patterns = NumberList.of(map(number_pattern, texts), Numbering())
    began = time.process_time()
    for _ in range(20):
        assert patterns.find(("a" * 10_000, "+" * 10_000, "9" * 10_000)) == ""
    assert time.process_time() - began < 0.1
