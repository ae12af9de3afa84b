"""Whatever calls are searched by, their rows, which are large, are not read for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from perezvon.calls.call import Direction, Outcome
from perezvon.storage import Database, search
from perezvon.storage.search import Filter


@pytest.mark.parametrize(
    "wanted",
    [
        Filter(),
        Filter(client="999999999"),
        Filter(employee="999"),
        Filter(line="812", outcome=Outcome.MISSED, direction=Direction.OUTGOING),
        Filter(since=1.0, until=2.0),
        Filter(live=True),
        Filter(after=(1e9, "x")),
    ],
    ids=str,
)
async def test_the_index_is_read_instead_of_the_table(tmp_path: Path, wanted: Filter) -> None:
    async with await Database.open(tmp_path) as database, database.read() as conn:
        asked = search.ids(wanted, 51).compile(dialect=conn.dialect, compile_kwargs={"literal_binds": True})
        plan = [row[3] for row in await conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked}")]
    assert len(plan) == 1, "nothing is sorted"
    assert "USING COVERING INDEX ix_call_journal" in plan[0]
