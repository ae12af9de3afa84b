"""The roll of people, and what all that is done with it needs: the tables, the clock, the count of wrong tries, the seal.

The rooms beside this one build upon `Roll`; `People` joins them. All raise `PeopleError`, with what to tell.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.rules.vocabulary import Reason
from perezvon.settings.errors import KeyLost
from perezvon.storage import audit, people
from perezvon.storage.audit import Entry
from perezvon.storage.database import Database
from perezvon.storage.errors import DatabaseGone, Unavailable
from perezvon.storage.people import Person
from perezvon.web import passwords
from perezvon.web.badges import Seal
from perezvon.web.deeds import Deed
from perezvon.web.throttle import FREE_OF_LOGIN, FREE_OF_PEER, Throttle, source

TICKET_LASTS = 300.0
"""Seconds between the password and the code."""

ACCOUNTS = tuple(
    deed.value
    for deed in (
        *(Deed.SIGN_IN, Deed.SIGN_IN_FAILED, Deed.PASSWORD_SET, Deed.SECOND_FACTOR_ON, Deed.SECOND_FACTOR_OFF),
        *(Deed.SESSION_ENDED, Deed.PERSON_CHANGED, Deed.PERSON_RESET),
    )
)
"""Deeds of which the subject is whose account it is."""

AT_MOST = 1.0
"""Seconds that a page waits for the database before it goes without."""


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
        """Whose tries are counted: what was passed on may be anything."""
        return source(self.peer.partition(" ")[0])

    def did(self, at: float, action: Deed, subject: str = "", detail: str = "") -> Entry:
        return Entry(at, self.who, action.value, subject, detail[:2000], self.peer)


WRONG = Reason("login or password are wrong")
GONE = Reason("there is nobody with this name any more")
TOO_MANY = Reason("too many wrong tries: wait a few minutes")
NO_LOGIN = Reason("a login has 2 to 100 letters, digits, dots, hyphens, @ or underscores")


class Roll:
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
            async with asyncio.timeout(AT_MOST), self._database.glance() as conn:
                yield conn
        except TimeoutError:
            raise DatabaseGone(f"the database has not answered for {AT_MOST:g} s") from None

    async def everybody(self) -> list[Person]:
        async with self._database.read() as conn:
            return await people.everybody(conn)

    async def get(self, person_id: int) -> Person:
        async with self._database.read() as conn:
            one = await people.get(conn, person_id)
        if one is None:
            raise PeopleError(GONE)
        return one

    async def about(self, login: str, limit: int = 10) -> list[Entry]:
        """What has happened to this account, the newest first."""
        async with self._database.read() as conn:
            return await audit.about(conn, login, ACCOUNTS, limit)

    async def entries(self, limit: int, after: tuple[float, int] | None = None) -> list[Entry]:
        async with self._database.read() as conn:
            return await audit.read(conn, limit, after)

    # For the rooms that build upon this

    def _count(self, login: str, host: str) -> None:
        taken = self._throttle.takes(f"peer {host}", FREE_OF_PEER) and self._throttle.takes(f"login {login}", FREE_OF_LOGIN)
        if not taken:
            raise TooManyTries(TOO_MANY)

    async def _confirm(self, one: Person, password: str, actor: Actor) -> None:
        self._count(one.login, actor.host)
        if not await passwords.right(password, one.password):
            raise PeopleError(Reason("your present password is another one"))
        self._throttle.take_back(f"peer {actor.host}")
        self._throttle.forgive(f"login {one.login}")

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


def tidy(login: str) -> str:
    return login.replace("\0", "").encode("utf-8", "replace").decode().strip().casefold()


def check_login(login: str) -> None:
    if not 2 <= len(login) <= 100 or not all(letter.isalnum() or letter in ".-_@" for letter in login):
        raise PeopleError(NO_LOGIN)


def check_password(password: str, login: str, name: str) -> None:
    if (why := passwords.weakness(password, login, name)) is not None:
        raise PeopleError(why)
