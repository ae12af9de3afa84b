"""Prompts are ready before a caller needs them: converted when their files change, remembered over restarts, never half a file."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prompt_sounds import level_of, read, tone, write

from perezvon.ivr import prompt_files
from perezvon.ivr.finding import Part
from perezvon.ivr.prompts import Prompt, PromptShelf, prompts_of
from perezvon.ivr.scenario import Button, Scenario
from perezvon.recordings.convert import Converted
from perezvon.recordings.pool import Converter

pytestmark = pytest.mark.slow

CAKES = Scenario("70000000002", "intro.mp3", (Button("1", "торты.mp3", "101"), Button("2", "msg", "102")))


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    folder = tmp_path / "sounds"
    write(folder / "scenario/intro.mp3", tone(300, 0.6, 44100), 44100)
    write(folder / "keyNum/1.wav", tone(400, 0.4))
    write(folder / "msgMp3/торты.ogg", tone(500, 0.5, 48000), 48000)
    write(folder / "msgMp3/msg.mp3", tone(600, 0.5, 22050), 22050)
    return folder


@asynccontextmanager
async def a_shelf(sounds: Path | None, tmp_path: Path, **options: str) -> AsyncIterator[PromptShelf]:
    shelf = PromptShelf(sounds, tmp_path / "data/prompts", **options)
    await shelf.start()
    keeping = asyncio.create_task(shelf.run())
    try:
        yield shelf
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


class HeldConverter(Converter):
    """Converts when it is `free` to."""

    def __init__(self) -> None:
        super().__init__(command=prompt_files.WORKER, deadline=60.0)
        self.asked, self.free = asyncio.Event(), asyncio.Event()

    async def convert(self, source: Path, target: Path) -> Converted:
        self.asked.set()
        await self.free.wait()
        return await super().convert(source, target)


def heard(prompt: Prompt) -> Path:
    return Path(f"{prompt.path}.wav")


async def noticed(shelf: PromptShelf, scenario: Scenario = CAKES) -> None:
    """As calls do it, and then waits until the keeper has looked."""
    shelf.notice(scenario)
    await shelf.look(scenario)


async def test_what_a_scenario_names_can_be_played(sounds: Path, tmp_path: Path) -> None:
    async with a_shelf(sounds, tmp_path) as shelf:
        assert shelf.spoken(Part.INTRO, "intro.mp3") == ()
        assert [str(trouble) for trouble in await shelf.look(CAKES)] == [
            "keyNum/2: there is no such recording; our own digits are played"
        ]
        played = {
            300: shelf.spoken(Part.INTRO, "intro.mp3"),
            400: shelf.spoken(Part.KEY, "1"),
            500: shelf.spoken(Part.MESSAGE, "торты.mp3"),
            600: shelf.spoken(Part.MESSAGE, "msg"),
        }
        for hertz, (prompt,) in played.items():
            sound = read(heard(prompt))
            assert level_of(sound[800:-800], hertz) > -12
            assert prompt.seconds == sound.size / 8000
            assert heard(prompt).stat().st_mode & 0o777 == 0o644
        (two,) = shelf.spoken(Part.KEY, "2")
        assert two == shelf.own("2")
        assert heard(two).parent.name == "ru"
    assert (tmp_path / "data/prompts").stat().st_mode & 0o777 == 0o755


async def test_keys_without_recordings_are_said_digit_by_digit(tmp_path: Path) -> None:
    async with a_shelf(None, tmp_path, language="en", on_pbx="/mnt/prompts") as shelf:
        assert [prompt.path for prompt in shelf.spoken(Part.KEY, "1*0#")] == [
            *("/mnt/prompts/en/1", "/mnt/prompts/en/star", "/mnt/prompts/en/0", "/mnt/prompts/en/pound")
        ]
        assert shelf.spoken(Part.KEY, "A") == ()
        assert shelf.spoken(Part.MESSAGE, "") == ()


async def test_the_first_caller_waits_for_the_first_prompts(sounds: Path, tmp_path: Path) -> None:
    async with a_shelf(sounds, tmp_path) as shelf:
        await shelf.ready(CAKES, within=20)
        assert shelf.spoken(Part.INTRO, "intro.mp3")
        begun = time.perf_counter()
        await shelf.ready(CAKES)
        assert time.perf_counter() - begun < 0.02


async def test_the_first_caller_does_not_wait_for_ever(sounds: Path, tmp_path: Path) -> None:
    shelf = PromptShelf(sounds, tmp_path / "prompts")
    await shelf.start()
    await asyncio.wait_for(shelf.ready(CAKES, within=0.1), 1)
    assert shelf.spoken(Part.INTRO, "intro.mp3") == ()


async def test_the_rest_is_named_before_it_is_there(sounds: Path, tmp_path: Path) -> None:
    """The dialplan is told all at once: what is converted meanwhile is heard when its turn comes."""
    converter = HeldConverter()
    shelf = PromptShelf(sounds, tmp_path / "data/prompts", converter=converter)
    await shelf.start()
    looking = asyncio.create_task(shelf.look(CAKES))
    await asyncio.wait_for(converter.asked.wait(), 20)
    await shelf.ready(CAKES, within=0)
    (last,) = shelf.spoken(Part.MESSAGE, "msg")
    assert not heard(last).exists()
    assert shelf.spoken(Part.KEY, "2") == (shelf.own("2"),)
    converter.free.set()
    await looking
    assert heard(last).exists()
    assert [prompt.path for prompt in shelf.spoken(Part.MESSAGE, "msg")] == [last.path]
    await converter.close()


async def test_a_changed_file_is_heard_from_the_next_call_on(sounds: Path, tmp_path: Path) -> None:
    async with a_shelf(sounds, tmp_path) as shelf:
        await noticed(shelf)
        (before,) = shelf.spoken(Part.KEY, "1")
        await noticed(shelf)
        assert shelf.spoken(Part.KEY, "1") == (before,)
        write(sounds / "keyNum/1.wav", tone(700, 0.4))
        os.utime(sounds / "keyNum/1.wav", (1, 1))
        await noticed(shelf)
        (after,) = shelf.spoken(Part.KEY, "1")
        assert after.path != before.path
        assert level_of(read(heard(after)), 700) > -12
        assert heard(before).exists(), "somebody may be hearing it"


async def test_a_file_that_breaks_is_heard_as_it_was(sounds: Path, tmp_path: Path) -> None:
    async with a_shelf(sounds, tmp_path) as shelf:
        await noticed(shelf)
        before = shelf.spoken(Part.KEY, "1")
        (sounds / "keyNum/1.wav").write_bytes(b"half an upload")
        await noticed(shelf)
        assert shelf.spoken(Part.KEY, "1") == before
        assert any("keyNum/1: cannot be played" in str(trouble) for trouble in shelf.troubles(CAKES))
        write(sounds / "keyNum/1.wav", tone(700, 0.4))
        await noticed(shelf)
        assert shelf.spoken(Part.KEY, "1") != before
        assert not any("keyNum/1" in str(trouble) for trouble in shelf.troubles(CAKES))


async def test_a_file_that_is_taken_away_is_no_more_heard_but_a_folder_may_be_unmounted(
    sounds: Path, tmp_path: Path
) -> None:
    async with a_shelf(sounds, tmp_path) as shelf:
        await noticed(shelf)
        before = shelf.spoken(Part.INTRO, "intro.mp3")
        shutil.move(sounds, tmp_path / "elsewhere")
        await noticed(shelf)
        assert shelf.spoken(Part.INTRO, "intro.mp3") == before
        assert any("not there, or not mounted" in str(trouble) for trouble in shelf.troubles(CAKES))
        shutil.move(tmp_path / "elsewhere", sounds)
        (sounds / "scenario/intro.mp3").unlink()
        await noticed(shelf)
        assert shelf.spoken(Part.INTRO, "intro.mp3") == ()


async def test_what_is_wrong_with_a_file_is_told_and_nothing_of_it_played(sounds: Path, tmp_path: Path) -> None:
    write(sounds / "msgMp3/silent.wav", tone(300, 1.0, level=0.0))
    (sounds / "msgMp3/page.mp3").write_bytes(b"<html>")
    (sounds / "msgMp3/link.mp3").symlink_to(sounds / "scenario/intro.mp3")
    names = ("silent.wav", "page.mp3", "link.mp3", "../scenario/intro.mp3", "gone")
    scenario = Scenario("7", "", tuple(Button(str(n), name, "101") for n, name in enumerate(names)))
    async with a_shelf(sounds, tmp_path) as shelf:
        told = [str(trouble) for trouble in await shelf.look(scenario) if "keyNum" not in str(trouble)]
        assert [shelf.spoken(Part.MESSAGE, name) for name in names] == [()] * 5
    assert [text.split(" (")[0][:45] for text in told] == [
        "msgMp3/silent.wav: nothing is to be heard in ",
        "msgMp3/page.mp3: cannot be played: " + told[1][35:45],
        "msgMp3/link.mp3: leads out of the sounds fold",
        "msgMp3/../scenario/intro.mp3: leads out of th",
        "msgMp3/gone: there is no such recording: msgM",
    ]


async def test_after_a_restart_nothing_is_converted_again(sounds: Path, tmp_path: Path) -> None:
    async with a_shelf(sounds, tmp_path) as shelf:
        await noticed(shelf)
        before = [shelf.spoken(*key) for key in ((Part.INTRO, "intro.mp3"), (Part.MESSAGE, "торты.mp3"))]
        made = {path: path.stat().st_mtime_ns for path in (tmp_path / "data/prompts").glob("*.wav")}
    shutil.rmtree(sounds)
    async with a_shelf(sounds, tmp_path) as shelf:
        await shelf.ready(CAKES, within=0)
        assert [shelf.spoken(*key) for key in ((Part.INTRO, "intro.mp3"), (Part.MESSAGE, "торты.mp3"))] == before
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "data/prompts").glob("*.wav")} == made


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"format": 1, "prompts": [["a"]]}', b'{"format": 9}', b"\xff"])
async def test_a_damaged_index_costs_only_a_new_look(sounds: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data/prompts").mkdir(parents=True)
    (tmp_path / "data/prompts/index.json").write_bytes(content)
    async with a_shelf(sounds, tmp_path) as shelf:
        await noticed(shelf)
        assert shelf.spoken(Part.INTRO, "intro.mp3")


async def test_a_conversion_that_was_deleted_is_made_again(sounds: Path, tmp_path: Path) -> None:
    async with a_shelf(sounds, tmp_path) as shelf:
        await noticed(shelf)
        (prompt,) = shelf.spoken(Part.KEY, "1")
        heard(prompt).unlink()
        await noticed(shelf)
        assert heard(prompt).exists()


async def test_the_same_sound_under_two_names_is_kept_once(sounds: Path, tmp_path: Path) -> None:
    shutil.copy(sounds / "keyNum/1.wav", sounds / "msgMp3/msg.mp3")
    async with a_shelf(sounds, tmp_path) as shelf:
        await noticed(shelf)
        assert shelf.spoken(Part.KEY, "1") == shelf.spoken(Part.MESSAGE, "msg")


def test_what_nobody_names_is_removed_after_a_while(tmp_path: Path) -> None:
    now = time.time()
    for name, age in (("used", 400), ("fresh", 0.5), ("replaced", 2), ("forgotten", 100), ("half.wav", 2)):
        file = tmp_path / f"{name}{'.part' if '.' in name else '.wav'}"
        file.touch()
        os.utime(file, (now - age * 86400,) * 2)
    entries = {
        ("keyNum", "1"): prompt_files.Entry(file="used", noticed=now),
        ("keyNum", "2"): prompt_files.Entry(file="forgotten", noticed=now - 91 * 86400),
    }
    assert list(prompt_files.tidy(tmp_path, entries)) == [("keyNum", "1")]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fresh.wav", "used.wav"]


def test_a_folder_that_asterisk_cannot_enter_is_named(tmp_path: Path) -> None:
    inner = tmp_path / "data/prompts"
    inner.mkdir(parents=True)
    for folder in (*tmp_path.parents, tmp_path, tmp_path / "data", inner):
        if folder.is_relative_to(tmp_path):
            folder.chmod(0o755)
    closed = prompt_files.unreachable(inner)
    assert closed is None or not closed.is_relative_to(tmp_path)
    (tmp_path / "data").chmod(0o750)
    assert prompt_files.unreachable(inner) == (closed or tmp_path / "data")


async def test_the_converting_process_has_low_priority_and_does_not_stay(
    sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perezvon.ivr.prompts.IDLE", 0.3)
    shelf = PromptShelf(sounds, tmp_path / "prompts")
    await shelf.start()
    await shelf.look(CAKES)
    (pid,) = shelf._converter.processes  # pyright: ignore[reportPrivateUsage]
    assert os.getpriority(os.PRIO_PROCESS, pid) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    process = os.pidfd_open(pid)
    loop.add_reader(process, lambda: ended.done() or ended.set_result(None))
    keeping = asyncio.create_task(shelf.run())
    await asyncio.wait_for(ended, 5)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    loop.remove_reader(process)
    os.close(process)


def test_only_what_is_played_is_looked_for() -> None:
    assert prompts_of(CAKES) == (
        *(("scenario", "intro.mp3"), ("keyNum", "1"), ("msgMp3", "торты.mp3"), ("keyNum", "2"), ("msgMp3", "msg")),
    )
    assert prompts_of(Scenario("7", "i", (Button("", "m", "101"),), asked=False)) == ()
    assert prompts_of(Scenario("7", "i", ())) == ()


NAMES = [
    *"0123456789",
    "star",
    "pound",
    "enter-code",
    "bad-code",
    "busy",
    "no-answer",
    "nobody",
    "connecting",
    "callback",
    "joined",
    "error",
]


@pytest.mark.parametrize("language", prompt_files.LANGUAGES)
def test_our_own_prompts_can_be_heard(tmp_path: Path, language: str) -> None:
    lengths = prompt_files.lay_out(tmp_path, language)
    assert sorted(lengths) == sorted(NAMES)
    for name in NAMES:
        path = tmp_path / language / f"{name}.wav"
        sound = read(path)
        frames = sound[: sound.size // 80 * 80].reshape(-1, 80)
        energy = (frames**2).mean(axis=1)
        loud = energy > 10 ** (-45 / 10)
        assert 0.2 <= lengths[name] <= 6, name
        assert path.stat().st_size < 60_000, name
        assert abs(sound).max() < 0.98, f"{name} is clipped"
        assert -26 < level_db(energy[energy > energy.max() / 300].mean()) < -18, name
        assert loud.any(), f"{name} is silent"
        assert loud.argmax() * 0.01 < 0.2, f"{name} begins late"
        assert loud[::-1].argmax() * 0.01 < 0.3, f"{name} ends late"


def test_no_two_of_our_own_prompts_are_the_same(tmp_path: Path) -> None:
    prompt_files.lay_out(tmp_path, "ru")
    spoken = [path.read_bytes() for path in tmp_path.glob("*/*.wav") if path.stem not in {"joined", "error"}]
    assert len(spoken) == len(set(spoken)) == 2 * (len(NAMES) - 2)


def level_db(power: float) -> float:
    from math import log10

    return 10 * log10(power)


def test_the_shipped_files_are_plain_wave() -> None:
    for path in Path(prompt_files.__file__).parent.glob("sounds/*/*.wav"):
        with wave.open(str(path), "rb") as file:
            assert file.getcomptype() == "NONE"
