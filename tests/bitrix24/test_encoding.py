"""Batch commands: what we write is what PHP (here: the pretend portal's reading of it) gets."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perezvon.bitrix24 import Command, ResultRef, forms
from perezvon.bitrix24.encoding import php_query
from perezvon.sandbox.portal.php import parse_query

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
names = st.from_regex(r"\A[A-Z_]{1,10}\Z")
values = st.recursive(
    words | st.integers(-(10**12), 10**12),
    lambda inner: st.lists(inner, min_size=1, max_size=4) | st.dictionaries(names, inner, min_size=1, max_size=4),
    max_leaves=12,
)


def as_strings(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): as_strings(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_strings(inner) for inner in value]
    return str(value)


def lists_as_maps(value: Any) -> Any:
    if isinstance(value, list):
        return {str(index): lists_as_maps(inner) for index, inner in enumerate(value)}
    if isinstance(value, dict):
        return {key: lists_as_maps(inner) for key, inner in value.items()}
    return value


@given(st.dictionaries(names, values, min_size=1, max_size=5))
def test_what_we_write_the_portal_reads(params: dict[str, Any]) -> None:
    assert parse_query(php_query(params)) == as_strings(params)


@given(st.dictionaries(names, values, min_size=1, max_size=5))
def test_our_own_reader_of_forms_agrees(params: dict[str, Any]) -> None:
    if php_query(params).count("&") < forms.MAX_FIELDS:
        assert forms.decode(php_query(params).encode()) == lists_as_maps(as_strings(params))


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"USER_ID": [11, 12], "SHOW": True, "N": None, "E": []}, "USER_ID%5B0%5D=11&USER_ID%5B1%5D=12&SHOW=1"),
        ({"FILTER": {"ACTIVE": False, ">ID": 3}}, "FILTER%5BACTIVE%5D=0&FILTER%5B%3EID%5D=3"),
        ({"CALL_ID": ResultRef("reg", ("CALL_ID",))}, "CALL_ID=$result[reg][CALL_ID]"),
        ({"X": ResultRef("list", ("0", "ID"))}, "X=$result[list][0][ID]"),
        ({"NAME": "$result[reg][CALL_ID]"}, "NAME=%24%20result%5Breg%5D%5BCALL_ID%5D"),
        ({"PHONE_NUMBER": "+7 916"}, "PHONE_NUMBER=%2B7%20916"),
        ({"T": "a&b=c?d#e%"}, "T=a%26b%3Dc%3Fd%23e%25"),
        ({"T": "caf\udce9"}, "T=caf%3F"),
    ],
)
def test_the_form_on_the_wire(params: dict[str, Any], expected: str) -> None:
    assert php_query(params) == expected
    assert str(Command("a", "x.y", params)) == f"x.y?{expected}"


def test_a_command_without_parameters_is_its_method() -> None:
    assert str(Command("a", "profile", {})) == "profile"


@pytest.mark.parametrize("key", ["", "0", "a-b", "a[b]", "ключ", "a b"])
def test_a_key_that_php_would_bend_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="letter"):
        Command(key, "x.y", {})
    with pytest.raises(ValueError, match="letters"):
        ResultRef(key)


def test_a_value_without_a_form_is_refused_when_the_command_is_made() -> None:
    with pytest.raises(TypeError, match="FIELDS%5BX%5D"):
        Command("a", "x.y", {"FIELDS": {"X": object()}})
