"""Who is who by number: employees' extensions, the company's trunks and lines, clients' numbers as E.164."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

import phonenumbers

HIDDEN = frozenset({"", "<unknown>", "anonymous", "unknown", "unavailable", "restricted", "private", "asterisk"})
URI = re.compile(r"^(?:sips?|tel):([^@;]+).*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Numbering:
    """`extension_pattern` tells an employee's extension from any other number (a whole match).

    `trunks`: names of trunk peers (the part of `PJSIP/<peer>-…`); when empty, every peer that is no extension is a trunk.
    `region`: where national numbers are at home (ISO 3166), for reading them.
    `lines`: the company's own numbers, E.164. `portals`: names of the peers that lead to the portal's SIP connector:
    whoever is behind them is an employee. `conference`: the number to which an employee transfers a call that shall become
    a conference (in our own dialplan's contexts only).
    """

    extension_pattern: str = r"^\d{2,4}$"
    trunks: frozenset[str] = frozenset()
    region: str = "RU"
    lines: frozenset[str] = frozenset()
    ignored_peers: frozenset[str] = field(default_factory=frozenset[str])
    portals: frozenset[str] = frozenset()
    conference: str = "900"

    def is_extension(self, number: str) -> bool:
        return re.fullmatch(self.extension_pattern, number) is not None

    def international(self, raw: str) -> str:
        """E.164 (`+74951234567`) where the number can be understood; a hidden number gives ""; anything else is
        returned as its digits (or unchanged when it has letters or no digits, e.g. a SIP user name)."""
        return _international(raw.strip(), self.region)


@lru_cache(maxsize=65536)
def _international(raw: str, region: str) -> str:
    if raw.lower() in HIDDEN:
        return ""
    raw = URI.sub(r"\1", raw)
    digits = re.sub(r"[^\d+]", "", raw)
    if not digits or any(letter.isalpha() for letter in raw):
        return raw
    for candidate in (digits, "+" + digits.lstrip("+")):
        try:
            parsed = phonenumbers.parse(candidate, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_possible_number(parsed) and phonenumbers.is_valid_number(parsed):
            return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return digits
