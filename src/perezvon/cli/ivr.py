"""`perezvon ivr`: what callers of a number would get; scenarios and codes that are kept in Perezvon, as files."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from perezvon.cli.exits import Exit, answering
from perezvon.cli.installation import opened
from perezvon.cli.options import DEFAULT_DATA_DIR, DataDir, Json, Verbose
from perezvon.cli.speech import Speech
from perezvon.ivr.finding import Part
from perezvon.ivr.hearing import Heard, hear
from perezvon.ivr.scenario import Scenario
from perezvon.ivr.sheet import Sheet, SheetUnfit, codes_sheet, menus_sheet, read_sheet
from perezvon.ivr.source import Found, Origin, ScenarioSource
from perezvon.settings.errors import told
from perezvon.storage import menus

app = typer.Typer(no_args_is_help=True, help="The voice menu: what callers get; scenarios and codes kept in Perezvon.")


@app.command()
@answering
def test(
    number: Annotated[
        str, typer.Argument(help="A number of the company, as the PBX or people write it.", metavar="NUMBER")
    ],
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Show what a caller of this number would get: scenario, recordings, keys, and what is wrong with them."""
    speech = Speech(as_json=json)

    async def work() -> Heard:
        async with opened(data_dir, as_owner=True) as installation:
            settings = (await installation.store.load()).settings
            return await hear(installation.database, settings, number)

    heard = asyncio.run(work())
    speech.answer(_as_json(heard))
    _show(heard, speech)
    if heard.found.trouble is not None or heard.all_troubles:
        raise typer.Exit(Exit.PROBLEM)


@app.command("list")
@answering
def list_(data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False, verbose: Verbose = False) -> None:
    """Show the company's numbers, and those with a scenario kept in Perezvon, with what callers of each would get."""
    speech = Speech(as_json=json)

    async def work() -> list[tuple[str, Found]]:
        async with opened(data_dir, as_owner=True) as installation:
            settings = (await installation.store.load()).settings
            async with installation.database.read() as conn:
                own = [menu.line for menu in await menus.load(conn)]
            source = ScenarioSource(installation.database, settings, remember=False)
            try:
                numbers = dict.fromkeys([*(line.number for line in settings.line), *own])
                return [(number, await source.find(number)) for number in numbers]
            finally:
                await source.close()

    entries = asyncio.run(work())
    speech.answer([_line_as_json(number, found) for number, found in entries])
    _ = speech.translate
    for number, found in entries:
        buttons = [f"{one.key or '—'} → {one.to}" for one in found.scenario.buttons] if found.scenario else []
        what = ", ".join(buttons) or _("straight to Bitrix24")
        speech.say(f"{number}  {_origin(found, speech)}  {what}")
        for trouble in found.scenario.troubles if found.scenario else ():
            speech.say(f"  ! {told(trouble, _)}", "yellow")
    if not entries:
        speech.say(_("The settings name no [[line]], and no scenario is kept here."))
    _complain_of_the_database([found for _number, found in entries], speech)
    if any(found.trouble is not None or (found.scenario and found.scenario.troubles) for _number, found in entries):
        raise typer.Exit(Exit.PROBLEM)


@app.command("import")
@answering
def import_(
    file: Annotated[str, typer.Argument(help="A CSV file with scenarios or codes; - for standard input.", metavar="FILE")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
    replace: Annotated[
        bool, typer.Option("--replace", help="The file has all scenarios (or codes): others that are kept here go.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check the file.")] = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Keep the scenarios (or codes) of a file in Perezvon: each number that it names is replaced as a whole."""
    speech = Speech(as_json=json)
    content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()

    async def work() -> Sheet:
        async with opened(data_dir) as installation:
            region = (await installation.store.load()).settings.calls.region
            sheet = read_sheet(content, region)
            if not dry_run:
                await installation.database.write(
                    lambda conn: (
                        menus.replace_codes(conn, sheet.codes, time.time(), all_others=replace)
                        if sheet.codes
                        else menus.replace(conn, sheet.menus, time.time(), all_others=replace)
                    )
                )
            return sheet

    try:
        sheet = asyncio.run(work())
    except SheetUnfit as unfit:
        _refuse(file, unfit, speech)
        raise typer.Exit(Exit.USAGE) from None
    buttons = sum(len(menu.buttons) for menu in sheet.menus)
    counts = {"scenarios": len(sheet.menus), "buttons": buttons, "codes": len(sheet.codes)}
    speech.answer({**counts, "dry_run": dry_run})
    _ = speech.translate
    words = _("Codes: {codes}.") if sheet.codes else _("Scenarios: {scenarios}, buttons: {buttons}.")
    speech.say(words.format_map(counts), "green")
    if dry_run:
        speech.say(_("Nothing was written (--dry-run)."))


@app.command()
@answering
def export(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    codes: Annotated[bool, typer.Option("--codes", help="The conference's codes instead of the scenarios.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write into this file, for a spreadsheet.", metavar="FILE")
    ] = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Print the scenarios (or codes) that are kept in Perezvon as a CSV file, which can be edited and imported again."""
    speech = Speech(as_json=json)

    async def work() -> tuple[str, Any]:
        async with opened(data_dir) as installation, installation.database.read() as conn:
            if codes:
                kept = await menus.load_codes(conn)
                return codes_sheet(kept), kept
            found = await menus.load(conn)
            return menus_sheet(found), [_menu_as_json(menu) for menu in found]

    text, value = asyncio.run(work())
    if output is not None:
        output.write_text(text, encoding="utf-8-sig", newline="")
        speech.answer({"file": str(output)})
        return
    speech.answer(value)
    if not json:
        sys.stdout.write(text)


# ---- words


def _show(heard: Heard, speech: Speech) -> None:
    _ = speech.translate
    found, scenario, ivr = heard.found, heard.found.scenario, heard.settings.ivr
    told_by = {"number": heard.number, "origin": _origin(found, speech), "form": found.form}
    words = _("{number}: {origin}, as {form}") if found.form else _("{number}: {origin}")
    speech.say(f"{words.format_map(told_by)} ({found.seconds * 1000:.0f} {_('ms')})", "bold")
    if scenario is None or not scenario.buttons:
        speech.say(_("A caller goes straight to Bitrix24."))
    elif scenario.alone is not None:
        words = _("A caller hears ringing: {to} is rung for {ring} s, then Bitrix24.")
        speech.say(words.format(to=scenario.alone.to, ring=f"{ivr.ring:g}"))
    else:
        if scenario.intro:
            speech.say(_("Intro: {prompt}").format(prompt=_spoken(heard, Part.INTRO, scenario.intro, speech)))
        for button in scenario.buttons:
            key = _spoken(heard, Part.KEY, button.key, speech)
            message = _spoken(heard, Part.MESSAGE, button.prompt, speech)
            speech.say(f"  {button.key} → {button.to}    keyNum/{key}, msgMp3/{message}")
        then = ivr.fallback or _("Bitrix24")
        speech.say(_("A key rings its number for {ring} s, then Bitrix24.").format(ring=f"{ivr.ring:g}"))
        speech.say(_("Nothing pressed for {silence} s: {then}.").format(silence=f"{ivr.silence:g}", then=then))
        words = (
            _("A wrong key: {then}.")
            if ivr.wrong_key == "portal"
            else _("A wrong key: the menu again; after {tries} of them: {then}.")
        )
        speech.say(words.format(then=then, tries=ivr.wrong_tries))
    for trouble in heard.all_troubles:
        speech.say(f"! {told(trouble, _)}", "yellow")
    _complain_of_the_database([found], speech)


def _spoken(heard: Heard, part: Part, name: str, speech: Speech) -> str:
    _ = speech.translate
    seconds = heard.seconds(part, name)
    if seconds is None:
        return _("{name} (not played)").format(name=name or "—")
    return _("{name} ({seconds} s)").format(name=name, seconds=f"{seconds:.1f}")


def _origin(found: Found, speech: Speech) -> str:
    _ = speech.translate
    match found.origin:
        case Origin.DATABASE:
            return _("in the company's database")
        case Origin.CACHE:
            return _("the last good answer of the company's database")
        case Origin.OWN:
            return _("kept in Perezvon")
        case Origin.NONE:
            return _("no scenario")


def _complain_of_the_database(found: Iterable[Found], speech: Speech) -> None:
    _ = speech.translate
    for trouble in {str(one.trouble): one.trouble for one in found if one.trouble is not None}.values():
        speech.say(f"! {told(trouble.seen, _)}: {told(trouble.fix, _)}", "red")


def _refuse(file: str, unfit: SheetUnfit, speech: Speech) -> None:
    _ = speech.translate
    mistakes = [{"line": one.line, "column": one.column, "text": told(one.reason, _)} for one in unfit.mistakes]
    speech.answer({"error": str(unfit), "exit": Exit.USAGE.name.lower(), "mistakes": mistakes})
    if not speech.as_json:
        for one in unfit.mistakes:
            place = ": ".join(part for part in (f"{file}:{one.line}", one.column) if part)
            speech.complain(f"{place}: {told(one.reason, _)}")
        speech.complain(_("Nothing was written."))


# ---- JSON


def _as_json(heard: Heard) -> dict[str, Any]:
    found, scenario, ivr = heard.found, heard.found.scenario, heard.settings.ivr

    def recording(part: Part, name: str) -> dict[str, Any] | None:
        return {"name": name, "seconds": heard.seconds(part, name)} if name else None

    buttons = [
        {
            "key": button.key,
            "to": button.to,
            "key_prompt": recording(Part.KEY, button.key),
            "prompt": recording(Part.MESSAGE, button.prompt),
        }
        for button in (scenario.buttons if scenario else ())
    ]
    return {
        **_line_as_json(heard.number, found),
        "intro": recording(Part.INTRO, scenario.intro) if scenario else None,
        "buttons": buttons,
        "rings_at_once": scenario.alone.to if scenario and scenario.alone else None,
        "ring": ivr.ring,
        "silence": ivr.silence,
        "wrong_key": ivr.wrong_key,
        "fallback": ivr.fallback or None,
        "troubles": [str(trouble) for trouble in heard.all_troubles],
    }


def _line_as_json(number: str, found: Found) -> dict[str, Any]:
    scenario: Scenario | None = found.scenario
    trouble = found.trouble
    return {
        "number": number,
        "origin": found.origin.value,
        "form": found.form or None,
        "seconds": round(found.seconds, 4),
        "buttons": {one.key: one.to for one in scenario.buttons} if scenario else {},
        "troubles": [str(one) for one in scenario.troubles] if scenario else [],
        "database": None if trouble is None else {"seen": str(trouble.seen), "fix": str(trouble.fix)},
    }


def _menu_as_json(menu: menus.Menu) -> dict[str, Any]:
    buttons = [{"keyNum": one.key, "msgMp3": one.prompt, "transferTo": one.target} for one in menu.buttons]
    return {"phone": menu.line, "scenario": menu.title, "scenarioMsg": menu.intro, "buttons": buttons}
