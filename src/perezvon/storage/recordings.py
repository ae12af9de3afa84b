"""Recordings of ended calls on their way from the PBX to the portal.

State: new (to be found and converted, again after a failure) -> ready (our mp3 was queued for the portal), spare (a longer
recording of the same call was queued instead), missing (the PBX's file never came) or failed (it cannot be read).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.storage.insert import built_once
from perezvon.storage.schema import recording


class RecordingState(StrEnum):
    NEW = "new"
    READY = "ready"
    SPARE = "spare"
    MISSING = "missing"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Recording:
    """Times are POSIX seconds, UTC. `path`: as the PBX names it. `file`: our mp3; `seconds`: its length."""

    id: int
    call: str
    pbx: str
    portal: str
    path: str
    state: RecordingState
    file: str
    seconds: float
    attempts: int
    not_before: float
    created: float
    error: str


_ADD = built_once(lambda insert: insert(recording).on_conflict_do_nothing(index_elements=["call", "path"]))
_NEW = recording.c.state == RecordingState.NEW.value
_DUE = (
    select(recording)
    .where(_NEW, recording.c.not_before <= bindparam("now"))
    .order_by(recording.c.not_before, recording.c.id)
    .limit(bindparam("most"))
)
_NEXT_DUE = select(func.min(recording.c.not_before)).where(_NEW, recording.c.not_before > bindparam("after"))
_OF_CALL = select(recording).where(recording.c.call == bindparam("of")).order_by(recording.c.id)
_ONE = recording.c.id == bindparam("one")
_TRIED: dict[str, Any] = {"attempts": recording.c.attempts + 1, "error": bindparam("why")}
_POSTPONE = update(recording).where(_ONE).values({**_TRIED, "not_before": bindparam("until")})
_SETTLE = (
    update(recording)
    .where(_ONE)
    .values({**_TRIED, "state": bindparam("to"), "file": bindparam("mp3"), "seconds": bindparam("length")})
)


async def add(conn: AsyncConnection, *, pbx: str, portal: str, paths: Sequence[tuple[str, str]], now: float) -> None:
    """With the calls' ends, in the same transaction as their last steps. `paths`: each with its call before it; one that
    the call has already is left alone."""
    rows = [
        {
            "call": call,
            "pbx": pbx,
            "portal": portal,
            "path": path,
            "state": RecordingState.NEW.value,
            "file": "",
            "seconds": 0.0,
            "attempts": 0,
            "not_before": now,
            "created": now,
            "error": "",
        }
        for call, path in paths
    ]
    if rows:
        await conn.execute(_ADD(conn), rows)


async def due(conn: AsyncConnection, now: float, limit: int) -> list[Recording]:
    """New ones whose moment has come, the longest due first."""
    return [_recording(row) for row in await conn.execute(_DUE, {"now": now, "most": limit})]


async def next_due(conn: AsyncConnection, after: float) -> float | None:
    """When the next new one comes due, later than `after`."""
    return (await conn.execute(_NEXT_DUE, {"after": after})).scalar_one()


async def of_call(conn: AsyncConnection, call: str) -> list[Recording]:
    return [_recording(row) for row in await conn.execute(_OF_CALL, {"of": call})]


async def postpone(conn: AsyncConnection, recording_id: int, *, not_before: float, error: str) -> None:
    """A try has failed; there will be another."""
    await conn.execute(_POSTPONE, {"one": recording_id, "until": not_before, "why": error})


async def settle(
    conn: AsyncConnection, recording_id: int, to: RecordingState, *, file: str = "", seconds: float = 0.0, error: str = ""
) -> None:
    told = {"one": recording_id, "to": to.value, "mp3": file, "length": seconds, "why": error}
    await conn.execute(_SETTLE, told)


async def retry(conn: AsyncConnection, recording_id: int, now: float) -> None:
    """A human wants a missing or failed one to be tried again."""
    given_up = (RecordingState.MISSING.value, RecordingState.FAILED.value)
    where = (recording.c.id == recording_id, recording.c.state.in_(given_up))
    await conn.execute(
        update(recording).where(*where).values(state=RecordingState.NEW.value, not_before=now, created=now, attempts=0)
    )


async def count(conn: AsyncConnection) -> dict[RecordingState, int]:
    """For the status page."""
    rows = await conn.execute(select(recording.c.state, func.count()).group_by(recording.c.state))
    return {RecordingState(state): number for state, number in rows}


async def troubled(conn: AsyncConnection, limit: int = 50) -> list[Recording]:
    """Those with an error, newest first."""
    query = select(recording).where(recording.c.error != "").order_by(recording.c.id.desc()).limit(limit)
    return [_recording(row) for row in await conn.execute(query)]


def _recording(row: Row[Any]) -> Recording:
    return Recording(
        id=row.id,
        call=row.call,
        pbx=row.pbx,
        portal=row.portal,
        path=row.path,
        state=RecordingState(row.state),
        file=row.file,
        seconds=row.seconds,
        attempts=row.attempts,
        not_before=row.not_before,
        created=row.created,
        error=row.error,
    )
