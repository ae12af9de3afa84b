"""Recordings of ended calls on their way from the PBX to the portal.

State: new (to be found and converted, again after a failure) -> ready (our mp3 was queued for the portal), missing (the
PBX's file never came) or failed (it cannot be read). Where a call has several: new -> part (our mp3 waits to be joined with
the others) -> joined (it is in the file that was queued; its own is kept until the portal has that) -> ready; or part ->
spare (a longer one holds the same talk, or they could not be joined: the error says why). erased: deleted after the time
for which recordings are kept.
"""

from __future__ import annotations

import json
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
    PART = "part"
    JOINED = "joined"
    READY = "ready"
    SPARE = "spare"
    MISSING = "missing"
    FAILED = "failed"
    ERASED = "erased"


@dataclass(frozen=True, slots=True)
class Recording:
    """Times are POSIX seconds, UTC. `path`: as the PBX names it. `file`: our mp3; `seconds`: its length.

    `began`, `closed`: when the PBX told of it, and last changed its file. `joined`: the mp3 of the whole call, in which
    this part begins at the second `mark`; `talkers`: the extensions who talked with the client in it. `mode`: upload or
    link. A ready one without a file is the PBX's own, as it is. `found`: the name under which it was found at the PBX,
    where that is not `path`.
    """

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
    began: float | None = None
    closed: float | None = None
    joined: str = ""
    mark: float | None = None
    talkers: tuple[str, ...] = ()
    mode: str = "upload"
    found: str = ""

    @property
    def name(self) -> str:
        """Under which the PBX's file is found."""
        return self.found or self.path


@dataclass(frozen=True, slots=True)
class Mark:
    """Where one recording is in the joined file."""

    id: int
    began: float | None
    at: float
    talkers: Sequence[str]


LONGEST_WAIT = 900.0
"""Seconds for which a recording is postponed at most."""

_ADD = built_once(lambda insert: insert(recording).on_conflict_do_nothing(index_elements=["call", "path"]))
_LOOKED_AT = (RecordingState.NEW.value, RecordingState.PART.value, RecordingState.JOINED.value)
_GIVEN_UP = (RecordingState.MISSING.value, RecordingState.FAILED.value)
_DEALT_WITH = (RecordingState.READY.value, RecordingState.SPARE.value)
_DUES = recording.c.state.in_(_LOOKED_AT)
_DUE = (
    select(recording)
    .where(_DUES, recording.c.not_before <= bindparam("now"))
    .order_by(recording.c.not_before, recording.c.id)
    .limit(bindparam("most"))
)
_NEXT_DUE = select(func.min(recording.c.not_before)).where(_DUES, recording.c.not_before > bindparam("after"))
_OF_CALL = select(recording).where(recording.c.call == bindparam("of")).order_by(recording.c.id)
_ONE = recording.c.id == bindparam("one")
_TRIED: dict[str, Any] = {"attempts": recording.c.attempts + 1, "error": bindparam("why")}
_POSTPONE = update(recording).where(_ONE).values({**_TRIED, "not_before": bindparam("until")})
_SETTLE = (
    update(recording)
    .where(_ONE)
    .values({**_TRIED, "state": bindparam("to"), "file": bindparam("mp3"), "seconds": bindparam("length")})
)
_KEEP = (
    update(recording)
    .where(_ONE)
    .values(
        state=RecordingState.PART.value,
        file=bindparam("mp3"),
        seconds=bindparam("length"),
        closed=bindparam("changed"),
        not_before=bindparam("until"),
        attempts=0,
        error="",
    )
)
_OF_STATE = (recording.c.call == bindparam("of"), recording.c.state == bindparam("as"))
_HOLD = update(recording).where(*_OF_STATE).values(not_before=bindparam("until"))
_MARK = (
    update(recording)
    .where(_ONE)
    .values(
        state=RecordingState.JOINED.value,
        joined=bindparam("whole"),
        began=bindparam("told"),
        mark=bindparam("at"),
        talkers=bindparam("who"),
        not_before=bindparam("until"),
        attempts=0,
        error="",
    )
)
_ARRIVED = update(recording).where(*_OF_STATE)


async def add(
    conn: AsyncConnection, *, pbx: str, portal: str, paths: Sequence[tuple[str, str]], now: float, mode: str = "upload"
) -> None:
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
            "mode": mode,
        }
        for call, path in paths
    ]
    if rows:
        await conn.execute(_ADD(conn), rows)


async def due(conn: AsyncConnection, now: float, limit: int) -> list[Recording]:
    """Those to be converted, joined or cleared away whose moment has come, the longest due first."""
    return [_recording(row) for row in await conn.execute(_DUE, {"now": now, "most": limit})]


async def next_due(conn: AsyncConnection, after: float) -> float | None:
    """When the next one comes due, later than `after`."""
    return (await conn.execute(_NEXT_DUE, {"after": after})).scalar_one()


async def get(conn: AsyncConnection, recording_id: int) -> Recording | None:
    row = (await conn.execute(select(recording).where(recording.c.id == recording_id))).one_or_none()
    return None if row is None else _recording(row)


async def rename(conn: AsyncConnection, recording_id: int, path: str) -> None:
    """It is known now how the PBX calls it."""
    await conn.execute(update(recording).where(recording.c.id == recording_id).values(path=path))


async def found(conn: AsyncConnection, recording_id: int, name: str | None) -> None:
    """Under another name than its path; None: under that."""
    await conn.execute(update(recording).where(recording.c.id == recording_id).values(found=name))


async def kept_before(conn: AsyncConnection, moment: float, after: int, limit: int) -> list[Recording]:
    """Those of calls that ended before then and that are dealt with, by their ids from `after` on."""
    where = (recording.c.created < moment, recording.c.id > after, recording.c.state.in_(_DEALT_WITH))
    query = select(recording).where(*where).order_by(recording.c.id).limit(limit)
    return [_recording(row) for row in await conn.execute(query)]


async def erase(conn: AsyncConnection, recording_id: int) -> None:
    """-> erased: its files are gone."""
    values: dict[str, Any] = {"state": RecordingState.ERASED.value, "file": "", "joined": None, "error": ""}
    await conn.execute(update(recording).where(recording.c.id == recording_id).values(values))


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


async def keep(
    conn: AsyncConnection, recording_id: int, *, file: str, seconds: float, closed: float | None, not_before: float
) -> None:
    """new -> part."""
    told = {"one": recording_id, "mp3": file, "length": seconds, "changed": closed, "until": not_before}
    await conn.execute(_KEEP, told)


async def hold(conn: AsyncConnection, call: str, state: RecordingState, until: float) -> None:
    """Those of the call in that state are looked at then: later, or sooner."""
    await conn.execute(_HOLD, {"of": call, "as": state.value, "until": until})


async def mark(conn: AsyncConnection, joined: str, marks: Sequence[Mark], not_before: float) -> None:
    """-> joined."""
    rows = [
        {
            "one": one.id,
            "whole": joined,
            "told": one.began,
            "at": one.at,
            "who": json.dumps(list(one.talkers)),
            "until": not_before,
        }
        for one in marks
    ]
    if rows:
        await conn.execute(_MARK, rows)


async def arrived(conn: AsyncConnection, call: str, *, cleared: bool) -> None:
    """joined -> ready. `cleared`: their own mp3 are deleted."""
    values = {"state": RecordingState.READY.value, **({"file": ""} if cleared else {})}
    await conn.execute(_ARRIVED.values(values), {"of": call, "as": RecordingState.JOINED.value})


async def recover(conn: AsyncConnection, now: float) -> None:
    """At the start: those that wait for longer than anybody makes them wait were postponed by a clock that was set back."""
    await conn.execute(update(recording).where(_DUES, recording.c.not_before > now + LONGEST_WAIT).values(not_before=now))


async def retry(conn: AsyncConnection, recording_id: int, now: float) -> None:
    """A human wants a missing or failed one to be tried again."""
    where = (recording.c.id == recording_id, recording.c.state.in_(_GIVEN_UP))
    await conn.execute(
        update(recording).where(*where).values(state=RecordingState.NEW.value, not_before=now, created=now, attempts=0)
    )


async def count(conn: AsyncConnection) -> dict[RecordingState, int]:
    """For the status page."""
    rows = await conn.execute(select(recording.c.state, func.count()).group_by(recording.c.state))
    return {RecordingState(state): number for state, number in rows}


async def troubled(conn: AsyncConnection, limit: int = 50) -> list[Recording]:
    """Those with an error: what is given up first, then what may still come, each newest first."""
    may_come = recording.c.state.not_in(_GIVEN_UP)
    query = select(recording).where(recording.c.error != "").order_by(may_come, recording.c.id.desc()).limit(limit)
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
        began=row.began,
        closed=row.closed,
        joined=row.joined or "",
        mark=row.mark,
        talkers=tuple(json.loads(row.talkers or "[]")),
        mode=row.mode,
        found=row.found or "",
    )
