"""Our pages inside the portal: which of its places lead to us, and making that so. Safe to repeat.

Source: contract.json "placements", placement.bind, placement.get, placement.list, placement.unbind (all of an application
installed by an administrator). Several refusals come with HTTP 200; a widget is there after the portal's page is reloaded.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import structlog

from perezvon.bitrix24.client import Portal
from perezvon.bitrix24.encoding import Command
from perezvon.bitrix24.errors import AlreadyExists, AppContextRequired, Forbidden, PortalError
from perezvon.bitrix24.values import mapping, rows, text
from perezvon.rules.vocabulary import Reason

CARD, ANALYTICS, MENU = "CALL_CARD", "TELEPHONY_ANALYTICS_MENU", "LEFT_MENU"
"""A tab of the call's card, a report in the call statistics, the application's page in the portal's menu."""

BIND, UNBIND, GET, LIST = "placement.bind", "placement.unbind", "placement.get", "placement.list"

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """One of ours. `titles`: by language."""

    code: str
    handler: str
    titles: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Bound:
    """Handler by handler: (code, handler). `problems`: what to do about those that are missing, in words."""

    places: frozenset[tuple[str, str]] = frozenset()
    problems: tuple[Reason, ...] = ()


async def bound(portal: Portal) -> frozenset[tuple[str, str]]:
    """What the portal has of this application. Raises a PortalError."""
    found = [mapping(row) for row in rows((await portal.call(GET)).result)]
    return frozenset((text(row.get("placement")).upper(), text(row.get("handler"))) for row in found)


async def keep(portal: Portal, wanted: Collection[Place], ours: Collection[str]) -> Bound:
    """Binds what is missing and unbinds handlers of ours that are not wanted: `ours` are the paths at which we serve such
    pages; what leads elsewhere is somebody else's. What the portal refuses is told in `problems`; a failure that may pass
    raises its PortalError."""
    try:
        have = await bound(portal)
    except (AppContextRequired, Forbidden) as error:
        return Bound(
            problems=(Reason("they need a local application, installed by an administrator: {why}", {"why": error.why}),)
        )
    keys = {(place.code, place.handler) for place in wanted}
    gone = [one for one in sorted(have) if one not in keys and one[1].endswith(tuple(ours))]
    missing = [place for place in wanted if (place.code, place.handler) not in have]
    if not gone and not missing:
        return Bound(have)
    commands = [
        Command(f"u{at}", UNBIND, {"PLACEMENT": code, "HANDLER": handler}) for at, (code, handler) in enumerate(gone)
    ]
    commands += [Command(f"b{at}", BIND, _params(place)) for at, place in enumerate(missing)]
    answers = await portal.batch(commands)
    now, problems = set(have), list[Reason]()
    for one, answer in zip(gone, answers, strict=False):
        if not isinstance(answer, PortalError):
            now.discard(one)
            log.info("place in the portal -> removed", portal=portal.name, place=one[0])
    for place, answer in zip(missing, answers[len(gone) :], strict=True):
        if isinstance(answer, PortalError) and not isinstance(answer, AlreadyExists):
            problems.append(Reason("{place}: {why}", {"place": place.code, "why": answer.why}))
        else:
            now.add((place.code, place.handler))
            log.info("place in the portal -> bound", portal=portal.name, place=place.code)
    return Bound(frozenset(now), tuple(problems))


def _params(place: Place) -> dict[str, object]:
    told = {language: {"TITLE": title} for language, title in place.titles.items()}
    first = next(iter(place.titles.values()), "Perezvon")
    return {"PLACEMENT": place.code, "HANDLER": place.handler, "TITLE": first, "LANG_ALL": told}
