"""Signed-in browsers and the tokens of programs. Digests of what they show are kept, never that itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.storage.people import Person, read
from perezvon.storage.schema import api_token, person, web_session


@dataclass(frozen=True, slots=True)
class Session:
    """`seen`: when it was last used, to some minutes."""

    digest: str
    person: int
    created: float
    seen: float
    peer: str = ""
    agent: str = ""


@dataclass(frozen=True, slots=True)
class ApiToken:
    """`scopes`: rights that it has as far as its person has them. `expires`: None for never."""

    id: int
    digest: str
    person: int
    name: str
    scopes: tuple[str, ...]
    created: float
    expires: float | None = None
    used: float | None = None


async def begin(conn: AsyncConnection, session: Session) -> None:
    await conn.execute(web_session.insert().values({name: getattr(session, name) for name in Session.__slots__}))


async def session(conn: AsyncConnection, digest: str) -> tuple[Session, Person] | None:
    """With whose it is; also one that is out of date."""
    query = select(web_session, person).join(person, web_session.c.person == person.c.id)
    row = (await conn.execute(_named(query).where(web_session.c.digest == digest))).one_or_none()
    return None if row is None else (_session(row), read(row))


def _named(query: Any) -> Any:
    """Both tables have `created`: the session's gets another name."""
    of_session = [column.label(f"s_{column.name}") for column in web_session.c]
    return query.with_only_columns(*of_session, *person.c)


async def seen(conn: AsyncConnection, digest: str, now: float, peer: str) -> None:
    await conn.execute(web_session.update().where(web_session.c.digest == digest).values(seen=now, peer=peer))


async def sessions(conn: AsyncConnection, person_id: int) -> list[Session]:
    """The one that was used last first."""
    of_session = [column.label(f"s_{column.name}") for column in web_session.c]
    query = select(*of_session).where(web_session.c.person == person_id).order_by(web_session.c.seen.desc())
    return [_session(row) for row in await conn.execute(query)]


async def end(conn: AsyncConnection, digest: str) -> None:
    await conn.execute(web_session.delete().where(web_session.c.digest == digest))


async def end_all(conn: AsyncConnection, person_id: int, *, but: str = "") -> None:
    await conn.execute(web_session.delete().where(web_session.c.person == person_id, web_session.c.digest != but))


async def sweep(conn: AsyncConnection, idle: float, oldest: float) -> None:
    """Those not used since `idle`, and those begun before `oldest` (POSIX seconds)."""
    await conn.execute(web_session.delete().where((web_session.c.seen < idle) | (web_session.c.created < oldest)))


async def add_token(conn: AsyncConnection, token: ApiToken) -> int:
    values = {name: getattr(token, name) for name in ApiToken.__slots__ if name != "id"}
    values["scopes"] = json.dumps(list(token.scopes))
    return (await conn.execute(api_token.insert().values(values).returning(api_token.c.id))).scalar_one()


async def token(conn: AsyncConnection, digest: str) -> ApiToken | None:
    row = (await conn.execute(select(api_token).where(api_token.c.digest == digest))).one_or_none()
    return None if row is None else _token(row)


async def tokens(conn: AsyncConnection, person_id: int) -> list[ApiToken]:
    query = select(api_token).where(api_token.c.person == person_id).order_by(api_token.c.id)
    return [_token(row) for row in await conn.execute(query)]


async def used(conn: AsyncConnection, token_id: int, now: float) -> None:
    await conn.execute(api_token.update().where(api_token.c.id == token_id).values(used=now))


async def drop_token(conn: AsyncConnection, token_id: int, person_id: int) -> bool:
    """False when this person has none of this id."""
    its = (api_token.c.id == token_id) & (api_token.c.person == person_id)
    return (await conn.execute(api_token.delete().where(its).returning(api_token.c.id))).one_or_none() is not None


def _session(row: Row[Any]) -> Session:
    return Session(row.s_digest, row.s_person, row.s_created, row.s_seen, row.s_peer, row.s_agent)


def _token(row: Row[Any]) -> ApiToken:
    scopes = tuple(str(scope) for scope in json.loads(row.scopes))
    return ApiToken(row.id, row.digest, row.person, row.name, scopes, row.created, row.expires, row.used)
