"""Has Asterisk read our files, and looks whether it has them: through AMI where the user may send commands, else by the
command line of an Asterisk on this machine. No call is touched by that.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from perezvon.asterisk.address import AmiAddress
from perezvon.asterisk.errors import ActionRefused, AmiError
from perezvon.asterisk.session import Session

SECONDS = 20.0

FAILED = "Command output follows"
"""How AMI says that a command was carried out, and did not succeed (a context that is not there)."""

Run = Callable[[str], Awaitable[str]]
"""A command of the CLI -> what it prints. Raises Unreachable."""

RELOADS: Mapping[str, str] = {
    "indications.conf": "module reload indications",
    "musiconhold.conf": "moh reload",
    "features.conf": "module reload features",
    "confbridge.conf": "module reload app_confbridge.so",
    "pjsip.conf": "module reload res_pjsip.so",
    "manager.conf": "manager reload",
    "ari.conf": "module reload res_ari.so",
    "extensions.conf": "dialplan reload",
}
"""In the order in which they are done: the dialplan last, which needs the rest."""

PROOFS: Mapping[str, tuple[str, str]] = {
    "extensions.conf": ("dialplan show perezvon-room-manager", "perezvon-room-manager"),
    "features.conf": ("features show", "perezvon_third"),
    "confbridge.conf": ("confbridge show profile user perezvon_client", "perezvon_client"),
}
"""Of those files without which there is no menu and no conference: a command, and what its output must have."""


class Unreachable(Exception):
    """Neither AMI nor the command line answers: the message says why."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """`missing`: files that Asterisk has not read (their line is not there, or it complains in its log)."""

    missing: tuple[str, ...]
    through: str


async def load(address: AmiAddress | None, changed: Iterable[str]) -> Loaded:
    """Reloads what was `changed` (names of our files), then looks. Raises Unreachable."""
    why: list[str] = []
    if address is not None:
        try:
            return await _through_ami(address, set(changed))
        except (AmiError, TimeoutError) as error:
            why.append(f"AMI: {error or 'no answer'}")
    program = shutil.which("asterisk")
    if program is None:
        why.append("there is no asterisk program here")
        raise Unreachable("; ".join(why))
    try:
        return await _load(lambda command: _command_line(program, command), set(changed), f"{program} -rx")
    except Unreachable as error:
        raise Unreachable("; ".join([*why, str(error)])) from None


async def _through_ami(address: AmiAddress, changed: set[str]) -> Loaded:
    async with asyncio.timeout(SECONDS), await Session.open(address, wanted=frozenset(), boot_timeout=None) as session:

        async def run(command: str) -> str:
            try:
                return "\n".join((await session.action("Command", [("Command", command)])).all("Output"))
            except ActionRefused as refused:
                if refused.reason.startswith(FAILED):
                    return ""
                raise

        return await _load(run, changed, str(address))


async def _load(run: Run, changed: set[str], through: str) -> Loaded:
    for name, command in RELOADS.items():
        if name in changed:
            await run(command)
    missing = [name for name, (command, proof) in PROOFS.items() if not _proves(await run(command), proof)]
    return Loaded(tuple(missing), through)


def _proves(output: str, proof: str) -> bool:
    """`dialplan show` names the context also when there is none."""
    return any(proof in line and "no existence" not in line for line in output.splitlines())


async def _command_line(program: str, command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        program, "-rx", command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise Unreachable(f"{program} -rx: no answer within {SECONDS:g} s") from None
    text = output.decode("utf-8", "replace")
    if "Unable to connect" in text:
        raise Unreachable(f"{program} -rx: {text.strip()}")
    return text
