"""A voice menu in a process of its own, to be killed and stopped: `python menu_process.py FOLDER HOST:PORT [HANGS]`.

It says that it listens, and ends with whoever started it: when its stdin is closed. FOLDER holds `intro.wav`, `one.wav`,
`two.wav`, 8 kHz. The menu waits 2 s for a key, and 1 -> 101, 2 -> 102, 3 -> an outside number. With HANGS its script says
nothing: `slow` until it is cut, `hangs` with leave to.
"""

from __future__ import annotations

import asyncio
import sys
import wave
from collections.abc import Sequence
from pathlib import Path

import structlog

from perezvon.asterisk.agi import AgiCall, AgiServer
from perezvon.ivr.finding import Part
from perezvon.ivr.menu import MenuRules, give_menu
from perezvon.ivr.prompts import Prompt
from perezvon.ivr.scenario import Button, Scenario

OUTSIDE = "79170000040"
SCENARIO = Scenario(
    "74950000901", "intro", (Button("1", "one", "101"), Button("2", "two", "102"), Button("3", "", OUTSIDE))
)
RULES = MenuRules(silence=2.0, ring=2.0)


class FolderShelf:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def ready(self, scenario: Scenario) -> None:
        return

    def spoken(self, part: Part, name: str) -> Sequence[Prompt]:
        path = self._folder / name
        file = path.with_suffix(".wav")
        if part is Part.KEY or not file.exists():
            return (Prompt(str(path), 1.0),) if part is not Part.KEY else ()
        with wave.open(str(file), "rb") as sound:
            return (Prompt(str(path), sound.getnframes() / sound.getframerate()),)


async def main() -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    shelf = FolderShelf(Path(sys.argv[1]))

    async def menu(call: AgiCall) -> None:
        await give_menu(call, SCENARIO, shelf, RULES)

    async def hangs(call: AgiCall) -> None:
        call.may_think(3600)
        await asyncio.Event().wait()

    async def slow(call: AgiCall) -> None:
        await asyncio.Event().wait()

    server = AgiServer({"menu": {"": menu, "slow": slow, "hangs": hangs}["".join(sys.argv[3:])]})
    host, _, port = sys.argv[2].rpartition(":")
    await server.start(host, int(port))
    print("listens", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.close()


if __name__ == "__main__":
    asyncio.run(main())
