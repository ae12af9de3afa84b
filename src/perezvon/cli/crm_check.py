"""Whether the fields of `[[crm.field]]` are in the portal, when settings are saved. Asks the portal, for a few seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from perezvon.bitrix24 import Portal
from perezvon.bitrix24.crm_fields import known_crm
from perezvon.bitrix24.errors import PortalError
from perezvon.cli.exits import Exit, Refusal
from perezvon.cli.installation import Installation
from perezvon.rules.field_check import CrmKnown, wrong_fields
from perezvon.rules.vocabulary import Reason
from perezvon.settings.crm import field_rules
from perezvon.settings.errors import InvalidSettings, Mistake, SettingsError
from perezvon.settings.model import Settings
from perezvon.settings.portal import PortalSettings
from perezvon.storage import installation as identity
from perezvon.storage.errors import StorageError

PATIENCE = 15.0


@asynccontextmanager
async def opened_portal(
    installation: Installation, settings: Settings, portal: PortalSettings
) -> AsyncGenerator[Portal | None]:
    """The portal as the service itself speaks to it, with the same stored grant; None while it is not installed."""
    from perezvon.service.portals import PortalLink  # noqa: PLC0415  the house is large, and only this needs it

    async with AsyncExitStack() as stack:
        made = await installation.database.write(lambda conn: identity.identity(conn, time.time()))
        try:
            link = PortalLink(portal, settings, installation.database, installation.box, made.id, clock=time.time)
            await link.open()
        except ValueError as error:
            raise Refusal(str(error), Exit.USAGE) from None
        stack.push_async_callback(link.close)
        yield link.client if link.installed else None


async def check_fields(
    installation: Installation, settings: Settings, source: str, *, named: bool, line: Callable[[int], int | None]
) -> list[Reason]:
    """Warnings. Raises InvalidSettings for fields that are not there, or cannot be filled so, if they are `named` in what
    is being saved. `line`: where the field with that place stands in it."""
    rules = field_rules(settings.crm, CrmKnown())
    warnings: list[Reason] = []
    for portal in settings.portal if rules else ():
        try:
            async with asyncio.timeout(PATIENCE), opened_portal(installation, settings, portal) as client:
                if client is None:
                    warnings.append(_later(portal, "the application is not installed yet"))
                    continue
                known = await known_crm(client, [rule.of for rule in rules])
        except (PortalError, SettingsError, StorageError, Refusal, TimeoutError) as error:
            warnings.append(_later(portal, str(error) or "no answer in time"))
            continue
        wrong = list(wrong_fields(rules, known))
        if wrong and named:
            mistakes = [Mistake(f"crm.field[{place}]", line(place), why) for place, why in wrong]
            raise InvalidSettings(mistakes, source)
        warnings += [why for _, why in wrong]
    return warnings


def _later(portal: PortalSettings, why: str) -> Reason:
    args = {"portal": portal.name, "why": why}
    return Reason("the fields are not checked yet (portal {portal}: {why}): the service and the doctor do it later", args)
