"""Form bodies with PHP's bracketed names (`data[FIELDS][ID]=5`), decoded within bounds. Pure.

Bodies come from the open internet: size, number of fields, depth and length of names are bounded before anything is built.
"""

from __future__ import annotations

import re
from typing import Any, cast
from urllib.parse import unquote_to_bytes

MAX_BODY = 256 * 1024
MAX_FIELDS = 500
MAX_DEPTH = 8
MAX_NAME = 256

Form = dict[str, Any]  # str | Form
_NAME = re.compile(r"^([^\[\]]+)((?:\[[^\[\]]*\])*)$")
_PART = re.compile(r"\[([^\[\]]*)\]")


class BadForm(ValueError):
    """The body is no form, or larger than any event of a portal. The message quotes nothing of it."""


def decode(body: bytes) -> Form:
    """Bytes that are no UTF-8 become U+FFFD. `name[]` counts up as in PHP; of two values for one name the later stands.
    Raises BadForm."""
    if len(body) > MAX_BODY:
        raise BadForm(f"the body has {len(body)} bytes, at most {MAX_BODY} are read")
    form: Form = {}
    pieces = body.split(b"&", MAX_FIELDS)
    if len(pieces) > MAX_FIELDS:
        raise BadForm(f"the body has more than {MAX_FIELDS} fields")
    for piece in pieces:
        name, _, value = piece.partition(b"=")
        if name:
            _place(form, _path(_plain(name)), _plain(value))
    return form


def _plain(piece: bytes) -> str:
    return unquote_to_bytes(piece.replace(b"+", b" ")).decode("utf-8", "replace")


def _path(name: str) -> list[str]:
    if len(name) > MAX_NAME:
        raise BadForm(f"a field's name is longer than {MAX_NAME} characters")
    match = _NAME.match(name)
    if match is None:
        raise BadForm("a field's name has brackets in wrong places")
    path = [match[1], *_PART.findall(match[2])]
    if len(path) > MAX_DEPTH:
        raise BadForm(f"a field's name is nested deeper than {MAX_DEPTH}")
    return path


def _place(form: Form, path: list[str], value: str) -> None:
    inside = form
    for part in path[:-1]:
        key = part or _next(inside)
        if not isinstance(inside.get(key), dict):
            inside[key] = {}
        inside = cast("Form", inside[key])
    inside[path[-1] or _next(inside)] = value


def _next(inside: Form) -> str:
    return str(max((int(key) for key in inside if key.isascii() and key.isdigit() and len(key) < 10), default=-1) + 1)
