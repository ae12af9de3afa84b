"""The company's numbers become lines of the pretend portal, once, with the names of the settings; nothing is removed."""

from __future__ import annotations

import pytest

from perezvon.bitrix24 import Portal, methods
from perezvon.bitrix24.errors import AppContextRequired
from perezvon.bitrix24.lines import keep_lines
from perezvon.bitrix24.methods import Line
from perezvon.sandbox.portal.server import PortalServer

SALES = Line("+74951234567", "Отдел продаж", True)
QUIET = Line("+74957654321", "", False)


async def test_lines_are_made_and_made_right(app: Portal) -> None:
    other = Line("+74950000001", "Кто-то другой", True)
    await methods.add_line(app, other.number, other.name)
    for _ in range(2):
        await keep_lines(app, [SALES, QUIET])
        assert await methods.lines(app) == [other, SALES, QUIET]
    renamed = Line(SALES.number, "Реклама", False)
    await keep_lines(app, [renamed, Line(other.number, "", True)])
    assert await methods.lines(app) == [other, renamed, QUIET], "a line without a name keeps what it has"


async def test_what_is_right_is_only_looked_at(app: Portal, server: PortalServer) -> None:
    await keep_lines(app, [SALES, QUIET])
    asked = [entry.method for entry in server.state.journal]
    await keep_lines(app, [SALES, QUIET])
    assert [entry.method for entry in server.state.journal][len(asked) :] == [methods.LINES]


async def test_of_several_portals_each_names_its_own(app: Portal) -> None:
    """What a call brought there has no name yet."""
    await methods.add_line(app, SALES.number, "")
    await keep_lines(app, [SALES, QUIET], add=False)
    assert await methods.lines(app) == [SALES]


async def test_a_webhook_of_a_strict_portal_is_told(hook: Portal) -> None:
    with pytest.raises(AppContextRequired):
        await keep_lines(hook, [SALES])
