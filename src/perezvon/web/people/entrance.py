"""Signing in and out, with a password, a code or a one-time link; and who comes with a cookie or a token."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.rules.vocabulary import Reason
from perezvon.storage import audit, people, visits
from perezvon.storage.errors import Unavailable
from perezvon.storage.people import Person
from perezvon.storage.visits import ApiToken, Session
from perezvon.storage.writer import Work
from perezvon.web import passwords
from perezvon.web.deeds import Deed
from perezvon.web.first_link import digest
from perezvon.web.people.roll import (
    AT_MOST,
    WRONG,
    Actor,
    PeopleError,
    Roll,
    check_login,
    check_password,
    tidy,
)
from perezvon.web.rights import Role

IDLE = 3 * 86400.0
LASTING = 30 * 86400.0
"""Seconds: a session ends when it was not used for so long, and so long after it began."""

_TOUCH = 300.0
TOKEN = "pzt_"  # noqa: S105  how our tokens begin, so that they can be told from badges

_WRONG_CODE = Reason("this code is wrong, or was used already: wait for the next one")
_NO_LINK = Reason("this link was used already, or is out of date: ask for a new one (perezvon people reset LOGIN)")


@dataclass(frozen=True, slots=True)
class SignedIn:
    """`cookie`: what the browser keeps."""

    person: Person
    cookie: str


@dataclass(frozen=True, slots=True)
class CodeWanted:
    """The password was right; `ticket` says so for some minutes."""

    ticket: str


class Entrance(Roll):
    async def sign_in(self, login: str, password: str, actor: Actor, agent: str = "") -> SignedIn | CodeWanted:
        """Raises PeopleError: all wrong tries look alike, and take the same time."""
        wanted = tidy(login)
        self._count(wanted, actor.host)
        async with self._database.read() as conn:
            one = await people.find(conn, wanted)
        kept = one.password if one is not None and one.active else ""
        if not await passwords.right(password, kept) or one is None:
            # Whoever types the password into the field of the login is not to find it in the list of changes.
            await self._noted(actor, Deed.SIGN_IN_FAILED, "" if one is None else one.login)
            raise PeopleError(WRONG)
        self._throttle.take_back(f"peer {actor.host}")
        if one.totp is None:
            self._throttle.forgive(f"login {wanted}")
            return await self._begin(one, actor, agent)
        return CodeWanted(self._sealed("second factor", one.id))

    async def sign_in_with_code(self, ticket: str, code: str, actor: Actor, agent: str = "") -> SignedIn:
        """A code of the telephone, or one of the recovery codes, which is used up by it."""
        one = await self.get(self._unsealed("second factor", ticket)[0])
        if not one.active or one.totp is None:
            raise PeopleError(WRONG)
        self._count(one.login, actor.host)
        if (half_minute := passwords.matching(self._key(one), code, self._clock(), one.totp_used)) is not None:
            changed = replace(one, totp_used=half_minute)
        elif (known := passwords.recovery_digest(code)) in one.recovery:
            changed = replace(one, recovery=tuple(kept for kept in one.recovery if kept != known))
        else:
            await self._noted(actor, Deed.SIGN_IN_FAILED, one.login, "code")
            raise PeopleError(_WRONG_CODE)

        async def still_as_it_was(conn: AsyncConnection) -> bool:
            if await people.get(conn, one.id) != one:  # the same code, in two windows at once
                return False
            await people.save(conn, changed)
            return True

        if not await self._database.write(still_as_it_was):
            raise PeopleError(_WRONG_CODE)
        self._throttle.take_back(f"peer {actor.host}")
        self._throttle.forgive(f"login {one.login}")
        detail = "" if changed.recovery == one.recovery else f"recovery code, {len(changed.recovery)} left"
        return await self._begin(changed, actor, agent, detail)

    async def _begin(self, one: Person, actor: Actor, agent: str, detail: str = "") -> SignedIn:
        cookie, now = secrets.token_urlsafe(32), self._clock()
        session = Session(digest(cookie), one.id, now, now, actor.peer, agent[:300])

        async def work(conn: AsyncConnection) -> None:
            await visits.sweep(conn, now - IDLE, now - LASTING)
            await visits.begin(conn, session)
            await audit.note(conn, replace(actor, who=one.login).did(now, Deed.SIGN_IN, one.login, detail))

        await self._database.write(work)
        return SignedIn(one, cookie)

    def _key(self, one: Person) -> str:
        assert one.totp is not None
        whose, _, key = self._seal.unseal(one.totp).decode().partition(" ")
        if whose != str(one.id):
            raise PeopleError(WRONG)
        return key

    async def sign_out(self, session: str, actor: Actor) -> None:
        async def work(conn: AsyncConnection) -> None:
            await visits.end(conn, session)
            await audit.note(conn, actor.did(self._clock(), Deed.SIGN_OUT, actor.who))

        await self._database.write(work)

    # Who asks

    async def visiting(self, cookie: str, peer: str) -> tuple[Session, Person] | None:
        """Whose cookie it is; None when it is nobody's, or out of date."""
        if not 20 <= len(cookie) <= 100:
            return None
        held, now = digest(cookie), self._clock()
        async with self._soon() as conn:
            found = await visits.session(conn, held)
        if found is None:
            return None
        session, one = found
        if not one.active or session.seen < now - IDLE or session.created < now - LASTING:
            return None
        if session.seen < now - _TOUCH:
            await self._aside(lambda conn: visits.seen(conn, held, now, peer))
        return session, one

    async def bearing(self, token: str) -> tuple[ApiToken, Person] | None:
        """Whose token of a program it is."""
        if len(token) > 100:
            return None
        now = self._clock()
        async with self._soon() as conn:
            known = await visits.token(conn, digest(token))
            one = await people.get(conn, known.person) if known is not None else None
        if known is None or one is None or not one.active or (known.expires is not None and known.expires <= now):
            return None
        if known.used is None or known.used < now - _TOUCH:
            await self._aside(lambda conn: visits.used(conn, known.id, now))
        return known, one

    async def _aside(self, work: Work[None]) -> None:
        """Nobody is kept waiting for this by a database that cannot be written just now."""
        if self._database.writer.trouble is None:
            with suppress(Unavailable, TimeoutError):
                async with asyncio.timeout(AT_MOST):
                    await self._database.write(work)

    # Links

    async def invited(self, link: str) -> Person | None:
        """Whom the link is for; None for the first administrator. Raises PeopleError when it is not good (any more)."""
        async with self._database.read() as conn:
            known = await people.invited(conn, digest(link), self._clock())
            if known is None:
                raise PeopleError(_NO_LINK)
            return None if known.person is None else await people.get(conn, known.person)

    async def accept(
        self, link: str, password: str, actor: Actor, login: str = "", name: str = "", agent: str = ""
    ) -> SignedIn:
        """The password is set, the link used up, all earlier sessions of this person are over."""
        whom = await self.invited(link)
        wanted = tidy(login) if whom is None else whom.login
        check_login(wanted)
        check_password(password, wanted, name if whom is None else whom.name)
        kept, now, held = await passwords.hashed(password), self._clock(), digest(link)

        async def work(conn: AsyncConnection) -> Person:
            known = await people.use(conn, held, now)
            if known is None or (known.person is None and await people.any_at_all(conn)):
                raise PeopleError(_NO_LINK)
            if known.person is None:
                fresh = Person(0, wanted, name.strip()[:200], Role.ADMINISTRATOR.value, now, kept)
                one = await people.add(conn, fresh)
                assert one is not None
            else:
                one = await people.get(conn, known.person)
                if one is None:
                    raise PeopleError(_NO_LINK)
                one = replace(one, password=kept)
                await people.save(conn, one)
                await visits.end_all(conn, one.id)
            await audit.note(conn, replace(actor, who=wanted).did(now, Deed.PASSWORD_SET, wanted, "one-time link"))
            return one

        one = await self._database.write(work)
        self._known = True
        self._throttle.forgive(f"login {one.login}")
        return await self._begin(one, actor, agent)
