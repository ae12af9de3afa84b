"""Makes the company's numbers lines of the portal, with the names of the settings. Safe to repeat; removes nothing.

Lines belong to the application; a number that the portal meets in a call first is a line without a name there, which is
given one. Source: contract.json, telephony.externalLine.*.
"""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from perezvon.bitrix24 import methods
from perezvon.bitrix24.client import Portal
from perezvon.bitrix24.errors import AlreadyExists
from perezvon.bitrix24.methods import Line

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


async def keep_lines(portal: Portal, wanted: Iterable[Line], *, add: bool = True) -> None:
    """`add`: False where some of the numbers may be another portal's; then those that are there are named only. A line
    without a name keeps what it has there. Raises a PortalError (AppContextRequired for a webhook on a strict portal)."""
    there = {line.number: line for line in await methods.lines(portal)}
    for line in wanted:
        known = there.get(line.number)
        if known is None and add:
            try:
                await methods.add_line(portal, line.number, line.name, crm_auto_create=line.crm_auto_create)
            except AlreadyExists:  # a call has been faster
                known = Line(line.number, "", not line.crm_auto_create)
            else:
                log.info("line made", portal=portal.name, line=line.number, name=line.name)
        if known is not None and (line.name not in ("", known.name) or line.crm_auto_create != known.crm_auto_create):
            await methods.update_line(portal, line.number, line.name, crm_auto_create=line.crm_auto_create)
            log.info("line renamed", portal=portal.name, line=line.number, name=line.name or known.name)
