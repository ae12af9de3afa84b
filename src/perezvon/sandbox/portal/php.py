"""PHP's habits on the wire: bracketed forms in, JSON with `[]` for empty maps out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, cast
from urllib.parse import parse_qsl

Json = Any
FIRST = re.compile(r"^[^\[]+")
REST = re.compile(r"\[([^\]]*)\]")


class EmptyObject(dict[str, Json]):
    """Serialises as `{}`: what the portal makes of a date object (finish.CALL_START_DATE)."""


def parse_form(pairs: Iterable[tuple[str, Json]]) -> dict[str, Json]:
    """`fields[PHONE][0][VALUE]=…` and `USER_ID[]=…` as nested maps; maps with keys 0, 1, … become lists."""
    root: dict[str, Json] = {}
    for name, value in pairs:
        first = FIRST.match(name)
        if first is None:
            continue
        keys = [first.group(), *REST.findall(name[first.end() :])]
        place = root
        for key in keys[:-1]:
            name_here = key or str(_next_index(place))
            if not isinstance(place.get(name_here), dict):
                place[name_here] = {}
            place = cast("dict[str, Json]", place[name_here])
        place[keys[-1] or str(_next_index(place))] = value
    return {key: lists(value) for key, value in root.items()}


def parse_query(query: str) -> dict[str, Json]:
    return parse_form(parse_qsl(query, keep_blank_values=True))


def build_form(value: Mapping[str, Json], prefix: str = "") -> list[tuple[str, str]]:
    """Nested maps and lists as bracketed pairs, all texts: the body of an event."""
    pairs: list[tuple[str, str]] = []
    for key, item in value.items():
        name = f"{prefix}[{key}]" if prefix else key
        if isinstance(item, Mapping):
            pairs += build_form(cast("Mapping[str, Json]", item), name)
        elif isinstance(item, list):
            pairs += build_form({str(i): each for i, each in enumerate(cast("list[Json]", item))}, name)
        elif isinstance(item, bool):
            pairs.append((name, "1" if item else "0"))
        else:
            pairs.append((name, "" if item is None else str(item)))
    return pairs


def lists(value: Json) -> Json:
    """Maps with the keys 0, 1, … in order as lists, at every depth."""
    if not isinstance(value, dict):
        return value
    items = {key: lists(item) for key, item in cast("dict[str, Json]", value).items()}
    if items and list(items) == [str(i) for i in range(len(items))]:
        return list(items.values())
    return items


def encode(value: Json) -> bytes:
    """JSON as PHP's json_encode writes arrays: an empty map is `[]`, a map with keys 0, 1, … is a list."""
    return json.dumps(_arrays(value), ensure_ascii=False, separators=(",", ":")).encode()


def _arrays(value: Json) -> Json:
    if isinstance(value, EmptyObject):
        return value
    if isinstance(value, dict):
        items = {str(key): _arrays(item) for key, item in cast("dict[Json, Json]", value).items()}
        if list(items) == [str(i) for i in range(len(items))]:
            return list(items.values())
        return items
    if isinstance(value, (list, tuple)):
        return [_arrays(item) for item in cast("list[Json]", value)]
    return value


def _next_index(place: dict[str, Json]) -> int:
    return max((int(key) for key in place if key.isdigit()), default=-1) + 1
