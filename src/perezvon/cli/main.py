"""The commands put together."""

from __future__ import annotations

import typer

from perezvon.cli import (
    asterisk,
    autoconnect,
    backfill,
    config,
    customisation,
    erase,
    examine,
    ivr,
    numbers,
    people,
    replay,
    running,
)

app = typer.Typer(
    name="perezvon",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Asterisk and Bitrix24, joined: every call right, nothing lost, nothing twice.",
)
app.command()(running.serve)
app.add_typer(config.app, name="config")
app.add_typer(ivr.app, name="ivr")
app.add_typer(numbers.app, name="numbers")
app.add_typer(people.app, name="people")
app.add_typer(customisation.app, name="customisation")
app.add_typer(autoconnect.app, name="autoconnect")
app.add_typer(asterisk.app, name="asterisk")
app.command()(examine.doctor)
app.command()(replay.replay)
app.command()(backfill.backfill)
app.command()(erase.erase)
app.command()(running.backup)
app.command()(running.version)
app.command(
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)(running.sandbox)


def main() -> None:
    app()
