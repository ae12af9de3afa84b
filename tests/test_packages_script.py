"""`scripts/packages` for somebody who is not root: what is missing is named, with what to do, and nothing is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = (Path(__file__).resolve().parents[1] / "scripts/packages").read_text()
NOBODY = 65534
INSTALL = "sudo apt-get update && sudo apt-get install -y --no-install-recommends "


class Machine:
    """One with few commands. Lies outside pytest's folder, which is closed to others."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("sh", "id", "ls", "tr", "sort"):
            self.has(name, shutil.which(name))

    def has(self, name: str, real: str | None = None) -> None:
        if real is not None:
            (self.folder / name).symlink_to(real)
        else:
            self.says(name, "exit 0")

    def says(self, name: str, script: str) -> None:
        (self.folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.folder / name).chmod(0o755)

    def packages(self, what: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.folder / "sh", "-s", what],
            input=SCRIPT,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
            cwd="/",
            env={"PATH": str(self.folder), "HOME": str(self.folder), **environment},
            user=NOBODY if os.getuid() == 0 else None,
        )


@pytest.fixture
def machine() -> Iterator[Machine]:
    with tempfile.TemporaryDirectory(prefix="perezvon-machine-") as folder:
        Path(folder).chmod(0o755)
        yield Machine(Path(folder))


def test_without_python(machine: Machine) -> None:
    machine.has("apt-get")
    done = machine.packages("base")
    assert done.returncode == 1
    assert f"{INSTALL}python3 python3-venv\n" in done.stderr


def test_an_old_python_is_told_and_another_can_be_named(machine: Machine) -> None:
    machine.says("python3", '[ "$1" = --version ] && echo Python 3.9.2 && exit 0; exit 1')
    done = machine.packages("base")
    assert done.returncode == 1
    assert "python3 is Python 3.9.2, and Perezvon needs 3.11 or newer" in done.stderr
    machine.has("python3.11")
    assert machine.packages("base", PYTHON="python3.11").returncode == 0


def test_without_venv(machine: Machine) -> None:
    machine.has("apt-get")
    machine.says("python3", 'case "$2" in *venv*) exit 1 ;; esac')
    done = machine.packages("base")
    assert done.returncode == 1
    assert f"{INSTALL}python3-venv\n" in done.stderr


def test_not_debian(machine: Machine) -> None:
    done = machine.packages("base")
    assert done.returncode == 1
    assert "not Debian-like" in done.stderr
    assert "python3" in done.stderr


def test_mmdebstrap_is_needed_only_where_an_asterisk_must_be_made(machine: Machine) -> None:
    machine.has("python3")
    assert machine.packages("demo").returncode == 0  # not Debian: the demo itself says what to do
    machine.has("apt-get")
    assert "mmdebstrap" in machine.packages("demo").stderr
    made = machine.folder / "cache/asterisk-22/usr/sbin/asterisk"
    made.parent.mkdir(parents=True)
    made.touch(0o755)
    done = machine.packages("demo", PEREZVON_CACHE=str(machine.folder / "cache"))
    assert (done.returncode, done.stderr) == (0, "")
    machine.has("asterisk")
    assert machine.packages("demo").returncode == 0


def test_the_word_is_one_of_three(machine: Machine) -> None:
    done = machine.packages("all")
    assert done.returncode == 2
    assert "usage: scripts/packages base|demo|test" in done.stderr
