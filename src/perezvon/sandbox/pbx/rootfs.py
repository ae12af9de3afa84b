"""Finds an Asterisk on this machine, or has one made in the cache folder (see `building`).

What was made there is run by the folder's own loader with the folder's own libraries. So there is no chroot, and Asterisk
sees the same files as everybody else.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import shutil
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from perezvon.sandbox.pbx.building import NEWEST, OTHERWISE, Progress, build, run, silent
from perezvon.sandbox.pbx.errors import NoAsterisk

OLDEST = 16


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
    asterisk: Path | None = None, cache: Path | None = None, progress: Progress = silent, release: int | None = None
) -> Installation:
    """`asterisk`: the program to use; else the one on PATH; else the one in the cache folder, which is made when missing.

    `release`: 22 or 16; None takes any from 16 on that the machine has, else 22.

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
        if version is not None and (_major(version) >= OLDEST if release is None else _major(version) == release):
            progress(f"using {found}, Asterisk {version}", 1.0)
            return Installation((found,), version)
    return await _cached(cache or cache_folder(), release or NEWEST, progress)


def cache_folder() -> Path:
    """`$PEREZVON_CACHE`, else `perezvon` in the user's cache folder."""
    if named := os.environ.get("PEREZVON_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "perezvon"


async def _cached(cache: Path, release: int, progress: Progress) -> Installation:
    root = cache / f"asterisk-{release}"
    try:
        await asyncio.to_thread(cache.mkdir, parents=True, exist_ok=True)
        async with _only_one(cache / f"{root.name}.lock", progress):
            if installation := await _in_folder(root):
                return installation
            await asyncio.to_thread(_remove_remains, root)
            target = cache / f"{root.name}.building-{os.getpid()}"
            try:
                await build(target, release, progress)
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


def _remove_remains(root: Path) -> None:
    """What is there and does not run, and what somebody began and did not finish.

    Who was killed may have left a mmdebstrap that still fills its folder: what cannot be removed now goes next time.
    """
    for remains in root.parent.glob(f"{root.name}*"):
        if remains.is_dir():
            shutil.rmtree(remains, ignore_errors=True)


async def _in_folder(root: Path) -> Installation | None:
    """The Asterisk that stands unpacked in a folder, if it is whole and runs."""
    installation = await asyncio.to_thread(_unpacked, root)
    if installation is None:
        return None
    version = await _version(installation.command)
    return None if version is None else replace(installation, version=version)


def _unpacked(root: Path) -> Installation | None:
    # Before Debian 12 the loader and the C library stand in /lib, and /lib64 has only an absolute link.
    places = ("usr/lib64/ld-linux-*.so.*", "usr/lib/ld-linux-*.so.*", "lib/*-linux-gnu*/ld-*.so")
    loaders = [loader for place in places for loader in sorted(root.glob(place))]
    modules = [*root.glob("usr/lib/*-linux-gnu*/asterisk/modules"), *root.glob("usr/lib/asterisk/modules")]
    libraries = sorted(root.glob("usr/lib/*-linux-gnu*"))
    data = root / "usr/share/asterisk"
    if not loaders or not modules or not libraries or not (data / "sounds/en").exists():
        return None
    where = ":".join(map(str, [*libraries, root / "usr/lib", *root.glob("lib/*-linux-gnu*")]))
    named = () if loaders[0].match("ld-2.*") else ("--argv0", "asterisk")  # new with glibc 2.33
    command = [loaders[0], "--library-path", where, *named, root / "usr/sbin/asterisk"]
    environment = {
        "GCONV_PATH": str(libraries[0] / "gconv"),
        "OPENSSL_MODULES": str(libraries[0] / "ossl-modules"),
        "OPENSSL_CONF": os.devnull,
    }
    return Installation(tuple(map(str, command)), "", modules[0], data, environment)


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
        code, output = await run([*command, "-V"], silent)
    except OSError:
        return None
    found = re.search(r"^Asterisk (\S+)", "\n".join(output), re.MULTILINE)
    return found[1] if found and code == 0 else None


def _major(version: str) -> int:
    found = re.match(r"(?:certified[/-])?(\d+)", version)
    return int(found[1]) if found else OLDEST  # a build from source control has no number
