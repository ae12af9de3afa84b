"""Filters, orders and selects of list methods, as a table."""

from __future__ import annotations

from typing import Any

import pytest

from perezvon.sandbox.portal.handlers import crm_query as query

ROW: dict[str, Any] = {
    "ID": "12",
    "TITLE": "Звонок из Самары",
    "EMPTY": None,
    "OPPORTUNITY": "150.00",
    "DATE_CREATE": "2026-11-21T10:00:00+03:00",
    "PHONE": ["+79161234567", "+74951112233"],
    "OPENED": "Y",
}


@pytest.mark.parametrize(
    ("filter_", "passes"),
    [
        ({}, True),
        ({"ID": 12}, True),
        ({"=ID": "12"}, True),
        ({"ID": [5, 12]}, True),
        ({"@ID": [5, 6]}, False),
        ({"!@ID": [5, 6]}, True),
        ({"!ID": 12}, False),
        ({"!=ID": 13}, True),
        ({">ID": 9}, True),
        ({">ID": 12}, False),
        ({">=ID": "12", "<ID": 100}, True),
        ({"<=ID": 3}, False),
        ({">OPPORTUNITY": 99}, True),
        ({"<OPPORTUNITY": "1000"}, True),
        ({">=DATE_CREATE": "2026-11-21T07:00:00+00:00"}, True),
        ({">DATE_CREATE": "21.11.2026 12:00:00"}, False),
        ({"<DATE_CREATE": "2026-11-22"}, True),
        ({"%TITLE": "самар"}, True),
        ({"!%TITLE": "самар"}, False),
        ({"=%TITLE": "Звонок%"}, True),
        ({"%=TITLE": "%Самары"}, True),
        ({"=%TITLE": "Самары"}, False),
        ({"!=%TITLE": "Звонок%"}, False),
        ({"!%=TITLE": "Письмо%"}, True),
        ({"=%TITLE": "Звонок из Самар_"}, True),
        ({"EMPTY": ""}, True),
        ({"!EMPTY": ""}, False),
        ({"!TITLE": ""}, True),
        ({"TITLE": ""}, False),
        ({">EMPTY": 0}, False),
        ({"PHONE": "+74951112233"}, True),
        ({"PHONE": "74951112233"}, False),
        ({"!PHONE": "+74951112233"}, False),
        ({"OPENED": "Y", "ID": 13}, False),
    ],
)
def test_classic_filters(filter_: dict[str, Any], passes: bool) -> None:
    assert query.matches(query.parse(filter_), ROW) is passes


@pytest.mark.parametrize(
    ("filter_", "passes"),
    [
        ({"logic": "OR", "0": {"ID": 1}, "1": {"ID": 12}}, True),
        ({"logic": "OR", "0": {"ID": 1}, "1": {"ID": 2}}, False),
        ({"0": {"logic": "OR", "0": {"ID": 1}, "1": {"%TITLE": "звонок"}}, "OPENED": "Y"}, True),
        ({"0": {"logic": "OR", "0": {"ID": 1}, "1": {"%TITLE": "звонок"}}, "OPENED": "N"}, False),
        ([{"ID": 12}, {"OPENED": "N"}], False),
    ],
)
def test_nested_filters(filter_: Any, passes: bool) -> None:
    assert query.matches(query.parse(filter_, nested=True), ROW) is passes


def test_order_by_several_fields() -> None:
    rows = [{"A": "2", "B": "x"}, {"A": "10", "B": "y"}, {"A": "2", "B": "y"}, {"A": None, "B": "z"}]
    assert query.ordered(rows, {"A": "ASC", "B": "desc"}) == [rows[3], rows[2], rows[0], rows[1]]
    assert query.ordered(rows, {"A": "DESC"})[0] is rows[1]


@pytest.mark.parametrize(
    ("select", "names"),
    [
        ([], ["ID", "TITLE", "UF_CRM_1"]),
        (["*"], ["ID", "TITLE"]),
        (["UF_*"], ["UF_CRM_1"]),
        (["ID", "PHONE", "NOSUCH"], ["ID", "PHONE"]),
        (["*", "PHONE"], ["ID", "TITLE", "PHONE"]),
    ],
)
def test_select_masks_leave_multifields_out(select: list[str], names: list[str]) -> None:
    known = ["ID", "TITLE", "PHONE", "UF_CRM_1"]
    assert query.selected(known, select, unselectable=frozenset({"PHONE"})) == names
