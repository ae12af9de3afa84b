"""`perezvon sandbox …` (or `python -m perezvon.sandbox …`): the demo, and its parts for playing by hand."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from perezvon.sandbox.demo import demo
from perezvon.sandbox.pbx import SandboxError
from perezvon.sandbox.service_process import ServiceTrouble

app = typer.Typer(no_args_is_help=True, add_completion=False, help="A real Asterisk, a pretend Bitrix24: see it work.")


@app.callback()
def sandbox() -> None:
    """A real Asterisk in a folder and a pretend Bitrix24."""


@app.command("demo")
def run_demo(
    once: Annotated[bool, typer.Option("--once", help="End when the scripted calls are over.")] = False,
    asterisk: Annotated[Path | None, typer.Option(help="Use this Asterisk (16 or newer) instead of making one.")] = None,
    portal_port: Annotated[int, typer.Option(help="Port of the portal's page; 0: any free one.")] = 8024,
    world_port: Annotated[int, typer.Option(help="Port for the page's buttons; 0: any free one.")] = 0,
) -> None:
    """Scripted calls through SIP and RTP, and beside each what the portal recorded. A difference is an error."""
    try:
        right = asyncio.run(demo(once=once, asterisk=asterisk, portal_port=portal_port, world_port=world_port))
    except (SandboxError, ServiceTrouble) as error:
        typer.secho(str(error), fg="red", err=True)
        raise typer.Exit(3) from None
    raise typer.Exit(0 if right else 1)


if __name__ == "__main__":
    app()
