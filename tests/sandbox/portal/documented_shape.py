"""Compares an answer with the sample that the contract keeps of the documentation: same keys, same kinds of values."""

from __future__ import annotations

import re
from typing import Any

from perezvon.sandbox.portal.contract import contract

Json = Any
MOMENT = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d[+-]\d\d:\d\d)?")


def differences(method: str, result: Json, *, without: frozenset[str] = frozenset(), more: bool = False) -> list[str]:
    """Where `result` differs from the documented sample of `method`. An empty value passes wherever the sample has one, and the
    other way round. `without`: keys that the sample has by accident. `more`: further keys are all right."""
    shape = contract().raw["methods"][method]["response_shape"]["result"]
    return _differences("result", result, shape, without, more)


def _differences(place: str, value: Json, shape: Json, without: frozenset[str], more: bool) -> list[str]:
    if isinstance(shape, dict):
        if "<id>" in shape:
            items = value.items() if isinstance(value, dict) else ()
            return [d for key, item in items for d in _differences(f"{place}.{key}", item, shape["<id>"], without, more)]
        if value in (None, [], False, ""):
            return []
        if not isinstance(value, dict):
            return [f"{place}: {value!r} should be an object"]
        found = [f"{place}.{key} is missing" for key in shape if key not in value and key not in without]
        if not more:
            found += [f"{place}.{key} is not documented" for key in value if key not in shape]
        for key in set(shape) & set(value) - without:
            found += _differences(f"{place}.{key}", value[key], shape[key], without, more)
        return found
    if isinstance(shape, list):
        if value in (None, False) or (not shape and isinstance(value, dict)):
            return []  # an empty PHP array in the sample may be a map
        if not isinstance(value, list):
            return [f"{place}: {value!r} should be a list"]
        return [d for item in value if shape for d in _differences(f"{place}[]", item, shape[0], without, more)]
    return [] if _fits(value, str(shape)) else [f"{place}: {value!r} should be {shape}"]


def _fits(value: Json, kind: str) -> bool:
    if value in (None, "", False) or kind == "null":
        return True
    match kind.partition("|")[0]:
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case "float":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case "bool":
            return isinstance(value, bool)
        case "str:number":
            return isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value) is not None
        case "str:YN":
            return value in ("Y", "N")
        case "str:datetime":
            return isinstance(value, str) and MOMENT.fullmatch(value) is not None
        case "str":
            return isinstance(value, str)
        case _:
            return True
