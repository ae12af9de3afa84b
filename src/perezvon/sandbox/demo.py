"""`make demo`: the main job on a real Asterisk. Calls are spoken, and what the portal recorded is printed beside them."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.portal.calls import PortalCall
from perezvon.sandbox.portal.face import face_routes
from perezvon.sandbox.stand import Missed, Stand, stand
from perezvon.sandbox.stories import STORIES, Spoken, Story, differences
from perezvon.sandbox.world_server import world_server

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
        console.print(_table(rows))
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


def _table(rows: list[Row]) -> Table:
    """What was spoken and, beside it, what the portal recorded."""
    table = Table(title="What was spoken | what the portal recorded", title_justify="left")
    for name in (
        "call",
        "client",
        "direction",
        "talk",
        "→ direction",
        "responsible",
        "status",
        "duration",
        "cards",
        "mp3",
        "",
    ):
        table.add_column(name, justify="right" if name in ("talk", "duration", "mp3") else "left")
    for row in rows:
        spoken, call = row.spoken, row.call
        was = [row.title, spoken.client, DIRECTIONS[spoken.type], f"{spoken.talk:.1f} s" if spoken.talk else "—"]
        if call is None:
            table.add_row(*was, "—", "—", "—", "—", "—", "—", "[red]wrong[/red]")
            continue
        record = f"{call.recording.duration:.1f} s" if call.recording else "—"
        table.add_row(
            *was,
            DIRECTIONS[call.type],
            f"user {call.finish['user_id']}",
            str(call.finish["status"]),
            f"{call.finish['duration']} s",
            ", ".join(str(user) for user in sorted({card.user_id for card in call.cards})) or "—",
            record,
            "[red]wrong[/red]" if row.wrong else "[green]right[/green]",
        )
    return table


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
