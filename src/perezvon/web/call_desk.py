"""What can be asked of one stored call, whoever asks: a page or a program. What the present settings would decide, and all
that is known of it as one file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from perezvon import __version__
from perezvon.calls import Fact
from perezvon.delivery.foretelling import foretold
from perezvon.rules import Decision
from perezvon.rules.vocabulary import Reason
from perezvon.storage import audit, calls, journal
from perezvon.storage.database import Database
from perezvon.web.asked_of_portal import plain
from perezvon.web.call_support import clean, support_file
from perezvon.web.deeds import Deed
from perezvon.web.kept_call import kept_call
from perezvon.web.people import Actor
from perezvon.web.refusals import NOT_THERE, Refused
from perezvon.web.switchroom import Switchroom


@dataclass(frozen=True, slots=True)
class Foretold:
    """`as_then`: the same was decided in the call. `requests`: method and params of each, without secrets."""

    reason: Reason
    as_then: bool
    requests: Sequence[tuple[str, Any]]


@dataclass(frozen=True, slots=True)
class WhatIf:
    """`decisions`: None where nothing can be foretold: the call goes on, or its PBX has no portal now. `missing`: what was
    decided then, and would not be now."""

    decisions: Sequence[Foretold] | None
    missing: Sequence[Reason]
    same: bool


class CallDesk:
    """`now`: POSIX seconds. Raises storage.Unavailable."""

    def __init__(self, database: Database, room: Switchroom | None = None, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._room = room
        self._now = now

    async def what_if(self, call: str) -> WhatIf:
        """With the settings of now; nothing is sent. Raises Refused where there is no such call."""
        check(call)
        async with self._database.read() as conn:
            row = await calls.find(conn, call)
            facts = await journal.read(conn, call)
            before = await journal.reasons(conn, call)
        if row is None:
            raise Refused(NOT_THERE)
        planned = self._room.planned(row, facts) if self._room is not None and not row.live else None
        then = {str(why) for _, why, _ in before}
        now = {str(one.reason) for one in planned or ()}
        return WhatIf(
            None if planned is None else [_foretold(one, str(one.reason) in then) for one in planned],
            [why for _, why, _ in before if str(why) not in now],
            now == then,
        )

    async def support(self, actor: Actor, call: str, *, masked: bool) -> str:
        """All that is known of the call, as JSON without secrets; noted in the audit log. `masked`: clients' numbers and
        names are not to be recognised. Raises Refused where there is no such call."""
        check(call)
        kept, room = await kept_call(self._database, call), self._room
        told: dict[str, Any] = {
            "version": __version__,
            "call": kept.row,
            "facts": [{"fact": type(fact).__name__, **clean(fact)} for fact in kept.facts],
            "decisions": [{"at": at, "why": str(why), "steps": keys} for at, why, keys in kept.decisions],
            "requests": [
                {**clean(step), "params": plain(step.params), "result": plain(step.result)} for step in kept.steps
            ],
            "recordings": kept.recordings,
            "hooks": list(room.said(call)) if room is not None else [],
            "events": [
                {"event": one.name, "at": one.at, "headers": one.headers} for one in (room.events(kept.row) if room else ())
            ],
        }
        numbers = [kept.row.client, kept.row.line, *_numbers(kept.facts)]
        entry = actor.did(self._now(), Deed.EXPORTED, call, "numbers masked" if masked else "")
        await self._database.write(lambda conn: audit.note(conn, entry))
        return support_file(told, numbers, masked=masked)


def check(call: str) -> None:
    """Raises Refused for what can be no call's id: PostgreSQL has no name for some of it."""
    if not call.isprintable() or len(call) > 200:
        raise Refused(NOT_THERE)


def _foretold(decision: Decision, as_then: bool) -> Foretold:
    asked = [(one["method"], plain(one["params"])) for one in foretold(decision)["requests"]]
    return Foretold(decision.reason, as_then, asked)


def _numbers(facts: Iterable[Fact]) -> Iterator[str]:
    for fact in facts:
        for name in ("client", "client_raw", "line", "line_raw", "extension", "number", "to", "from_"):
            if text := str(getattr(fact, name, "") or ""):
                yield text
