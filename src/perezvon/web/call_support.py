"""All that is known of a call as one file, for whoever is to help: with the numbers masked, if that is wished.

Secrets are never in it; a masked number keeps its last two digits, and a letter that is the same wherever it stands, so
that one can still be told from another.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any, cast

from perezvon.bitrix24.redaction import redact
from perezvon.calls import Event

_LONG = re.compile(r"(?<![\d.])\+?\d{10,15}(?!\d|\.\d)")
"""A number wherever it stands: in a file's name too. Asterisk's unique ids have a dot."""

_BETWEEN = r"[\s().\-]{0,3}"
"""What people write between a number's digits."""

_NAMES = frozenset(
    {
        *("client_name", "calleridname", "connectedlinename", "destcalleridname", "destconnectedlinename"),
        *("name", "last_name", "second_name", "full_name"),
    }
)


class Mask:
    """`known`: numbers of the call, in whatever form: they are found however they are written, with or without the
    country's code. Those with fewer than six digits (extensions) stay."""

    def __init__(self, known: Iterable[str]) -> None:
        self._letters: dict[str, str] = {}
        plain = {re.sub(r"\D", "", one)[-10:] for one in known}
        wanted = sorted((one for one in plain if len(one) >= 6), key=len, reverse=True)
        told = "|".join(_BETWEEN.join(one) for one in wanted)
        self._known = re.compile(rf"(?<!\d)\+?(?:\d{{1,5}}{_BETWEEN})?(?:{told})(?!\d)", re.ASCII) if told else None

    def text(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(lambda found: self._masked(found[0]), text)
        return _LONG.sub(lambda found: self._masked(found[0]), text)

    def _masked(self, number: str) -> str:
        digits = re.sub(r"\D", "", number)
        same = digits[-10:]
        if same not in self._letters:
            place = len(self._letters)
            self._letters[same] = chr(ord("A") + place % 26) * (1 + place // 26)
        return f"{self._letters[same]}***{digits[-2:]}"

    def whole(self, value: Any, name: str = "") -> Any:
        """The same in everything that is inside."""
        match value:
            case bool():
                return value
            case int():
                plain = str(value)
                told = self.text(plain)
                return value if told == plain else told
            case str():
                return "***" if value and name.lower() in _NAMES else self.text(value)
            case dict():
                known = cast("dict[str, Any]", value)
                return {self.text(key): self.whole(one, key) for key, one in known.items()}
            case list():
                return [self.whole(one) for one in cast("list[Any]", value)]
            case _:
                return value


def support_file(told: Mapping[str, Any], numbers: Sequence[str], *, masked: bool) -> str:
    """JSON, to be read by people too."""
    value = clean(told)
    return json.dumps(Mask(numbers).whole(value) if masked else value, ensure_ascii=False, indent=1, default=str)


def clean(value: Any) -> Any:
    """As JSON values, without secrets."""
    if is_dataclass(value) and not isinstance(value, type):
        return clean(asdict(value))
    match value:
        case str():
            return redact(str(value))
        case Mapping():
            return {str(name): clean(one) for name, one in cast("Mapping[object, object]", value).items()}
        case list() | tuple():
            return [clean(one) for one in cast("Sequence[object]", value)]
        case _:
            return value


def lines_of(events: Sequence[Event]) -> str:
    """As `asterisk -rx` users know them: a block an event."""
    blocks = [
        "\n".join(
            [f"Event: {one.name}  {one.at:.3f}", *(f"{name}: {redact(text)}" for name, text in one.headers.items() if text)]
        )
        for one in events
    ]
    return "\n\n".join(blocks)
