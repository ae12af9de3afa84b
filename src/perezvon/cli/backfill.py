"""`perezvon backfill`: calls of a period that the PBX's channel event log has and we have not, given to the portal."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn

from perezvon.bitrix24 import Webhook
from perezvon.cli.exits import Exit, Refusal, kindly
from perezvon.cli.installation import Installation, opened
from perezvon.cli.options import DEFAULT_DATA_DIR, DataDir, Json, Verbose
from perezvon.cli.speech import Speech
from perezvon.customisation import Customiser
from perezvon.delivery.foretelling import request
from perezvon.settings.model import Settings
from perezvon.settings.pbx import AsteriskSettings
from perezvon.storage import installation as identity

if TYPE_CHECKING:
    from perezvon.service.backfill import Backfill, Fate, Late

PIECE = 86400.0
"""Seconds of the log that are dealt with at once."""

LARGEST = 4 << 30
"""Bytes of a file that are read back: it may hold years."""


@kindly
def backfill(
    since: Annotated[
        str, typer.Option("--from", help="2026-11-20, 2026-11-20T09:30 (local time), or with +03:00.", metavar="TIME")
    ],
    until: Annotated[str, typer.Option("--to", help="The same, itself excluded; now, if not given.", metavar="TIME")] = "",
    pbx: Annotated[str, typer.Option("--pbx", help="Only this PBX of the settings.", metavar="NAME")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be sent; write nothing.")] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Give the portal the calls of a period that it has not got: out of the PBX's channel event log, each once."""
    speech = Speech(as_json=json)
    now = time.time()
    begin = _moment(since, "--from")
    end = min(_moment(until, "--to"), now) if until else now
    if begin >= now:
        raise Refusal(f"--from {since} is in the future", Exit.USAGE)
    if begin >= end:
        raise Refusal(f"--from {since} is not before --to {until}: nothing lies between", Exit.USAGE)
    found: list[tuple[str, str, Late]] = []

    def tell(one: Backfill, late: Sequence[Late]) -> None:
        for call in late:
            found.append((one.pbx, one.portal, call))
            speech.say(_line(call, speech, dry_run=dry_run))

    asyncio.run(_work(data_dir, pbx, begin, end, speech, tell, dry_run=dry_run))
    counts = Counter(late.fate.value for _, _, late in found)
    speech.answer(
        {
            "from": _iso(begin),
            "to": _iso(end),
            "dry_run": dry_run,
            "calls": [_as_json(*one) for one in found],
            "summary": {"calls": len(found), **{name: counts[name] for name in ("missing", "queued", "there", "running")}},
        }
    )
    _sum_up(counts, len(found), speech, dry_run=dry_run)


async def _work(
    data_dir: DataDir,
    wanted: str,
    begin: float,
    end: float,
    speech: Speech,
    tell: Callable[[Backfill, Sequence[Late]], None],
    *,
    dry_run: bool,
) -> None:
    async with opened(data_dir, as_owner=True) as installation, AsyncExitStack() as stack:
        settings = (await installation.store.load()).settings
        parts = [await stack.enter_async_context(_backfill(installation, settings, one)) for one in _pbxs(settings, wanted)]
        starts = [begin]
        while starts[-1] + PIECE < end:
            starts.append(starts[-1] + PIECE)
        columns = (TextColumn("{task.description}"), BarColumn())
        with Progress(*columns, console=speech.err, transient=True, disable=not speech.err.is_terminal) as progress:
            task = progress.add_task("backfill", total=len(parts) * len(starts))
            for part in parts:
                for start in starts:
                    late = await part.find(start, min(start + PIECE, end))
                    tell(part, late if dry_run else await part.store(late))
                    progress.advance(task)


def _pbxs(settings: Settings, wanted: str) -> list[AsteriskSettings]:
    """Raises Refusal."""
    named = [one for one in settings.asterisk if not wanted or one.name == wanted]
    if not named:
        known = ", ".join(one.name for one in settings.asterisk)
        raise Refusal(f"no PBX is called {wanted}; known: {known}" if wanted else "no PBX is set", Exit.USAGE)
    chosen = [one for one in named if one.cel is not None]
    if not chosen:
        names = ", ".join(one.name for one in named)
        raise Refusal(f"no channel event log is set for {names}: set cel under [[asterisk]] (settings.md)", Exit.USAGE)
    if missing := next((one.name for one in chosen if settings.portal_of(one.name) is None), None):
        raise Refusal(f"no portal is set that the calls of {missing} go to", Exit.USAGE)
    return chosen


@asynccontextmanager
async def _backfill(installation: Installation, settings: Settings, pbx: AsteriskSettings) -> AsyncGenerator[Backfill]:
    """With the rules by which the service itself decides; nothing is asked of the portal."""
    from perezvon.service import policies  # noqa: PLC0415  the house is large, and other commands do without
    from perezvon.service.backfill import Backfill  # noqa: PLC0415  as above
    from perezvon.service.folders import folder_of  # noqa: PLC0415  as above
    from perezvon.service.hooks import CallHooks  # noqa: PLC0415  as above
    from perezvon.service.portals import PortalLink  # noqa: PLC0415  as above

    portal = settings.portal_of(pbx.name)
    assert portal is not None
    assert pbx.cel is not None
    made = await installation.database.write(lambda conn: identity.identity(conn, time.time()))
    async with AsyncExitStack() as stack:
        link = PortalLink(portal, settings, installation.database, installation.box, made.id, clock=time.time)
        await link.open()
        stack.push_async_callback(link.close)
        if not link.directory.employees:
            why = f"the employees of the portal {portal.name} are not known yet: start the service, until it is ready"
            raise Refusal(why, Exit.UNAVAILABLE)
        if not link.own_user and portal.webhook is not None:
            link.own_user = Webhook.parse(portal.webhook.reveal()).user_id
        customised = settings.customisation
        customiser = Customiser(customised.place(installation.data_dir), customised.limits())
        stack.push_async_callback(customiser.close)
        await customiser.open()
        yield Backfill(
            pbx.name,
            pbx.cel.source(largest=LARGEST),
            folder_of(pbx),
            policies.numbering(settings, pbx),
            link.rules(),
            link.directory,
            installation.database,
            layouts=pbx.recordings_paths,
            clock=time.time,
            hooks=CallHooks(pbx.name, customiser),
        )


def _moment(text: str, option: str) -> float:
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError, OSError):
        forms = "2026-11-20, 2026-11-20T09:30 (local time of this machine) or 2026-11-20T09:30+03:00"
        raise Refusal(f"{option} {text!r} is no time: write it like {forms}", Exit.USAGE) from None


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment).astimezone().isoformat(timespec="seconds")


def _line(late: Late, speech: Speech, *, dry_run: bool) -> str:
    _ = speech.translate
    call = late.call
    at = datetime.fromtimestamp(call.started).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    outcome = _(call.outcome.value) if call.outcome else ""
    if call.answered is not None and call.outcome:
        outcome += " " + _("{seconds} s").format(seconds=round(call.duration))
    parts = [at, _(call.direction.value), call.client or _("number withheld"), call.line, outcome, call.last_talker]
    return f"{'  '.join(part for part in parts if part)}: {_fate(late, speech, dry_run=dry_run)}"


def _fate(late: Late, speech: Speech, *, dry_run: bool) -> str:
    _ = speech.translate
    fate: Fate = late.fate
    match fate.value:
        case "there":
            return _("already there")
        case "running":
            return _("not over yet, left to the service")
        case _other:
            what = ", ".join(_(step.kind.value) for step in late.steps)
            if late.call.recordings:
                what += ", " + _("recordings: {count}").format(count=len(late.call.recordings))
            return (_("would be sent: {what}") if dry_run else _("queued: {what}")).format(what=what)


def _sum_up(counts: Counter[str], calls: int, speech: Speech, *, dry_run: bool) -> None:
    _ = speech.translate
    if not calls:
        speech.say(_("The log has no calls of clients in that time."))
        return
    text = _("Calls: {calls}; queued: {queued}, already there: {there}, not over yet: {running}.")
    if dry_run:
        text = _("Calls: {calls}; would be sent: {queued}, already there: {there}, not over yet: {running}.")
    queued = counts["missing"] + counts["queued"]
    words = text.format(calls=calls, queued=queued, there=counts["there"], running=counts["running"])
    speech.say(words, "green")
    if dry_run:
        speech.say(_("Nothing was written (--dry-run)."))


def _as_json(pbx: str, portal: str, late: Late) -> dict[str, Any]:
    record = late.call.as_json()
    names = ("id", "direction", "client", "line", "started", "answered", "ended", "outcome", "duration", "last_talker")
    told = {name: record[name] for name in (*names, "recordings")}
    return {**told, "pbx": pbx, "portal": portal, "state": late.fate.value, "requests": [request(s) for s in late.steps]}
