"""Number rules as tables, and that no regular expression which is taken can take long."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perezvon.rules.numbers import NumberRule, Towards, check_rule, formatted
from perezvon.rules.patterns import LONGEST_NUMBER, UnfitRule, compiled

CRM, PBX = Towards.CRM, Towards.PBX
MOSCOW = NumberRule(r"\d{7}", r"+7495\0", "Moscow", frozenset({"+74951234567", "msk"}))
EIGHT = NumberRule(r"\+7(\d{10})", r"8\1", "eight")
KEPT = NumberRule(r"\+7495\d{7}", r"\g<0>", "kept")
NAMED = NumberRule(r"\+(?P<country>\d)(?P<rest>\d+)", r"\g<country>-\g<rest>", "named")
WILD = NumberRule(r"(.*)", r"9\1", "wild")


@pytest.mark.parametrize(
    ("story", "number", "line", "rules", "towards", "expected", "why"),
    [
        ("no rules: E.164 for the CRM", "+79161234567", "", (), CRM, "+79161234567", ""),
        ("no rules: its digits for the PBX", "+79161234567", "", (), PBX, "79161234567", ""),
        ("no rules: an extension stays", "101", "", (), PBX, "101", ""),
        (
            "changed, and told",
            *("+79161234567", "", (EIGHT,), CRM, "89161234567"),
            "number rule eight: the portal is told 89161234567 instead of +79161234567",
        ),
        (
            "changed for the PBX",
            *("+79161234567", "", (EIGHT,), PBX, "89161234567"),
            "number rule eight: 89161234567 is dialled instead of +79161234567",
        ),
        ("no rule matches", "+33123456789", "", (EIGHT,), CRM, "+33123456789", ""),
        ("not a part of the number", "+791612345678", "", (EIGHT,), CRM, "+791612345678", ""),
        ("the first that matches decides", "+74957654321", "", (KEPT, EIGHT), CRM, "+74957654321", ""),
        (
            "and keeps the plus for the PBX, which is told",
            *("+74957654321", "", (KEPT, EIGHT), PBX, "+74957654321"),
            "number rule kept: +74957654321 is dialled instead of +74957654321",
        ),
        ("another order", "+74957654321", "", (EIGHT, KEPT), CRM, "84957654321", "number rule eight: "),
        ("of its line", "7654321", "msk", (MOSCOW,), CRM, "+74957654321", "number rule Moscow: "),
        ("of another line", "7654321", "+78120000000", (MOSCOW,), CRM, "7654321", ""),
        ("of no line", "7654321", "", (MOSCOW,), CRM, "7654321", ""),
        ("a user name becomes a number", "ivan", "", (NumberRule("ivan", "+79160000001"),), CRM, "+79160000001", "number"),
        (
            "refused by the portal",
            *("+79161234567", "", (NAMED,), CRM, "+79161234567"),
            "number rule named makes 7-9161234567 of +79161234567, which the portal takes for no number: not applied",
        ),
        (
            "not dialled",
            *("+79161234567", "", (NAMED,), PBX, "79161234567"),
            "number rule named makes 7-9161234567 of +79161234567, which cannot be dialled: not applied",
        ),
        ("too many digits for the portal", "1" * 20, "", (WILD,), CRM, "1" * 20, "number rule wild makes"),
        ("after a refused one no other is tried", "+79161234567", "", (NAMED, EIGHT), CRM, "+79161234567", "number rule n"),
        ("nothing is left of it", "5", "", (NumberRule("(1)?5", r"\1"),), PBX, "5", "number rule (1)?5 makes — of 5"),
        ("a group that took no part", "5", "", (NumberRule("(1)?5", r"7\1"),), PBX, "7", "number rule (1)?5: 7 is"),
        ("a hidden number", "", "", (WILD,), CRM, "", ""),
        ("too long to be tried", "1" * 41, "", (WILD,), CRM, "1" * 41, "1111"),
    ],
)
def test_a_number_by_rules(
    story: str, number: str, line: str, rules: tuple[NumberRule, ...], towards: Towards, expected: str, why: str
) -> None:
    told = formatted(number, line, rules, towards)
    assert told.number == expected, story
    reason = str(told.reason or "")
    assert reason.startswith(why) if why else reason == "", story


@pytest.mark.parametrize(
    "hostile",
    [
        "1&SIP/evil",
        "1/n",
        "1,1,Hangup",
        "1@other",
        "${SHELL(id)}",
        "1\r\nAction: Originate",
        "1)",
        "(1",
        "1|1",
        " 1",
        "1\n",
    ],
)
def test_a_dial_string_never_gets_what_is_no_key(hostile: str) -> None:
    """Whatever a rule makes. (What was clicked and is no number is refused before rules are asked: test_dialled_numbers.)"""
    told = formatted("+123", "", (NumberRule(r"\+(\d+)", hostile + r"\1"),), PBX)
    assert (told.number, told.refused) == ("123", True)
    assert formatted(hostile, "", (NumberRule(r"[\d\D]*", r"\0"),), PBX).refused


def made(number: str, replace: str) -> str:
    return NumberRule(r"(.)(.*)", replace + r"\2").applied(number) or ""


@given(st.text(alphabet="0123456789+*#&/,@$(){}\n", max_size=50), st.text(alphabet="0123456789+*#&\\", max_size=9))
def test_what_a_rule_changes_is_fit_for_its_way(number: str, replace: str) -> None:
    for towards, fit in ((CRM, r"\+?[0-9]{1,20}"), (PBX, r"[0-9*#+]{1,40}")):
        try:
            check_rule(r"(.)(.*)", replace, towards)
        except UnfitRule:
            continue
        told = formatted(number, "", (NumberRule(r"(.)(.*)", replace + r"\2"),), towards)
        untouched = number if towards is CRM else number.removeprefix("+")
        assert told.number == untouched or re.fullmatch(fit, told.number)
        assert told.refused == (told.rule is not None and re.fullmatch(fit, made(number, replace)) is None)


@pytest.mark.parametrize(
    ("match", "replace", "towards", "part", "told"),
    [
        ("(1", "1", CRM, "match", "is no regular expression: missing ), unterminated subpattern, at character 1"),
        ("12[", "1", CRM, "match", "is no regular expression: unterminated character set, at character 3"),
        ("1{5,2}", "1", CRM, "match", "is no regular expression: min repeat greater than max repeat, at character 3"),
        (r"(\d)\1", "1", CRM, "match", r"\1 at character 5 has no place in a number rule"),
        ("1(?!2)3", "1", CRM, "match", "(?!2 at character 2 has no place in a number rule"),
        ("(?i)a", "1", CRM, "match", "(?i) at character 1 has no place in a number rule"),
        (r"\bx", "1", CRM, "match", r"\bx at character 1 has no place in a number rule"),
        ("1" * 201, "1", CRM, "match", "has more than 200 characters"),
        (r"(\d)", r"8\2", CRM, "replace", "there is no group 2 (at character 2), match has 1"),
        (r"(\d)", r"\17", CRM, "replace", "there is no group 17 (at character 1)"),
        (r"(?P<a>\d)", r"12\g<b>", CRM, "replace", "there is no group b (at character 3)"),
        (r"(\d)", r"\x31", CRM, "replace", "the backslash at character 1 must begin a group"),
        (r"(\d)", "8\\", PBX, "replace", "the backslash at character 2 must begin a group"),
        (r"(\d)", r"*\1", CRM, "replace", "* at character 1 cannot be in such a number: only 0123456789+ and groups"),
        (r"(\d)", r"9,\1", PBX, "replace", ", at character 2 cannot be in such a number: only 0123456789*#+ and groups"),
        (r"(\d)", r"\1@x", PBX, "replace", "@ at character 3 cannot be in such a number"),
    ],
)
def test_a_wrong_rule_is_told_with_its_place(match: str, replace: str, towards: Towards, part: str, told: str) -> None:
    with pytest.raises(UnfitRule) as caught:
        check_rule(match, replace, towards)
    assert str(caught.value).startswith(told)
    assert caught.value.part == part


CATASTROPHES = [
    r"(\d+)+x",
    r"(\d*)*",
    r"(\d|\d)*x",
    r"(\d|\d\d)+x",
    r"(\d?){30}x",
    r"(?:\d?\d?){20}x",
    r"(\d{1,3}){1,20}x",
    r"\d*\d*\d*\d*x",
    r"(.*)(.*)(.*)x",
    r"((\d{2})+(\d{3})*)+x",
    r"(?:1|11|111){1,15}x",
    r"(?:)*",
    r"(?:){40}(?:(?:){40}){40}",
    r"(?:(?:(?:a{40}){40}){40}){40}",
    r"\d{0,9999}",
    "|".join(["(.*)(.*)"] * 20),
    "(" * 60 + r"\d*" + ")*" * 60,
]


@pytest.mark.parametrize("pattern", CATASTROPHES)
def test_what_could_take_years_is_refused(pattern: str) -> None:
    """And quickly: the count itself must not take long."""
    began = time.process_time()
    with pytest.raises(UnfitRule, match=r"could take too long|has no place"):
        compiled(pattern)
    assert time.process_time() - began < 0.5


USUAL = [
    r"\+7(\d{10})",
    r"(?:\+7|8|7)?(\d{3})(\d{3})(\d{2})(\d{2})",
    r"\d{5,7}",
    r"9?(\d+)",
    r"00(\d{6,})",
    r"\+(?P<country>7|375|998)(?P<rest>\d+)",
    r"[+]?(\d*)",
    r"[^+]\d{3}|\*\d\d",
    r"^\d{3}$",
    r"sip-(\d+)-[a-z]+",
    r"\d*\d*x",
]


@pytest.mark.parametrize("pattern", USUAL)
def test_what_people_write_is_taken(pattern: str) -> None:
    assert compiled(pattern).pattern == pattern


PIECES = st.sampled_from(
    ["1", r"\d", ".", "[12]", "1?", r"\d*", r"\d+?", r"\d{2,5}", "(1|11)", r"(\d|1)?", "(?:1?2?){3}", "|"]
)
NUMBERS = ["1" * LONGEST_NUMBER, "12" * (LONGEST_NUMBER // 2), "1" * (LONGEST_NUMBER - 1) + "!", "+7" + "1" * 38]


@given(st.lists(PIECES, min_size=1, max_size=8), st.sampled_from(["", "*", "+", "{3}", "{1,4}"]))
def test_no_pattern_that_is_taken_takes_long(pieces: list[str], repeat: str) -> None:
    try:
        pattern = compiled(f"(?:{''.join(pieces)}){repeat}x")
    except UnfitRule:
        return
    began = time.process_time()
    for number in NUMBERS:
        pattern.fullmatch(number)
    assert time.process_time() - began < 0.2
