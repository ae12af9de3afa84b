"""What all tests share: one async backend, and where the recorded call scenarios are."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings
from sqlalchemy import Connection, inspect
from typer import testing

from perezvon import log
from perezvon.storage import upgrade

# A busy machine must not fail a test for being slow. `make check` tries fewer examples than `make test`.
BUSY = [HealthCheck.too_slow]
settings.register_profile("whole", deadline=None, suppress_health_check=BUSY)
settings.register_profile("quick", deadline=None, suppress_health_check=BUSY, max_examples=20)
settings.load_profile("whole")

pytest_plugins = ["browser_fixtures", "mariadb_fixtures", "pbx_fixtures", "postgres_fixtures"]

CORPORA = Path(__file__).resolve().parents[2] / "shared" / "corpora"


LONG = frozenset({"served", "start", "inside", "opened", "hooked", "shelf", "browser"})
"""Fixtures with a life of their own: pages that are served, a sender, functions in processes. Whoever uses one is `slow`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if LONG.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def corpora() -> Path:
    if not CORPORA.is_dir():
        pytest.skip(f"recorded scenarios are not at {CORPORA}")
    return CORPORA


@pytest.fixture(scope="session", autouse=True)
def tables_at_once() -> Iterator[None]:
    """An empty SQLite file gets its tables as the first migration of this run made them: that is ten times as fast.
    The tests of the migrations themselves go step by step, and so do other databases."""
    migrate = upgrade._run
    made: list[str] = []

    def run(conn: Connection, revision: str) -> None:
        plain = conn.dialect.name == "sqlite" and not inspect(conn).get_table_names()
        if not plain or revision != "head" or "test_migrations" in os.environ.get("PYTEST_CURRENT_TEST", ""):
            migrate(conn, revision)
        elif made:
            for statement in made:
                conn.exec_driver_sql(statement)
        else:
            migrate(conn, revision)
            tables = inspect(conn).get_table_names()
            content = {name: conn.exec_driver_sql(f'SELECT count(*) FROM "{name}"').scalar_one() for name in tables}
            assert {name for name, rows in content.items() if rows} == {"alembic_version"}, "a migration writes rows"
            made.extend(
                conn.exec_driver_sql("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid").scalars()
            )
            made.append(f"INSERT INTO alembic_version VALUES ('{upgrade.HEAD}')")

    upgrade._run = run
    yield
    upgrade._run = migrate


@pytest.fixture(scope="session", autouse=True)
def command_made_once() -> None:
    """Typer's runner makes the whole tree of commands anew for each call."""
    testing._get_command = functools.cache(testing._get_command)


@pytest.fixture(autouse=True)
def log_as_it_was() -> Iterator[None]:
    """Commands, the demo and the tests of the log set it up for the whole process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()
    log.hide(())
