"""The tables of document 004, as a company has them."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

TABLES = (
    "CREATE TABLE sAsterisk_ivr (id INTEGER PRIMARY KEY, phone VARCHAR(20), scenario VARCHAR(50), scenarioMsg VARCHAR(100))",
    "CREATE TABLE sAsterisk_ivr_button (id INTEGER PRIMARY KEY, ivrID INT, keyNum VARCHAR(5), msgMp3 VARCHAR(100), "
    "transferTo VARCHAR(40))",
    "CREATE TABLE sAsterisk_prefix (pref VARCHAR(20), phone VARCHAR(20))",
    "INSERT INTO sAsterisk_ivr VALUES (1, '70000000001', 'one', 'hello.mp3'), (2, '70000000002', 'shop', 'welcome.mp3')",
    "INSERT INTO sAsterisk_ivr_button VALUES (1, 1, '1', 'msg.mp3', '79160000001'), (2, 2, '1', 'msg.mp3', '79160000011'), "
    "(3, 2, '2', 'pref.mp3', '79160000012')",
    "INSERT INTO sAsterisk_prefix VALUES ('1', '74950000001')",
)
SHOP = (("1", "msg.mp3", "79160000011"), ("2", "pref.mp3", "79160000012"))
"""What callers of 70000000002 may press."""


async def run(url: str, *statements: str) -> None:
    engine = create_async_engine(url)
    try:
        async with engine.begin() as conn:
            for statement in statements:
                await conn.execute(text(statement))
    finally:
        await engine.dispose()
