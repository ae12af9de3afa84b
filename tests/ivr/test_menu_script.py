"""The voice menu of document 004, played to a scripted Asterisk over a real socket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_agi import Caller, served

from perezvon.asterisk.agi import AgiCall
from perezvon.ivr.finding import Part
from perezvon.ivr.menu import Ended, MenuRules, Outcome, may_go_on, run_menu
from perezvon.ivr.prompts import Prompt
from perezvon.ivr.scenario import Button, Scenario, plain

LINE = "70000000002"
CAKES, FLOWERS = Button("1", "cakes", "79160000001"), Button("2", "flowers", "102")
MENU = Scenario(LINE, "intro", (CAKES, FLOWERS))
ALL = ["/p/scenario/intro", "/p/keyNum/1", "/p/msgMp3/cakes", "/p/keyNum/2", "/p/msgMp3/flowers"]
WAIT = len(ALL)
"""When, counted in prompts, the wait for a key begins."""
HEARD = ["intro", "intro 1", "intro 1", "intro 1 2", "intro 1 2", "intro 1 2"]
"""What has been told to a caller who presses a key during each of them, or after all."""


class Shelf:
    """Has every prompt but those in `without`."""

    def __init__(self, without: Sequence[str] = (), seconds: Mapping[str, float] | None = None) -> None:
        self.without = without
        self.seconds = seconds or {}
        self.asked: list[str] = []

    async def ready(self, scenario: Scenario) -> None:
        self.asked.append(scenario.line)

    def spoken(self, part: Part, name: str) -> Sequence[Prompt]:
        path = f"/p/{part}/{name}"
        return () if not name or path in self.without else (Prompt(path, self.seconds.get(path, 2.0)),)


async def play(
    caller: Caller, scenario: Scenario | None = MENU, rules: MenuRules | None = None, shelf: Shelf | None = None
) -> Outcome | None:
    """None when it did not come to an end."""
    outcomes: list[Outcome] = []

    async def script(call: AgiCall) -> None:
        outcomes.append(await run_menu(call, scenario, shelf or Shelf(), rules or MenuRules()))

    async with served(script) as server:
        await caller.calls(server)
    return outcomes[0] if outcomes else None


def sent_to(caller: Caller) -> str:
    return caller.variables.get("PEREZVON_TO", "")


@pytest.mark.parametrize("scenario", [None, Scenario(LINE, "intro", ())], ids=["no rows", "no usable button"])
async def test_without_a_menu_nothing_is_done(scenario: Scenario | None) -> None:
    caller = Caller()
    assert await play(caller, scenario) == Outcome(Ended.NO_MENU)
    assert caller.commands == []


async def test_one_button_is_rung_without_answering() -> None:
    caller = Caller()
    alone = Scenario(LINE, "intro", (CAKES,), asked=False)
    assert await play(caller, alone) == Outcome(Ended.ONE_BUTTON, CAKES.to)
    assert [words[0] for words in caller.commands] == ["EXEC"]
    assert (caller.variables["PEREZVON_RING"], caller.variables["PEREZVON_TO"]) == ("20", CAKES.to)


async def test_one_usable_button_of_several_is_still_a_menu() -> None:
    caller = Caller(keys={1: "1"})
    await play(caller, Scenario(LINE, "", (CAKES,)))
    assert caller.prompts == ALL[1:3]
    assert sent_to(caller) == CAKES.to


async def test_everything_is_played_in_order_then_seven_seconds_of_silence() -> None:
    caller = Caller()
    assert await play(caller) == Outcome(Ended.SILENCE)
    assert caller.prompts == ALL
    assert caller.waits == [7.0]
    assert sent_to(caller) == ""
    assert caller.told == [{"Step": "began", "Line": LINE}, {"Step": "silence", "Line": LINE, "Heard": HEARD[WAIT]}]
    assert caller.commands.index(["ANSWER"]) < caller.commands.index(["STREAM", "FILE", ALL[0], "0123456789*#ABCD"])


@pytest.mark.parametrize("moment", range(WAIT + 1))
@pytest.mark.parametrize("button", [CAKES, FLOWERS])
async def test_a_key_counts_at_any_moment(moment: int, button: Button) -> None:
    caller = Caller(keys={moment: button.key})
    assert await play(caller) == Outcome(Ended.KEY, button.to, (button.key,))
    assert caller.prompts == ALL[: moment + 1]
    assert caller.variables["PEREZVON_RING"] == "20"
    assert sent_to(caller) == button.to
    assert caller.told[-1] == {"Step": "key", "Line": LINE, "Key": button.key, "To": button.to, "Heard": HEARD[moment]}


@pytest.mark.parametrize("moment", [0, 3, WAIT])
@pytest.mark.parametrize("key", ["3", "0", "*", "#", "D"])
async def test_a_wrong_key_goes_to_bitrix24_at_once(moment: int, key: str) -> None:
    caller = Caller(keys={moment: key})
    assert await play(caller) == Outcome(Ended.WRONG, "", (key,))
    assert caller.prompts == ALL[: moment + 1]
    assert sent_to(caller) == ""
    assert caller.told[-1] == {"Step": "wrong", "Line": LINE, "Key": key, "Heard": HEARD[moment]}


async def test_cycles_repeat_the_buttons_and_not_the_intro() -> None:
    caller = Caller()
    await play(caller, rules=MenuRules(cycles=3))
    assert caller.prompts == [ALL[0], *ALL[1:] * 3]
    assert caller.waits == [7.0]


async def test_wrong_keys_may_be_forgiven() -> None:
    rules = MenuRules(wrong_keys=3)
    caller = Caller(keys={0: "9", 2: "8", 3: "2"})
    assert await play(caller, rules=rules) == Outcome(Ended.KEY, "102", ("9", "8", "2"))
    assert caller.prompts == [ALL[0], ALL[1], ALL[2], ALL[1]]
    assert [event["Step"] for event in caller.told] == ["began", "wrong", "wrong", "key"]
    assert [event.get("Heard") for event in caller.told] == [None, "intro", "1", "1"]
    caller = Caller(keys={0: "9", 1: "8", 2: "7", 3: "2"})
    assert await play(caller, rules=rules) == Outcome(Ended.WRONG, "", ("9", "8", "7"))


@pytest.mark.parametrize("keys", [{}, {0: "9"}], ids=["silence", "wrong"])
async def test_a_fallback_is_rung_instead_of_bitrix24(keys: dict[int, str]) -> None:
    caller = Caller(keys=keys)
    await play(caller, rules=MenuRules(fallback="103", ring=15))
    assert (sent_to(caller), caller.variables["PEREZVON_RING"]) == ("103", "15")


LONG = Scenario(
    LINE, "intro", (Button("1", "", "101"), Button("12", "", "102"), Button("345", "", "103"), Button("7#", "", "104"))
)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("1", ("1", "101")),
        ("1#", ("1", "101")),
        ("12", ("12", "102")),
        ("345", ("345", "103")),
        ("13", ("13", "")),
        ("34", ("34", "")),
        ("34#", ("34", "")),
        ("346", ("346", "")),
        ("7#", ("7#", "104")),
        ("7", ("7", "")),
        ("#", ("#", "")),
        ("2", ("2", "")),
    ],
)
async def test_keys_of_several_digits(typed: str, expected: tuple[str, str]) -> None:
    caller = Caller(keys=dict(enumerate(typed)))
    outcome = await play(caller, LONG, MenuRules(key_gap=1.5))
    assert outcome is not None
    assert (outcome.keys, outcome.to) == ((expected[0],), expected[1])
    assert set(caller.waits) <= {1.5}


@pytest.mark.parametrize("without", [ALL[:1], ALL[1:3], ALL[4:], ALL])
async def test_missing_prompts_are_skipped_and_the_wait_is_not_cut(without: list[str]) -> None:
    caller = Caller()
    assert await play(caller, shelf=Shelf(without)) == Outcome(Ended.SILENCE)
    assert caller.prompts == [prompt for prompt in ALL if prompt not in without]
    assert caller.waits == [7.0]
    heard = len(caller.prompts)
    caller = Caller(keys={heard: "2"})
    await play(caller, shelf=Shelf(without))
    assert sent_to(caller) == "102"


@pytest.mark.parametrize("missing", [ALL[:1], ALL[2:4], ALL])
async def test_prompts_that_the_pbx_cannot_open_are_skipped_too(missing: list[str]) -> None:
    caller = Caller(missing=missing)
    assert await play(caller) == Outcome(Ended.SILENCE)
    assert caller.prompts == ALL
    assert caller.waits == [7.0]


@pytest.mark.parametrize("moment", range(WAIT + 1))
async def test_a_caller_who_hangs_up_ends_the_script(moment: int) -> None:
    caller = Caller(gone_at=moment)
    assert await play(caller) is None
    assert sent_to(caller) == ""


async def test_the_dead_mans_switch_is_put_off_for_each_prompt_and_taken_back() -> None:
    caller = Caller(keys={WAIT: "1"})
    await play(caller, rules=MenuRules(margin=3), shelf=Shelf(seconds={ALL[0]: 4.5, ALL[4]: 9.96}))
    switch = [
        words[3] if words[0] == "SET" else words[0]
        for words in caller.commands
        if words[:3] == ["SET", "VARIABLE", "TIMEOUT(absolute)"] or words[0] in {"STREAM", "WAIT"}
    ]
    assert caller.variables["TIMEOUT(absolute)"] == "0"
    assert switch == [
        "7.5",
        "STREAM",
        "5.0",
        "STREAM",
        "5.0",
        "STREAM",
        "5.0",
        "STREAM",
        "13.0",
        "STREAM",
        "10.0",
        "WAIT",
    ]


@pytest.mark.parametrize("to", ["102", 'sip,"x"'], ids=["plain", "odd"])
async def test_what_is_to_be_rung_is_set_last(to: str) -> None:
    """A service that dies before it leaves no half decision."""
    caller = Caller(keys={0: "1"})
    await play(caller, replace(MENU, buttons=(replace(CAKES, to=to), FLOWERS)))
    assert list(caller.variables)[-2:] == ["PEREZVON_RING", "PEREZVON_TO"]
    assert caller.commands[-1][0] in {"EXEC", "SET"}
    assert caller.variables["TIMEOUT(absolute)"] == "0"
    assert sent_to(caller) == to


async def test_times_are_the_rules() -> None:
    caller = Caller(keys={WAIT: "1"})
    await play(caller, rules=MenuRules(silence=3.2, ring=33.4))
    assert caller.waits == [3.2]
    assert caller.variables["PEREZVON_RING"] == "33"


async def test_prompts_are_asked_for_before_they_are_played() -> None:
    shelf = Shelf()
    await play(Caller(), shelf=shelf)
    assert shelf.asked == [LINE]


KEYS = st.text("0123456789*#", min_size=1, max_size=3)


@given(st.sets(KEYS, min_size=1, max_size=6), KEYS)
def test_only_what_begins_a_longer_key_waits(keys: set[str], typed: str) -> None:
    assert may_go_on(typed, keys) == any(key != typed and key.startswith(typed) for key in keys)


@given(line=st.text(max_size=20))
async def test_nothing_out_of_a_table_breaks_the_wire(line: str) -> None:
    caller = Caller(keys={0: "1"})
    scenario = replace(MENU, line=plain(line))
    await play(caller, scenario)
    assert sent_to(caller) == CAKES.to
