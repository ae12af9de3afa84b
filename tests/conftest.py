"""What all tests share: one async backend, and where the recorded call scenarios are."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy machine must not fail a test for being slow. `make check` tries fewer examples than `make test`.
BUSY = [HealthCheck.too_slow]
settings.register_profile("whole", deadline=None, suppress_health_check=BUSY)
settings.register_profile("quick", deadline=None, suppress_health_check=BUSY, max_examples=20)
settings.load_profile("whole")

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
