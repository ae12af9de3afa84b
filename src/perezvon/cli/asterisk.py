"""`perezvon asterisk`: our include files in the PBX's configuration: installed, compared, taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from perezvon.asterisk.wiring.comparison import Change, State, compare, unified
from perezvon.asterisk.wiring.errors import NoSuchFolder
from perezvon.asterisk.wiring.includes import Include, includes, is_freepbx
from perezvon.asterisk.wiring.installation import install as put
from perezvon.asterisk.wiring.installation import refuse_foreign
from perezvon.asterisk.wiring.installation import undo as take_back
from perezvon.asterisk.wiring.loading import RELOADS, Loaded, Unreachable, load
from perezvon.cli.exits import Exit, Refusal, kindly
from perezvon.cli.installation import opened
from perezvon.cli.options import DEFAULT_DATA_DIR, DataDir, Json, Verbose
from perezvon.cli.speech import Speech
from perezvon.doctor.wiring import contents
from perezvon.rules.vocabulary import Reason
from perezvon.settings.load import load as load_file
from perezvon.settings.model import Settings
from perezvon.settings.pbx import AsteriskSettings

app = typer.Typer(no_args_is_help=True, help="The PBX's configuration: our include files for the menu and the conference.")

Etc = Annotated[
    Path | None,
    typer.Option("--etc", help="The PBX's configuration, if not where the setting wiring.etc says.", metavar="DIR"),
]
Pbx = Annotated[str, typer.Option("--pbx", help="Of which PBX of the settings; the first, if not given.", metavar="NAME")]
FreePbx = Annotated[
    bool | None,
    typer.Option("--freepbx/--no-freepbx", help="Whether lines go into FreePBX's *_custom.conf; found out if not given."),
]
SettingsFile = Annotated[
    Path | None,
    typer.Option("--settings", help="Take this settings file instead of the saved settings.", metavar="FILE"),
]
Force = Annotated[bool, typer.Option("--force", help="Also replace what was changed by hand (a copy is kept).")]


@app.command()
@kindly
def install(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    pbx: Pbx = "",
    etc: Etc = None,
    freepbx: FreePbx = None,
    settings: SettingsFile = None,
    write_includes: Annotated[
        bool, typer.Option("--write-includes", help="Also add the lines that include our files, keeping copies.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    no_load: Annotated[bool, typer.Option("--no-load", help="Do not have Asterisk read the files.")] = False,
    force: Force = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Write our files into the PBX's configuration, and have Asterisk read them. Running calls are not touched."""
    speech = Speech(as_json=json)
    _ = speech.translate
    chosen, one = _chosen(data_dir, settings, pbx)
    folder = _folder(etc, one)
    wanted = contents(chosen, one)
    lines = includes(folder, freepbx=is_freepbx(folder) if freepbx is None else freepbx)
    changes = [change for change in compare(folder, wanted) if change.state is not State.SAME]
    _show(changes, speech)
    answer: dict[str, Any] = _told(changes, lines)
    if dry_run:
        _show_lines(lines, speech, written=False)
        speech.answer({**answer, "dry_run": True})
        speech.say(_("Nothing was written (--dry-run)."))
        return
    refuse_foreign(changes, force=force)
    put(folder, wanted, lines if write_includes else (), force=force)
    to_read = [change.name for change in changes]
    if write_includes:
        to_read += [line.name for line in lines if not line.there]
        lines = includes(folder, freepbx=is_freepbx(folder) if freepbx is None else freepbx)
    _show_lines(lines, speech, written=write_includes)
    read, why = (None, _("not asked for")) if no_load else _load(one, to_read)
    speech.answer(
        {
            **answer,
            **_told(changes, lines),
            "dry_run": False,
            "loaded": None if read is None else not read.missing,
            "missing": [] if read is None else list(read.missing),
            "not_loaded_because": why,
        }
    )
    _say_loaded(read, why, speech)
    if read is not None and read.missing:
        raise typer.Exit(Exit.PROBLEM)


@app.command()
@kindly
def diff(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    pbx: Pbx = "",
    etc: Etc = None,
    freepbx: FreePbx = None,
    settings: SettingsFile = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Show what differs between the PBX's configuration and what the settings say. Secrets are hidden."""
    speech = Speech(as_json=json)
    chosen, one = _chosen(data_dir, settings, pbx)
    folder = _folder(etc, one)
    changes = [change for change in compare(folder, contents(chosen, one)) if change.state is not State.SAME]
    lines = includes(folder, freepbx=is_freepbx(folder) if freepbx is None else freepbx)
    _show(changes, speech)
    _show_lines(lines, speech, written=False)
    speech.answer(_told(changes, lines))
    if not changes and all(line.there for line in lines):
        speech.say(speech.translate("All is as the settings say."), "green")


@app.command()
@kindly
def undo(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    pbx: Pbx = "",
    etc: Etc = None,
    settings: SettingsFile = None,
    no_load: Annotated[bool, typer.Option("--no-load", help="Do not have Asterisk read the files.")] = False,
    force: Force = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Take back the last installation: every file becomes what it was."""
    speech = Speech(as_json=json)
    _ = speech.translate
    _settings, one = _chosen(data_dir, settings, pbx)
    undone = take_back(_folder(etc, one), force=force)
    read, why = (None, _("not asked for")) if no_load else _load(one, tuple(RELOADS))
    speech.answer({"restored": list(undone.restored), "left": list(undone.left), "reloaded": read is not None})
    for name in undone.restored:
        speech.say(_("{file} is as it was").format(file=name))
    for name in undone.left:
        speech.say(_("{file} was changed meanwhile: only our line was taken out of it").format(file=name), "yellow")
    if read is None:
        speech.say(_("Asterisk has not read them again ({why}).").format(why=why), "yellow")


def _chosen(data_dir: Path, file: Path | None, name: str) -> tuple[Settings, AsteriskSettings]:
    if file is not None:
        settings = load_file(file)
    else:

        async def saved() -> Settings:
            async with opened(data_dir) as installation:
                return (await installation.store.load()).settings

        settings = asyncio.run(saved())
    known = ", ".join(pbx.name for pbx in settings.asterisk) or "—"
    found = next((pbx for pbx in settings.asterisk if not name or pbx.name == name), None)
    if found is None:
        raise Refusal(f"the settings have no Asterisk {name}; known: {known}", Exit.USAGE)
    return settings, found


def _folder(etc: Path | None, pbx: AsteriskSettings) -> Path:
    folder = etc or Path(pbx.wiring.etc)
    if not folder.is_dir():
        told = {"folder": str(folder)}
        raise NoSuchFolder(Reason("there is no folder {folder}: name that of Asterisk's configuration", told))
    return folder


def _told(changes: Sequence[Change], lines: Sequence[Include]) -> dict[str, Any]:
    return {
        "changed": bool(changes),
        "files": [{"file": c.name, "state": c.state.value, "by_hand": c.foreign} for c in changes],
        "diff": unified(changes),
        "includes": [{"file": i.file, "text": i.text, "there": i.there, "reached": i.reached} for i in lines],
    }


def _show(changes: Sequence[Change], speech: Speech) -> None:
    styles = {"+": "green", "-": "red", "@": "cyan"}
    for line in unified(changes).splitlines():
        speech.say(line, styles.get(line[:1], ""))
    for change in changes:
        if change.foreign:
            speech.say(speech.translate("{file} was changed by hand, or is not ours").format(file=change.name), "yellow")


def _show_lines(lines: Sequence[Include], speech: Speech, *, written: bool) -> None:
    _ = speech.translate
    missing = [line for line in lines if not line.there]
    if missing:
        speech.say(_("Add to the PBX's configuration (or let --write-includes do it):"), "bold")
    for line in missing:
        speech.say(f"  {line.file}: {line.text.replace(chr(10), ' / ')}")
    for line in lines:
        if not line.reached:
            told = _("{file} is not included by this FreePBX: what stands there is not read").format(file=line.file)
            speech.say(told, "yellow")


def _load(pbx: AsteriskSettings, names: Sequence[str]) -> tuple[Loaded | None, str]:
    try:
        return asyncio.run(load(pbx.ami.ami(), names)), ""
    except Unreachable as error:
        return None, str(error)


def _say_loaded(read: Loaded | None, why: str, speech: Speech) -> None:
    _ = speech.translate
    if read is None:
        speech.say(_("Whether Asterisk reads the files could not be tried ({why}).").format(why=why), "yellow")
        speech.say(_("Then: asterisk -rx 'core reload', and look at its log."))
    elif read.missing:
        files = ", ".join(read.missing)
        speech.say(_("Asterisk has not read {files}: is the line there? Its log tells more.").format(files=files), "red")
    else:
        speech.say(_("Asterisk has read them ({through}).").format(through=read.through), "green")
