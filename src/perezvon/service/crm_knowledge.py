"""What a portal's CRM is like, as far as the settings need it: whether it has leads, and the types of the fields that are
filled. Asked at the start, every hour, and when the settings change; nothing is asked when no setting needs it. All fields,
for people to choose from, are asked for when somebody looks at such a page.

What was told last is kept in the database, so that a restart without the portal still knows it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.bitrix24.client import Portal
from perezvon.bitrix24.crm_fields import known_crm, known_sources
from perezvon.bitrix24.errors import PortalError
from perezvon.rules.field_check import CrmKnown, wrong_fields
from perezvon.rules.field_values import FieldType
from perezvon.rules.vocabulary import Reason
from perezvon.settings.crm import FieldSettings, field_rules
from perezvon.settings.model import Settings
from perezvon.storage import answers
from perezvon.storage.database import Database
from perezvon.storage.errors import Unavailable

log = structlog.get_logger(__name__)

CHECK = 3600.0
RETRY = 60.0
"""Seconds between two looks at the portal's list of fields."""

OBJECTS = get_args(FieldSettings.model_fields["of"].annotation)
_SOURCES = "source"
_LONGEST = 80
"""Characters of a field's title that are kept."""
_EVER = 1e12
_PIECE = 100
"""Fields in a row of the database: a text there has 64 KiB at most."""


class CrmKnowledge:
    """`settings()`, `ready()`: what applies now, and whether the portal may be asked. `changed`: called when more is known.
    `problems`: what is wrong with the fields of the settings, `trouble`: why that is not known."""

    def __init__(
        self,
        portal: str,
        database: Database,
        settings: Callable[[], Settings],
        ready: Callable[[], bool],
        changed: Callable[[], None],
        *,
        clock: Callable[[], float],
    ) -> None:
        self._portal = portal
        self._question = f"crm fields of {portal}"[:64]
        self._database = database
        self._settings = settings
        self._ready = ready
        self._changed = changed
        self._clock = clock
        self._wake = asyncio.Event()
        self._list_wanted = False
        self._list_over = asyncio.Event()
        self._list_came = False
        self._list_not_before = 0.0
        self.known = CrmKnown()
        self.problems: tuple[Reason, ...] = ()
        self.trouble = ""

    @property
    def wrong(self) -> tuple[Reason, ...]:
        """For the status page."""
        if self.trouble:
            return (Reason("the fields of [[crm.field]] cannot be checked: {why}", {"why": self.trouble}),)
        return self.problems

    async def load(self) -> None:
        """What was told last. Raises Unavailable."""
        async with self._database.read() as conn:
            kept = await answers.recall(conn, self._question, "")
        if kept is not None:
            self.known = _read(json.loads(kept.body))

    def wake(self) -> None:
        """The settings have changed, or the portal may be asked now."""
        self._wake.set()

    async def list_fields(self, patience: float) -> bool:
        """Has the portal asked for all its fields and sources, unless it was in the last hour. Whether they came within
        `patience`, seconds."""
        now = self._clock()
        if not self._ready() or now < self._list_not_before:
            return False
        self._list_wanted, self._list_not_before = True, now + RETRY
        self._list_over.clear()
        self._wake.set()
        try:
            async with asyncio.timeout(patience):
                await self._list_over.wait()
                return self._list_came
        except TimeoutError:
            return False

    async def run(self, client: Portal) -> None:
        """Until cancelled."""
        while True:
            self._wake.clear()
            if self._list_wanted and self._ready():
                await self._list(client)
            if self._ready() and needed(self._settings()):
                await self._look(client)
            elif not needed(self._settings()):
                self.problems, self.trouble = (), ""
            try:
                async with asyncio.timeout(RETRY if self.trouble else CHECK):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _list(self, client: Portal) -> None:
        """A refusal of any object leaves what was listed before: the page says that it is not known."""
        self._list_wanted = self._list_came = False
        try:
            asked, sources = await known_crm(client, OBJECTS), await known_sources(client)
            now, question = self._clock(), _list_question(self._portal)

            async def keep(conn: AsyncConnection) -> None:
                await answers.forget_before(conn, question, _EVER)
                lists = {
                    of: [[name, one.title[:_LONGEST], one.read_only] for name, one in fields.items()]
                    for of, fields in asked.types.items()
                }
                lists[_SOURCES] = [[name, title[:_LONGEST], False] for name, title in sources.items()]
                for of, told in lists.items():
                    for start in range(0, len(told), _PIECE):
                        body = json.dumps(told[start : start + _PIECE], ensure_ascii=False)
                        await answers.remember(conn, question, f"{of} {start}", body, now)

            await self._database.write(keep)
        except (PortalError, Unavailable) as error:
            log.warning("the portal's fields cannot be listed", portal=self._portal, error=str(error))
        else:
            self._list_came, self._list_not_before = True, now + CHECK
        self._list_over.set()

    async def _look(self, client: Portal) -> None:
        settings = self._settings()
        rules = field_rules(settings.crm, CrmKnown())
        try:
            asked = await known_crm(client, [rule.of for rule in rules])
            wanted = {(rule.of, rule.name) for rule in rules}
            types = {of: {n: one for n, one in fields.items() if (of, n) in wanted} for of, fields in asked.types.items()}
            known = CrmKnown(asked.mode, types)
            body = json.dumps(_written(known))
            if known != self.known:
                now = self._clock()
                await self._database.write(lambda conn: answers.remember(conn, self._question, "", body, now))
        except (PortalError, Unavailable) as error:
            self.trouble = str(error)
            log.warning("the portal's fields are not known", portal=self._portal, error=self.trouble)
            return
        self.trouble = ""
        self.problems = tuple(why for _, why in wrong_fields(rules, asked))
        for problem in self.problems:
            log.warning("a field of the settings cannot be filled", portal=self._portal, problem=str(problem))
        if known != self.known:
            self.known = known
            self._changed()


@dataclass(frozen=True, slots=True)
class Listed:
    """What the portal told last. `fields`: of each object, with titles, and what it keeps itself. `sources`: their names by
    STATUS_ID."""

    fields: Mapping[str, Mapping[str, FieldType]]
    sources: Mapping[str, str]


NOTHING_LISTED = Listed({}, {})


async def listed(database: Database, portal: str) -> Listed:
    """Empty where it has not told. Raises Unavailable."""
    async with database.read() as conn:
        rows = await answers.recall_all(conn, _list_question(portal))
    found: dict[str, dict[str, FieldType]] = {}
    for row in rows:
        fields = found.setdefault(row.value.partition(" ")[0], {})
        fields |= {name: FieldType(title=title, read_only=shut) for name, title, shut in json.loads(row.body)}
    sources = found.pop(_SOURCES, {})
    return Listed(found, {name: one.title for name, one in sources.items()})


def _list_question(portal: str) -> str:
    """None is the beginning of another."""
    return f"crm list {portal}."


def needed(settings: Settings) -> bool:
    """Whether any setting needs to know the portal's CRM."""
    crm = settings.crm
    own = any(line.lead_user for line in settings.line)
    return bool(crm.field or crm.lead_responsible != "call" or own or settings.calls.transfers == "each")


def _written(known: CrmKnown) -> dict[str, Any]:
    types = {of: {name: one.as_json() for name, one in fields.items()} for of, fields in known.types.items()}
    return {"mode": known.mode, "types": types}


def _read(body: Mapping[str, Any]) -> CrmKnown:
    types: dict[str, dict[str, FieldType]] = {
        of: {name: FieldType.from_json(one) for name, one in fields.items()} for of, fields in body["types"].items()
    }
    return CrmKnown(body["mode"], types)
