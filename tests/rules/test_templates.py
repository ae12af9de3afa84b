"""The little language of templates: what it can, what it refuses, and that nothing hostile comes of it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perezvon.rules.call_words import PLACES
from perezvon.rules.field_values import FieldType, Refused, converted
from perezvon.rules.templates import (
    LONGEST_TEMPLATE,
    LONGEST_TEXT,
    LONGEST_VALUE,
    BadTemplate,
    filled,
    finished,
    late,
    parse,
)

VALUES = {"client": "+79161234567", "line.name": "Billboard", "talked": "Anna (101), Ivan (102)", "menu": ""}


def told(text: str, **more: str) -> str:
    return finished(filled(parse(text, PLACES), {**VALUES, **more}), {"link": "http://p/1"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("{line.name}: {client}", "Billboard: +79161234567"),
        ("{ line.name }", "Billboard"),
        ("{menu|default:none}", "none"),
        ("{menu|default:a:b}", "a:b"),
        ("{line.name|default:none}", "Billboard"),
        ("{line.name|upper|cut:4}", "BILL"),
        ("{client|digits|cut:1}", "7"),
        ("{talked|first} / {talked|last}", "Anna (101) / Ivan (102)"),
        ("{{client}} {client}", "{client} +79161234567"),
        ("Menu: {menu}\nLine: {line.name}\n\nend", "Line: Billboard\n\nend"),
        ("{menu}{link}", "http://p/1"),
        ("Recording: {recording}\n{recording|default:no recording}", "no recording"),
    ],
)
def test_what_becomes_of_a_template(text: str, expected: str) -> None:
    assert told(text) == expected


@pytest.mark.parametrize(
    "text",
    ["{", "}", "{client", "{client{line}}", "{}", "{0}", "{client.__class__}", "{client!r}", "{client:>9999}", "{nobody}",
     "{client|nothing}", "{client|cut}", "{client|cut:x}", "{client|cut:99999}", "{client|upper:1}", "{client\n}", "a\x00b",
     "x" * (LONGEST_TEMPLATE + 1), "{client|default:{line}}"],
)  # fmt: skip
def test_what_is_no_template(text: str) -> None:
    with pytest.raises(BadTemplate):
        parse(text, PLACES)


def test_late_places_stay_until_they_are_known() -> None:
    parts = filled(parse("{client} {recording|default:-}", PLACES), VALUES)
    assert late(parts) == {"recording"}
    assert finished(parts, {"recording": "http://r"}) == "+79161234567 http://r"


def test_values_are_no_templates() -> None:
    assert told("{line.name} {link}", **{"line.name": "{link}{{|}"}) == "{link}{{|} http://p/1"


@given(st.text(alphabet="{}|:abc.\n client_nameline.nmucut09", max_size=200))
def test_any_text_is_a_template_or_is_refused(text: str) -> None:
    try:
        template = parse(text, PLACES)
    except BadTemplate as bad:
        assert str(bad.reason)
        return
    assert len(finished(filled(template, VALUES), {})) <= LONGEST_TEXT


def test_a_huge_result_is_cut_at_once() -> None:
    text = "{client|upper|lower|digits}" * (LONGEST_TEMPLATE // 27)
    began = time.process_time()
    result = told(text, client="1" * 1_000_000)
    assert len(result) == min(LONGEST_TEXT, LONGEST_VALUE * (LONGEST_TEMPLATE // 27))
    assert time.process_time() - began < 0.5


@given(
    st.text(max_size=50), st.sampled_from(["integer", "double", "boolean", "char", "date", "datetime", "enumeration", "x"])
)
def test_any_text_is_a_value_or_is_refused(text: str, kind: str) -> None:
    value = converted(text, FieldType(kind, items={"1": "one"}), "F")
    if isinstance(value, Refused):
        assert str(value.why)
    else:
        assert isinstance(value, str)


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("money", "1 500,50|RUB", "1500.50|RUB"),
        ("double", "-2,5", "-2.5"),
        ("char", "Да", "Y"),
        ("boolean", "no", "0"),
        ("date", "2026-02-28T10:00:00+03:00", "2026-02-28"),
        ("datetime", "1.2.2026", "2026-02-01T00:00:00"),
        ("enumeration", "ONE", "1"),
        ("crm_status", "NEW", "NEW"),
    ],
)
def test_values_by_type(kind: str, text: str, expected: str) -> None:
    assert converted(text, FieldType(kind, items={"1": "one"}), "F") == expected
