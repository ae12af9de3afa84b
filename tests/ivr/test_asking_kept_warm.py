"""The question to the company's database, beside what the menu's and the codes' own tests say of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from company_tables import TABLES, run

from perezvon.asking import CompanyQuestion, Origin, OwnTables
from perezvon.company import Answer
from perezvon.settings.load import settings_from
from perezvon.storage import Database


def first(answer: Answer) -> str:
    return str(answer.rows[0][0])


async def test_a_closed_database_is_not_kept_warm_in_a_circle(tmp_path: Path) -> None:
    """Its owner may close it before he has cancelled that: the loop goes on, and ends when told."""
    await run(f"sqlite+aiosqlite:///{tmp_path / 'pbx.db'}", *TABLES)
    section = settings_from({"conference": {"database": f"sqlite:///{tmp_path / 'pbx.db'}"}}).conference
    async with await Database.open(tmp_path / "data") as storage:
        own = OwnTables(storage, "conference")
        asked = CompanyQuestion("conference", section, own, places=("code", "pref"))
        keeper = asyncio.create_task(asked.keep_warm())
        told = await asked.ask("1", ["1"], asked.deadline(), first)
        assert (told.body, told.origin, told.new) == ("74950000001", Origin.DATABASE, True)
        assert not (await asked.ask("1", ["1"], asked.deadline(), first)).new
        await asked.close()
        async with asyncio.timeout(2):
            for _ in range(50):
                await asyncio.sleep(0)
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
        await own.close()
