"""The forms in which a number of the company may stand in its tables."""

from __future__ import annotations

import pytest

from perezvon.ivr.numbers import canonical, forms


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("74951234567", ("74951234567", "84951234567", "+74951234567", "4951234567")),
        ("+74951234567", ("+74951234567", "74951234567", "84951234567", "4951234567")),
        ("8 (495) 123-45-67", ("8 (495) 123-45-67", "84951234567", "74951234567", "+74951234567", "4951234567")),
        ("4951234567", ("4951234567", "74951234567", "84951234567", "+74951234567")),
        ("70000000002", ("70000000002", "80000000002", "+70000000002", "0000000002")),
        ("101", ("101",)),
        ("multifon-in", ("multifon-in",)),
        ("+4930123456", ("+4930123456", "4930123456")),
        ("", ()),
        ("  ", ()),
    ],
)
def test_forms(number: str, expected: tuple[str, ...]) -> None:
    assert forms(number) == expected


def test_another_country() -> None:
    assert forms("0442345678", "UA") == ("0442345678", "380442345678", "+380442345678", "442345678")
    assert forms("+380442345678", "UA")[0] == "+380442345678"
    assert set(forms("+380442345678", "UA")) == set(forms("0442345678", "UA"))


def test_the_names_of_its_line() -> None:
    lines = [("+74951234567", "multifon-in", "shop"), ("+78121234567", "gsm1")]
    assert forms("multifon-in", "RU", lines)[:3] == ("multifon-in", "+74951234567", "74951234567")
    assert forms("84951234567", "RU", lines)[-2:] == ("multifon-in", "shop")
    assert "gsm1" not in forms("84951234567", "RU", lines)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("8 (495) 123-45-67", "+74951234567"),
        ("4951234567", "+74951234567"),
        ("70000000002", "+70000000002"),
        ("+4930123456", "+4930123456"),
        ("101", "101"),
        (" shop ", "shop"),
    ],
)
def test_our_own_form(number: str, expected: str) -> None:
    assert canonical(number) == expected
    if expected.startswith("+7"):
        assert {canonical(form) for form in forms(number)} == {expected}
