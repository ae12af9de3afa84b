"""`python -m perezvon.sandbox.pbx`: both Asterisks for playing by hand, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from pathlib import Path

from perezvon.sandbox.pbx import PbxSandbox, SandboxError
from perezvon.sandbox.pbx.building import SUITES
from perezvon.sandbox.pbx.rootfs import find_or_build

WHOM_TO_CALL = """\
  74950000101…105 extensions          74950000200 ring group       74950000300, …310 queues     74950000400 voice menu
  74950000500 announcement            74950000600 phone is off     74950000700 nobody answers   74950000800 SIP connector"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m perezvon.sandbox.pbx", description=__doc__)
    parser.add_argument("--folder", type=Path, help="for configuration, logs and recordings (default: a temporary one)")
    parser.add_argument("--asterisk", type=Path, help="the Asterisk program to use")
    parser.add_argument("--release", type=int, choices=sorted(SUITES), help="the release to use (default: 22)")
    parser.add_argument("--verbose", type=int, default=3, help="how much the logs of both tell (default: 3)")
    parser.add_argument("--only-make", action="store_true", help="see to it that there is an Asterisk, and start none")
    options = parser.parse_args()
    try:
        if options.only_make:
            asyncio.run(find_or_build(options.asterisk, progress=show, release=options.release))
        elif options.folder is not None:
            asyncio.run(play(options.folder, options))
        else:
            with tempfile.TemporaryDirectory(prefix="perezvon-pbx-") as folder:
                asyncio.run(play(Path(folder), options))
    except asyncio.CancelledError:  # Ctrl-C, SIGTERM
        return 0
    except SandboxError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


async def play(folder: Path, options: argparse.Namespace) -> None:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    async with await PbxSandbox.start(
        folder, asterisk=options.asterisk, release=options.release, progress=show, verbose=options.verbose
    ) as sandbox:
        office = sandbox.office.folder
        tell(f"office AMI   {sandbox.office_ami_all}   (process {sandbox.office.pid})")
        tell(f"  Perezvon's {sandbox.office_ami}")
        tell(f"  over TLS   {sandbox.office_ami_tls}")
        tell(f"  ARI        {sandbox.office_ari}")
        tell(f"  recordings {sandbox.recordings}")
        tell(f"  log        {office / 'log/full'}")
        tell(f"world AMI    {sandbox.world_ami}   (process {sandbox.world.switch.pid})")
        tell("\nCall from outside, by the world's AMI:")
        tell("  Action: Originate / Channel: PJSIP/74950000101@carrier / CallerID: Ivan <79161234567>")
        tell("  Context: talk / Exten: s / Priority: 1 / Variable: TONE=1000 / Async: true")
        tell(WHOM_TO_CALL)
        tell("\nCtrl-C ends it.")
        await sandbox.failure()


def show(text: str, done: float) -> None:
    tell(f"{done:4.0%}  {text}")


def tell(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
