"""Our dialplan plays the voice menu: every way through it, many callers at once, on Asterisk 22 and on 16."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from menu_service import FolderShelf, Service, Story

from perezvon.ivr.menu import MenuRules
from perezvon.ivr.scenario import Button, Scenario
from perezvon.sandbox.pbx import Leg, PbxSandbox, sounds
from perezvon.sandbox.pbx.errors import NotOnMirror
from perezvon.sandbox.pbx.rootfs import find_or_build

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(180)]

A, B, C = "79161112201", "79161112202", "102"
TONES = {"intro": 1100.0, "one": 1300.0, "two": 1500.0}
LASTS = 0.6
"""Seconds of each prompt."""
SILENCE, GAP = 1.5, 0.8
FIRST = 79151007000
SHOP = (Button("1", "one", A), Button("2", "two", B))
LONG = (Button("1", "", A), Button("12", "", B), Button("345", "", C), Button("7#", "", A), Button("*", "", B))
BASIC = MenuRules(silence=SILENCE, key_gap=GAP, ring=2)
MENUS = {
    "70000000001": (SHOP, BASIC),
    "70000000002": (LONG, BASIC),
    "70000000003": (SHOP, MenuRules(silence=SILENCE, cycles=2)),
    "70000000004": (SHOP, MenuRules(silence=SILENCE, wrong_keys=3)),
    "70000000005": (SHOP, MenuRules(silence=SILENCE, fallback=A)),
    "70000000006": ((Button("1", "gone", A), Button("2", "two", B), Button("0", "broken", A)), BASIC),
    "70000000007": ((Button("1", "", A), Button("2", "", B)), MenuRules(silence=SILENCE, cycles=3)),
}
SHOP_LINE, LONG_LINE, CYCLES, WRONG, FALLBACK, DAMAGED, SILENT = MENUS


@dataclass
class Case:
    """`keys`: seconds after the answer (or the last keys) -> what is pressed then. `story`, `heard`: what is told of it."""

    title: str
    line: str
    keys: tuple[tuple[float, str], ...]
    story: str
    heard: tuple[str, ...] = ()
    tones: str = ""
    leg: Leg | None = field(default=None, repr=False)
    uniqueid: str = ""


ALL = "intro 1 2"
CASES = [
    Case("silence", SHOP_LINE, (), "began silence over PORTAL", (ALL, ""), "intro one two"),
    Case("a wrong key", SHOP_LINE, ((0.3, "7"),), "began wrong 7 over PORTAL", ("intro", ""), "intro"),
    Case("a letter", SHOP_LINE, ((0.3, "D"),), "began wrong D over PORTAL", ("intro", ""), "intro"),
    Case("two keys at once", SHOP_LINE, ((0.3, "21"),), f"began key 2 {B} over {B} ANSWER", ("intro", ""), "intro"),
    *(
        Case(f"{typed} of keys of several digits", LONG_LINE, ((0.3, typed),), f"began {story}", ("intro", ""), "intro")
        for typed, story in (
            ("1", f"key 1 {A} over {A} ANSWER"),
            ("1#", f"key 1 {A} over {A} ANSWER"),
            ("12", f"key 12 {B} over {B} ANSWER"),
            ("345", f"key 345 {C} over {C} ANSWER"),
            ("*", f"key * {B} over {B} ANSWER"),
            ("7#", f"key 7# {A} over {A} ANSWER"),
            ("13", "wrong 13 over PORTAL"),
            ("34", "wrong 34 over PORTAL"),
            ("34#", "wrong 34 over PORTAL"),
            ("346", "wrong 346 over PORTAL"),
            ("7", "wrong 7 over PORTAL"),
            ("#", "wrong # over PORTAL"),
        )
    ),
    Case("digits with a pause", LONG_LINE, ((0.2, "3"), (0.4, "4"), (0.4, "5")), f"began key 345 {C} over {C} ANSWER"),
    Case("two cycles", CYCLES, (), "began silence over PORTAL", ("intro 1 2 1 2", ""), "intro one two"),
    Case("wrong, wrong, right", WRONG, ((0.3, "9"), (0.2, "8"), (0.9, "2")),
         f"began wrong 9 wrong 8 key 2 {B} over {B} ANSWER", ("intro", "1", "1 2", ""), "intro one two"),
    Case("wrong too often", WRONG, ((0.3, "9"), (0.2, "8"), (0.2, "7")),
         "began wrong 9 wrong 8 wrong 7 over PORTAL", ("intro", "1", "1", ""), "intro one"),
    Case("wrong, then silence", WRONG, ((0.3, "9"),),
         "began wrong 9 silence over PORTAL", ("intro", "1 2", ""), "intro one two"),
    Case("somebody else after silence", FALLBACK, (), f"began silence rings {A} over {A} ANSWER", (ALL, "", "")),
    Case("somebody else after a wrong key", FALLBACK, ((0.3, "9"),), f"began wrong 9 rings {A} over {A} ANSWER"),
    Case("damaged recordings", DAMAGED, (), "began silence over PORTAL", ("intro 2", ""), "intro two"),
    Case("a key without its recording", DAMAGED, ((0.3, "1"),), f"began key 1 {A} over {A} ANSWER", ("intro", "")),
    Case("nothing is said", SILENT, (), "began silence over PORTAL", ("intro", ""), "intro"),
    *(
        Case(f"a key after {moment / 10} s", SHOP_LINE, ((moment / 10, "2"),), f"began key 2 {B} over {B} ANSWER")
        for moment in range(0, 32, 1)
    ),
]  # fmt: skip


class Programme:
    """All cases, six callers at once."""

    def __init__(self, pbx: PbxSandbox, story: Story) -> None:
        self._pbx, self._story = pbx, story
        self._places = asyncio.Semaphore(6)
        self.failed: dict[str, Exception] = {}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number, case in enumerate(CASES):
                tasks.create_task(self._play(case, str(FIRST + number)), name=case.title)

    async def _play(self, case: Case, number: str) -> None:
        async with self._places:
            try:
                async with asyncio.timeout(30):
                    case.leg = client = await self._pbx.world.call(frm=number, to=case.line)
                    channel = await client.office_channel()
                    case.uniqueid = channel.uniqueid
                    await client.answered()
                    for after, keys in case.keys:
                        await asyncio.sleep(after)
                        await client.press(keys)
                    await client.talking()
                    await asyncio.sleep(0.2)
                    await client.hangup()
                    await client.ended()
                    await self._story.until(case.uniqueid, "over")
            except Exception as error:  # it is told by the case's own test
                self.failed[case.title] = error


@pytest.fixture(scope="module", params=[None, 16], ids=["asterisk", "asterisk 16"])
async def played(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Programme, Story]]:
    release: int | None = request.param
    try:
        await find_or_build(release=release)
    except NotOnMirror as gone:
        pytest.skip(str(gone))
    folder = tmp_path_factory.mktemp("prompts")
    for name, hertz in TONES.items():
        sounds.write_tone(folder / f"{name}.wav", hertz, LASTS)
    (folder / "broken.wav").write_bytes(b"RIFF no sound")
    menus = {line: (Scenario(line, "intro", buttons), rules) for line, (buttons, rules) in MENUS.items()}
    async with (
        await PbxSandbox.start(tmp_path_factory.mktemp("menus"), release=release, verbose=3) as pbx,
        Service(pbx, menus, FolderShelf(folder)),
        Story().following(pbx) as story,
    ):
        programme = Programme(pbx, story)
        await programme.run()
        yield programme, story


@pytest.mark.parametrize("case", CASES, ids=[case.title for case in CASES])
async def test_way_through_the_menu(played: tuple[Programme, Story], case: Case) -> None:
    programme, story = played
    if error := programme.failed.get(case.title):
        raise error
    assert story.of(case.uniqueid) == case.story
    if case.heard:
        assert tuple(story.heard(case.uniqueid)) == case.heard
    assert case.leg is not None
    heard = {name for name, hertz in TONES.items() if case.leg.seconds_of(hertz) > 0.1}
    if case.tones:
        assert heard == set(case.tones.split())
    whole = [entry.split(":") for entry in story.events(case.uniqueid)[-1]["story"].split("|")[1:]]
    assert [entry[0] for entry in whole] == [event["step"] for event in story.events(case.uniqueid)]
    assert [entry[2] for entry in whole if entry[2]] == [e["key"] for e in story.events(case.uniqueid) if e["key"]]
