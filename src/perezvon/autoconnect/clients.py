"""Whose a client is in the CRM: asked while he waits, and kept, so that the portal may be slow or away the next time.

Who is known from an earlier call waits for a fifth of a second, so that a change in the CRM counts; when the portal is
slower than that, what it said last does, and its answer, when it comes, is kept for the next call. Who is not known waits
for what is left of the patience of the settings. A portal that has just failed is not waited for at all.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.asking import OwnTables
from perezvon.bitrix24 import Portal, owners
from perezvon.bitrix24.errors import PortalError
from perezvon.rules.connecting import CrmObject
from perezvon.storage import answers

FRESH = 60.0
"""Seconds for which what the portal said of a client counts without asking again."""
FRESH_UNKNOWN = 5.0
"""The same where it knew nobody: a lead may be made of his first call."""
GRACE = 0.2
"""Seconds for which a client who is known waits for news."""
SORE = 10.0
"""Seconds for which a portal that failed is not waited for."""
MOST_KEPT = 10_000
"""Clients in memory."""
MOST_ASKED = 20
"""Questions under way: beyond that what is known has to do."""
KEPT_FOR = 180 * 86400.0
"""Seconds after which a client who has not called is forgotten."""
PRUNED_EVERY = 86400.0
QUESTION = "autoconnect:"

_KINDS = frozenset({"contact", "company", "lead", "deal"})

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Known:
    """`objects`: those with his number, and deals of these. `company`: its name. `at`: when the portal said so, POSIX
    seconds. `whole`: also what the second request tells."""

    objects: tuple[CrmObject, ...] = ()
    company: str = ""
    at: float = 0.0
    whole: bool = field(default=True, compare=False)

    @property
    def person(self) -> str:
        """The name of the contact, else of the lead."""
        return next((one.title for kind in ("contact", "lead") for one in self.objects if one.kind == kind), "")

    def body(self) -> str:
        return json.dumps({"objects": [asdict(one) for one in self.objects], "company": self.company}, ensure_ascii=False)

    @classmethod
    def read(cls, body: str, at: float) -> Known:
        kept: dict[str, Any] = json.loads(body)
        return cls(tuple(CrmObject(**one) for one in kept["objects"]), kept["company"], at)


@dataclass(frozen=True, slots=True)
class Told:
    """`known`: None where nothing is known of him. `late`: the portal did not answer in time, or not at all. `before`: he
    was known from an earlier call."""

    known: Known | None
    late: bool = False
    before: bool = False


class Clients:
    """Of one portal. `portal()`: None while it cannot be asked. `noticed(user, status)` hears of every workday that an
    answer tells. Its owner closes `own`."""

    def __init__(
        self,
        name: str,
        portal: Callable[[], Portal | None],
        own: OwnTables,
        noticed: Callable[[str, str], None],
        *,
        clock: Callable[[], float],
        remember: bool = True,
    ) -> None:
        self._question = f"{QUESTION}{name}"[:64]
        self._name = name
        self._portal = portal
        self._own = own
        self._noticed = noticed
        self._clock = clock
        self._remember = remember
        self._known: dict[str, Known] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._sore_until = 0.0
        self._pruned = clock()
        self.trouble = ""

    async def ask(self, client: str, phone: str, deadline: float, *, deals: bool, company: bool) -> Told:
        """Until the deadline (of the loop's clock) at the latest. `client`: E.164; `phone`: the same as the CRM has it."""
        loop = asyncio.get_running_loop()
        known = await self._recall(client, deadline)
        now = self._clock()
        if known is not None and known.whole:
            fresh = FRESH if known.objects else FRESH_UNKNOWN
            if 0 <= now - known.at < fresh:
                return Told(known, before=True)
        asking = self._asking.get(client) or self._begin(client, phone, deals=deals, company=company)
        if asking is None:
            return Told(known, late=True, before=known is not None)
        patience = min(GRACE if known is not None else deadline, deadline - loop.time())
        if now < self._sore_until:
            patience = 0.0
        if patience > 0:
            await asyncio.wait({asking}, timeout=patience)
        latest = self._known.get(client, known)
        return Told(latest, late=latest is None or latest is known, before=known is not None)

    def _begin(self, client: str, phone: str, *, deals: bool, company: bool) -> asyncio.Task[None] | None:
        """None when the portal may not be asked now."""
        portal = self._portal()
        if portal is None or len(self._asking) >= MOST_ASKED or portal.bucket.tokens() < 1:
            return None
        if self._clock() < self._sore_until and self._asking:
            return None  # one at a time finds out whether it answers again
        task = self._own.begin(self._ask(portal, client, phone, deals=deals, company=company), f"ask of {client}")
        self._asking[client] = task
        task.add_done_callback(lambda _: self._asking.pop(client, None))
        return task

    async def _ask(self, portal: Portal, client: str, phone: str, *, deals: bool, company: bool) -> None:
        try:
            found = await owners.search(portal, phone)
            objects = tuple(
                CrmObject(one.kind, one.id, one.user, one.title)  # type: ignore[arg-type]
                for one in found
                if one.kind in _KINDS
            )
            for one in found:
                if one.user and one.workday:
                    self._noticed(one.user, one.workday)
            named = next((one.title for one in objects if one.kind == "company"), "")
            self.trouble, self._sore_until = "", 0.0
            known = Known(objects, named, self._clock())
            if not objects or not (deals or (company and not named)):
                self._keep(client, known)
                return
            if client not in self._known:
                self._keep(client, replace(known, whole=False))  # for those who can wait no longer
            try:
                told = await owners.more(portal, found, deals=deals, company=company)
            except PortalError as error:
                self._tell(error)
            else:
                of_deals = tuple(CrmObject("deal", id_, user, title) for id_, user, title in told.deals)
                known = replace(known, objects=(*objects, *of_deals), company=named or told.company)
            self._keep(client, known)
        except PortalError as error:
            self._sore_until = self._clock() + SORE
            self._tell(error)
        except Exception:
            log.exception("autoconnect: a defect of ours while the portal was asked for a client", client=client)

    def _tell(self, error: PortalError) -> None:
        self.trouble = str(error)
        log.warning("autoconnect: the portal cannot be asked for a client", portal=self._name, error=self.trouble)

    def _have(self, client: str, known: Known) -> None:
        self._known.pop(client, None)
        if len(self._known) >= MOST_KEPT:
            del self._known[next(iter(self._known))]
        self._known[client] = known

    def _keep(self, client: str, known: Known) -> None:
        self._have(client, known)
        if not known.whole or not self._remember:
            return
        question, key, now = self._question, client[: answers.LONGEST], self._clock()
        prune = now - self._pruned > PRUNED_EVERY
        if prune:
            self._pruned = now

        async def work(conn: AsyncConnection) -> None:
            if known.objects:
                await answers.remember(conn, question, key, known.body(), known.at)
            else:
                await answers.forget(conn, question, key)
            if prune:
                await answers.forget_before(conn, question, now - KEPT_FOR)

        self._own.write(work, f"whose {client} is")

    async def _recall(self, client: str, deadline: float) -> Known | None:
        if (known := self._known.get(client)) is not None:
            return known
        stored = await self._own.read(
            lambda conn: answers.recall(conn, self._question, client[: answers.LONGEST]), deadline
        )
        if stored is None:
            return self._known.get(client)
        try:
            known = Known.read(stored.body, stored.at)
        except (ValueError, KeyError, TypeError):  # of another version
            return None
        if client not in self._known:  # another call of his may have asked meanwhile
            self._have(client, known)
        return self._known[client]
