"""Settings as a TOML text (the standard library only reads TOML). Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast


def written(named: Mapping[str, Any]) -> str:
    """Sections as `[section]`, lists of sections as `[[section]]`, in the given order; single values first."""
    blocks = ["".join(_line(key, value) for key, value in named.items() if not _is_section(value))]
    for key, value in named.items():
        if isinstance(value, dict):
            blocks.append(_section(key, cast("Mapping[str, Any]", value)))
        elif _is_section(value):
            blocks += [_section(key, entry, many=True) for entry in value]
    return "\n".join(block for block in blocks if block)


def value(item: Any) -> str:
    """One value as TOML."""
    match item:
        case bool():
            return "true" if item else "false"
        case int() | float():
            return repr(item)
        case str():
            return _text(item)
        case list() | tuple():
            return f"[{', '.join(value(part) for part in cast('list[Any]', item))}]"
        case _:
            raise TypeError(f"{type(item).__name__} has no place in settings")


def _is_section(item: Any) -> bool:
    return isinstance(item, dict) or (
        isinstance(item, list) and isinstance(next(iter(cast("list[Any]", item)), None), dict)
    )


def _section(name: str, values: Mapping[str, Any], *, many: bool = False) -> str:
    header = f"[[{name}]]" if many else f"[{name}]"
    text = f"{header}\n" + "".join(_line(key, item) for key, item in values.items() if not _is_section(item))
    below: list[str] = []
    for key, item in values.items():
        if isinstance(item, dict):
            below.append(_section(f"{name}.{key}", cast("Mapping[str, Any]", item)))
        elif _is_section(item):
            below += [_section(f"{name}.{key}", entry, many=True) for entry in item]
    return "\n".join([text, *below])


def _line(key: str, item: object) -> str:
    return "" if item is None else f"{key} = {value(item)}\n"


def _text(text: str) -> str:
    if "\\" in text and "'" not in text and text.isprintable():
        return f"'{text}'"
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
