"""The gate: who asks, and may he. Every route passes here, before anything of it runs (see rights.py).

Who asks is told by a session's cookie (pages), a token (`Authorization: Bearer pzt_…`, programs), an employee's badge (the
buttons of a call's card, badges.py), or the password of the settings (`web.password`, Basic). While nobody has been added
and no password is set, this machine is let in without any.

What changes something is refused when a page of somebody else made the browser ask, and, where a cookie says who asks, when
the session's own token is not with it: in the header X-CSRF-Token, or in the form's field `csrf`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import structlog
from starlette.requests import HTTPConnection, Request

from perezvon.conference import Employee, Operator
from perezvon.storage.people import Person
from perezvon.web.access import Access, Verdict, is_foreign
from perezvon.web.badges import BadBadge, Badges, OldBadge
from perezvon.web.desk import ConferenceDesk
from perezvon.web.passwords import same
from perezvon.web.peers import host_of, peer_of
from perezvon.web.people import TOKEN, Actor, People
from perezvon.web.refusals import (
    CODE_WANTED,
    ELSEWHERE,
    FOREIGN,
    NO_BADGE,
    NO_TOKEN,
    NOBODY,
    NOT_YOURS,
    OLD_BADGE,
    PASSWORD,
    SIGN_IN,
    SLOW_DOWN,
    STALE_FORM,
    TOO_LARGE,
    TOO_SLOW,
    Refused,
)
from perezvon.web.rights import EVERYWHERE, PUBLIC, WITHOUT_A_NAME, Right, Role, rights_of, wanted_by
from perezvon.web.throttle import FREE_OF_PEER, Throttle, source

SecondFactor = Literal["offered", "administrators", "everybody"]
"""Of whom one-time codes are demanded."""

COOKIE = "perezvon_session"
SAFE_COOKIE = f"__Host-{COOKIE}"
"""Where the browser speaks https: no other host of the same domain can set it."""
LARGEST_FORM = 1024 * 1024
MOST_FIELDS = 20_000
"""Of a form: settings with many lines have many."""
LARGEST_OF_STRANGERS = 16 * 1024
MOST_FIELDS_OF_STRANGERS = 20
"""Of a form of whoever has not signed in: reading a large one takes the time of the calls."""
SLOWEST_FORM = 20.0
"""Seconds for the whole form to come."""
SAFE = ("GET", "HEAD", "OPTIONS")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks. `person`: None for those without a name. `session`: digest of the cookie, "" without one. `csrf`: what a
    form of this session must bring. `employee`: whom a badge names."""

    name: str
    rights: frozenset[Right]
    peer: str = ""
    person: Person | None = None
    session: str = ""
    csrf: str = ""
    employee: Employee | None = None

    @property
    def actor(self) -> Actor:
        return Actor(self.name, self.peer)

    @property
    def operator(self) -> Operator:
        return Operator(self.name, self.employee)

    def may(self, right: Right | str) -> bool:
        return right in self.rights


NOT_IN = Visitor("", frozenset())
"""Who has not signed in, on public pages."""


class Gate:
    """`people`: None where nobody can be added (no database). `badges`: None lets no employee in."""

    def __init__(
        self,
        access: Access,
        people: People | None = None,
        badges: Badges | None = None,
        desk: ConferenceDesk | None = None,
        second_factor: Callable[[], SecondFactor] = lambda: "offered",
    ) -> None:
        self._second_factor = second_factor
        self._access = access
        self._people = people
        self._badges = badges
        self._desk = desk
        self._throttle = Throttle()

    async def guard(self, request: Request) -> None:
        """Before every route. Raises Refused, Unavailable. The visitor is in `request.state.visitor` then."""
        request.state.visitor = NOT_IN
        endpoint = request.scope["endpoint"]
        right = wanted_by(endpoint)
        if right is None:
            if (request.method.replace("HEAD", "GET"), request.scope["route"].path) not in PUBLIC:
                log.error("web: a route without a right is refused", path=request.url.path)
                raise Refused(NOT_YOURS)
            if request.method not in SAFE and "/bitrix24/" not in request.url.path and is_foreign(request):
                raise Refused(FOREIGN)
            return
        visitor = request.state.visitor = await self.identify(request)
        if not visitor.may(right):
            raise Refused(NOT_YOURS)
        if right is not Right.ACCOUNT and self._lacks_code(visitor):
            raise Refused(CODE_WANTED)
        if request.method not in SAFE and visitor.csrf:
            await _own_form(request, visitor)

    def _lacks_code(self, visitor: Visitor) -> bool:
        """Whether he has to set up one-time codes before he may go on."""
        person = visitor.person
        if person is None or not visitor.session or person.totp is not None:
            return False
        wanted = self._second_factor()
        return wanted == "everybody" or (wanted == "administrators" and person.role == Role.ADMINISTRATOR)

    async def identify(self, request: Request) -> Visitor:
        """Raises Refused when it is nobody who may see anything."""
        if (request.method not in SAFE or request.url.path.startswith("/api/")) and is_foreign(request):
            raise Refused(FOREIGN)
        peer = peer_of(request)
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            shown = shown.strip()
            if shown.startswith(TOKEN) and self._people is not None:
                return await self._program(self._people, shown, peer, request.url.path.startswith("/api/"))
            if self._badges is not None and self._desk is not None and request.url.path.startswith("/api/"):
                return self._employee(self._badges, self._desk, shown, peer)
        if self._people is not None:
            found = await self._people.visiting(request.cookies.get(cookie_of(request), ""), peer)
            if found is not None:
                session, person = found
                rights = rights_of(person.role)
                return Visitor(person.login, rights, peer, person, session.digest, csrf_of(session.digest))
        named = self._people is not None and await self._people.anybody()
        host = source(host_of(request))
        if scheme.lower() == "basic" and not self._throttle.takes(host, FREE_OF_PEER):
            raise Refused(SLOW_DOWN)
        match self._access.judge(request, local=not named):
            case Verdict.WELCOME:
                self._throttle.forgive(host)
                return Visitor("administrator", WITHOUT_A_NAME, peer)
            case Verdict.PASSWORD_WANTED:
                raise Refused(SIGN_IN if named and not scheme and wants_page(request) else PASSWORD)
            case Verdict.THIS_MACHINE_ONLY:
                raise Refused(SIGN_IN if named else ELSEWHERE)

    async def _program(self, people: People, token: str, peer: str, api: bool) -> Visitor:
        found = await people.bearing(token)
        if found is None:
            raise Refused(NO_TOKEN)
        known, person = found
        may = rights_of(person.role) if api else rights_of(person.role) & EVERYWHERE
        rights = frozenset(right for right in may if right is Right.API or right.value in known.scopes)
        return Visitor(f"{person.login} ({known.name})", rights, peer, person)

    def _employee(self, badges: Badges, desk: ConferenceDesk, badge: str, peer: str) -> Visitor:
        try:
            employee = badges.read(badge)
        except BadBadge:
            raise Refused(NO_BADGE) from None
        except OldBadge:
            raise Refused(OLD_BADGE) from None
        name = f"user {employee.user} of {employee.portal}"
        if not desk.standing(Operator(name, employee)):
            raise Refused(NOBODY)
        return Visitor(name, frozenset({Right.CONFERENCE}), peer, employee=employee)


def is_secure(request: HTTPConnection) -> bool:
    """Whether the browser speaks https, with us or with the proxy before us."""
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", ""))


def cookie_of(request: HTTPConnection) -> str:
    """The name under which the session's cookie comes."""
    return SAFE_COOKIE if is_secure(request) else COOKIE


def visitor_of(request: Request) -> Visitor:
    """Whom the gate has let in."""
    visitor: Visitor = getattr(request.state, "visitor", NOT_IN)
    return visitor


def csrf_of(session: str) -> str:
    """What the forms of this session bring. Nobody can tell it who does not know the cookie or our tables."""
    return hashlib.sha256(f"form of {session}".encode()).hexdigest()[:32]


def wants_page(request: Request) -> bool:
    """A person with a browser, rather than a program."""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/")


async def _own_form(request: Request, visitor: Visitor) -> None:
    """Raises Refused."""
    shown = request.headers.get("x-csrf-token", "")
    if not shown:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
            shown = str((await form_of(request)).get("csrf", ""))
    if not same(shown, visitor.csrf):
        raise Refused(STALE_FORM)


async def form_of(request: Request) -> dict[str, str]:
    """The form's texts; of a field that comes several times the last (`texts_of` has them all). Raises Refused."""
    return {name: values[-1] for name, values in (await texts_of(request)).items()}


async def texts_of(request: Request) -> dict[str, list[str]]:
    stranger = visitor_of(request) is NOT_IN
    largest, fields = (LARGEST_OF_STRANGERS, MOST_FIELDS_OF_STRANGERS) if stranger else (LARGEST_FORM, MOST_FIELDS)
    told = request.headers.get("content-length", "")
    if not told.isascii() or not told.isdigit() or int(told) > largest:
        raise Refused(TOO_LARGE)
    found: dict[str, list[str]] = {}
    try:
        async with asyncio.timeout(SLOWEST_FORM):
            form = await request.form(max_files=1, max_fields=fields)
    except TimeoutError:
        raise Refused(TOO_SLOW) from None
    for name, value in form.multi_items():
        if isinstance(value, str):
            found.setdefault(name, []).append(value.replace("\0", ""))  # which PostgreSQL refuses
    return found
