"""What somebody has written into a table of numbers, as the PBX dials it. Pure.

The result goes into a dial string of the dialplan. So it is an extension or up to fifteen digits, and nothing else,
whatever the table says: no `&`, `/`, `,`, `(`, `$` ever gets out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

import phonenumbers

LONGEST = 15
"""Digits of a number, by E.164."""

_SHARED = frozenset({"RU", "KZ"})
_WRITTEN = re.compile(r"\+?[0-9][0-9 ().\u00a0\u2011-]{0,39}|\([0-9][0-9 ().\u00a0\u2011-]{0,39}", re.ASCII)
"""As people write a number. Letters, a second number after a comma, an extension after a semicolon: refused."""


def written(value: object) -> str:
    """The text of a table's cell; "" for what is none."""
    match value:
        case bool():
            return ""
        case str():
            return value.strip()
        case int():
            return str(value)
        case Decimal() | float() if value == value and abs(value) < 10**18 and value == int(value):  # noqa: PLR0124  NaN
            return str(int(value))
        case bytes():
            return value.decode("ascii", "replace").strip()
        case _:
            return ""


def dialable(text: str, region: str, is_extension: Callable[[str], bool]) -> str:
    """Digits with the country code (`84952223344` -> `74952223344`), or an extension as it is; "" when it is neither."""
    if _WRITTEN.fullmatch(text) is None:
        return ""
    digits = re.sub(r"[^0-9]", "", text)
    if not 2 <= len(digits) <= LONGEST + 3:
        return ""
    if not text.startswith("+"):
        if is_extension(digits):
            return digits
        if region in _SHARED and len(digits) == 11 and digits[0] in "78":
            return "7" + digits[1:]
    found = _international(text.startswith("+"), digits, region)
    return found if len(found) <= LONGEST else ""


def _international(plus: bool, digits: str, region: str) -> str:
    for candidate in ("+" + digits,) if plus else (digits, "+" + digits):
        try:
            parsed = phonenumbers.parse(candidate, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_possible_number(parsed) and phonenumbers.is_valid_number(parsed):
            return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164).removeprefix("+")
    return digits
