"""Who may sign in: people, their sessions, tokens and one-time links; each change is noted in the audit log with it.

Between the pages and commands above and the tables below. What it raises is `PeopleError`, with what to tell.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.rules.vocabulary import Reason
from perezvon.settings.errors import KeyLost
from perezvon.storage import audit, people, visits
from perezvon.storage.audit import Entry
from perezvon.storage.database import Database
from perezvon.storage.errors import DatabaseGone, Unavailable
from perezvon.storage.people import Person
from perezvon.storage.visits import ApiToken, Session
from perezvon.storage.writer import Work
from perezvon.web import passwords
from perezvon.web.badges import Seal
from perezvon.web.deeds import Deed
from perezvon.web.first_link import LASTS, digest
from perezvon.web.rights import SCOPES, Right, Role
from perezvon.web.throttle import FREE_OF_LOGIN, FREE_OF_PEER, Throttle

IDLE = 3 * 86400.0
LASTING = 30 * 86400.0
"""Seconds: a session ends when it was not used for so long, and so long after it began."""

TICKET_LASTS = 300.0
"""Seconds between the password and the code."""

_TOUCH = 300.0
_AT_MOST = 1.0
TOKEN = "pzt_"  # noqa: S105  how our tokens begin, so that they can be told from badges


class PeopleError(Exception):
    """Cannot be done; `reason` says why and what to do."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(str(reason))
        self.reason = reason


class TooManyTries(PeopleError):
    pass


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something, and from where: for the audit log."""

    who: str
    peer: str = ""

    @property
    def host(self) -> str:
        """The address of the connection alone: what a proxy says may be anything."""
        return self.peer.partition(" ")[0]

    def did(self, at: float, action: Deed, subject: str = "", detail: str = "") -> Entry:
        return Entry(at, self.who, action.value, subject, detail[:2000], self.peer)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """`cookie`: what the browser keeps."""

    person: Person
    cookie: str


@dataclass(frozen=True, slots=True)
class CodeWanted:
    """The password was right; `ticket` says so for some minutes."""

    ticket: str


_WRONG = Reason("login or password are wrong")
_WRONG_CODE = Reason("this code is wrong, or was used already: wait for the next one")
_TOO_MANY = Reason("too many wrong tries: wait a few minutes")
_NO_LINK = Reason("this link was used already, or is out of date: ask for a new one (perezvon people reset LOGIN)")
_GONE = Reason("there is nobody with this name any more")
_LAST = Reason("there must be one administrator at least: make somebody else one first")
_TAKEN = Reason("somebody has this login already: take another one")
_NO_LOGIN = Reason("a login has 2 to 100 letters, digits, dots, hyphens, @ or underscores")


class People:
    def __init__(
        self, database: Database, seal: Seal, clock: Callable[[], float], throttle: Throttle | None = None
    ) -> None:
        self._database = database
        self._seal = seal
        self._clock = clock
        self._throttle = throttle or Throttle()
        self._known: bool | None = None

    async def anybody(self) -> bool:
        """Whether somebody has been added. Once that is so, it stays so: the last administrator cannot be taken away.

        While the database is in trouble, what was seen last holds: the pages have to tell of the trouble.
        """
        if not self._known:
            try:
                async with self._soon() as conn:
                    self._known = await people.any_at_all(conn)
            except Unavailable:
                if self._known is None:
                    raise
        return bool(self._known)

    @asynccontextmanager
    async def _soon(self) -> AsyncGenerator[AsyncConnection]:
        """For the gate: no page waits for a database that does not answer."""
        try:
            async with asyncio.timeout(_AT_MOST), self._database.glance() as conn:
                yield conn
        except TimeoutError:
            raise DatabaseGone(f"the database has not answered for {_AT_MOST:g} s") from None

    async def everybody(self) -> list[Person]:
        async with self._database.read() as conn:
            return await people.everybody(conn)

    async def get(self, person_id: int) -> Person:
        async with self._database.read() as conn:
            one = await people.get(conn, person_id)
        if one is None:
            raise PeopleError(_GONE)
        return one

    # Signing in

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
            raise PeopleError(_WRONG)
        self._throttle.take_back(f"peer {actor.host}")
        if one.totp is None:
            self._throttle.forgive(f"login {wanted}")
            return await self._begin(one, actor, agent)
        return CodeWanted(self._sealed("second factor", one.id))

    async def sign_in_with_code(self, ticket: str, code: str, actor: Actor, agent: str = "") -> SignedIn:
        """A code of the telephone, or one of the recovery codes, which is used up by it."""
        one = await self.get(self._unsealed("second factor", ticket)[0])
        if not one.active or one.totp is None:
            raise PeopleError(_WRONG)
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

    def _count(self, login: str, host: str) -> None:
        taken = self._throttle.takes(f"peer {host}", FREE_OF_PEER) and self._throttle.takes(f"login {login}", FREE_OF_LOGIN)
        if not taken:
            raise TooManyTries(_TOO_MANY)

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
                async with asyncio.timeout(_AT_MOST):
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
        _check_login(wanted)
        _check_password(password, wanted, name if whom is None else whom.name)
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

    # What an administrator does

    async def add(self, login: str, name: str, role: Role, actor: Actor) -> tuple[Person, str]:
        """The person, and what the one-time link holds."""
        wanted, now, link = tidy(login), self._clock(), secrets.token_urlsafe(24)
        _check_login(wanted)

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
                raise PeopleError(_GONE)
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
                raise PeopleError(_GONE)
            one = replace(one, password="", totp=None, recovery=(), active=True)
            await people.save(conn, one)
            await visits.end_all(conn, one.id)
            await people.invite(conn, digest(link), one.id, now + LASTS)
            await audit.note(conn, actor.did(now, Deed.PERSON_RESET, wanted))
            return one

        one = await self._database.write(work)
        self._throttle.forgive(f"login {one.login}")
        return one, link

    # One's own

    async def change_password(self, one: Person, old: str, new: str, session: str, actor: Actor) -> None:
        """All other sessions are over then."""
        await self._confirm(one, old, actor)
        _check_password(new, one.login, one.name)
        kept, now = await passwords.hashed(new), self._clock()

        async def work(conn: AsyncConnection) -> None:
            present = await people.get(conn, one.id)
            if present is None:
                raise PeopleError(_GONE)
            await people.save(conn, replace(present, password=kept))
            await visits.end_all(conn, one.id, but=session)
            await audit.note(conn, actor.did(now, Deed.PASSWORD_SET, one.login))

        await self._database.write(work)

    async def _confirm(self, one: Person, password: str, actor: Actor) -> None:
        self._count(one.login, actor.host)
        if not await passwords.right(password, one.password):
            raise PeopleError(Reason("your present password is another one"))
        self._throttle.take_back(f"peer {actor.host}")
        self._throttle.forgive(f"login {one.login}")

    def new_key(self, one: Person) -> tuple[str, str]:
        """A key for one-time codes, and the same sealed: it counts once a code of it was shown (`confirm_key`)."""
        key = passwords.fresh_key()
        return key, self._sealed("new key", one.id, key)

    def opened_key(self, one: Person, sealed: str) -> str:
        whose, key = self._unsealed("new key", sealed)
        if whose != one.id:
            raise PeopleError(_GONE)
        return key

    async def confirm_key(self, one: Person, sealed: str, code: str, actor: Actor) -> list[str]:
        """The recovery codes: shown once."""
        key = self.opened_key(one, sealed)
        half_minute = passwords.matching(key, code, self._clock(), 0)
        if half_minute is None:
            raise PeopleError(Reason("this code does not fit: is the clock of the telephone right?"))
        codes = passwords.recovery_codes()
        digests = tuple(passwords.recovery_digest(code) for code in codes)
        totp = self._seal.seal(f"{one.id} {key}".encode())

        async def work(conn: AsyncConnection) -> None:
            present = await people.get(conn, one.id)
            if present is None:
                raise PeopleError(_GONE)
            await people.save(conn, replace(present, totp=totp, totp_used=half_minute, recovery=digests))
            await audit.note(conn, actor.did(self._clock(), Deed.SECOND_FACTOR_ON, one.login))

        await self._database.write(work)
        return codes

    async def drop_key(self, one: Person, password: str, actor: Actor) -> None:
        await self._confirm(one, password, actor)

        async def work(conn: AsyncConnection) -> None:
            present = await people.get(conn, one.id)
            if present is None:
                raise PeopleError(_GONE)
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

    async def entries(self, limit: int, after: tuple[float, int] | None = None) -> list[Entry]:
        async with self._database.read() as conn:
            return await audit.read(conn, limit, after)

    async def _noted(self, actor: Actor, action: Deed, subject: str, detail: str = "") -> None:
        entry = actor.did(self._clock(), action, subject, detail)
        await self._database.write(lambda conn: audit.note(conn, entry))

    # What is handed out sealed and comes back

    def _sealed(self, purpose: str, person_id: int, told: str = "") -> str:
        content = {"for": purpose, "person": person_id, "told": told, "until": self._clock() + TICKET_LASTS}
        return self._seal.seal(json.dumps(content).encode()).decode("ascii")

    def _unsealed(self, purpose: str, sealed: str) -> tuple[int, str]:
        late = PeopleError(Reason("that took too long: begin again"))
        try:
            content: Any = json.loads(self._seal.unseal(sealed[:2000].encode("ascii", "replace")))
        except (KeyLost, ValueError):
            raise late from None
        if not isinstance(content, dict) or content.get("for") != purpose or content["until"] < self._clock():  # pyright: ignore[reportUnknownMemberType]
            raise late
        return content["person"], content["told"]  # pyright: ignore[reportUnknownVariableType]

    def _key(self, one: Person) -> str:
        assert one.totp is not None
        whose, _, key = self._seal.unseal(one.totp).decode().partition(" ")
        if whose != str(one.id):
            raise PeopleError(_WRONG)
        return key


def tidy(login: str) -> str:
    return login.replace("\0", "").encode("utf-8", "replace").decode().strip().casefold()


def _check_login(login: str) -> None:
    if not 2 <= len(login) <= 100 or not all(letter.isalnum() or letter in ".-_@" for letter in login):
        raise PeopleError(_NO_LOGIN)


def _check_password(password: str, login: str, name: str) -> None:
    if (why := passwords.weakness(password, login, name)) is not None:
        raise PeopleError(why)


def _differences(before: Person, after: Person) -> str:
    told = [
        f"{name}: {getattr(before, name)} → {getattr(after, name)}"
        for name in ("name", "role", "active")
        if getattr(before, name) != getattr(after, name)
    ]
    return "; ".join(told)
