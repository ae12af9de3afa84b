"""`make demo`: the main job on a real Asterisk. Calls are spoken, and what the portal recorded is printed beside them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from rich.console import Console
from rich.table import Table

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.portal.calls import PortalCall
from perezvon.sandbox.portal.face import face_routes
from perezvon.sandbox.stand import Missed, Stand, stand
from perezvon.sandbox.stories import STORIES, Spoken, Story, differences
from perezvon.sandbox.world_server import world_server

WIDTH = 132
"""Columns of the table where there is no terminal to ask."""

DIRECTIONS = {1: "outgoing", 2: "incoming"}


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    spoken: Spoken
    call: PortalCall | None
    wrong: list[str]


async def demo(*, once: bool, asterisk: Path | None, portal_port: int, world_port: int) -> bool:
    """Whether everything came out right. With `once` it ends by itself, else it stays up until Ctrl-C."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    with TemporaryDirectory(prefix="perezvon-demo-") as folder:
        work = asyncio.create_task(
            _run(console, Path(folder), once, stopping, asterisk, portal_port, world_port), name="demo"
        )
        stop = asyncio.create_task(stopping.wait(), name="Ctrl-C")
        await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done() and once:
            work.cancel()
        stop.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            return await work
    return False


async def _run(
    console: Console,
    folder: Path,
    once: bool,
    stopping: asyncio.Event,
    asterisk: Path | None,
    portal_port: int,
    world_port: int,
) -> bool:
    told: list[str] = []

    def progress(line: str, share: float = 1.0) -> None:
        """A line for each new thing that is being done, with the percentage as it grows where that takes time."""
        text = line if share >= 1 else f"{line} {share:.0%}"
        if text not in told[-1:]:
            told.append(text)
            console.print(f"[dim]{text}[/dim]", highlight=False)

    async with contextlib.AsyncExitStack() as parts:
        pbx = await parts.enter_async_context(await PbxSandbox.start(folder / "pbx", asterisk=asterisk, progress=progress))
        progress(f"Asterisk runs: an office PBX and the world outside ({pbx.installation.version})")
        config = PortalConfig(port=portal_port, rate=None)
        world_url = await parts.enter_async_context(world_server(pbx.world, world_port))
        portal = await parts.enter_async_context(PortalServer(config, face=face_routes(world_url=world_url)))
        progress(f"the pretend Bitrix24 portal: {portal.url}/")
        whole = await parts.enter_async_context(stand(pbx, portal, folder / "perezvon"))
        progress(f"perezvon serve: {whole.service.url}/")
        rows: list[Row] = []
        for story in STORIES:
            if stopping.is_set():
                return False
            rows.append(await _tell(console, story, whole))
        console.print(_table(rows, portal))
        right = all(not row.wrong for row in rows)
        for row in rows:
            for problem in row.wrong:
                console.print(f"[bold red]{row.title}[/bold red]: {problem}", highlight=False)
        if right:
            console.print(f"[bold green]All {len(rows)} calls came out right.[/bold green]")
        if not once and not stopping.is_set():
            _invite(console, whole)
            await pbx.world.reset()
            await stopping.wait()
        return right


async def _tell(console: Console, story: Story, whole: Stand) -> Row:
    with console.status(f"{story.title} …"):
        spoken = await story.speak(whole)
        try:
            call = await whole.call_of(spoken.client, recorded=spoken.recorded)
        except Missed as error:
            return Row(story.title, spoken, None, [str(error)])
    wrong = differences(spoken, call)
    console.print(f"{'[red]✗[/red]' if wrong else '[green]✓[/green]'} {story.title}")
    return Row(story.title, spoken, call, wrong)


def _table(rows: list[Row], portal: PortalServer) -> Table:
    """What was spoken and, beside it, what the portal recorded."""
    table = Table(title="What was spoken, and what the portal recorded of it", title_justify="left", show_lines=False)
    table.add_column("the call")
    table.add_column("client")
    table.add_column("spoken", justify="right")
    table.add_column("the portal says", style="cyan")
    table.add_column("responsible", style="cyan")
    table.add_column("cards were shown to", style="cyan")
    table.add_column("mp3", justify="right", style="cyan")
    table.add_column("")
    for row in rows:
        spoken, call = row.spoken, row.call
        was = [row.title, spoken.client, f"{spoken.talk:.1f} s" if spoken.talk else "—"]
        if call is None:
            table.add_row(*was, "nothing", "—", "—", "—", "[red]wrong[/red]")
            continue
        cards = sorted({card.user_id for card in call.cards})
        table.add_row(
            *was,
            f"{DIRECTIONS[call.type]}, {call.finish['status']}, {call.finish['duration']} s",
            _name(portal, int(call.finish["user_id"])),
            ", ".join(_name(portal, user) for user in cards) or "—",
            f"{call.recording.duration:.1f} s" if call.recording else "—",
            "[red]wrong[/red]" if row.wrong else "[green]right[/green]",
        )
    return table


def _name(portal: PortalServer, user: int) -> str:
    known = portal.state.people.users[user]
    return f"{known.last_name} {known.extension}".strip()


def _invite(console: Console, whole: Stand) -> None:
    console.print(
        f"""
Now play:
  the portal     {whole.portal.url}/          employees' screens, calls with a player, buttons that call the office
  Perezvon       {whole.service.url}/          is everything well?
  its log        {whole.service.log}
  the PBX        {whole.pbx.office_ami_all}
Ctrl-C ends it.""",
        highlight=False,
    )
