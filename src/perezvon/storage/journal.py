"""The journal: every fact that the tracker told of a call, kept as told, so that a stored call can be planned anew."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, get_args

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.calls.facts import Fact
from perezvon.rules.vocabulary import Reason
from perezvon.storage.schema import fact

DECISION = "Decision"

_FORMS: dict[str, TypeAdapter[Any]] = {kind.__name__: TypeAdapter(kind) for kind in get_args(Fact)}


_APPEND = fact.insert()


async def append(
    conn: AsyncConnection,
    facts: Iterable[Fact],
    at: float = 0.0,
    decisions: Iterable[tuple[str, Reason, Sequence[str]]] = (),
) -> None:
    """Facts, and what was decided on them `at` that moment: each decision with its call, its reason and the keys of the
    steps that came of it. The calls must have been saved before (or in the same transaction)."""
    rows = [{"call": told.call, "at": told.at, "kind": type(told).__name__, "body": _json(told)} for told in facts]
    rows += [
        {"call": call_id, "at": at, "kind": DECISION, "body": _decision(reason, keys)}
        for call_id, reason, keys in decisions
    ]
    if rows:
        await conn.execute(_APPEND, rows)


async def decisions(conn: AsyncConnection, call_id: str) -> list[tuple[float, str, list[str]]]:
    """Moment, reason, keys of the steps; in the order in which they were made."""
    query = select(fact.c.at, fact.c.body).where(fact.c.call == call_id, fact.c.kind == DECISION).order_by(fact.c.id)
    found = [(row.at, json.loads(row.body)) for row in await conn.execute(query)]
    return [(at, body["reason"], body["steps"]) for at, body in found]


async def reasons(conn: AsyncConnection, call_id: str) -> list[tuple[float, Reason, list[str]]]:
    """The same, to be told in any language; but for decisions of earlier versions, which kept them in English."""
    query = select(fact.c.at, fact.c.body).where(fact.c.call == call_id, fact.c.kind == DECISION).order_by(fact.c.id)
    found = [(row.at, json.loads(row.body)) for row in await conn.execute(query)]
    return [
        (at, Reason(**body["told"]) if "told" in body else Reason("{reason}", {"reason": body["reason"]}), body["steps"])
        for at, body in found
    ]


async def read(conn: AsyncConnection, call_id: str) -> list[Fact]:
    """In the order in which they were told."""
    query = select(fact.c.kind, fact.c.body).where(fact.c.call == call_id, fact.c.kind != DECISION).order_by(fact.c.id)
    return [_FORMS[row.kind].validate_json(row.body) for row in await conn.execute(query)]


def _decision(reason: Reason, keys: Sequence[str]) -> str:
    told = {"text": reason.text, "args": {name: str(value) for name, value in reason.args.items()}}
    return json.dumps({"reason": str(reason), "told": told, "steps": list(keys)})


def _json(told: Fact) -> str:
    """Halves of surrogate pairs become question marks: they could not be read back."""
    try:
        return _FORMS[type(told).__name__].dump_json(told).decode()
    except PydanticSerializationError:
        pass
    return json.dumps(asdict(told), ensure_ascii=False).encode("utf-8", "replace").decode("utf-8")
