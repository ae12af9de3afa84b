"""Who is who: extensions and employees' own phones, out of the portal's directory."""

from __future__ import annotations

from perezvon.bitrix24.directory import Directory, Employee
from perezvon.service.policies import people

OFFICE = "+74951234567"
DIRECTORY = Directory.of(
    (
        Employee("11", "Anna", "101", phones=("+79160000001", OFFICE)),
        Employee("12", "Boris", "102", phones=("+79160000002", "+79160000002", OFFICE)),
        Employee("13", "Vera", "", phones=("+79160000003",)),
        Employee("14", "Gleb", "101", phones=()),
        Employee("15", "left us", "105", active=False, phones=("+79160000005",)),
    ),
    1.0,
)


def test_extensions_and_own_phones() -> None:
    assert people(DIRECTORY).users == {
        "101": "11",
        "102": "12",
        "+79160000001": "11",
        "+79160000002": "12",
        "+79160000003": "13",
    }


def test_a_number_that_several_have_is_nobodys() -> None:
    assert people(DIRECTORY).user(OFFICE) == ""


def test_names_of_those_who_are_known_by_a_number() -> None:
    assert people(DIRECTORY).names == {
        "101": "Anna",
        "102": "Boris",
        "+79160000001": "Anna",
        "+79160000002": "Boris",
        "+79160000003": "Vera",
    }
