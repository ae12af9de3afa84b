"""What the doctor says of the company's databases."""

from __future__ import annotations

from pathlib import Path

import pytest
from company_tables import TABLES, run

from perezvon.doctor.check import State
from perezvon.doctor.company import examine_companies
from perezvon.settings.load import settings_from


@pytest.fixture
async def tables(tmp_path: Path) -> str:
    await run(f"sqlite+aiosqlite:///{tmp_path / 'pbx.db'}", *TABLES)
    return f"sqlite:///{tmp_path / 'pbx.db'}"


async def test_nothing_is_said_of_what_is_not_set() -> None:
    assert await examine_companies(settings_from({})) == []


async def test_tables_that_answer(tables: str) -> None:
    checks = await examine_companies(settings_from({"ivr": {"database": tables}, "conference": {"database": tables}}))
    assert [(check.subject, check.state) for check in checks] == [
        ("ivr.database", State.OK),
        ("conference.database", State.OK),
    ]


async def test_a_statement_over_a_table_that_is_not_there(tables: str) -> None:
    query = "SELECT phone FROM codes WHERE code = ?"
    (check,) = await examine_companies(settings_from({"conference": {"database": tables, "query": query}}))
    assert check.state is State.PROBLEM
    assert "codes" in str(check.seen) + str(check.fix)


async def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    (check,) = await examine_companies(settings_from({"ivr": {"database": f"sqlite:///{tmp_path / 'none.db'}"}}))
    assert check.state is State.PROBLEM
    assert "ivr.database" in str(check.seen) + str(check.fix)
