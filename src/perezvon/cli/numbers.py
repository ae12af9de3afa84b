"""`perezvon numbers`: what becomes of a number on its way to the CRM and to the PBX, and which rule makes it so."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from perezvon.calls import Numbering
from perezvon.cli.exits import Exit, kindly
from perezvon.cli.installation import opened
from perezvon.cli.options import DEFAULT_DATA_DIR, DataDir, Json, Verbose
from perezvon.cli.speech import Speech
from perezvon.rules import NumberRule, Reason, Towards
from perezvon.rules.numbers import PHONE, Formatted, formatted
from perezvon.settings.errors import told
from perezvon.settings.load import load
from perezvon.settings.model import Settings

_MATCHES = Reason("matches")
_REFUSED = Reason("matches, but its result is refused")
_NO_MATCH = Reason("does not match")
_OTHER_LINE = Reason("is for another line")
_NOT_TRIED = Reason("not tried any more")

app = typer.Typer(no_args_is_help=True, help="Numbers: how they are written for the CRM and dialled by the PBX.")


@dataclass(frozen=True, slots=True)
class _Tried:
    """`told`: what goes out, whatever `outcome` says; "" where nothing can be dialled. `reasons`: why it is not E.164."""

    rules: Sequence[NumberRule]
    line: str
    outcome: Formatted
    told: str
    reasons: tuple[Reason, ...]

    def verdict(self, index: int) -> Reason:
        matched = self.outcome.rule
        if matched == index:
            return _REFUSED if self.outcome.refused else _MATCHES
        if matched is not None and index > matched:
            return _NOT_TRIED
        return _NO_MATCH if self.rules[index].is_for(self.line) else _OTHER_LINE

    def as_json(self) -> dict[str, Any]:
        rules = [
            {"match": rule.match, "replace": rule.replace, "name": rule.name, "verdict": str(self.verdict(index))}
            for index, rule in enumerate(self.rules)
        ]
        reasons = [str(reason) for reason in self.reasons]
        return {"result": self.told, "rule": self.outcome.rule, "reasons": reasons, "rules": rules}


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
    chosen = load(settings) if settings is not None else asyncio.run(_saved(data_dir))
    understood = Numbering(region=chosen.calls.region).international(number)
    to_crm, to_pbx = _towards_crm(understood, line, chosen), _towards_pbx(number, line, chosen)
    speech.answer(
        {
            "number": number,
            "line": line,
            "understood": understood,
            "to_crm": to_crm.as_json(),
            "to_pbx": to_pbx.as_json(),
        }
    )
    _ = speech.translate
    if line and not _is_known(line, chosen):
        speech.say(_("The settings name no line {line}.").format(line=line), "yellow")
    speech.say(_("Understood as: {number}").format(number=understood or "—"), "bold")
    _show(_("Towards the CRM"), to_crm, speech)
    _show(_("Towards the PBX"), to_pbx, speech)
    if to_crm.outcome.refused or to_pbx.outcome.refused:
        raise typer.Exit(Exit.PROBLEM)


def _is_known(line: str, settings: Settings) -> bool:
    names = {name for entry in settings.line for name in (entry.number, *entry.aliases)}
    plain = Numbering(region=settings.calls.region)
    return line in names or plain.international(line) in map(plain.international, names)


async def _saved(data_dir: Path) -> Settings:
    async with opened(data_dir) as installation:
        return (await installation.store.load()).settings


def _towards_crm(understood: str, line: str, settings: Settings) -> _Tried:
    from perezvon.service import policies  # noqa: PLC0415  the house is large, and only this needs it

    rules = policies.number_rules(settings, Towards.CRM)
    line = Numbering(region=settings.calls.region).international(line) or line
    outcome = formatted(understood, line, rules, Towards.CRM)
    reasons = (outcome.reason,) if outcome.reason is not None else ()
    if PHONE.fullmatch(outcome.number):
        return _Tried(rules, line, outcome, outcome.number, reasons)
    args = {"client": understood[:80] or "—", "number": settings.calls.anonymous_number}
    anonymous = Reason("{client} is no phone number: the portal is told {number}", args)
    return _Tried(rules, line, outcome, settings.calls.anonymous_number, (*reasons, anonymous))


def _towards_pbx(number: str, line: str, settings: Settings) -> _Tried:
    from perezvon.service import dialling, policies  # noqa: PLC0415  as above

    numbering = Numbering(region=settings.calls.region)
    rules = policies.number_rules(settings, Towards.PBX)
    outcome = dialling.dialled(number, numbering, line, rules)
    reasons = (outcome.reason,) if outcome.reason is not None else ()
    if not outcome.number:
        reasons = (Reason("{number} is no number that can be dialled", {"number": number[:40] or "—"}),)
    return _Tried(rules, numbering.international(line) or line, outcome, outcome.number, reasons)


def _show(title: str, tried: _Tried, speech: Speech) -> None:
    _ = speech.translate
    styles = {_MATCHES.text: "green", _REFUSED.text: "red"}
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
