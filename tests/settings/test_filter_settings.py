"""The settings of filters: checked when they are saved, and what the planner is given of them."""

from __future__ import annotations

import pytest

from perezvon.calls.call import Direction
from perezvon.calls.facts import CallStarted
from perezvon.rules import People
from perezvon.service import policies
from perezvon.service.policies import PortalRules
from perezvon.settings import InvalidSettings, Settings
from perezvon.settings.filters import MOST
from perezvon.settings.load import parse, settings_from

HOUSE = """
[[portal]]
name = "main"
webhook = "https://example.bitrix24.ru/rest/1/token/"
[[asterisk]]
name = "main"
ami = "tcp://user:secret@127.0.0.1:5038"
portal_peers = ["bitrix24"]
[[line]]
number = "+74951234567"
aliases = ["office"]
trunk = "multifon"
"""

LISTS = """
[filters]
staff = ["8 916 000-00-01"]
[filters.extensions]
only = ["100-199", "3*"]
never = ["150"]
[filters.lines]
never = ["8 (495) 123-45-67"]
[filters.clients]
never = ["+7800*", "Anonymous"]
"""


def of(text: str) -> Settings:
    return settings_from(parse(text))


def started(client: str, line_raw: str = "") -> CallStarted:
    return CallStarted("c", 1.0, Direction.INCOMING, client, client, "", line_raw, line_raw, "multifon", "", "")


def test_nothing_is_left_out_without_a_word() -> None:
    settings = of(HOUSE)
    filters = policies.policy(settings, settings.portal[0], "i", "1").filters
    assert filters.call(started(""), "") is None
    assert filters.employee("101", {}) is None


def test_what_the_planner_is_given() -> None:
    settings = of(HOUSE + LISTS)
    chosen = policies.policy(settings, settings.portal[0], "i", "1")
    filters = chosen.filters
    left_out = {number: bool(filters.employee(number, {})) for number in ("101", "150", "300", "200", "bitrix24")}
    assert left_out == {"101": False, "150": True, "300": False, "200": True, "bitrix24": False}
    for client, setting in (("+78005553535", "filters.clients.never"), ("", "filters.clients.never"), ("+79160000001", "")):
        why = filters.call(started(client), "+74957777777")
        assert (why.setting if why else "") == setting
    line = chosen.line("office", "office", "multifon").number
    assert filters.call(started("+79161234567", "office"), line) is not None
    assert filters.colleague(started("+79160000001")) is not None
    assert filters.colleague(started("+79160000002")) is None


def test_what_needs_no_warning() -> None:
    """An extension without an employee that is left out anyway; a number that is in the table by now."""
    settings = of(HOUSE + LISTS)
    rules = PortalRules("main", policies.policy(settings, settings.portal[0], "i", "1"), People({}))
    assert {number for number in ("101", "150", "200") if rules.leaves_out(number)} == {"150", "200"}
    known = {number for number in ("+74951234567", "office", "+74957777777") if rules.knows_line(number)}
    assert known == {"+74951234567", "office"}


@pytest.mark.parametrize(
    ("section", "words"),
    [
        (
            "[filters.extensions]\nnever = ['101', '199-100']",
            "filters.extensions.never[1]: the range 199-100 runs backwards",
        ),
        (
            "[filters.extensions]\nonly = ['101']\nnever = ['9*', '101']",
            "filters.extensions.never[1]: 101 is in both lists",
        ),
        ("[filters.clients]\nnever = ['^8495']", "filters.clients.never[0]: ^8495 has what no number has: ^"),
        ("[filters.clients]\nonly = ['+7 (495)*']\nnever = ['+7495*']", "+7495* is in both lists"),
        ("[filters.lines]\nonly = ['_X.']", "filters.lines.only[0]: _X. is a pattern of the dialplan"),
        ("[filters]\nstaff = ['hidden', '*']", "filters.staff[1]: * alone would be every number"),
        ("[filters.lines]\nonly = [74951234567]", "filters.lines.only[0]: must be text in quotes"),
        (f"[filters.clients]\nnever = {[str(number) for number in range(MOST + 1)]}", "has more than 2000 entries"),
    ],
)
def test_mistakes_are_told_exactly(section: str, words: str) -> None:
    with pytest.raises(InvalidSettings) as wrong:
        of(HOUSE + section)
    assert words in str(wrong.value)
