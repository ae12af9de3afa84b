"""The little language of templates: `{line.name}`, `{client_name|default:a stranger}`, `{talked|first|upper}`. Pure.

A place names a value of the call; filters change it, from left to right. `{{` and `}}` are braces. There is nothing else:
no attributes, no expressions, no loops, so that a template can neither read what it is not given nor run long: each filter
walks over a value once, and both values and results are cut.

Places that are known only when the portal has answered (`LATE`) are kept as places, and filled in at the moment of sending.
A line of which all places are empty is left out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from perezvon.rules.vocabulary import Json, Reason

LONGEST_TEMPLATE = 2000
LONGEST_VALUE = 1000
LONGEST_TEXT = 10_000

LATE = frozenset({"recording", "link", "object"})
"""The address of the recording, that of the lead (contact, deal), and what was made, in a word."""

FILTERS = ("default", "upper", "lower", "cut", "digits", "first", "last")

_PLACE = re.compile(r"[a-z_]+(\.[a-z_]+)?", re.ASCII)
_LATE, _VALUE, _FILTERS = "place", "value", "filters"


class BadTemplate(ValueError):
    """What is wrong with it, in words for its author."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(str(reason))
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Place:
    """`filters`: name and argument ("" for none), in order."""

    name: str
    filters: tuple[tuple[str, str], ...] = ()


Template = tuple[str | Place, ...]
Parts = list[Json]
"""A template with the call's values, as JSON: plain texts, {"value"} and, of late places, {"place", "filters"}."""


def parse(text: str, known: Collection[str]) -> Template:
    """Raises BadTemplate. `known`: the places that there are."""
    if len(text) > LONGEST_TEMPLATE:
        raise BadTemplate(Reason("a template has at most {most} letters", {"most": str(LONGEST_TEMPLATE)}))
    if any(ord(char) < 32 and char != "\n" for char in text):
        raise BadTemplate(Reason("a template has no control characters"))
    return tuple(_parts(text, known))


def places_of(template: Template) -> frozenset[str]:
    return frozenset(part.name for part in template if isinstance(part, Place))


def filled(template: Template, values: Mapping[str, str]) -> Parts:
    """With the call's values; late places stay."""
    parts: Parts = []
    for part in template:
        if isinstance(part, str):
            parts.append(part)
        elif part.name in LATE:
            parts.append({_LATE: part.name, _FILTERS: [list(one) for one in part.filters]})
        else:
            parts.append({_VALUE: _filtered(values.get(part.name, ""), part.filters)})
    return parts


def late(parts: Sequence[Json]) -> frozenset[str]:
    """The late places that are left."""
    return frozenset(name for part in parts if isinstance(name := _get(part, _LATE), str))


def finished(parts: Sequence[Json], values: Mapping[str, str]) -> str:
    """The text. `values`: those of the late places."""
    lines: list[list[str]] = [[]]
    places: list[list[bool]] = [[]]
    for part in parts:
        if isinstance(part, str):
            first, *rest = part.split("\n")
            lines[-1].append(first)
            for line in rest:
                lines.append([line])
                places.append([])
            continue
        name, told = _get(part, _LATE), _get(part, _VALUE)
        if isinstance(name, str):
            wanted = cast("list[list[str]]", _get(part, _FILTERS) or [])
            told = _filtered(values.get(name, ""), [(one[0], one[1]) for one in wanted])
        places[-1].append(bool(told))
        lines[-1].append(str(told or ""))
    kept = ["".join(line) for line, there in zip(lines, places, strict=True) if any(there) or not there]
    return "\n".join(line.rstrip() for line in kept).strip()[:LONGEST_TEXT]


def _parts(text: str, known: Collection[str]) -> Iterator[str | Place]:
    literal: list[str] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char in "{}" and text[at : at + 2] == char * 2:
            literal.append(char)
            at += 2
        elif char == "{":
            end = text.find("}", at)
            inner = text[at + 1 : end] if end > 0 else ""
            if end < 0 or "{" in inner or "\n" in inner:
                raise BadTemplate(Reason("the braces do not pair up (a brace by itself is written twice)"))
            if literal:
                yield "".join(literal)
                literal = []
            yield _place(inner, known)
            at = end + 1
        elif char == "}":
            raise BadTemplate(Reason("the braces do not pair up (a brace by itself is written twice)"))
        else:
            literal.append(char)
            at += 1
    if literal:
        yield "".join(literal)


def _place(inner: str, known: Collection[str]) -> Place:
    name, *filters = inner.split("|")
    name = name.strip()
    if name not in known or not _PLACE.fullmatch(name):
        args = {"place": name[:40], "known": ", ".join(f"{{{place}}}" for place in known)}
        raise BadTemplate(Reason("there is no place {place}; there are {known}", args))
    return Place(name, tuple(map(_filter, filters)))


def _filter(told: str) -> tuple[str, str]:
    name, colon, argument = told.partition(":")
    name = name.strip()
    if name not in FILTERS:
        args = {"name": name[:40], "known": ", ".join(FILTERS)}
        raise BadTemplate(Reason("there is no filter {name}; there are {known}", args))
    if name == "cut" and not re.fullmatch(r"[1-9][0-9]{0,3}", argument.strip(), re.ASCII):
        raise BadTemplate(Reason("the filter cut wants a number of letters, as in cut:20"))
    if colon and name not in ("cut", "default"):
        raise BadTemplate(Reason("the filter {name} takes nothing after a colon", {"name": name}))
    return name, argument.strip() if name == "cut" else argument


def _filtered(value: str, filters: Sequence[tuple[str, str]]) -> str:
    value = value[:LONGEST_VALUE]
    for name, argument in filters:
        match name:
            case "default":
                value = value or argument
            case "upper":
                value = value.upper()
            case "lower":
                value = value.lower()
            case "cut":
                value = value[: int(argument)]
            case "digits":
                value = "".join(char for char in value if char.isascii() and char.isdigit())
            case "first":
                value = value.split(", ", 1)[0]
            case "last":
                value = value.rsplit(", ", 1)[-1]
            case _:
                pass
    return value[:LONGEST_VALUE]


def _get(part: Json, name: str) -> Json:
    return cast("dict[str, Json]", part).get(name) if isinstance(part, dict) else None
