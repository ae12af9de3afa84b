"""One's own: password, second factor, sessions, tokens for programs."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.rules.vocabulary import Reason
from perezvon.storage import audit, people, visits
from perezvon.storage.people import Person
from perezvon.storage.visits import ApiToken, Session
from perezvon.web import passwords
from perezvon.web.deeds import Deed
from perezvon.web.first_link import digest
from perezvon.web.people.entrance import IDLE, LASTING, TOKEN
from perezvon.web.people.roll import (
    GONE,
    Actor,
    PeopleError,
    Roll,
    check_password,
)
from perezvon.web.rights import SCOPES, Right


class Own(Roll):
    async def change_password(self, one: Person, old: str, new: str, session: str, actor: Actor) -> None:
        """All other sessions are over then."""
        await self._confirm(one, old, actor)
        check_password(new, one.login, one.name)
        kept, now = await passwords.hashed(new), self._clock()

        async def work(conn: AsyncConnection) -> None:
            present = await people.get(conn, one.id)
            if present is None:
                raise PeopleError(GONE)
            await people.save(conn, replace(present, password=kept))
            await visits.end_all(conn, one.id, but=session)
            await audit.note(conn, actor.did(now, Deed.PASSWORD_SET, one.login))

        await self._database.write(work)

    def new_key(self, one: Person) -> tuple[str, str]:
        """A key for one-time codes, and the same sealed: it counts once a code of it was shown (`confirm_key`)."""
        key = passwords.fresh_key()
        return key, self._sealed("new key", one.id, key)

    def opened_key(self, one: Person, sealed: str) -> str:
        whose, key = self._unsealed("new key", sealed)
        if whose != one.id:
            raise PeopleError(GONE)
        return key

    async def confirm_key(self, one: Person, sealed: str, code: str, actor: Actor, password: str = "") -> list[str]:
        """The recovery codes: shown once. `password`: the present one, wanted where another key is in use."""
        key = self.opened_key(one, sealed)
        if one.totp is not None:
            await self._confirm(one, password, actor)
        half_minute = passwords.matching(key, code, self._clock(), 0)
        if half_minute is None:
            raise PeopleError(Reason("this code does not fit: is the clock of the telephone right?"))
        codes = passwords.recovery_codes()
        digests = tuple(passwords.recovery_digest(code) for code in codes)
        totp = self._seal.seal(f"{one.id} {key}".encode())

        async def work(conn: AsyncConnection) -> None:
            present = await people.get(conn, one.id)
            if present is None or present.totp != one.totp:
                raise PeopleError(GONE)
            await people.save(conn, replace(present, totp=totp, totp_used=half_minute, recovery=digests))
            await audit.note(conn, actor.did(self._clock(), Deed.SECOND_FACTOR_ON, one.login))

        await self._database.write(work)
        return codes

    async def drop_key(self, one: Person, password: str, actor: Actor) -> None:
        await self._confirm(one, password, actor)

        async def work(conn: AsyncConnection) -> None:
            present = await people.get(conn, one.id)
            if present is None:
                raise PeopleError(GONE)
            await people.save(conn, replace(present, totp=None, recovery=()))
            await audit.note(conn, actor.did(self._clock(), Deed.SECOND_FACTOR_OFF, one.login))

        await self._database.write(work)

    async def sessions(self, person_id: int) -> list[Session]:
        """Those that are still good."""
        now = self._clock()
        async with self._database.read() as conn:
            known = await visits.sessions(conn, person_id)
        return [one for one in known if one.seen >= now - IDLE and one.created >= now - LASTING]

    async def end_session(self, person: Person, session: str, actor: Actor) -> None:
        """Of this person; `session` (its digest) "" ends all."""

        async def work(conn: AsyncConnection) -> None:
            if not session:
                await visits.end_all(conn, person.id)
            elif session in {one.digest for one in await visits.sessions(conn, person.id)}:
                await visits.end(conn, session)
            else:
                return
            await audit.note(conn, actor.did(self._clock(), Deed.SESSION_ENDED, person.login, "" if session else "all"))

        await self._database.write(work)

    async def tokens(self, person_id: int) -> list[ApiToken]:
        async with self._database.read() as conn:
            return await visits.tokens(conn, person_id)

    async def make_token(self, one: Person, name: str, scopes: Iterable[Right], days: int | None, actor: Actor) -> str:
        """The token: shown once."""
        chosen = tuple(scope.value for scope in SCOPES if scope in set(scopes))
        if not chosen or not name.strip():
            raise PeopleError(Reason("a token needs a name and one right at least"))
        token, now = TOKEN + secrets.token_urlsafe(32), self._clock()
        expires = None if days is None else now + days * 86400.0
        kept = ApiToken(0, digest(token), one.id, name.strip()[:100], chosen, now, expires)

        async def work(conn: AsyncConnection) -> None:
            await visits.add_token(conn, kept)
            await audit.note(conn, actor.did(now, Deed.TOKEN_MADE, kept.name, ", ".join(chosen)))

        await self._database.write(work)
        return token

    async def drop_token(self, one: Person, token_id: int, actor: Actor) -> None:
        async def work(conn: AsyncConnection) -> None:
            names = {token.id: token.name for token in await visits.tokens(conn, one.id)}
            if await visits.drop_token(conn, token_id, one.id):
                await audit.note(conn, actor.did(self._clock(), Deed.TOKEN_WITHDRAWN, names.get(token_id, ""), one.login))

        await self._database.write(work)
