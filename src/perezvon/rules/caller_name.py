"""What the phones show as the caller's name, out of what the CRM knows of him. Pure.

The texts come from outside (anybody can write his name into a web form), and the result stands in a channel's caller id,
which dialplans of others paste into expressions: so only letters, digits, spaces and a few harmless signs are left.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Literal

PLACES = ("person", "company", "line", "client", "responsible")
"""What a template may name: the contact's or lead's name, the company's, the line's, the number, whose client he is."""

SEPARATOR = re.compile(r"(\s+[/|·,;—–-]\s+|,\s+)")
MOST_BYTES = 79
"""Of a caller's name in Asterisk, which cuts off the rest, also in the middle of a letter."""

HARMLESS = frozenset(" .-_/+№«»'’@#")
DASHES = dict.fromkeys(map(ord, "—–‐‑−"), "-")

Letters = Literal["as_written", "latin"]

_SMALL = {
    **dict(zip("абвгдезийклмнопрстуфыэ", "abvgdeziyklmnoprstufye", strict=True)),
    **{
        "ё": "yo",
        "ж": "zh",
        "х": "kh",
        "ц": "ts",
        "ч": "ch",
        "ш": "sh",
        "щ": "shch",
        "ъ": "",
        "ь": "",
        "ю": "yu",
        "я": "ya",
    },
    **{"і": "i", "ї": "yi", "є": "ye", "ґ": "g", "ў": "u", "ә": "a", "ғ": "gh", "қ": "q", "ң": "ng", "ө": "o", "ұ": "u"},
    **{"ү": "u", "һ": "h"},
}
_LATIN = str.maketrans(
    {**_SMALL, **{small.upper(): latin.capitalize() for small, latin in _SMALL.items()}}
    | {"«": "'", "»": "'", "№": "No", "’": "'"}
)


def caller_name(template: str, places: Mapping[str, str], letters: Letters, longest: int) -> str:
    """`template`: `{person} / {company} / {line}`. A part between two separators of which every place is empty is left out
    with its separator. `longest`: characters; when there are more, the longest parts are made shorter."""
    parts: list[str] = []
    separators: list[str] = []
    pending = ""
    values = {name: cleaned(places.get(name, "")) for name in PLACES}
    for index, piece in enumerate(SEPARATOR.split(template)):
        if index % 2:
            pending = piece
            continue
        named = re.findall(r"\{(\w+)\}", piece)
        if (named and not any(values[name] for name in named)) or not piece.strip():
            continue
        if parts:
            separators.append(f"{cleaned(pending)} ".rjust(3) if cleaned(pending) else " ")
        parts.append(_in_letters(piece.format_map(values), letters))
    return _shortened(parts, separators, longest)


def _in_letters(text: str, letters: Letters) -> str:
    return cleaned(text.translate(_LATIN) if letters == "latin" else text)


def _shortened(parts: list[str], separators: list[str], longest: int) -> str:
    kept = list(parts)
    while kept:
        told = "".join(part + separator for part, separator in zip(kept, [*separators, ""], strict=True))
        if len(told) <= longest and len(told.encode()) <= MOST_BYTES:
            return told
        most = max(range(len(kept)), key=lambda place: len(kept[place]))
        kept[most] = kept[most].removesuffix(".")[:-1].rstrip() + "."
    return ""


def cleaned(text: str) -> str:
    """One line of letters, digits and harmless signs. What means something to a dialplan becomes a space."""
    text = unicodedata.normalize("NFC", text[:500]).translate(DASHES)
    return " ".join("".join(character if _fits(character) else " " for character in text).split())


def _fits(character: str) -> bool:
    return character in HARMLESS or (character <= "\uffff" and unicodedata.category(character)[0] in "LMN")
