"""Records the stories of `tests/calls` anew for the CEL tests: `python tests/asterisk/record_cel.py [NAME…]`.

Plays them on the sandbox's Asterisk and keeps of each what AMI told (`cel/NAME.ami.gz`) and what stood in the CEL file
afterwards (`cel/NAME.csv.gz`): two accounts of the same call.
"""

from __future__ import annotations

import asyncio
import gzip
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "calls"))

from call_stories import EXTRA_DIALPLAN, STORIES
from record import Tap, trimmed

from perezvon.asterisk import AmiAddress, Session
from perezvon.sandbox.pbx import PbxSandbox

KEPT = Path(__file__).parent / "cel"


async def main(names: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="perezvon-cel-") as folder:
        async with await PbxSandbox.start(Path(folder)) as pbx, asyncio.TaskGroup() as tasks:
            dialplan = pbx.office.folder / "etc/extensions.conf"
            dialplan.write_text(dialplan.read_text() + EXTRA_DIALPLAN)
            await pbx.office.ask("Command", ("Command", "dialplan reload"))
            address = AmiAddress.parse(pbx.office_ami_all)
            tap = await Tap.open(address)
            listener = tasks.create_task(tap.listen(), name="tap")
            async with await Session.open(address, wanted=frozenset()) as ami:
                for name, story in STORIES.told.items():
                    if names and name not in names:
                        continue
                    tap.cut()
                    start = pbx.cel.stat().st_size if pbx.cel.exists() else 0
                    try:
                        await asyncio.wait_for(story.play(pbx, ami), 60)
                    except Exception as error:
                        print(f"{name}: FAILED {error!r}", flush=True)
                        await pbx.world.reset()
                        continue
                    await pbx.office.silence()
                    await asyncio.sleep(0.3)
                    (KEPT / f"{name}.ami.gz").write_bytes(gzip.compress(trimmed(tap.cut()), mtime=0))
                    (KEPT / f"{name}.csv.gz").write_bytes(gzip.compress(pbx.cel.read_bytes()[start:], mtime=0))
                    await pbx.world.reset()
                    print(name, flush=True)
            listener.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
