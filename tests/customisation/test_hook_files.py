"""Files with hooks: found, changed, broken, gone; what is kept, and what is told."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from perezvon.customisation import POINTS, Answer, Customiser, Fate, Limits, Point
from perezvon.customisation.files import MOST_BYTES

PHONE = Point.PROCESS_CLIENT_PHONE

Open = Callable[..., Awaitable[Customiser]]
Write = Callable[..., None]


async def ask(customiser: Customiser, point: Point = PHONE) -> Answer:
    return await customiser.ask(point, POINTS[point].sample)


def troubles(customiser: Customiser) -> list[str]:
    return [str(seen) for seen, _fix in customiser.status().troubles]


async def test_without_a_file_nothing_runs(opened: Open) -> None:
    customiser = await opened()
    assert not any(customiser.wants(point) for point in Point)
    assert customiser._urgent._process is None is customiser._calm._process
    assert (await ask(customiser)).fate is Fate.NOT_ASKED
    assert customiser.status().points == ()


async def test_without_a_folder_nothing_runs(tmp_path: Path) -> None:
    customiser = Customiser(None, Limits())
    await customiser.open()
    await customiser.run()  # returns at once
    assert not customiser.wants(PHONE)
    missing = Customiser(tmp_path / "missing", Limits())
    await missing.open()
    assert not missing.wants(PHONE)
    assert missing.status().troubles == ()


async def test_only_the_processes_that_are_needed_are_started(opened: Open, write: Write) -> None:
    write("def process_client_phone(data): return '+71'")
    customiser = await opened()
    assert customiser._urgent._process is not None
    assert customiser._calm._process is None


async def test_a_change_is_taken_at_once_and_a_removal_too(opened: Open, write: Write, folder: Path) -> None:
    write("def process_client_phone(data): return '+71'")
    customiser = await opened()
    assert (await ask(customiser)).value == "+71"
    write("def process_client_phone(data): return '+7222'")
    await customiser._look()
    assert (await ask(customiser)).value == "+7222"
    (folder / "hooks.py").unlink()
    await customiser._look()
    assert (await ask(customiser)).fate is Fate.NOT_ASKED
    assert customiser._urgent._process is None


async def test_a_mistake_keeps_the_last_good_version_and_says_where(opened: Open, write: Write) -> None:
    write("def process_client_phone(data): return '+71'")
    write("def process_final_params(data): return data['params'] | {'DURATION': 9}", "other.py")
    customiser = await opened()
    write("def process_client_phone(data):\n    return '+72'\n  oops\n")
    await customiser._look()
    assert (await ask(customiser)).value == "+71"
    (told,) = troubles(customiser)
    assert told.startswith("customisation: hooks.py is not loaded, the version before goes on: hooks.py:3: unindent")
    # It survives its process, and changes of other files.
    await customiser._urgent._drop()
    write("def process_final_params(data): return data['params'] | {'DURATION': 10}", "other.py")
    await customiser._look()
    assert (await ask(customiser)).value == "+71"
    assert (await ask(customiser, Point.PROCESS_FINAL_PARAMS)).value["DURATION"] == 10
    write("def process_client_phone(data): return '+73'")
    await customiser._look()
    assert (await ask(customiser)).value == "+73"
    assert troubles(customiser) == []


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import nothing_of_the_kind", "hooks.py:1: ModuleNotFoundError: No module named 'nothing_of_the_kind'"),
        ("x = 1\n1/0", "hooks.py:2: ZeroDivisionError: division by zero"),
        ("raise SystemExit(5)", "hooks.py:1: SystemExit: 5"),
        ("import os; os._exit(0)", "ended by itself (exit status 0)"),
        ("def f(:", "hooks.py:1: invalid syntax"),
        ("\0", "hooks.py"),
    ],
)
async def test_a_file_that_never_was_good_is_left_out(opened: Open, write: Write, source: str, told: str) -> None:
    write(f"{source}\ndef process_client_phone(data): return '+71'\n")
    customiser = await opened()
    assert (await ask(customiser)).fate is Fate.NOT_ASKED
    assert told in troubles(customiser)[0]


async def test_the_good_files_beside_a_broken_one_work(opened: Open, write: Write) -> None:
    write("1/0", "a.py")
    write("def process_client_phone(data): return '+71'", "b.py")
    customiser = await opened()
    assert (await ask(customiser)).value == "+71"
    assert len(troubles(customiser)) == 1


async def test_a_file_that_loops_while_it_is_loaded(opened: Open, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perezvon.customisation.desk.LOADING", 2.0)
    write("def process_client_phone(data): return '+71'")
    customiser = await opened()
    write("while True: pass")
    await customiser._look()
    assert (await ask(customiser)).value == "+71"
    assert "no answer within 2 s (hooks.py:1)" in troubles(customiser)[0]


async def test_files_share_what_begins_with_an_underscore(opened: Open, write: Write) -> None:
    write("TABLE = {'+79161234567': '+71'}\ndef need_registration(data): return False", "_shared.py")
    write("from _shared import TABLE\ndef process_client_phone(data): return TABLE[data['phone']]")
    customiser = await opened()
    assert (await ask(customiser)).value == "+71"
    assert not customiser.wants(Point.NEED_REGISTRATION)


async def test_of_two_functions_the_first_is_asked(opened: Open, write: Write) -> None:
    write("def process_client_phone(data): return '+71'", "a.py")
    write("def process_client_phone(data): return '+72'", "b.py")
    customiser = await opened()
    assert (await ask(customiser)).value == "+71"
    assert troubles(customiser) == ["process_client_phone is there twice: the function in b.py is not asked"]


async def test_what_is_imported_is_no_hook(opened: Open, write: Write) -> None:
    write("def process_client_phone(data): return '+71'", "a.py")
    write("from a import process_client_phone", "b.py")
    customiser = await opened()
    assert troubles(customiser) == []
    assert customiser.status().points[0].place == "a.py:1"


async def test_switched_off_in_the_settings(opened: Open, write: Write) -> None:
    write("def process_client_phone(data): return '+71'")
    customiser = await opened(Limits(off=frozenset({"process_client_phone"})))
    assert (await ask(customiser)).fate is Fate.NOT_ASKED
    assert [(point.name, point.on) for point in customiser.status().points] == [("process_client_phone", False)]
    customiser.change(Limits())
    assert (await ask(customiser)).value == "+71"


@pytest.mark.parametrize("kind", ["large", "latin", "folder", "pipe"])
async def test_what_is_no_python_file(opened: Open, write: Write, folder: Path, kind: str) -> None:
    write("def process_client_phone(data): return '+71'")
    customiser = await opened()
    odd = folder / "odd.py"
    match kind:
        case "large":
            odd.write_text("#" * (MOST_BYTES + 1))
        case "latin":
            odd.write_bytes(b"# \xff\xfe")
        case "folder":
            odd.mkdir()
        case _:
            os.mkfifo(odd)
    await customiser._look()
    assert (await ask(customiser)).value == "+71"
    assert bool(troubles(customiser)) is (kind in ("large", "latin"))


async def test_it_knows_nothing_of_our_environment(opened: Open, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("B24_SECRET", "hidden")
    write("import os\ndef process_client_phone(data): return '+70' if 'B24_SECRET' in os.environ else '+71'")
    customiser = await opened()
    assert (await ask(customiser)).value == "+71"


@pytest.mark.parametrize("answer", [None, {}, []])
async def test_nothing_cancels_where_a_request_would_follow(opened: Open, write: Write, answer: Any) -> None:
    write(f"def process_final_params(data): return {answer!r}")
    customiser = await opened()
    told = await ask(customiser, Point.PROCESS_FINAL_PARAMS)
    assert (told.fate, told.value) == (Fate.CANCELLED, None)
    assert str(told.note) == "cancelled by customisation: process_final_params"


async def test_what_makes_a_call_the_same_call_stays(opened: Open, write: Write) -> None:
    write(
        "def process_registration_params(data): return data['params'] | {'EXTERNAL_CALL_ID': 'x', 'SHOW': 1, 'TITLE': 'T'}"
    )
    customiser = await opened()
    told = await ask(customiser, Point.PROCESS_REGISTRATION_PARAMS)
    given = POINTS[Point.PROCESS_REGISTRATION_PARAMS].sample["params"]
    assert told.value == {**given, "TITLE": "T"}
    assert str(told.note) == 'customisation process_registration_params: + TITLE: "T"'


@pytest.mark.parametrize("point", list(Point))
async def test_every_point_takes_its_own_sample_back(opened: Open, write: Write, point: Point) -> None:
    rules = POINTS[point]
    back = f"data[{rules.subject!r}]" if rules.subject else "True" if point is Point.NEED_REGISTRATION else "{'x': 1}"
    write(f"def {point.value}(data): return {back}")
    customiser = await opened(Limits(urgent=5.0))
    told = await ask(customiser, point)
    assert told.fate in (Fate.UNCHANGED, Fate.CHANGED)
    assert (told.fate is Fate.UNCHANGED) is (bool(rules.subject) or point is Point.POST_REGISTRATION)
