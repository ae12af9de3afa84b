"""The forms in which a company may have written a number into its tables, and the one form of our own tables. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import phonenumbers

_SHARED = frozenset({"RU", "KZ"})
"""Countries with +7, where 8 stands before national numbers."""


def forms(number: str, region: str = "RU", lines: Iterable[Sequence[str]] = ()) -> tuple[str, ...]:
    """In the order in which they are looked for: as it came, its digits, 7…, 8…, +7…, the national number; then the other
    names of the line that it belongs to. `lines`: the names of each line, its number first, then its aliases.

    Outside of Russia and Kazakhstan: as it came, its digits, without and with +; of the own country also with the national
    prefix and without it.
    """
    return tuple(dict.fromkeys(form for name in names(number, region, lines) for form in _forms(name, region)))


def names(number: str, region: str = "RU", lines: Iterable[Sequence[str]] = ()) -> tuple[str, ...]:
    """The number as it came, and the names of the line that it belongs to."""
    number = number.strip()
    return tuple(dict.fromkeys((number, *line_of(number, region, lines))))


def line_of(number: str, region: str = "RU", lines: Iterable[Sequence[str]] = ()) -> Sequence[str]:
    """The names of the line that the number belongs to; itself when it belongs to none."""
    own = frozenset(_forms(number, region))
    known = (line for line in lines if any(not own.isdisjoint(_forms(name, region)) for name in line))
    return next(known, (number,))


def canonical(number: str, region: str = "RU") -> str:
    """How our own tables have it: +7… where the number can be understood, else as it is written."""
    number = number.strip()
    return next((form for form in _forms(number, region) if form.startswith("+")), number)


def _forms(number: str, region: str) -> tuple[str, ...]:
    if not number:
        return ()
    digits = re.sub(r"\D", "", number)
    if not digits or any(letter.isalpha() for letter in number):
        return (number,)
    found = [number, digits]
    if region in _SHARED and (national := _seven(number, digits)):
        found += [f"7{national}", f"8{national}", f"+7{national}", national]
    elif (parsed := _parsed(number, digits, region)) is not None:
        international = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
        found += [international.removeprefix("+"), international]
        if parsed.country_code == phonenumbers.country_code_for_region(region):
            with_prefix = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
            found += [re.sub(r"\D", "", with_prefix), phonenumbers.national_significant_number(parsed)]
    return tuple(dict.fromkeys(found))


def _seven(number: str, digits: str) -> str:
    """The ten digits behind +7 or 8, "" when it is no such number."""
    if len(digits) == 11 and digits[0] in ("7" if number.startswith("+") else "78"):
        return digits[1:]
    return digits if len(digits) == 10 and not number.startswith("+") else ""


def _parsed(number: str, digits: str, region: str) -> phonenumbers.PhoneNumber | None:
    for candidate in (number, f"+{digits}"):
        try:
            parsed = phonenumbers.parse(candidate, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_possible_number(parsed) and phonenumbers.is_valid_number(parsed):
            return parsed
    return None
