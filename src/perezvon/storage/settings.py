"""Every saved version of the settings, oldest first by id. The body is the settings' own JSON, secrets sealed by them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.storage.schema import setting_version


@dataclass(frozen=True, slots=True)
class SettingVersion:
    """`at`: POSIX seconds, UTC. `body` is "" in a `history`."""

    id: int
    at: float
    who: str
    note: str
    body: str


async def save(conn: AsyncConnection, *, at: float, who: str, note: str, body: str) -> int:
    """The new version's id."""
    statement = setting_version.insert().values(at=at, who=who, note=note, body=body).returning(setting_version.c.id)
    return (await conn.execute(statement)).scalar_one()


async def latest(conn: AsyncConnection) -> SettingVersion | None:
    row = (await conn.execute(select(setting_version).order_by(setting_version.c.id.desc()).limit(1))).one_or_none()
    return None if row is None else _version(row)


async def get(conn: AsyncConnection, version: int) -> SettingVersion | None:
    row = (await conn.execute(select(setting_version).where(setting_version.c.id == version))).one_or_none()
    return None if row is None else _version(row)


async def history(conn: AsyncConnection, limit: int = 50, before: int | None = None) -> list[SettingVersion]:
    """Newest first, without bodies. `before`: the last id of the page before."""
    query = select(setting_version.c.id, setting_version.c.at, setting_version.c.who, setting_version.c.note)
    if before is not None:
        query = query.where(setting_version.c.id < before)
    rows = await conn.execute(query.order_by(setting_version.c.id.desc()).limit(limit))
    return [SettingVersion(row.id, row.at, row.who, row.note, "") for row in rows]


def _version(row: Row[tuple[object, ...]]) -> SettingVersion:
    return SettingVersion(row.id, row.at, row.who, row.note, row.body)
