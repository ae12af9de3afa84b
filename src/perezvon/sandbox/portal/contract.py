"""The REST contract of Bitrix24 as data: which methods there are, who may call them, with which parameters and errors.

Reads `contract.json.gz` beside this file, once. Nothing here knows about requests or state.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, cast

Json = Any


@dataclass(frozen=True, slots=True)
class ParamSpec:
    """One documented parameter. `required` is False for conditional ones (the handler knows the condition)."""

    name: str
    type: str
    required: bool
    enum: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ErrorSpec:
    code: str
    http: int
    description: str


@dataclass(frozen=True, slots=True)
class MethodSpec:
    """One documented method. `name` is spelled as in the documentation.

    `scopes`: any one of them is enough; empty when every caller has it (`basic`).
    `app_only`: a webhook is refused. `v3`: lives under /rest/api/ only.
    """

    name: str
    scopes: tuple[str, ...]
    who: str
    app_only: bool
    params: Mapping[str, ParamSpec]
    one_of: tuple[tuple[str, ...], ...]
    errors: tuple[ErrorSpec, ...]
    paged: bool
    v3: bool
    raw: Mapping[str, Json]

    @property
    def any_params(self) -> bool:
        return "<any>" in self.params


@dataclass(frozen=True, slots=True)
class Contract:
    methods: Mapping[str, MethodSpec]
    """By lower-case name."""
    system_errors: tuple[ErrorSpec, ...]
    events: tuple[str, ...]
    raw: Mapping[str, Json]

    def system_error(self, code: str) -> ErrorSpec:
        return next(error for error in self.system_errors if error.code == code)


@cache
def contract() -> Contract:
    packed = resources.files(__package__ or "").joinpath("contract.json.gz").read_bytes()
    raw = cast("dict[str, Json]", json.loads(gzip.decompress(packed)))
    return Contract(
        methods={name.lower(): _method(name, spec) for name, spec in raw["methods"].items()},
        system_errors=tuple(_error(error) for error in raw["system_errors"]),
        events=tuple(raw["events"]["list"]),
        raw=raw,
    )


def _method(name: str, raw: dict[str, Json]) -> MethodSpec:
    names = {str(returned["name"]) for returned in raw["returns"]}
    shape: dict[str, Json] = raw.get("response_shape") or {}
    return MethodSpec(
        name=name,
        scopes=tuple(s for s in raw["scope"] if s != "basic" and " " not in s),
        who=str(raw["who"]),
        app_only=raw["auth"].get("app_context_required") is True,
        params={param["name"]: _param(param) for param in raw["params"]},
        one_of=tuple(tuple(group) for group in raw.get("one_of_required", [])),
        errors=tuple(_error(error) for error in raw["errors"]),
        paged=bool({"total", "next"} & (names | set(shape))),
        v3=any("REST v3 only" in rule["fact"] for rule in raw.get("rules", [])),
        raw=raw,
    )


def _param(raw: dict[str, Json]) -> ParamSpec:
    return ParamSpec(
        name=raw["name"],
        type=raw["type"],
        required=raw.get("required") is True,
        enum=tuple(str(value) for value in raw.get("enum", ())),
    )


def _error(raw: dict[str, Json]) -> ErrorSpec:
    return ErrorSpec(code=raw["code"], http=raw["http"], description=raw.get("description") or raw.get("text") or "")
