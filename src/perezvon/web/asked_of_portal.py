"""Requests to the portals as people read them: without secrets, long texts cut, with what can be done about them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from perezvon.bitrix24.redaction import redact
from perezvon.bitrix24.remedy import remedy_of
from perezvon.bitrix24.values import mapping
from perezvon.delivery.mending import WAITS, may_be_sent
from perezvon.rules.vocabulary import Reason, Ref
from perezvon.storage.steps import State, Step

LONGEST_TEXT = 1000


@dataclass(frozen=True, slots=True)
class Asked:
    """One request to the portal. `params`, `answer`: JSON text, without secrets. `again`, `skip`: what can be done about
    it. `fix`: what to do, of one that was refused."""

    step: Step
    params: str
    answer: str
    error: str
    again: bool
    skip: bool
    fix: Reason | None


def asking(step: Step) -> Asked:
    dead = step.state is State.DEAD
    fix = remedy_of(mapping(step.result), application=True) if dead else None
    error = redact(step.error or "")
    skip = step.state in (*WAITS, State.DEAD)
    return Asked(step, shown(step.params), shown(step.result), error, may_be_sent(step), skip, fix)


def shown(value: object) -> str:
    """As JSON, to be read; without secrets, long texts cut."""
    return "" if value is None or value == {} else json.dumps(plain(value), ensure_ascii=False, indent=2)


def plain(value: object) -> object:
    match value:
        case Ref():
            return f"→ {value.kind.value}.{value.field}"
        case str():
            text = redact(value[: LONGEST_TEXT * 2])
            return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}… ({len(value)})"
        case Mapping():
            known = cast("Mapping[str, object]", value)
            return {name: "***" if _secret(name) else plain(one) for name, one in known.items()}
        case list() | tuple():
            return [plain(one) for one in cast("list[object]", value)]
        case _:
            return value


def _secret(name: str) -> bool:
    return name.casefold() in ("auth", "access_token", "refresh_token", "client_secret", "application_token", "token")
