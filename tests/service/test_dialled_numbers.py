"""What of a clicked number is dialled: the number, or nothing."""

from __future__ import annotations

import pytest

from perezvon.calls import Numbering
from perezvon.service.dialling import dialled


@pytest.mark.parametrize(
    ("clicked", "expected"),
    [
        ("+7 (916) 200-00-01", "79162000001"),
        ("8 916 123–45–67", "79161234567"),
        ("8 916 123-45-67 доб. 12", "79161234567"),
        ("+79161234567;ext=12", "79161234567"),
        ("+79161234567,12", "79161234567"),
        ("112", "112"),
        ("100,1,Hangup\r\nVariable: X=1", ""),
        ("79161234567\r\nAction: Originate", ""),
        ("79161234567\n", ""),
        ("100,1,1", ""),
        ("${SHELL(id)}", ""),
        ("../../1", ""),
        ("1 OR 1=1", ""),
        ("$result[s1][CALL_ID]", ""),
        ("<b>79161234567</b>", ""),
        ("٠١٢٣٤٥٦٧٨٩", ""),
        ("\u202e79161234567", ""),
        ("9" * 60, ""),
        ("9" * 10_000, ""),
        ("+", ""),
        ("", ""),
    ],
)
def test_only_a_phone_number_is_dialled(clicked: str, expected: str) -> None:
    assert dialled(clicked, Numbering()).number == expected
