"""People who may sign in to the pages, and the one-time links with which they set a password.

Only digests of what a link holds are kept; what it holds is in nobody's hands but the invited person's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Row, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.storage.schema import invitation, person


@dataclass(frozen=True, slots=True)
class Person:
    """`role`: administrator | supervisor | observer (web/rights.py). `password`: argon2, "" while none is set. `totp`:
    sealed, None where no second factor is wanted. `totp_used`: the last half minute since 1970 whose code was taken.
    `recovery`: digests of the codes that are left."""

    id: int
    login: str
    name: str
    role: str
    created: float
    password: str = ""
    totp: bytes | None = None
    totp_used: int = 0
    recovery: tuple[str, ...] = ()
    active: bool = True


async def add(conn: AsyncConnection, one: Person) -> Person | None:
    """With the id that it gets here; None when there is somebody with this login."""
    if await find(conn, one.login) is not None:
        return None
    values = {name: value for name, value in _values(one).items() if name != "id"}
    made = (await conn.execute(person.insert().values(values).returning(person.c.id))).scalar_one()
    return replace(one, id=made)


async def save(conn: AsyncConnection, one: Person) -> None:
    await conn.execute(person.update().where(person.c.id == one.id).values(_values(one)))


async def remove(conn: AsyncConnection, person_id: int) -> None:
    """With the sessions, tokens and links."""
    await conn.execute(person.delete().where(person.c.id == person_id))


async def find(conn: AsyncConnection, login: str) -> Person | None:
    row = (await conn.execute(select(person).where(person.c.login == login))).one_or_none()
    return None if row is None else read(row)


async def get(conn: AsyncConnection, person_id: int) -> Person | None:
    row = (await conn.execute(select(person).where(person.c.id == person_id))).one_or_none()
    return None if row is None else read(row)


async def everybody(conn: AsyncConnection) -> list[Person]:
    return [read(row) for row in await conn.execute(select(person).order_by(person.c.login))]


async def any_at_all(conn: AsyncConnection) -> bool:
    return (await conn.execute(select(person.c.id).limit(1))).one_or_none() is not None


async def administrators(conn: AsyncConnection) -> int:
    """How many are active."""
    query = select(func.count()).where(person.c.role == "administrator", person.c.active.is_(True))
    return (await conn.execute(query)).scalar_one()


async def invite(conn: AsyncConnection, digest: str, person_id: int | None, expires: float) -> None:
    """In the place of every earlier link of the same person. `person_id` None: for the first administrator."""
    its = invitation.c.person.is_(None) if person_id is None else invitation.c.person == person_id
    await conn.execute(invitation.delete().where(its))
    await conn.execute(invitation.insert().values(digest=digest, person=person_id, expires=expires))


@dataclass(frozen=True, slots=True)
class Invitation:
    """`person`: None for the first administrator."""

    person: int | None


async def invited(conn: AsyncConnection, digest: str, now: float) -> Invitation | None:
    query = select(invitation.c.person).where(invitation.c.digest == digest, invitation.c.expires > now)
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else Invitation(row.person)


async def use(conn: AsyncConnection, digest: str, now: float) -> Invitation | None:
    """Only once: the link is gone after it."""
    statement = (
        invitation.delete().where(invitation.c.digest == digest).returning(invitation.c.person, invitation.c.expires)
    )
    row = (await conn.execute(statement)).one_or_none()
    return None if row is None or row.expires <= now else Invitation(row.person)


async def withdraw(conn: AsyncConnection, now: float, *, first: bool = False) -> None:
    """Links that are out of date; `first`: also those for the first administrator."""
    old = invitation.c.expires <= now
    await conn.execute(invitation.delete().where(or_(old, invitation.c.person.is_(None)) if first else old))


def _values(one: Person) -> dict[str, Any]:
    values: dict[str, Any] = {column.name: getattr(one, column.name) for column in person.c}
    return values | {"recovery": json.dumps(list(one.recovery))}


def read(row: Row[Any]) -> Person:
    return Person(
        id=row.id,
        login=row.login,
        name=row.name,
        role=row.role,
        created=row.created,
        password=row.password,
        totp=row.totp,
        totp_used=row.totp_used,
        recovery=_codes(json.loads(row.recovery)),
        active=bool(row.active),
    )


def _codes(known: Iterable[Any]) -> tuple[str, ...]:
    return tuple(str(code) for code in known)
