"""Which call of ours the portal means by its CALL_ID, and to whom it has shown the card: for our tab in that card."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.storage.schema import call, click, step

_OURS = re.compile(r"externalCall\.[0-9a-f]{32}\.(\d{9,11})", re.ASCII)
EARLIER, LATER = 4 * 3600.0, 600.0
"""Seconds around the portal's registration in which the call began: a call registered late began long before."""


@dataclass(frozen=True, slots=True)
class Shown:
    """`users`: of the portal, to whom it belongs or its card was shown."""

    call: str
    pbx: str
    users: frozenset[str]


async def find(conn: AsyncConnection, portal: str, portal_call: str) -> Shown | None:
    known = _OURS.fullmatch(portal_call)
    if known is None:
        return None
    users: set[str] = set()
    clicked = select(click.c.call, click.c.user_id).where(click.c.portal == portal, click.c.portal_call == portal_call)
    row = (await conn.execute(clicked)).one_or_none()
    if row is not None and row.call:
        found: str | None = row.call
        users.add(row.user_id)
    else:
        at = float(known[1])
        registered = (
            select(step.c.lane)
            .join(call, call.c.id == step.c.lane)
            .where(
                call.c.started >= at - EARLIER,
                call.c.started <= at + LATER,
                step.c.portal == portal,
                step.c.kind == "register",
                step.c.result.contains(f'"{portal_call}"', autoescape=True),
            )
            .limit(1)
        )
        found = (await conn.execute(registered)).scalar_one_or_none()
    if found is None:
        return None
    pbx = (await conn.execute(select(call.c.pbx).where(call.c.id == found))).scalar_one_or_none()
    if pbx is None:
        return None
    shown = select(step.c.params).where(step.c.lane == found, step.c.kind.in_(("register", "show", "finish")))
    for params in (await conn.execute(shown)).scalars():
        users.update(_users(json.loads(params).get("USER_ID")))
    return Shown(found, pbx, frozenset(users))


def _users(told: Any) -> Iterable[str]:
    if isinstance(told, list):
        return [str(one) for one in told if isinstance(one, str | int)]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return [str(told)] if isinstance(told, str | int) else []
