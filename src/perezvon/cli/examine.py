"""`perezvon doctor`: every check of doctor/, as a list for people or as JSON."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn

from perezvon.cli.exits import Exit, kindly
from perezvon.cli.installation import opened
from perezvon.cli.options import DEFAULT_DATA_DIR, DataDir, Json, Verbose
from perezvon.cli.portal_visit import opened_portal
from perezvon.cli.speech import Speech
from perezvon.doctor.check import Check, State, worst
from perezvon.doctor.examination import Patient, examine, subjects
from perezvon.settings.errors import told
from perezvon.settings.load import load

_MARKS = {State.OK: ("✓", "green"), State.WARNING: ("!", "yellow"), State.PROBLEM: ("✕", "bold red")}


@kindly
def doctor(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    settings: Annotated[
        Path | None,
        typer.Option("--settings", help="Examine this settings file instead of the saved settings.", metavar="FILE"),
    ] = None,
    deadline: Annotated[float, typer.Option("--deadline", min=1, help="Seconds for each PBX and each portal.")] = 30.0,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Check everything that calls need, and name the exact fix of whatever is wrong. Changes nothing."""
    speech = Speech(as_json=json)
    named = load(settings) if settings is not None else None

    async def work() -> list[Check]:
        async with opened(data_dir, make=named is not None, as_owner=True) as installation:
            chosen = named or (await installation.store.load()).settings
            ask = partial(opened_portal, installation, chosen)
            patient = Patient(chosen, data_dir, installation.database, ask)
            progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                console=speech.err,
                transient=True,
                disable=not speech.err.is_terminal,
            )
            with progress:
                task = progress.add_task("doctor", total=len(subjects(chosen)))
                return await examine(patient, deadline=deadline, progress=lambda _subject: progress.advance(task))

    checks = asyncio.run(work())
    state = worst(checks)
    speech.answer({"state": state.value, "checks": [check.as_json(speech.translate) for check in checks]})
    _print(checks, speech)
    if state is State.PROBLEM:
        raise typer.Exit(Exit.PROBLEM)


def _print(checks: list[Check], speech: Speech) -> None:
    for check in checks:
        mark, style = _MARKS[check.state]
        speech.say(f"{mark} {check.subject}: {told(check.seen, speech.translate)}", style)
        if check.fix is not None:
            speech.say(f"    → {told(check.fix, speech.translate)}")
    counted = {state: sum(1 for check in checks if check.state is state) for state in State}
    summary = speech.translate("{ok} well, {warnings} warnings, {problems} problems")
    told_counts = summary.format(ok=counted[State.OK], warnings=counted[State.WARNING], problems=counted[State.PROBLEM])
    speech.say(told_counts, _MARKS[worst(checks)][1])
