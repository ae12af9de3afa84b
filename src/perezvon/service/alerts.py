"""Tells a chat, or a person, of the portal when something is wrong for some time, and when it is right again.

The messages are steps of the delivery, in a lane of their own: they go out within the portal's limits, wait while it is
away, and outlive a restart. What is known of the troubles is kept with the last of them, in the same row, so that no
message comes twice. Of the portal itself nothing can be told while it is away: that is noted in the lane, and told when
it is back.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.bitrix24.values import Json, mapping
from perezvon.doctor.check import Check, State
from perezvon.rules.alerts import Finding, Known, News, Trouble, look, message
from perezvon.rules.vocabulary import Kind, Priority, Reason, StepDraft
from perezvon.service.policies import telling_of
from perezvon.settings.model import Settings
from perezvon.settings.portal import PortalSettings
from perezvon.storage import lanes
from perezvon.storage.database import Database
from perezvon.storage.insist import insist
from perezvon.storage.steps import Settled
from perezvon.storage.steps import State as StepState
from perezvon.web.status import StatusSource
from perezvon.web.troubles import troubles

log = structlog.get_logger(__name__)

LOOK = 10.0
"""Seconds between two looks, at most."""

WHEN_BACK = Reason("told when the portal is back")
_AWAY = ("portal.state", "portal.installation")


class Alerts:
    """`stored`: told of a portal for which something was queued."""

    def __init__(
        self,
        source: StatusSource,
        settings: Callable[[], Settings],
        database: Database,
        stored: Callable[[str], None],
        installation: str,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._source = source
        self._settings = settings
        self._database = database
        self._stored = stored
        self._installation = installation
        self._clock = clock
        self._portal = ""
        self._known: Known = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await insist(self.look, "alerts")
            await asyncio.sleep(max(0.2, min(LOOK, self._settings().alerts.minutes * 20)))

    async def look(self) -> None:
        """Raises Unavailable: what was to be told is found again at the next look."""
        settings = self._settings()
        portal = next((one for one in settings.portal if settings.alerts.portal in ("", one.name)), None)
        if not settings.alerts.enabled or portal is None:
            self._portal = ""
            return
        if portal.name != self._portal:
            self._known = await self._kept(portal.name)
            self._portal = portal.name
        status = await self._source.status()
        findings = [_finding(check) for check in troubles(status) if check.state is State.PROBLEM]
        now = self._clock()
        news = look(self._known, findings, now, settings.alerts.minutes * 60)
        if news.worth:
            await self._tell(settings, portal, news, now)
        self._known = news.known

    async def _kept(self, portal: str) -> Known:
        async with self._database.read() as conn:
            last = await lanes.last(conn, lane_of(portal))
        found: dict[str, Trouble] = {}
        for key, told in mapping(last.params.get("known") if last is not None else None).items():
            with suppress(TypeError):  # of another version
                found[key] = Trouble.from_json(mapping(told))
        return found

    async def _tell(self, settings: Settings, portal: PortalSettings, news: News, now: float) -> None:
        ours = tuple(f"{check}|portal {portal.name}" for check in _AWAY)
        tellable = replace(news, began=tuple(one for one in news.began if one[0].key not in ours))
        text = _without(message(tellable, now, telling_of(portal)), settings) if tellable.worth else ""
        key = f"{lane_of(portal.name)}:{now:.3f}"
        params: dict[str, Json] = {
            "to": settings.alerts.to,
            "message": text,
            "always": True,
            "tag": hashlib.sha256(f"{self._installation} {key}".encode()).hexdigest()[:16],
            "known": {key: trouble.as_json() for key, trouble in news.known.items()},
        }
        reason = _why(tellable)
        draft = StepDraft(key, Kind.ANNOUNCE, params, Priority.CRM, reason)

        async def work(conn: AsyncConnection) -> None:
            lane = lane_of(portal.name)
            await lanes.append(conn, portal.name, lane, [draft], now)
            if not text and (silent := await lanes.last(conn, lane)) is not None:
                await lanes.settle(conn, [Settled(silent.id, StepState.SKIPPED, note=WHEN_BACK)], now)

        await self._database.write(work)
        for finding, _ in news.began:
            log.warning("alerts: well -> wrong", trouble=finding.key, seen=_without(str(finding.seen), settings))
        for _, trouble in news.over:
            log.info("alerts: wrong -> well", trouble=trouble.subject, seconds=round(now - trouble.since))
        self._stored(portal.name)


def lane_of(portal: str) -> str:
    return f"alerts:{portal}"


def _finding(check: Check) -> Finding:
    return Finding(f"{check.name}|{check.subject}", check.subject, check.seen, check.fix)


def _why(news: News) -> Reason:
    count: dict[str, Any] = {"count": str(len(news.began) or len(news.over))}
    return Reason("something is wrong: {count}", count) if news.began else Reason("right again: {count}", count)


def _without(text: str, settings: Settings) -> str:
    """What is secret is in no trouble's words; here nothing of it leaves the house whatever they say."""
    for secret in settings.secret_values():
        text = text.replace(secret, "***")
    return text
