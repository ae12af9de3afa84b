"""Finds an Asterisk on this machine, or makes one in a folder out of Debian's packages.

The folder holds the unpacked packages of `asterisk` and of all that it depends on, nothing is installed and no root is
needed: `mmdebstrap --variant=extract --mode=chrootless` downloads and unpacks (10 s, 270 MB), and the folder's own loader
runs the folder's own program with the folder's own libraries. So there is no chroot either, and Asterisk sees the same
files as everybody else. Touches the cache folder; as root it installs `mmdebstrap` when that is missing.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import shutil
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog

from perezvon.sandbox.pbx.apt_sources import debian_mirror
from perezvon.sandbox.pbx.errors import NoAsterisk

SUITE = "forky"
OLDEST = 16
LINE = 400
"""Characters that are kept of one line of a command's output."""
KEYRINGS = Path("/usr/share/keyrings")

Progress = Callable[[str, float], None]
"""Called with what is being done, and how much of all is done (0.0 to 1.0)."""

OTHERWISE = (
    f"Or install Asterisk {OLDEST} or newer yourself (`apt-get install asterisk` where your system has it) "
    "and name it: --asterisk /usr/sbin/asterisk"
)

STAGES = (
    ("running apt-get update", "reading the list of packages", 0.05),
    ("downloading packages", "downloading Asterisk 22 and its libraries", 0.2),
    ("extracting archives", "unpacking", 0.6),
    ("cleaning package lists", "cleaning up", 0.95),
)
"""What mmdebstrap says, what we say, and how far it has got by then."""

log = structlog.get_logger()


def silent(text: str, done: float) -> None:
    """The progress callback of those who do not want to see it."""


@dataclass(frozen=True, slots=True)
class Installation:
    """An Asterisk that can be started: `command` is followed by Asterisk's own options.

    `modules` and `data` are None for an Asterisk of the machine, which knows its own folders.
    """

    command: tuple[str, ...]
    version: str
    modules: Path | None = None
    data: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def modules_folders(self) -> tuple[Path, ...]:
        """Where its modules may be: of an Asterisk of the machine only the usual places are known."""
        if self.modules is not None:
            return (self.modules,)
        usual = [Path("/usr/lib64/asterisk/modules"), Path("/usr/lib/asterisk/modules")]
        return (*usual, *sorted(Path("/usr/lib").glob("*-linux-gnu*/asterisk/modules")))


async def find_or_build(
    asterisk: Path | None = None, cache: Path | None = None, progress: Progress = silent
) -> Installation:
    """`asterisk`: the program to use; else the one on PATH; else the one in the cache folder, which is made when missing.

    Raises NoAsterisk, whose message says what to do.
    """
    if asterisk is not None:
        version = await _version((str(asterisk),))
        if version is None:
            raise NoAsterisk(f"--asterisk {asterisk}: this is no Asterisk that can be run (`{asterisk} -V` failed)")
        if _major(version) < OLDEST:
            raise NoAsterisk(f"--asterisk {asterisk}: it is version {version}, the sandbox needs {OLDEST} or newer")
        return Installation((str(asterisk),), version)
    if found := shutil.which("asterisk"):
        version = await _version((found,))
        if version is not None and _major(version) >= OLDEST:
            progress(f"using {found}, Asterisk {version}", 1.0)
            return Installation((found,), version)
    return await _cached(cache or cache_folder(), progress)


def cache_folder() -> Path:
    """`$PEREZVON_CACHE`, else `perezvon` in the user's cache folder."""
    if named := os.environ.get("PEREZVON_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "perezvon"


async def _cached(cache: Path, progress: Progress) -> Installation:
    root = cache / "asterisk-22"
    try:
        await asyncio.to_thread(cache.mkdir, parents=True, exist_ok=True)
        async with _only_one(cache / "asterisk-22.lock", progress):
            if installation := await _in_folder(root):
                return installation
            await asyncio.to_thread(_remove_remains, cache)
            target = cache / f"asterisk-22.building-{os.getpid()}"
            try:
                await _build(target, progress)
                await asyncio.to_thread(target.rename, root)
            finally:
                await asyncio.to_thread(shutil.rmtree, target, ignore_errors=True)
            installation = await _in_folder(root)
    except OSError as error:
        raise NoAsterisk(
            f"cannot write to the cache folder {cache}: {error.strerror or error}. Set PEREZVON_CACHE to a folder of yours"
        ) from error
    if installation is None:
        raise NoAsterisk(f"the Asterisk just unpacked to {root} does not run on this machine. {OTHERWISE}")
    progress(f"Asterisk {installation.version} is ready in {root}", 1.0)
    return installation


def _remove_remains(cache: Path) -> None:
    """What is there and does not run, and what somebody began and did not finish."""
    for remains in cache.glob("asterisk-22*"):
        if remains.is_dir():
            shutil.rmtree(remains)


async def _in_folder(root: Path) -> Installation | None:
    """The Asterisk that stands unpacked in a folder, if it is whole and runs."""
    installation = await asyncio.to_thread(_unpacked, root)
    if installation is None:
        return None
    version = await _version(installation.command)
    return None if version is None else replace(installation, version=version)


def _unpacked(root: Path) -> Installation | None:
    loaders = sorted([*root.glob("usr/lib64/ld-linux-*.so.*"), *root.glob("usr/lib/ld-linux-*.so.*")])
    modules = sorted(root.glob("usr/lib/*-linux-gnu*/asterisk/modules"))
    data = root / "usr/share/asterisk"
    if not loaders or not modules or not (data / "sounds/en").exists():
        return None
    libraries = modules[0].parents[1]
    command = [loaders[0], "--library-path", libraries, "--argv0", "asterisk", root / "usr/sbin/asterisk"]
    environment = {
        "GCONV_PATH": str(libraries / "gconv"),
        "OPENSSL_MODULES": str(libraries / "ossl-modules"),
        "OPENSSL_CONF": os.devnull,
    }
    return Installation(tuple(map(str, command)), "", modules[0], data, environment)


async def _build(target: Path, progress: Progress) -> None:
    mirror = debian_mirror()
    if mirror is None or shutil.which("apt-get") is None:
        raise NoAsterisk(f"there is no Asterisk here, and no Debian mirror in this machine's apt sources. {OTHERWISE}")
    await _need("mmdebstrap", lambda: shutil.which("mmdebstrap") is not None, progress)
    await _need("debian-archive-keyring", lambda: _keyring() is not None, progress)
    keyring = _keyring()
    progress("making a folder with Asterisk 22", 0.0)
    options = ['Acquire::Check-Valid-Until "false"', *await _proxies()]
    command = ["mmdebstrap", "--variant=extract", "--mode=chrootless", "--include=asterisk", f"--keyring={keyring}"]
    command += [f"--aptopt={option}" for option in options]
    code, output = await _run([*command, SUITE, str(target), mirror], progress)
    if code:
        end = "\n".join(output[-15:])
        raise NoAsterisk(f"mmdebstrap could not make a folder with Asterisk from {SUITE}:\n{end}\n{OTHERWISE}")
    await asyncio.to_thread(_finish, target)


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
    code, output = await _run(["sh", "-c", f"apt-get -q update && apt-get -q install -y {package}"], silent)
    if code or not present():
        raise NoAsterisk(f"`{command}` failed:\n" + "\n".join(output[-15:]))


async def _proxies() -> list[str]:
    """What this machine's apt is told about proxies and certificates holds for us too: mmdebstrap does not look there."""
    code, output = await _run(["apt-config", "dump", "--format", '%f "%v"%n'], silent)
    wanted = re.compile(r"Acquire::https?::(.*::)?(Proxy|Proxy-?Auto-?Detect|CaInfo|Verify-Peer) \".+\"", re.IGNORECASE)
    return [line for line in output if wanted.fullmatch(line)] if code == 0 else []


async def _run(command: list[str], progress: Progress) -> tuple[int, list[str]]:
    environment = os.environ | {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
        start_new_session=True,
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


@asynccontextmanager
async def _only_one(lock: Path, progress: Progress) -> AsyncGenerator[None]:
    """Two who want the same folder: the second waits until the first has made it."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another process that is making the folder with Asterisk", 0.0)
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    await asyncio.sleep(0.2)
        yield


async def _version(command: tuple[str, ...]) -> str | None:
    """What `asterisk -V` says, without the word Asterisk; None when it cannot be run."""
    try:
        code, output = await _run([*command, "-V"], silent)
    except OSError:
        return None
    found = re.search(r"^Asterisk (\S+)", "\n".join(output), re.MULTILINE)
    return found[1] if found and code == 0 else None


def _major(version: str) -> int:
    found = re.match(r"(?:certified[/-])?(\d+)", version)
    return int(found[1]) if found else OLDEST  # a build from source control has no number
