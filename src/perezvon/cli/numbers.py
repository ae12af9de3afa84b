"""`perezvon numbers`: what becomes of a number on its way to the CRM and to the PBX, and which rule makes it so."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from perezvon.cli.exits import Exit, kindly
from perezvon.cli.installation import opened
from perezvon.cli.options import DEFAULT_DATA_DIR, DataDir, Json, Verbose
from perezvon.cli.speech import Speech
from perezvon.rules.number_trial import MATCHES, REFUSED, Tried
from perezvon.settings.errors import told
from perezvon.settings.load import load
from perezvon.settings.model import Settings

app = typer.Typer(no_args_is_help=True, help="Numbers: how they are written for the CRM and dialled by the PBX.")


@app.command()
@kindly
def test(
    number: Annotated[str, typer.Argument(help="A number, as the PBX or people write it.", metavar="NUMBER")],
    line: Annotated[str, typer.Option("--line", help="The company's number that the call is of.", metavar="LINE")] = "",
    settings: Annotated[
        Path | None, typer.Option("--settings", help="Try the rules of this file, not the saved ones.", metavar="FILE")
    ] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Show what becomes of a number in both directions: which rules are tried, which one matches, and the result."""
    speech = Speech(as_json=json)
    from perezvon.service.settings_trials import try_number  # noqa: PLC0415  the house is large, and only this needs it

    chosen = load(settings) if settings is not None else asyncio.run(_saved(data_dir))
    tried = try_number(chosen, number, line)
    speech.answer(tried.as_json())
    _ = speech.translate
    if line and not tried.line_known:
        speech.say(_("The settings name no line {line}.").format(line=line), "yellow")
    speech.say(_("Understood as: {number}").format(number=tried.understood or "—"), "bold")
    _show(_("Towards the CRM"), tried.to_crm, speech)
    _show(_("Towards the PBX"), tried.to_pbx, speech)
    if tried.refused:
        raise typer.Exit(Exit.PROBLEM)


async def _saved(data_dir: Path) -> Settings:
    async with opened(data_dir) as installation:
        return (await installation.store.load()).settings


def _show(title: str, tried: Tried, speech: Speech) -> None:
    _ = speech.translate
    styles = {MATCHES.text: "green", REFUSED.text: "red"}
    speech.say(title, "bold")
    for index, rule in enumerate(tried.rules):
        name = f"{rule.name}: " if rule.name else ""
        verdict = tried.verdict(index)
        speech.say(
            f"  {index + 1}. {name}{rule.match} -> {rule.replace}  ({told(verdict, _)})", styles.get(verdict.text, "")
        )
    if not tried.rules:
        speech.say("  " + _("no rules: E.164"))
    for reason in tried.reasons:
        speech.say(f"  {told(reason, _)}", "red" if tried.outcome.refused else "")
    speech.say("  " + _("Result: {number}").format(number=tried.told or "—"))
