"""`perezvon config`: the settings as files, their history, their documentation."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from perezvon.cli.exits import kindly
from perezvon.cli.installation import opened, who
from perezvon.cli.options import DEFAULT_DATA_DIR, DataDir, Json, Verbose
from perezvon.cli.portal_visit import asked_portal
from perezvon.cli.speech import Speech
from perezvon.rules.vocabulary import Reason
from perezvon.settings import docs as documentation
from perezvon.settings import toml
from perezvon.settings.changes import Change
from perezvon.settings.confidential import MASK
from perezvon.settings.errors import told
from perezvon.settings.load import dumped, masked, parse, plainly, read
from perezvon.settings.model import Settings
from perezvon.settings.place import database_url
from perezvon.settings.positions import line_of
from perezvon.settings.saving import Saving
from perezvon.settings.store import EMPTY, Saved
from perezvon.web.translations import Language, catalog

app = typer.Typer(no_args_is_help=True, help="The settings: apply a file, export, history, undo, documentation.")


@app.command()
@kindly
def apply(
    file: Annotated[str, typer.Argument(help="A TOML file with settings; - for standard input.", metavar="FILE")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="The file has all settings: what it leaves out becomes the default.")
    ] = False,
    note: Annotated[str, typer.Option("--note", help="A note for the history.", metavar="TEXT")] = "",
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Save the settings that a file names; the rest stays. A running service takes them within a second."""
    speech = Speech(as_json=json)
    source = "stdin" if file == "-" else file
    text = sys.stdin.read() if file == "-" else read(Path(file))
    named = parse(text, source)
    user = who()

    async def work() -> tuple[Saved | None, Sequence[Change], bool, list[Reason]]:
        async with opened(data_dir, make=True) as installation:
            saving = Saving(data_dir, installation.box, installation.store, partial(asked_portal, installation))
            before = EMPTY if replace else (await installation.store.load()).settings
            plan = saving.merged(before, named, text=text, source=source, replace=replace)
            of_crm = "crm" in named or replace
            warnings = await saving.check_fields(
                plan.after, source, named=of_crm, line=lambda place: line_of(text, ("crm", "field", place))
            )
            if dry_run:
                return None, plan.changes, plan.moved, warnings
            saved = await saving.save(plan, user, note or f"apply {Path(source).name}")
            return saved, saved.changes, plan.moved, warnings

    saved, found, moved, warnings = asyncio.run(work())
    version = saved.version.id if saved else None
    speech.answer(
        {
            "version": version,
            "changed": bool(found) or moved,
            "dry_run": dry_run,
            "changes": [change.as_json() for change in found],
            "restart": moved,
            "warnings": [str(warning) for warning in warnings],
        }
    )
    _show(found, speech)
    for warning in warnings:
        speech.say(f"! {told(warning, speech.translate)}", "yellow")
    _ = speech.translate
    if moved:
        speech.say(
            _("The database is another one from the next start of the service on; what the present one holds stays there.")
        )
    if dry_run:
        speech.say(_("Nothing was saved (--dry-run)."))
    elif found:
        speech.say(_("Saved as version {version}.").format(version=version), "green")
    else:
        speech.say(_("Nothing to change: version {version} has the same settings.").format(version=version))


@app.command()
@kindly
def export(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    with_secrets: Annotated[bool, typer.Option("--with-secrets", help=f"Write secrets out instead of {MASK}.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write into this file (mode 0600).", metavar="FILE")
    ] = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Print the settings as a TOML file that can be edited and applied again, hidden secrets included."""
    speech = Speech(as_json=json)

    async def work() -> dict[str, Any]:
        async with opened(data_dir) as installation:
            settings = (await installation.store.load()).settings
            show = plainly if with_secrets else masked
            named = dumped(settings, show)
            url = database_url(installation.data_dir, installation.box)
            if url is not None:
                named["database"] = {"url": show(url)}
            return named

    named = asyncio.run(work())
    if output is not None:
        output.touch(mode=0o600)
        output.write_text(toml.written(named), encoding="utf-8")
        speech.answer({"file": str(output)})
        return
    speech.answer(named)
    if not json:
        sys.stdout.write(toml.written(named))


@app.command()
@kindly
def docs(
    language: Annotated[str, typer.Option("--lang", help="en or ru.", metavar="LANG")] = "en",
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Print the documentation of all settings (Markdown; with --json, a JSON schema)."""
    speech = Speech(as_json=json)
    if language not in ("en", "ru"):
        raise typer.BadParameter("the documentation is in en and ru")
    speech.answer(Settings.model_json_schema(mode="validation"))
    if not json:
        chosen: Language = "ru" if language == "ru" else "en"
        sys.stdout.write(documentation.markdown(catalog(chosen).gettext))


@app.command()
@kindly
def history(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many versions.")] = 20,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Who changed what and when, the newest first."""
    speech = Speech(as_json=json)

    async def work() -> list[Any]:
        async with opened(data_dir) as installation:
            return await installation.store.history(limit)

    entries = asyncio.run(work())
    speech.answer([entry.as_json() for entry in entries])
    _ = speech.translate
    for entry in entries:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.at))
        speech.say(" · ".join(part for part in (f"{entry.id}", at, entry.who, entry.note) if part), "bold")
        if entry.changes is None:
            speech.say("  " + _("not readable: its key is lost"))
        else:
            _show(entry.changes, speech)
    if not entries:
        speech.say(_("No settings have been saved yet."))


@app.command()
@kindly
def undo(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    to: Annotated[
        int | None, typer.Option("--to", help="The version to go back to; the one before, if not given.", metavar="N")
    ] = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Go back to an earlier version (which becomes the newest)."""
    speech = Speech(as_json=json)
    user = who()

    async def work() -> Saved:
        async with opened(data_dir) as installation:
            return await installation.store.undo(user, to)

    saved = asyncio.run(work())
    speech.answer(
        {"version": saved.version.id, "changed": bool(saved.changes), "changes": [c.as_json() for c in saved.changes]}
    )
    _show(saved.changes, speech)
    speech.say(speech.translate("Saved as version {version}.").format(version=saved.version.id), "green")


def _show(found: Sequence[Change], speech: Speech) -> None:
    styles = {"+": "green", "-": "red", "~": "yellow"}
    for change in found:
        line = str(change)
        hidden = (
            f" ({speech.translate('the secret is another one')})" if change.secret and change.before == change.after else ""
        )
        speech.say(f"  {line}{hidden}", styles[line[0]])
