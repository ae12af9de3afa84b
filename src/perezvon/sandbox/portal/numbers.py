"""Phone numbers as the portal compares them. Deliberately not the product's own reading of numbers."""

from __future__ import annotations

import re

import phonenumbers


def canonical(raw: str, region: str = "RU") -> str:
    """E.164 where the number can be understood, else its digits: two spellings of one number give the same text."""
    digits = re.sub(r"[^\d+]", "", raw)
    for candidate in (digits, "+" + digits.lstrip("+")):
        try:
            number = phonenumbers.parse(candidate, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return digits.lstrip("+")


def supported(raw: str) -> bool:
    """Digits with the usual separators; letters make it an unsupported format (telephony tutorial)."""
    return re.fullmatch(r"\+?[\d\s()\-.*#]*\d[\d\s()\-.*#]*", raw.strip()) is not None


def displayed(raw: str, region: str = "RU") -> str:
    """As the portal writes a number into a lead's title: +7 495 123-45-67."""
    try:
        number = phonenumbers.parse(canonical(raw, region), region)
    except phonenumbers.NumberParseException:
        return raw
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
