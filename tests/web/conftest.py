"""What the tests of the pages share: passwords that cost nothing, and the pages over a switchroom on paper."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pages_server import Pages, Visitor, pages
from paper_switchroom import PaperRoom
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from perezvon.web import passwords


@pytest.fixture(autouse=True)
def hashed_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """As OWASP wants it, it takes long on purpose."""
    monkeypatch.setattr(passwords, "_hasher", lambda: PasswordHash((Argon2Hasher(1, 64, 1),)))


@pytest.fixture
def room() -> PaperRoom | None:
    """Overridden by tests that look at calls which go on: there are streams then."""
    return None


@pytest.fixture
async def served(place: str, tmp_path: Path, room: PaperRoom | None) -> AsyncIterator[Pages]:
    async with pages(place, tmp_path, room) as made:
        yield made


@pytest.fixture
async def visitor(served: Pages) -> AsyncIterator[Visitor]:
    """Who has not signed in."""
    async with Visitor(served.url) as visitor:
        yield visitor
