"""`perezvon replay`: what is made of recorded events, and what the portal would be asked. Touches no PBX, no portal."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from json import dumps
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from perezvon.calls import Call, CallEnded, Event, Fact, Numbering, Snapshot, Tracker
from perezvon.calls.recorded import read_recording
from perezvon.cli.exits import Exit, Refusal, kindly
from perezvon.cli.installation import opened
from perezvon.cli.options import Verbose
from perezvon.customisation import Customiser
from perezvon.delivery.foretelling import foretold
from perezvon.rules import Decision, People, Policy
from perezvon.settings.load import load
from perezvon.settings.model import Settings
from perezvon.settings.pbx import AsteriskSettings
from perezvon.storage import employees


@kindly
def replay(
    file: Annotated[Path, typer.Argument(help="Recorded events: raw AMI text or JSON, also gzipped.", metavar="FILE")],
    settings: Annotated[
        Path | None,
        typer.Option(
            "--settings",
            help="A settings file: add the decisions and the requests that would have been sent.",
            metavar="FILE",
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data-dir",
            help="The same with the saved settings and the known employees of this installation.",
            metavar="DIR",
        ),
    ] = None,
    pbx: Annotated[
        str, typer.Option("--pbx", help="Which PBX of the settings the events come from; the first, if not given.")
    ] = "",
    hooks: Annotated[
        Path | None,
        typer.Option("--hooks", help="Ask the functions in this folder too (customisation.md).", metavar="DIR"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON list instead of one object a line.")] = False,
    verbose: Verbose = False,
) -> None:
    """Print one JSON object a call, made of recorded events."""
    if not file.is_file():
        raise Refusal(f"there is no file {file}", Exit.USAGE)
    chosen, users = _chosen(settings, data_dir, pbx)
    if hooks is not None and (chosen is None or not hooks.is_dir()):
        raise Refusal("--hooks wants a folder, and --settings or --data-dir beside it", Exit.USAGE)
    events = read_recording(file)
    entry = None if chosen is None else next((entry for entry in chosen.asterisk if not pbx or entry.name == pbx), None)
    numbering = _numbering(chosen, entry)
    name = entry.name if entry else pbx or "pbx"
    told = list(_rounds(events, numbering, name, seen=hooks is not None))
    rounds = [facts for facts, _calls in told]
    ended = [fact.record for facts in rounds for fact in facts if isinstance(fact, CallEnded)]
    calls = sorted((call for call in ended if not call.absorbed_into), key=lambda call: call.started)
    rows = [call.as_json() for call in calls]
    if chosen is not None:
        people = People(_everybody(rounds, numbering) if users is None else users)
        decided = asyncio.run(_decided(told, _policy(chosen, entry), people, chosen, name, hooks))
        rows = [{**row, "decisions": [foretold(decision) for decision in decided.get(row["id"], ())]} for row in rows]
    if json:
        sys.stdout.write(dumps(rows, ensure_ascii=False, indent=2) + "\n")
    else:
        for row in rows:
            sys.stdout.write(dumps(row, ensure_ascii=False) + "\n")


def _chosen(file: Path | None, data_dir: Path | None, pbx: str) -> tuple[Settings | None, Mapping[str, str] | None]:
    """The settings to decide by, if any, and the portal's employees (extension or phone -> user id), if known."""
    settings = load(file) if file is not None else None
    if data_dir is None:
        return settings, None

    async def work(folder: Path) -> tuple[Settings, Mapping[str, str] | None]:
        async with opened(folder) as installation:
            wanted = settings or (await installation.store.load()).settings
            portal = wanted.portal_of(pbx)
            if portal is None:
                return wanted, None
            async with installation.database.read() as conn:
                people, refreshed = await employees.load(conn, portal.name)
        if refreshed is None:
            return wanted, None
        from perezvon.service import policies  # noqa: PLC0415  the house is large, and only this needs it

        return wanted, policies.people(policies.directory(people, refreshed)).users

    return asyncio.run(work(data_dir))


def _numbering(settings: Settings | None, entry: AsteriskSettings | None) -> Numbering:
    if settings is None:
        return Numbering()
    if entry is None:
        return Numbering(extension_pattern=settings.calls.extension_pattern, region=settings.calls.region)
    from perezvon.service import policies  # noqa: PLC0415  the house is large, and only this needs it

    return policies.numbering(settings, entry)


def _policy(settings: Settings, entry: AsteriskSettings | None) -> Policy:
    from perezvon.service import policies  # noqa: PLC0415  as above

    portal = policies.portal_or_nobodys(settings, entry.name if entry else "")
    return policies.policy(settings, portal, "replay", "1")


def _everybody(rounds: Iterable[list[Fact]], numbering: Numbering) -> dict[str, str]:
    """Where the employees are not known: each extension is the user of the same number."""
    seen = {str(getattr(fact, "extension", "")) for facts in rounds for fact in facts}
    return {extension: extension for extension in seen if extension.isdigit() and numbering.is_extension(extension)}


Told = tuple[list[Fact], dict[str, Call | None]]
"""Facts, and the calls that they tell of as they are then."""


def _rounds(events: Sequence[Event], numbering: Numbering, pbx: str, *, seen: bool) -> Iterator[Told]:
    """The facts of each event, with the calls if they shall be `seen`. What the recording leaves running ends with it."""
    tracker = Tracker(pbx, numbering)
    at = 0.0
    bar = Console(stderr=True)
    for event in track(events, "replay", console=bar, transient=True, disable=not bar.is_terminal):
        at = max(at, event.at)
        facts = tracker.feed(event)
        yield facts, _calls(facts, tracker) if seen else {}
    facts = tracker.resync(Snapshot(at, (), {}, {}, restarted=True))
    yield facts, _calls(facts, tracker) if seen else {}


def _calls(facts: Iterable[Fact], tracker: Tracker) -> dict[str, Call | None]:
    over = {fact.call: fact.record for fact in facts if isinstance(fact, CallEnded)}
    return {fact.call: over.get(fact.call) or tracker.call(fact.call) for fact in facts}


async def _decided(
    rounds: Iterable[Told], policy: Policy, people: People, settings: Settings, pbx: str, folder: Path | None
) -> dict[str, list[Decision]]:
    """`folder`: of the hooks that are asked too."""
    from perezvon.service.hooks import CallHooks  # noqa: PLC0415  the house is large, and only this needs it
    from perezvon.service.what_if import decided  # noqa: PLC0415  as above

    customiser = Customiser(folder, settings.customisation.limits())
    await customiser.open()
    try:
        return await decided(rounds, policy, people, CallHooks(pbx, customiser))
    finally:
        await customiser.close()
