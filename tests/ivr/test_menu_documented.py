"""What docs/menu.md shows works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from company_tables import run

from perezvon.company import CompanyDatabase, DatabaseAddress, Statement
from perezvon.ivr.sheet import read_sheet
from perezvon.settings.ivr import PLACES, QUERY
from perezvon.settings.load import parse, settings_from

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "menu.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    found = re.findall(rf"^```{kind}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    assert found
    return found


def test_settings() -> None:
    for block in blocks("toml"):
        settings_from(parse(block))
    assert blocks("sql")[1].strip() == QUERY


def test_files() -> None:
    scenarios, codes = (read_sheet(block.encode()) for block in blocks("csv"))
    assert [len(menu.buttons) for menu in scenarios.menus] == [2, 1]
    assert codes.codes == {"1": "+74950000001"}


@pytest.mark.mariadb
async def test_tables(mariadb_url: str) -> None:
    await run(
        mariadb_url,
        *blocks("sql")[0].strip().rstrip(";").split(";\n"),
        "INSERT INTO sAsterisk_ivr (phone, scenarioMsg) VALUES ('74951234567', 'welcome.mp3')",
        "INSERT INTO sAsterisk_ivr_button (ivrID, keyNum, msgMp3, transferTo) VALUES (1, '1', 'a.mp3', '101'), (1, '2', 'b', '102')",
    )
    database = CompanyDatabase(
        DatabaseAddress.parse(mariadb_url.replace("mysql+asyncmy", "mysql")), setting="", patience=5.0
    )
    answer = await database.first(Statement.parse(QUERY, PLACES), ["74951234567"])
    await database.close()
    assert answer is not None
    assert len(answer.rows) == 2
