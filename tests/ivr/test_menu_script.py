"""What the dialplan is told of a menu: over a real socket, as Asterisk would ask for it. What it does with it is tested on the
real one (e2e/test_menu_dialplan.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_agi import Caller, greeting, served

from perezvon.asterisk.agi import AgiCall
from perezvon.ivr.finding import Part
from perezvon.ivr.menu import Given, MenuRules, beginnings, give_menu
from perezvon.ivr.prompts import Prompt
from perezvon.ivr.scenario import Button, Scenario, plain

LINE = "70000000002"
CAKES, FLOWERS = Button("1", "cakes", "79160000001"), Button("2", "flowers", "102")
MENU = Scenario(LINE, "intro", (CAKES, FLOWERS))
ASKED = {"agi_arg_1": LINE, "agi_arg_2": "1"}


class Shelf:
    """Has every prompt but those in `without`, in this folder."""

    def __init__(self, without: Sequence[str] = (), folder: str = "/p") -> None:
        self.without = without
        self.folder = folder
        self.asked: list[str] = []

    async def ready(self, scenario: Scenario) -> None:
        self.asked.append(scenario.line)

    def spoken(self, part: Part, name: str) -> Sequence[Prompt]:
        path = f"{self.folder}/{part}/{name}"
        return () if not name or path in self.without else (Prompt(path, 2.0),)


async def told(
    scenario: Scenario | None = MENU,
    rules: MenuRules | None = None,
    shelf: Shelf | None = None,
    asked: dict[str, str] | None = None,
) -> tuple[Given | None, Caller]:
    found: list[Given] = []

    async def script(call: AgiCall) -> None:
        found.append(await give_menu(call, scenario, shelf or Shelf(), rules or MenuRules()))

    async with served(script) as server:
        caller = await Caller().calls(server, greeting(ASKED if asked is None else asked))
    return found[0] if found else None, caller


@pytest.mark.parametrize("scenario", [None, Scenario(LINE, "intro", ())], ids=["no rows", "no usable button"])
async def test_without_a_menu_nothing_is_said(scenario: Scenario | None) -> None:
    given_, caller = await told(scenario)
    assert given_ is Given.NO_MENU
    assert caller.commands == []


async def test_one_button_is_a_number_to_ring() -> None:
    given_, caller = await told(Scenario(LINE, "intro", (CAKES,), asked=False), MenuRules(ring=33.4))
    assert given_ is Given.ONE_BUTTON
    assert caller.variables == {"PEREZVON_RING": "33", "PEREZVON_TO": CAKES.to}
    assert len(caller.commands) == 1


async def test_a_menu_is_told_whole() -> None:
    rules = MenuRules(cycles=3, silence=3.25, key_gap=1.5, wrong_keys=2, ring=15, fallback="103")
    given_, caller = await told(rules=rules)
    assert given_ is Given.MENU
    assert len(caller.commands) == 1
    assert list(caller.variables.items()) == [
        ("PEREZVON_RING", "15"),
        ("PEREZVON_SILENCE", "3.2"),
        ("PEREZVON_GAP", "1.5"),
        ("PEREZVON_TRIES", "2"),
        ("PEREZVON_ELSE", "103"),
        ("PEREZVON_CYCLES", "3"),
        ("PEREZVON_FIRST", "2"),
        ("PEREZVON_KEY_1_1", CAKES.to),
        ("PEREZVON_KEY_1_2", "102"),
        ("PEREZVON_SAY_1_1", "intro:/p/scenario/intro"),
        ("PEREZVON_SAY_1_2", "1:/p/keyNum/1"),
        ("PEREZVON_SAY_1_3", "1:/p/msgMp3/cakes"),
        ("PEREZVON_SAY_1_4", "2:/p/keyNum/2"),
        ("PEREZVON_SAY_1_5", "2:/p/msgMp3/flowers"),
        ("PEREZVON_PROMPTS", "5"),
    ]


async def test_one_usable_button_of_several_is_still_a_menu() -> None:
    given_, caller = await told(Scenario(LINE, "", (CAKES,)))
    assert given_ is Given.MENU
    assert (caller.variables["PEREZVON_FIRST"], caller.variables["PEREZVON_PROMPTS"]) == ("1", "2")


async def test_a_second_visit_of_the_same_caller_has_variables_of_its_own() -> None:
    _, caller = await told(asked={"agi_arg_1": LINE, "agi_arg_2": "2"})
    assert caller.variables["PEREZVON_KEY_2_1"] == CAKES.to
    assert not [name for name in caller.variables if "_1_" in name]


@pytest.mark.parametrize("asked", [{}, {"agi_arg_1": LINE}, {"agi_arg_1": LINE, "agi_arg_2": "x"}])
async def test_a_dialplan_that_would_not_know_what_to_do_is_told_nothing(asked: dict[str, str]) -> None:
    given_, caller = await told(asked=asked)
    assert given_ is Given.TOO_OLD
    assert caller.commands == []
    given_, caller = await told(Scenario(LINE, "intro", (CAKES,), asked=False), asked=asked)
    assert given_ is Given.ONE_BUTTON
    assert caller.variables["PEREZVON_TO"] == CAKES.to


async def test_missing_prompts_are_left_out() -> None:
    _, caller = await told(shelf=Shelf(["/p/scenario/intro", "/p/keyNum/2"]))
    said = [value for name, value in caller.variables.items() if "_SAY_" in name]
    assert said == ["1:/p/keyNum/1", "1:/p/msgMp3/cakes", "2:/p/msgMp3/flowers"]
    assert (caller.variables["PEREZVON_FIRST"], caller.variables["PEREZVON_PROMPTS"]) == ("1", "3")
    _, caller = await told(shelf=Shelf(folder="/srv/звуки и слова"))
    assert caller.variables["PEREZVON_SAY_1_1"] == "intro:/srv/звуки и слова/scenario/intro"


@pytest.mark.parametrize("folder", ["/a,b", "/a&b", "/a:b", "/${SHELL(x)}", "/a|b", '/"a"'])
async def test_a_path_that_the_dialplan_would_take_for_something_else_is_not_played(folder: str) -> None:
    _, caller = await told(shelf=Shelf(folder=folder))
    assert caller.variables["PEREZVON_PROMPTS"] == "0"
    assert folder not in str(caller.commands)


async def test_keys_of_several_digits() -> None:
    buttons = [Button(key, "", f"10{n}") for n, key in enumerate(("1", "12", "345", "7#"))]
    _, caller = await told(Scenario(LINE, "", tuple(buttons)))
    found = {name.removeprefix("PEREZVON_"): value for name, value in caller.variables.items() if "_1_" in name}
    assert {name: value for name, value in found.items() if not name.startswith("SAY")} == {
        "ALSO_1_1": "100",
        "ALSO_1_12": "101",
        "ALSO_1_345": "102",
        "ALSO_1_7#": "103",
        "MORE_1_1": "1",
        "MORE_1_3": "1",
        "MORE_1_34": "1",
        "MORE_1_7": "1",
    }


async def test_a_menu_of_a_hundred_buttons_is_told_whole() -> None:
    buttons = tuple(Button(str(n), f"m{n}", f"7916{n:07}") for n in range(100, 200))
    given_, caller = await told(Scenario(LINE, "intro", buttons))
    assert given_ is Given.MENU
    assert caller.variables["PEREZVON_PROMPTS"] == "201"
    assert list(caller.variables)[-1] == "PEREZVON_PROMPTS"
    assert sum("_ALSO_" in name for name in caller.variables) == 100


async def test_a_button_that_leads_nowhere_is_no_key() -> None:
    """Only digits are dialled, whatever else somebody has written."""
    odd = [Button(str(n), "", to) for n, to in enumerate(("sip,x", "Local/1@x&", "+7 (916)", '"${SHELL(x)}"'))]
    _, caller = await told(Scenario(LINE, "", tuple(odd)), MenuRules(fallback="anna"))
    found = {name: value for name, value in caller.variables.items() if "_KEY_" in name}
    assert found == {"PEREZVON_KEY_1_1": "1", "PEREZVON_KEY_1_2": "+7916"}
    assert caller.variables["PEREZVON_ELSE"] == ""


async def test_prompts_are_asked_for_before_they_are_told() -> None:
    shelf = Shelf()
    await told(shelf=shelf)
    assert shelf.asked == [LINE]


KEYS = st.text("0123456789*#", min_size=1, max_size=3)


@given(st.sets(KEYS, min_size=1, max_size=6), KEYS)
def test_only_what_begins_a_longer_key_waits(keys: set[str], typed: str) -> None:
    assert (typed in beginnings(keys)) == any(key != typed and key.startswith(typed) for key in keys)


@given(name=st.text(max_size=20))
async def test_nothing_out_of_a_table_breaks_the_wire(name: str) -> None:
    _, caller = await told(replace(MENU, line=plain(name), intro=plain(name)))
    assert caller.variables["PEREZVON_KEY_1_1"] == CAKES.to
    assert list(caller.variables)[-1] == "PEREZVON_PROMPTS"
