"""The languages of the pages, the doctor and the commands. Catalogs are read from their .po files at first use.

The message ids are the English texts. Reads `web/locale`, nothing else.
"""

from __future__ import annotations

import gettext
import io
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Literal

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

Language = Literal["ru", "en"]

LANGUAGES: tuple[Language, ...] = ("ru", "en")
DOMAIN = "perezvon"
LOCALE = Path(__file__).parent / "locale"


@cache
def catalog(language: Language) -> gettext.NullTranslations:
    """Gettext's functions in this language."""
    compiled = io.BytesIO()
    with (LOCALE / language / "LC_MESSAGES" / f"{DOMAIN}.po").open("rb") as file:
        write_mo(compiled, read_po(file, locale=language, domain=DOMAIN))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def wanted(accept: str, default: Language = "ru") -> Language:
    """What the browser's Accept-Language prefers among our languages."""
    for language in _by_preference(accept):
        for ours in LANGUAGES:
            if language == ours or language.startswith(f"{ours}-"):
                return ours
    return default


def of_environment(names: Iterable[str]) -> Language:
    """The language of a terminal: `names` are the values of LC_ALL, LC_MESSAGES, LANG in this order; the first one that is
    set decides; English when it is none of ours."""
    name = next((name for name in names if name), "").lower()
    return "ru" if name.startswith("ru") else "en"


def _by_preference(accept: str) -> list[str]:
    ranked: list[tuple[float, str]] = []
    for part in accept.lower().split(","):
        language, _, quality = part.strip().partition(";q=")
        try:
            ranked.append((float(quality or 1), language))
        except ValueError:
            continue
    return [language for quality, language in sorted(ranked, key=lambda pair: -pair[0]) if quality > 0]
