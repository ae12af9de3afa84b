"""Writes requirements/*.txt anew from pyproject.toml: exact versions with hashes, for every platform, without URLs."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMMON = [
    "uv", "pip", "compile", "--generate-hashes", "--python-version", "3.11", "--universal",
    "--no-emit-index-url", "--no-header", "--no-annotate", "--quiet", "--upgrade",
]  # fmt: skip


def pin(name: str, *options: str, source: tuple[str, ...] = ("pyproject.toml",)) -> None:
    subprocess.run([*COMMON, *source, *options, "-o", f"requirements/{name}.txt"], cwd=ROOT, check=True)


if __name__ == "__main__":
    pin("dev", "--all-extras", "--group", "dev")
    pin("base", "--all-extras", "-c", "requirements/dev.txt")
    pin("build", "--group", "build", "-c", "requirements/dev.txt", source=())
