"""Makes a folder with Asterisk out of Debian's packages, which are downloaded and unpacked, never installed.

`mmdebstrap --variant=extract --mode=chrootless` does that in 10 to 20 s (80 MB downloaded, 240 MB on disk) and needs no
root. As root we install `mmdebstrap` itself when it is missing.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import structlog

from perezvon.sandbox.pbx.apt_sources import debian_mirror
from perezvon.sandbox.pbx.errors import NoAsterisk, NotOnMirror

SUITES = {22: "forky", 16: "bullseye"}
"""Asterisk's release -> the release of Debian that has it."""

NEWEST = max(SUITES)
LINE = 400
"""Characters that are kept of one line of a command's output."""
KEYRINGS = Path("/usr/share/keyrings")

DOWNLOAD = 80_000_000
"""Bytes, about."""

Progress = Callable[[str, float], None]
"""Called with what is being done, and how much of all is done (0.0 to 1.0)."""

OTHERWISE = (
    "Or install Asterisk 16 or newer yourself (`apt-get install asterisk` where your system has it) "
    "and name it: --asterisk /usr/sbin/asterisk"
)

STAGES = (
    ("running apt-get update", "reading the list of packages", 0.05),
    ("downloading packages", "downloading Asterisk and its libraries", 0.2),
    ("extracting archives", "unpacking", 0.6),
    ("cleaning package lists", "cleaning up", 0.95),
)
"""What mmdebstrap says, what we say, and how far it has got by then."""

log = structlog.get_logger(__name__)


def silent(text: str, done: float) -> None:
    """The progress callback of those who do not want to see it."""


async def build(target: Path, release: int, progress: Progress) -> None:
    """Makes the folder `target` with that release of Asterisk (of `SUITES`). Raises NoAsterisk, which says what to do."""
    mirror = debian_mirror()
    if mirror is None or shutil.which("apt-get") is None:
        raise NoAsterisk(f"there is no Asterisk here, and no Debian mirror in this machine's apt sources. {OTHERWISE}")
    await _need("mmdebstrap", lambda: shutil.which("mmdebstrap") is not None, progress)
    await _need("debian-archive-keyring", lambda: _keyring() is not None, progress)
    keyring = _keyring()
    progress(f"making a folder with Asterisk {release}", 0.0)
    options = ['Acquire::Check-Valid-Until "false"', *await _proxies()]
    command = ["mmdebstrap", "--variant=extract", "--mode=chrootless", "--include=asterisk", f"--keyring={keyring}"]
    command += [f"--aptopt={option}" for option in options]
    measuring = asyncio.create_task(_show_download(target, progress), name="download-progress")
    try:
        code, output = await run([*command, SUITES[release], str(target), mirror], progress)
    finally:
        measuring.cancel()
        await asyncio.gather(measuring, return_exceptions=True)
    if code:
        end = "\n".join(output[-15:])
        if "does not have a Release file" in end:
            raise NotOnMirror(f"{mirror} has no {SUITES[release]} (any more), from which Asterisk {release} would come")
        raise NoAsterisk(f"mmdebstrap could not make a folder with Asterisk from {SUITES[release]}:\n{end}\n{OTHERWISE}")
    await asyncio.to_thread(_finish, target)


async def _show_download(target: Path, progress: Progress) -> None:
    """mmdebstrap says nothing while it downloads, which takes minutes on a slow line."""
    shown = 0
    while True:
        await asyncio.sleep(1)
        if (target / "usr").exists():  # all are there, and are being unpacked
            return
        size = await asyncio.to_thread(_downloaded, target)
        if size > shown:
            progress(f"downloaded {size // 1_000_000} MB", 0.2 + 0.4 * min(1.0, size / DOWNLOAD))
            shown = size


def _downloaded(target: Path) -> int:
    """Bytes, in whole megabytes, of the packages downloaded so far."""
    total = 0
    for name in ("var/cache/apt/archives", "var/cache/apt/archives/partial"):
        folder = target / name
        if folder.is_dir():
            with os.scandir(folder) as entries:
                total += sum(entry.stat().st_size for entry in entries if entry.name.endswith(".deb"))
    return total // 1_000_000 * 1_000_000


def _finish(target: Path) -> None:
    for sounds in (target / "usr/share/asterisk/sounds").glob("en_*"):
        sounds.with_name("en").symlink_to(sounds.name)  # as the package does when it is installed
    for superfluous in ("usr/share/doc", "usr/share/man", "usr/share/locale"):
        shutil.rmtree(target / superfluous, ignore_errors=True)


def _keyring() -> Path | None:
    for name in ("debian-archive-keyring.gpg", "debian-archive-keyring.pgp"):
        if (KEYRINGS / name).exists():
            return KEYRINGS / name
    return None


async def _need(package: str, present: Callable[[], bool], progress: Progress) -> None:
    """Sees to it that a package of this machine is there. Raises NoAsterisk when it is not and we may not install it."""
    if present():
        return
    command = f"apt-get update && apt-get install -y {package}"
    if os.geteuid() != 0:
        raise NoAsterisk(f"{package} is missing and installing it takes root. Run: sudo sh -c '{command}'. {OTHERWISE}")
    progress(f"installing {package}", 0.0)
    log.info("sandbox.installing", package=package)
    code, output = await run(["sh", "-c", f"apt-get -q update && apt-get -q install -y {package}"], silent)
    if code or not present():
        raise NoAsterisk(f"`{command}` failed:\n" + "\n".join(output[-15:]))


async def _proxies() -> list[str]:
    """What this machine's apt is told about proxies and certificates holds for us too: mmdebstrap does not look there."""
    code, output = await run(["apt-config", "dump", "--format", '%f "%v"%n'], silent)
    wanted = re.compile(r"Acquire::https?::(.*::)?(Proxy|Proxy-?Auto-?Detect|CaInfo|Verify-Peer) \".+\"", re.IGNORECASE)
    return [line for line in output if wanted.fullmatch(line)] if code == 0 else []


async def run(command: list[str], progress: Progress) -> tuple[int, list[str]]:
    """Runs a command to its end: its exit code and the lines it wrote. Raises OSError when it cannot be run."""
    environment = os.environ | {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
        start_new_session=True,
        limit=1 << 20,
    )
    output: list[str] = []
    try:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            output.append(line.decode(errors="replace").rstrip()[:LINE])
            for words, text, done in STAGES:
                if words in output[-1]:
                    progress(text, done)
        return await process.wait(), output
    finally:
        if process.returncode is None:  # we are being cancelled
            process.terminate()
            await process.wait()
