"""What all tests share: one async backend, and where the recorded call scenarios are."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["mariadb_fixtures", "pbx_fixtures", "postgres_fixtures"]

CORPORA = Path(__file__).resolve().parents[2] / "shared" / "corpora"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def corpora() -> Path:
    if not CORPORA.is_dir():
        pytest.skip(f"recorded scenarios are not at {CORPORA}")
    return CORPORA
