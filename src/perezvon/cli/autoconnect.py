"""`perezvon autoconnect`: whom a caller would be connected with now, and why. Calls nobody and changes nothing; what the
integrator's own function does when it is asked is done.
"""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perezvon.asterisk.errors import ActionRefused, AmiError
from perezvon.asterisk.session import Session
from perezvon.cli.exits import Exit, Refusal, kindly
from perezvon.cli.installation import opened
from perezvon.cli.options import DEFAULT_DATA_DIR, DataDir, Json, Verbose
from perezvon.cli.speech import Speech
from perezvon.customisation import Customiser
from perezvon.settings.errors import SecretMissing, told
from perezvon.settings.load import load
from perezvon.settings.model import Settings
from perezvon.settings.pbx import AsteriskSettings
from perezvon.storage import installation as identity

if TYPE_CHECKING:
    from perezvon.autoconnect import Decided

AMI_TIMEOUT = 3.0
_KEPT = re.compile(r"DB\(([^/()]+)/([^()]+)\)")
"""What Getvar gives without a channel is always empty."""

app = typer.Typer(no_args_is_help=True, help="Autoconnect: whom callers are connected with, and why.")


@dataclass(frozen=True, slots=True)
class _Tried:
    """`decided`: None where callers of this line are left to the PBX. `devices`: why the phones could not be asked."""

    decided: Decided | None
    devices: str


@app.command()
@kindly
def test(
    number: Annotated[str, typer.Argument(help="The caller's number, as the PBX or people write it.", metavar="NUMBER")],
    line: Annotated[str, typer.Option("--line", help="The company's number that he calls.", metavar="LINE")] = "",
    at: Annotated[
        str, typer.Option("--at", help="When he calls, e.g. 2026-05-09T10:00; now, if not given.", metavar="TIME")
    ] = "",
    pbx: Annotated[
        str, typer.Option("--pbx", help="Through which PBX of the settings; the first, if not given.", metavar="NAME")
    ] = "",
    settings: Annotated[
        Path | None, typer.Option("--settings", help="Try the rules of this file, not the saved ones.", metavar="FILE")
    ] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Show whom a caller would be connected with, what the phone would show, and why."""
    speech = Speech(as_json=json)
    named = load(settings) if settings is not None else None
    tried = asyncio.run(_try(data_dir, named, pbx, number, line, at))
    decided = tried.decided
    speech.answer(
        {
            "number": number,
            "line": line,
            "understood": decided.client if decided else "",
            "connects": decided is not None,
            "to": decided.choice.extension if decided else "",
            "ring": decided.choice.ring if decided else 0,
            "name": decided.name if decided else "",
            "reasons": [str(reason) for reason in decided.choice.reasons] if decided else [],
            "seconds": round(decided.seconds, 3) if decided else 0.0,
            "devices": tried.devices,
        }
    )
    _ = speech.translate
    if decided is None:
        speech.say(_("Callers of this line are left to the PBX: autoconnect is off for it."), "yellow")
        return
    speech.say(_("Understood as: {number}").format(number=decided.client or "—"), "bold")
    for reason in decided.choice.reasons:
        speech.say(f"  {told(reason, _)}")
    if tried.devices:
        speech.say(_("The state of the phones is not known: {why}").format(why=tried.devices), "yellow")
    speech.say(_("Rung: {extension}").format(extension=decided.choice.extension or "—"), "green")
    speech.say(_("Shown on the phones: {name}").format(name=decided.name or "—"))


async def _try(data_dir: Path, named: Settings | None, pbx: str, number: str, line: str, at: str) -> _Tried:
    from perezvon.service.portals import PortalLink  # noqa: PLC0415  the house is large, and only this needs it
    from perezvon.service.receptions import Receptions  # noqa: PLC0415

    async with AsyncExitStack() as stack:
        installation = await stack.enter_async_context(opened(data_dir, as_owner=True))
        settings = named or (await installation.store.load()).settings
        entry = next((entry for entry in settings.asterisk if not pbx or entry.name == pbx), None)
        if entry is None:
            known = ", ".join(one.name for one in settings.asterisk) or "—"
            raise Refusal(f"the settings have no Asterisk {pbx}; known: {known}", Exit.USAGE)
        made = await installation.database.write(lambda conn: identity.identity(conn, time.time()))
        portals: dict[str, PortalLink] = {}
        if (portal := settings.portal_of(entry.name)) is not None:
            link = PortalLink(portal, settings, installation.database, installation.box, made.id, clock=time.time)
            await link.open()
            stack.push_async_callback(link.close)
            portals[portal.name] = link
        customiser = Customiser(settings.customisation.place(data_dir), settings.customisation.limits())
        stack.push_async_callback(customiser.close)
        await customiser.open()
        receptions = Receptions(
            lambda: settings, portals, installation.database, clock=time.time, remember=False, customiser=customiser
        )
        stack.push_async_callback(receptions.close)
        phones = await stack.enter_async_context(_Phones(entry))
        reception = receptions.of(entry.name)
        assert reception is not None
        moment = _moment(at, settings, entry)
        arriving = {"callerid": number, "dnid": line}
        decided = await reception.decide(line, number, phones.ask, moment, environment=arriving)
        return _Tried(decided, phones.trouble)


def _moment(at: str, settings: Settings, pbx: AsteriskSettings) -> float | None:
    """Without an offset: in the time zone of working time."""
    if not at:
        return None
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise Refusal(f"--at {at} is no time; it is written like 2026-05-09T10:00", Exit.USAGE) from None
    portal = settings.portal_of(pbx.name)
    zone = settings.working_time.working_time(portal.time_zone if portal is not None else "").zone
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).timestamp()


class _Phones:
    """The PBX's functions, asked over AMI, where it lets us."""

    def __init__(self, pbx: AsteriskSettings) -> None:
        self._pbx = pbx
        self._session: Session | None = None
        self.trouble = ""

    async def __aenter__(self) -> _Phones:
        try:
            self._session = await Session.open(self._pbx.ami.ami(), wanted=frozenset[str](), timeout=AMI_TIMEOUT)
        except (AmiError, SecretMissing) as error:
            self.trouble = str(error)
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(self, function: str) -> str:
        if self._session is None:
            return ""
        kept = _KEPT.fullmatch(function)
        try:
            if kept is None:
                return (await self._session.action("Getvar", [("Variable", function)], timeout=AMI_TIMEOUT))["Value"]
            place = [("Family", kept[1]), ("Key", kept[2])]
            return next(
                (row["Val"] for row in await self._session.collect("DBGet", place, timeout=AMI_TIMEOUT) if row["Val"]), ""
            )
        except ActionRefused:  # there is nothing of that name
            return ""
        except AmiError as error:
            self.trouble = str(error)
            return ""
