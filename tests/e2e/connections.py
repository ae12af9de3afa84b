"""Autoconnect on the whole stand: settings, the question who was rung and why, and how long that took."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from scenario import USERS

from perezvon.sandbox.pbx import Leg, PbxSandbox
from perezvon.sandbox.portal import PortalServer
from perezvon.sandbox.portal.crm import Entity
from perezvon.sandbox.stand import Stand, stand
from perezvon.storage.database import SQLITE_FILE

MOSCOW, NOBODYS, OFF = "74950000920", "74950000921", "74950000922"
"""A line with a first employee (103), one without, and one without autoconnect. Where nobody is chosen 104 is rung."""
USUAL_WAY = "104"

SETTINGS = """
[agi]
bind = "{agi}"
[[line]]
number = "+74950000920"
aliases = ["74950000920"]
name = "Москва-линия"
first_employee = "103"
[[line]]
number = "+74950000921"
name = "Ничья"
[[line]]
number = "+74950000922"
name = "Без автосоединения"
autoconnect = false
[autoconnect]
enabled = true
ring = 3
{more}
"""

QUICK = "import perezvon.autoconnect.presence as presence; presence.EVERY = 0.2"
"""Attendance is asked for at once, not every half minute."""


@asynccontextmanager
async def connecting_office(
    pbx: PbxSandbox, portal: PortalServer, data_dir: Path, more: str = "", first: str = QUICK
) -> AsyncIterator[Stand]:
    settings = SETTINGS.format(agi=pbx.agi_bind, more=more)
    async with stand(pbx, portal, data_dir, more=settings, first=first) as whole:
        await whole.service.until(lambda status: status["dialplan"]["listens"], "listens to the dialplan")
        yield whole
        await pbx.world.reset()


def contact(office: Stand, phone: str, owner: str, name: str = "Клиент", **more: str) -> Entity:
    """A new contact; `owner`: an extension."""
    crm = office.portal.state.crm
    fields = {"NAME": name, "ASSIGNED_BY_ID": str(USERS[owner]), "PHONE": [crm.phone(f"+{phone}", "MOBILE")], **more}
    return crm.add("CONTACT", fields, quiet=True)


async def rings(office: Stand, extension: str, within: float = 10.0) -> Leg:
    return await office.pbx.world.phone(extension).ringing(within)


async def waited(client: Leg, desk: Leg) -> float:
    """Seconds from the client's INVITE to the one to the desk phone."""
    there = await desk.office_channel()
    return there.created - await client.at_office()


async def why(office: Stand, client: str) -> list[str]:
    """What the last call of this client has been told, once it is over."""
    await office.service.until(
        lambda status: (
            next((call["ended"] for call in status["calls"] if call["client"] == f"+{client}"), None) is not None
        ),
        f"has the call of {client}",
    )
    file = office.service.data_dir / SQLITE_FILE
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as database:
        rows = database.execute(
            "SELECT body FROM fact WHERE kind = 'Decision' AND call = (SELECT id FROM call WHERE client = ? "
            "ORDER BY started DESC LIMIT 1) ORDER BY id",
            (f"+{client}",),
        )
        return [json.loads(body)["reason"] for (body,) in rows]
