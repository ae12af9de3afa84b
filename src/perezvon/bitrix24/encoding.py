"""Parameters on their way out: PHP's bracket query for the commands of a batch, JSON for bodies. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import quote

MAX_COMMANDS = 50
_KEY = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_PATH = re.compile(r"^[A-Za-z0-9_]+$")


@dataclass(frozen=True, slots=True)
class ResultRef:
    """`$result[key][FIELD]…`: a value out of the answer of an earlier command of the same batch.

    Written unescaped, as the documentation shows it.
    """

    key: str
    path: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _KEY.match(self.key) or not all(_PATH.match(part) for part in self.path):
            raise ValueError(f"a reference is made of letters, digits and underscores: {self.key!r} {self.path!r}")

    def __str__(self) -> str:
        return f"$result[{self.key}]" + "".join(f"[{part}]" for part in self.path)


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a batch. `key` names it for `ResultRef`: a letter first, so that PHP keeps the map a map."""

    key: str
    method: str
    params: Mapping[str, Any] = field(repr=False)
    text: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """ValueError or TypeError for a key or a parameter that cannot be written."""
        if not _KEY.match(self.key):
            raise ValueError(f"a command's key starts with a letter and has letters, digits and underscores: {self.key!r}")
        query = php_query(self.params)
        object.__setattr__(self, "text", f"{self.method}?{query}" if query else self.method)

    def __str__(self) -> str:
        """`method?query`, as the member `cmd` of a batch wants it."""
        return self.text


def php_query(params: Mapping[str, Any]) -> str:
    """Like PHP's http_build_query: `fields[PHONE][0][VALUE]=…`. True is 1, False is 0; None and empty lists have no form
    there and are left out. A character that is no Unicode (half a surrogate pair) becomes a question mark.

    The portal looks for references after decoding, in any text (its own SDK sends them encoded): a caller who is named
    `$result[…]` gets a blank after the `$`, so that only a `ResultRef` is one."""
    return "&".join(f"{name}={value}" for name, value in _pairs("", params))


def _pairs(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    match value:
        case None:
            return
        case ResultRef():
            yield prefix, str(value)
        case Mapping():
            for key, inner in cast("Mapping[Any, Any]", value).items():
                yield from _pairs(f"{prefix}%5B{_quote(str(key))}%5D" if prefix else _quote(str(key)), inner)
        case list() | tuple():
            for index, inner in enumerate(cast("list[Any]", value)):
                yield from _pairs(f"{prefix}%5B{index}%5D", inner)
        case bool():
            yield prefix, "1" if value else "0"
        case str():
            yield prefix, _quote(value.replace("$result[", "$ result["))
        case int() | float():
            yield prefix, _quote(str(value))
        case _:
            raise TypeError(f"a REST parameter cannot be a {type(value).__name__}: {prefix}")


def _quote(text: str) -> str:
    return quote(text.encode("utf-8", "replace"), safe="")


def json_body(params: Mapping[str, Any]) -> bytes:
    """UTF-8 JSON. ValueError or TypeError for what has no JSON form (NaN, foreign objects)."""
    return json.dumps(params, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")
