"""What an administrator does: people are added, changed, removed, and let in anew who are locked out."""

from __future__ import annotations

import secrets
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.rules.vocabulary import Reason
from perezvon.storage import audit, people, visits
from perezvon.storage.people import Person
from perezvon.web.deeds import Deed
from perezvon.web.first_link import LASTS, digest
from perezvon.web.people.roll import (
    GONE,
    Actor,
    PeopleError,
    Roll,
    check_login,
    tidy,
)
from perezvon.web.rights import Role

_LAST = Reason("there must be one administrator at least: make somebody else one first")
_TAKEN = Reason("somebody has this login already: take another one")


class Staff(Roll):
    async def add(self, login: str, name: str, role: Role, actor: Actor) -> tuple[Person, str]:
        """The person, and what the one-time link holds."""
        wanted, now, link = tidy(login), self._clock(), secrets.token_urlsafe(24)
        check_login(wanted)

        async def work(conn: AsyncConnection) -> Person:
            one = await people.add(conn, Person(0, wanted, name.strip()[:200], role.value, now))
            if one is None:
                raise PeopleError(_TAKEN)
            await people.invite(conn, digest(link), one.id, now + LASTS)
            await audit.note(conn, actor.did(now, Deed.PERSON_ADDED, wanted, f"role: {role.value}"))
            return one

        one = await self._database.write(work)
        self._known = True
        return one, link

    async def change(self, person_id: int, actor: Actor, *, name: str, role: Role, active: bool) -> Person:
        """A person who is switched off is signed out everywhere."""
        now = self._clock()

        async def work(conn: AsyncConnection) -> Person:
            before = await people.get(conn, person_id)
            if before is None:
                raise PeopleError(GONE)
            after = replace(before, name=name.strip()[:200], role=role.value, active=active)
            await people.save(conn, after)
            if await people.administrators(conn) == 0:
                raise PeopleError(_LAST)
            if not active:
                await visits.end_all(conn, person_id)
            if detail := _differences(before, after):
                await audit.note(conn, actor.did(now, Deed.PERSON_CHANGED, before.login, detail))
            return after

        return await self._database.write(work)

    async def remove(self, person_id: int, actor: Actor) -> None:
        async def work(conn: AsyncConnection) -> None:
            one = await people.get(conn, person_id)
            if one is None:
                return
            await people.remove(conn, person_id)
            if await people.administrators(conn) == 0:
                raise PeopleError(_LAST)
            await audit.note(conn, actor.did(self._clock(), Deed.PERSON_REMOVED, one.login))

        await self._database.write(work)

    async def reset(self, login: str, actor: Actor) -> tuple[Person, str]:
        """For who is locked out: password, second factor and sessions are gone, a one-time link is made."""
        wanted, now, link = tidy(login), self._clock(), secrets.token_urlsafe(24)

        async def work(conn: AsyncConnection) -> Person:
            one = await people.find(conn, wanted)
            if one is None:
                raise PeopleError(GONE)
            one = replace(one, password="", totp=None, recovery=(), active=True)
            await people.save(conn, one)
            await visits.end_all(conn, one.id)
            await people.invite(conn, digest(link), one.id, now + LASTS)
            await audit.note(conn, actor.did(now, Deed.PERSON_RESET, wanted))
            return one

        one = await self._database.write(work)
        self._throttle.forgive(f"login {one.login}")
        return one, link


def _differences(before: Person, after: Person) -> str:
    told = [
        f"{name}: {getattr(before, name)} → {getattr(after, name)}"
        for name in ("name", "role", "active")
        if getattr(before, name) != getattr(after, name)
    ]
    return "; ".join(told)
