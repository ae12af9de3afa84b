"""A folder for hooks and a customiser on it, with its processes always ended."""

from __future__ import annotations

import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from perezvon.customisation import Customiser, Limits

Write = Callable[..., None]
Open = Callable[..., Awaitable[Customiser]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "customisation"
    made.mkdir()
    return made


@pytest.fixture
def write(folder: Path) -> Write:
    def put(source: str, name: str = "hooks.py") -> None:
        (folder / name).write_text(textwrap.dedent(source), encoding="utf-8")

    return put


@pytest.fixture
async def opened(folder: Path) -> AsyncIterator[Open]:
    made: list[Customiser] = []

    async def open_(limits: Limits | None = None, **more: object) -> Customiser:
        customiser = Customiser(folder, limits or Limits(ordinary=10.0, urgent=5.0), **more)  # type: ignore[arg-type]
        made.append(customiser)
        await customiser.open()
        return customiser

    yield open_
    for customiser in made:
        await customiser.close()
