"""A function of the integrator's tried on a stored call, in a process of its own: for the command and the pages.

Nothing is sent or stored, but what the function itself does is done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from perezvon.customisation import Answer, Customiser, Point
from perezvon.rules.vocabulary import Reason
from perezvon.service import policies
from perezvon.service.trial import Questions, questions
from perezvon.settings.model import Settings
from perezvon.storage import calls, employees
from perezvon.storage.database import Database

SECONDS = 30.0
"""How long a function may take while somebody looks at what it does."""


class TrialUnfit(Exception):
    """There is nothing to try; `reason` tells why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(str(reason))
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Trial:
    """What the function was given and what it made of it."""

    given: Mapping[str, Any]
    answer: Answer


async def tried(
    database: Database,
    settings: Settings,
    data_dir: Path,
    point: Point,
    call: str = "",
    given: Mapping[str, Any] | None = None,
) -> list[Trial]:
    """On `given`, else on the stored call (by default the newest). Empty: in this call the function would not have been
    asked. Raises TrialUnfit, Unavailable."""
    customiser = Customiser(settings.customisation.place(data_dir), settings.customisation.limits())
    try:
        await customiser.open()
        customiser.change(replace(customiser.limits, off=frozenset(), ordinary=SECONDS, urgent=SECONDS))
        if not customiser.wants(point):
            wrong = "; ".join(str(seen) for seen, _fix in customiser.status().troubles)
            told = {"point": point.value, "folder": str(customiser.folder), "wrong": wrong}
            raise TrialUnfit(Reason("there is no function {point} in {folder}. {wrong}", told))
        asked: Sequence[Mapping[str, Any]] = [given] if given is not None else await _asked(database, settings, point, call)
        return [Trial(one, await customiser.ask(point, dict(one))) for one in asked]
    finally:
        await customiser.close()


async def _asked(database: Database, settings: Settings, point: Point, call: str) -> Questions:
    async with database.read() as conn:
        if not call:
            newest = await calls.search(conn, calls.Search(live=False), 1)
            if not newest:
                raise TrialUnfit(Reason("no call is stored yet: give the function's input with --input FILE"))
            call = newest[0].id
        row = await calls.find(conn, call)
        if row is None:
            raise TrialUnfit(Reason("there is no call {call}", {"call": call[:80]}))
        portal = policies.portal_or_nobodys(settings, row.pbx)
        people, refreshed = await employees.load(conn, portal.name)
    policy = policies.policy(settings, portal, "test", "1")
    known = policies.people(policies.directory(people, refreshed))
    return await questions(database, settings, policy, known, point, call) or []
