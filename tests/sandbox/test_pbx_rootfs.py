"""Finding an Asterisk or making one: what is read from the machine, what is said when it cannot be done, two at once."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from perezvon.sandbox.pbx import NoAsterisk, building
from perezvon.sandbox.pbx.apt_sources import Source, debian_mirror, sources
from perezvon.sandbox.pbx.rootfs import Installation, find_or_build

DEB822 = """\
# the vendor's own
Types: deb
URIs: http://vendor.example/apt
Suites: nodistro
Components: main

Types: deb-src
URIs: http://source.example/debian
Suites: bookworm
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb deb-src
# a comment in the middle
URIs: http://mirror.example/debian
 http://second.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""

LIST = """\
# deb http://commented.example/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://vendor.example/apt stable-3 main
deb-src http://source.example/debian bookworm main
deb http://security.example/debian-security bookworm-security main
deb [ arch=amd64 ] mirror+file:/etc/apt/mirrors/debian.list trixie main non-free-firmware # here
"""


def test_mirror_from_deb822(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d/debian.sources").write_text(DEB822)
    assert debian_mirror(tmp_path) == "http://mirror.example/debian"
    assert [source.uri for source in sources(tmp_path)] == [
        "http://vendor.example/apt",
        "http://mirror.example/debian",
        "http://second.example/debian",
    ]


def test_mirror_from_lines(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text(LIST)
    assert debian_mirror(tmp_path) == "mirror+file:/etc/apt/mirrors/debian.list"
    assert Source("http://vendor.example/apt", ("stable-3",), ("main",)) in list(sources(tmp_path))


def test_no_mirror_where_there_is_no_debian(tmp_path: Path) -> None:
    assert debian_mirror(tmp_path) is None
    (tmp_path / "sources.list").write_text("deb http://archive.example/ubuntu noble main universe\n")
    assert debian_mirror(tmp_path) is None


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with a Debian mirror and a keyring, whose only commands are those that a test puts into the folder returned."""
    commands = tmp_path / "commands"
    commands.mkdir()
    for name in ("sh", "cp", "sleep", "mkdir", "echo"):
        found = shutil.which(name)
        assert found is not None
        (commands / name).symlink_to(found)
    command(commands, "apt-get", "exit 1")
    command(commands, "apt-config", "exit 0")
    monkeypatch.setenv("PATH", str(commands))
    monkeypatch.setattr(building, "debian_mirror", lambda: "http://mirror.example/debian")
    keyrings = tmp_path / "keyrings"
    keyrings.mkdir()
    (keyrings / "debian-archive-keyring.gpg").touch()
    monkeypatch.setattr(building, "KEYRINGS", keyrings)
    return commands


def command(folder: Path, name: str, body: str) -> Path:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)
    return file


async def test_not_debian(machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "debian_mirror", lambda: None)
    with pytest.raises(NoAsterisk, match=r"no Debian mirror.*--asterisk /usr/sbin/asterisk"):
        await find_or_build(cache=tmp_path / "cache")


async def test_not_root_and_no_mmdebstrap(machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NoAsterisk, match=r"takes root. Run: sudo sh -c 'apt-get update && apt-get install -y mmdebstrap'"):
        await find_or_build(cache=tmp_path / "cache")


async def test_root_installs_mmdebstrap_or_shows_why_not(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    command(machine, "apt-get", "echo Temporary failure resolving; exit 100")
    with pytest.raises(NoAsterisk, match=r"(?s)apt-get install -y mmdebstrap. failed.*Temporary failure resolving"):
        await find_or_build(cache=tmp_path / "cache")


async def test_failed_build_shows_why_and_leaves_nothing(machine: Path, tmp_path: Path) -> None:
    command(
        machine, "mmdebstrap", 'for last; do prev=$t; t=$last; done; mkdir -p "$prev/usr"; echo E: no such mirror; exit 2'
    )
    with pytest.raises(NoAsterisk, match=r"(?s)E: no such mirror.*--asterisk"):
        await find_or_build(cache=tmp_path / "cache")
    assert [left.name for left in (tmp_path / "cache").iterdir()] == ["asterisk-22.lock"]


async def test_cache_that_cannot_be_written(machine: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NoAsterisk, match="Set PEREZVON_CACHE to a folder of yours"):
        await find_or_build(cache=tmp_path / "file/cache")


async def test_asterisk_that_is_named(machine: Path, tmp_path: Path) -> None:
    old = command(tmp_path, "old", "echo Asterisk 13.38.3")
    with pytest.raises(NoAsterisk, match=r"13\.38\.3, the sandbox needs 16"):
        await find_or_build(old)
    with pytest.raises(NoAsterisk, match="no Asterisk that can be run"):
        await find_or_build(tmp_path / "absent")
    good = command(tmp_path, "good", "echo Asterisk certified/18.9-cert10")
    assert await find_or_build(good) == Installation((str(good),), "certified/18.9-cert10")


async def test_asterisk_of_the_machine_is_used(machine: Path, tmp_path: Path) -> None:
    found = command(machine, "asterisk", "echo Asterisk 20.9.3~dfsg-1")
    assert await find_or_build(cache=tmp_path / "cache") == Installation((str(found),), "20.9.3~dfsg-1")
    assert not (tmp_path / "cache").exists()


@pytest.mark.asterisk
async def test_two_builders_make_one(machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as context:
        context.undo()
        real = await find_or_build()
    if real.data is None:
        pytest.skip("this machine has an Asterisk of its own, nothing is built here")
    root = real.data.parents[2]
    made = tmp_path / "made"
    command(
        machine,
        "mmdebstrap",
        f"for last; do prev=$t; t=$last; done; echo x >>{made}; echo I: extracting archives...; "
        f'mkdir "$prev"; sleep 0.3; cp -a {root}/usr "$prev"; rm "$prev/usr/share/asterisk/sounds/en"',
    )
    (machine / "rm").symlink_to("/bin/rm")
    cache = tmp_path / "cache"
    (cache / "asterisk-22.building-1/usr").mkdir(parents=True)
    (cache / "asterisk-22").mkdir()
    seen: list[tuple[str, float]] = []
    both = await asyncio.gather(*(find_or_build(cache=cache, progress=lambda *step: seen.append(step)) for _ in range(2)))
    assert both[0] == both[1]
    assert both[0].version == real.version
    assert made.read_text() == "x\n"
    assert ("unpacking", 0.6) in seen
    assert any("waiting for another process" in text for text, _ in seen)
    assert sorted(left.name for left in cache.iterdir()) == ["asterisk-22", "asterisk-22.lock"]
    assert (cache / "asterisk-22/usr/share/asterisk/sounds/en/beep.gsm").exists()
