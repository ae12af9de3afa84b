"""The voice menus and the conference's codes of companies that keep them here.

Lines, keys and numbers are stored in the one form that their owner gives them (ivr/sheet.py); nothing is checked here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.storage.insert import insert
from perezvon.storage.schema import conference_code, menu, menu_button


@dataclass(frozen=True, slots=True)
class MenuButton:
    """`prompt`: the name of its recording, "" when there is none. `target`: the number or extension that is rung."""

    key: str
    prompt: str
    target: str


@dataclass(frozen=True, slots=True)
class Menu:
    """`line`: the company's number. `title`: for people. `intro`: the name of a recording. `buttons`: as they are told."""

    line: str
    title: str = ""
    intro: str = ""
    buttons: tuple[MenuButton, ...] = ()


async def replace(conn: AsyncConnection, menus: Iterable[Menu], now: float, *, all_others: bool = False) -> None:
    """Each of these menus as a whole; others stay, or go with `all_others`. `now`: POSIX seconds."""
    menus = list(menus)
    if all_others:
        await conn.execute(menu_button.delete())
        await conn.execute(menu.delete())
    for one in menus:
        await remove(conn, one.line)
        await conn.execute(menu.insert().values(line=one.line, title=one.title, intro=one.intro, updated=now))
        rows = [
            {"menu": one.line, "position": at, "key": button.key, "prompt": button.prompt, "target": button.target}
            for at, button in enumerate(one.buttons)
        ]
        if rows:
            await conn.execute(menu_button.insert(), rows)


async def remove(conn: AsyncConnection, line: str) -> bool:
    """False when there was none."""
    await conn.execute(menu_button.delete().where(menu_button.c.menu == line))
    return (await conn.execute(menu.delete().where(menu.c.line == line))).rowcount > 0


async def find(conn: AsyncConnection, lines: Sequence[str]) -> Menu | None:
    """Of the first of these numbers that has one."""
    found = {one.line: one for one in await _menus(conn, lines)} if lines else {}
    return next((found[line] for line in lines if line in found), None)


async def load(conn: AsyncConnection) -> list[Menu]:
    """All, in order of their numbers."""
    return await _menus(conn)


async def _menus(conn: AsyncConnection, lines: Sequence[str] | None = None) -> list[Menu]:
    columns = (menu.c.line, menu.c.title, menu.c.intro, menu_button.c.key, menu_button.c.prompt, menu_button.c.target)
    query = select(*columns).select_from(menu.outerjoin(menu_button)).order_by(menu.c.line, menu_button.c.position)
    if lines is not None:
        query = query.where(menu.c.line.in_(lines))
    rows = (await conn.execute(query)).all()
    found: list[Menu] = []
    for (line, title, intro), group in groupby(rows, key=lambda row: (row.line, row.title, row.intro)):
        buttons = tuple(MenuButton(row.key, row.prompt, row.target) for row in group if row.key is not None)
        found.append(Menu(line, title, intro, buttons))
    return found


async def replace_codes(conn: AsyncConnection, codes: Mapping[str, str], now: float, *, all_others: bool = False) -> None:
    """Code -> number. Other codes stay, or go with `all_others`."""
    if all_others:
        await conn.execute(conference_code.delete())
    for code, phone in codes.items():
        statement = insert(conn, conference_code).values(code=code, phone=phone, updated=now)
        new = {"phone": statement.excluded.phone, "updated": statement.excluded.updated}
        await conn.execute(statement.on_conflict_do_update(index_elements=["code"], set_=new))


async def remove_code(conn: AsyncConnection, code: str) -> bool:
    """False when there was none."""
    return (await conn.execute(conference_code.delete().where(conference_code.c.code == code))).rowcount > 0


async def find_code(conn: AsyncConnection, code: str) -> str | None:
    """The number."""
    query = select(conference_code.c.phone).where(conference_code.c.code == code)
    return (await conn.execute(query)).scalar_one_or_none()


async def load_codes(conn: AsyncConnection) -> dict[str, str]:
    """Code -> number, short codes first."""
    order = (func.length(conference_code.c.code), conference_code.c.code)
    rows = await conn.execute(select(conference_code.c.code, conference_code.c.phone).order_by(*order))
    return {row.code: row.phone for row in rows}


async def any_kept(conn: AsyncConnection) -> bool:
    """Whether there is a menu or a code at all."""
    query = select(select(menu.c.line).exists() | select(conference_code.c.code).exists())
    return bool((await conn.execute(query)).scalar_one())
