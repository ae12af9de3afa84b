"""Scenarios, codes and the last answers of other databases, kept in our own tables."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from perezvon.storage import Database, answers, menus
from perezvon.storage.menus import Menu, MenuButton

SHOP = Menu("+74951234567", "shop", "hello.mp3", (MenuButton("2", "b.mp3", "102"), MenuButton("1", "a.mp3", "101")))
NIGHT = Menu("+78121234567")


@pytest.fixture
async def database(place: str) -> AsyncIterator[Database]:
    async with await Database.open(place) as opened:
        yield opened


async def test_menus_are_replaced_one_by_one(database: Database) -> None:
    await database.write(lambda conn: menus.replace(conn, [SHOP, NIGHT], 1.0))
    less = Menu(SHOP.line, "shop", "", (MenuButton("#", "", "+79161234567"),))
    await database.write(lambda conn: menus.replace(conn, [less], 2.0))
    async with database.read() as conn:
        assert await menus.load(conn) == [less, NIGHT]
        assert await menus.find(conn, ["101", NIGHT.line, SHOP.line]) == NIGHT
        assert await menus.find(conn, ["101"]) is None
        assert await menus.find(conn, []) is None
    await database.write(lambda conn: menus.replace(conn, [SHOP], 3.0, all_others=True))
    async with database.read() as conn:
        assert await menus.load(conn) == [SHOP]  # its buttons in their order
    assert await database.write(lambda conn: menus.remove(conn, SHOP.line))
    assert not await database.write(lambda conn: menus.remove(conn, SHOP.line))


async def test_a_replacement_that_fails_changes_nothing(database: Database) -> None:
    await database.write(lambda conn: menus.replace(conn, [SHOP], 1.0))
    twice = [Menu(NIGHT.line), Menu("x" * 10, buttons=(MenuButton("1", "", None),))]  # type: ignore[arg-type]
    with pytest.raises(Exception, match=r"(?i)null"):
        await database.write(lambda conn: menus.replace(conn, twice, 2.0, all_others=True))
    async with database.read() as conn:
        assert await menus.load(conn) == [SHOP]


async def test_codes(database: Database) -> None:
    await database.write(lambda conn: menus.replace_codes(conn, {"10": "+79160000010", "2": "102", "1": "101"}, 1.0))
    await database.write(lambda conn: menus.replace_codes(conn, {"2": "+79160000002"}, 2.0))
    async with database.read() as conn:
        assert list((await menus.load_codes(conn)).items()) == [("1", "101"), ("2", "+79160000002"), ("10", "+79160000010")]
        assert await menus.find_code(conn, "10") == "+79160000010"
        assert await menus.find_code(conn, "3") is None
    await database.write(lambda conn: menus.replace_codes(conn, {"5": "105"}, 3.0, all_others=True))
    assert await database.write(lambda conn: menus.remove_code(conn, "5"))
    async with database.read() as conn:
        assert await menus.load_codes(conn) == {}


async def test_last_answers(database: Database) -> None:
    for body in ("[1]", '["№ 2"]'):
        await database.write(lambda conn, body=body: answers.remember(conn, "ivr:1", "74", body, 2.0))
    await database.write(lambda conn: answers.remember(conn, "ivr:2", "74", "other", 1.0))
    await database.write(lambda conn: answers.remember(conn, "codes:1", "1", "[]", 1.0))
    async with database.read() as conn:
        kept = await answers.recall(conn, "ivr:1", "74")
        assert kept == answers.KeptAnswer("74", '["№ 2"]', 2.0)
        assert await answers.recall(conn, "ivr:1", "75") is None
        assert await answers.recall_all(conn, "ivr:2") == [answers.KeptAnswer("74", "other", 1.0)]
    await database.write(lambda conn: answers.forget_other_questions(conn, "ivr:", "ivr:1"))
    await database.write(lambda conn: answers.forget(conn, "codes:1", "1"))
    async with database.read() as conn:
        assert await answers.recall_all(conn, "ivr:2") == await answers.recall_all(conn, "codes:1") == []
        assert len(await answers.recall_all(conn, "ivr:1")) == 1
