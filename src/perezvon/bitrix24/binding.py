"""Tells the portal which events we want: through the offline queue, through our handler, or both. Safe to repeat.

Handlers vanish when the application is updated, so this runs at every start and after ONAPPUPDATE. Source: contract.json
(event.bind, event.get). Offline events need an administrator's token.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import structlog

from perezvon.bitrix24.client import Portal
from perezvon.bitrix24.errors import AlreadyExists, AppContextRequired, Forbidden, MissingScope, NotFound, Permanent
from perezvon.bitrix24.events import TELEPHONY
from perezvon.bitrix24.values import flag, mapping, rows, text
from perezvon.rules.vocabulary import Reason

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Bindings:
    """Events bound now, each way; `problems`: what to do about those that are not, in words."""

    offline: frozenset[str] = frozenset()
    online: frozenset[str] = frozenset()
    problems: tuple[Reason, ...] = field(default=())


async def bound(portal: Portal, handler: str = "") -> Bindings:
    """What the portal has bound for this application: the offline ones, and the online ones that lead to `handler`.
    Raises a PortalError."""
    found = [mapping(row) for row in rows((await portal.call("event.get")).result)]
    offline = {text(row.get("event")).upper() for row in found if flag(row.get("offline"))}
    online = {
        text(row.get("event")).upper()
        for row in found
        if not flag(row.get("offline")) and text(row.get("handler")) == handler
    }
    return Bindings(frozenset(offline), frozenset(online))


async def bind(portal: Portal, *, events: Collection[str] = TELEPHONY, offline: bool = True, handler: str = "") -> Bindings:
    """Binds what is missing. `handler`: our public https address, "" for none. What the portal refuses is told in
    `problems`; a failure that may pass (network, limits) raises its PortalError."""
    try:
        before = await bound(portal, handler)
    except (AppContextRequired, Forbidden) as error:
        return Bindings(problems=(Reason("events need a local application: {why}", {"why": error.why}),))
    have = {True: set(before.offline), False: set(before.online)}
    problems: list[Reason] = []
    for event in events:
        for queued, wanted in ((True, offline), (False, bool(handler))):
            if not wanted or event in have[queued]:
                continue
            params = {"event": event, "event_type": "offline"} if queued else {"event": event, "handler": handler}
            problem = await _bind_one(portal, params, queued=queued)
            if problem:
                problems.append(problem)
            else:
                have[queued].add(event)
                log.info("event bound", portal=portal.name, name=event, way="offline" if queued else "online")
    return Bindings(frozenset(have[True]), frozenset(have[False]), tuple(problems))


async def _bind_one(portal: Portal, params: dict[str, str], *, queued: bool) -> Reason | None:
    event = params["event"]
    try:
        await portal.call("event.bind", params)
    except AlreadyExists:
        return None
    except Forbidden as error:
        if queued and "administrator" in f"{error}".lower():
            return Reason(
                "{event}: an administrator of the portal has to install the application, or to open it once ({why})",
                {"event": event, "why": error.why},
            )
        return Reason("{event}: the portal does not let us bind it ({why})", {"event": event, "why": error.why})
    except (NotFound, MissingScope) as error:
        return Reason(
            "{event}: the portal does not know it; give the application the permission 'telephony' ({why})",
            {"event": event, "why": error.why},
        )
    except Permanent as error:
        return Reason("{event}: {why}", {"event": event, "why": error.why})
    return None
