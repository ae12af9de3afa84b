"""Hooks that loop, die, flood, fork, and answer nonsense: each harms its own question, and the default stands."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from perezvon.customisation import POINTS, Answer, Customiser, Fate, Limits, Point

PHONE = Point.PROCESS_CLIENT_PHONE
FINAL = Point.PROCESS_FINAL_PARAMS

Open = Callable[..., Awaitable[Customiser]]
Write = Callable[..., None]


async def ask(customiser: Customiser, point: Point, **changes: Any) -> Answer:
    return await customiser.ask(point, {**POINTS[point].sample, **changes})


def processes(customiser: Customiser) -> list[int]:
    desks = (customiser._urgent, customiser._calm)
    return [desk._process._process.pid for desk in desks if desk._process is not None]


FINE = """
def process_final_params(data):
    return data["params"] | {"DURATION": 7}
"""


@pytest.mark.parametrize(
    ("story", "body", "why"),
    [
        ("an endless loop", "while True: pass", "no answer within 0.5 s (hooks.py:"),
        ("a sleep", "import time; time.sleep(1000)", "no answer within 0.5 s (hooks.py:"),
        ("a pattern that never ends", "import re; re.match('(a+)+$', 'a' * 60 + 'b')", "no answer within 0.5 s (hooks.py:"),
        ("an exit that nobody can catch", "import os; os._exit(3)", "ended by itself (exit status 3)"),
        ("an exit", "import sys; sys.exit('enough')", "SystemExit: enough"),
        ("a crash of the interpreter", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
        ("endless recursion", "f = lambda n: f(n + 1); f(0)", "RecursionError"),
        ("a huge answer", "return 'x' * 10_000_000", "the answer has 10000013 bytes"),
        ("all memory", "return 'x' * 10**10", "MemoryError"),
        ("memory bit by bit", "kept = [bytearray(10**7) for _ in range(1000)]", "MemoryError"),
        ("an exception", "raise ValueError('no such client')", "ValueError: no such client"),
        ("an exception that cannot be told", "class E(Exception):\n  def __str__(self): raise KeyError\n raise E", "E"),
        ("nothing at a point that cannot cancel", "pass", "text is wanted, not nothing"),
        ("a number", "return 79161234567", "text is wanted, not int"),
        ("an object", "return object()", "TypeError: Object of type object is not JSON serializable"),
        ("not a number", "return float('nan')", "ValueError"),
        ("what holds itself", "a = []; a.append(a); return a", "ValueError: Circular reference detected"),
        ("no phone number", "return '+7 916; DROP'", "is no phone number"),
        ("half a surrogate pair", r"return '\ud800'", "control characters"),
        ("two lines", r"return '7916\n'", "control characters"),
        ("what is written to our channel", "import os; os.write(1, b'{}\\n'); os.write(2, b'x'); raise KeyError(1)", "KeyError"),
        ("a child that it forks", "import os; os.fork(); raise KeyError(1)", "KeyError"),
        ("a child that stays when it dies", "import os\n if os.fork(): os._exit(4)\n import time; time.sleep(60)", "no answer within 0.5 s"),
        ("a thread that goes on", "import threading, time\n threading.Thread(target=time.sleep, args=(60,)).start()\n 1/0", "Zero"),
        ("closed channels", "import os; os.closerange(0, 50)", ""),
        ("an alarm of its own", "import signal; signal.setitimer(signal.ITIMER_REAL, 0.05)\n while True: pass", "SIGALRM"),
    ],
)  # fmt: skip
async def test_the_default_stands(opened: Open, write: Write, story: str, body: str, why: str) -> None:
    write(f"def process_client_phone(data):\n {body}\n{FINE}")
    hangs = why.startswith("no answer")
    customiser = await opened(Limits(urgent=0.5 if hangs else 10.0))
    began = time.monotonic()
    answer = await ask(customiser, PHONE)
    assert time.monotonic() - began < (5.0 if hangs else 20.0), story
    assert (answer.fate, answer.value) == (Fate.FAILED, "+79161234567"), story
    assert why in str(answer.note)
    # The next question is answered, by another process where that one is gone.
    after = await ask(customiser, FINAL)
    assert (after.fate, after.value["DURATION"]) == (Fate.CHANGED, 7), story
    assert customiser.status().points[0].last_error


async def test_what_it_prints_is_told_and_cut(opened: Open, write: Write) -> None:
    write(
        """
        import os, subprocess, sys
        def process_client_phone(data):
            print("looked up", data["phone"])
            sys.stderr.write("x" * 1_000_000)
            os.write(1, b"y" * 1_000_000)
            subprocess.run(["echo", "z"])
            return "+70000000000"
        """
    )
    customiser = await opened(Limits(urgent=5.0))
    answer = await ask(customiser, PHONE)
    assert (answer.fate, answer.value) == (Fate.CHANGED, "+70000000000")
    assert answer.printed.startswith("looked up +79161234567\nxxx")
    assert len(answer.printed) == 4000
    assert str(answer.note) == 'customisation process_client_phone: "+79161234567" -> "+70000000000"'


@pytest.mark.parametrize("name", ["hooks.py", "broken.py"])
async def test_what_it_says_can_be_stored_and_shown(opened: Open, write: Write, name: str) -> None:
    """A text with half a character would lose the call whose page it is for, and the page with the status."""
    said = r"print('a\ud800b\0c'); raise ValueError('a\ud800b\0c')"
    write(f"def process_client_phone(data):\n {said}\n")
    write(said if name == "broken.py" else "", "broken.py")
    customiser = await opened()
    answer = await ask(customiser, PHONE)
    assert "ValueError: a\ufffdb\ufffdc" in str(answer.note)
    assert answer.printed == "a\ufffdb\ufffdc\n"
    assert [str(seen)[-17:] for seen, _fix in customiser.status().troubles] == ["ValueError: a\ufffdb\ufffdc"] * (
        name == "broken.py"
    )


async def test_printing_for_ever_costs_one_time_out(opened: Open, write: Write) -> None:
    write("def process_client_phone(data):\n while True: print('x' * 10000, flush=True)\n")
    customiser = await opened(Limits(urgent=0.3))
    answer = await ask(customiser, PHONE)
    assert answer.fate is Fate.FAILED
    assert "no answer within 0.3 s" in str(answer.note)


async def test_the_event_loop_goes_on_while_a_hook_hangs(opened: Open, write: Write) -> None:
    write("def process_client_phone(data):\n while True: pass\n")
    customiser = await opened(Limits(urgent=1.5))
    asking = asyncio.create_task(ask(customiser, PHONE))
    longest, last = 0.0, time.monotonic()
    while not asking.done():
        await asyncio.sleep(0.005)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
    assert (await asking).fate is Fate.FAILED
    assert longest < 1.0


async def test_others_that_ask_meanwhile_wait_no_longer_than_one_time_out(opened: Open, write: Write) -> None:
    write(
        """
        def process_client_phone(data):
            while data["phone"] == "+70000000666": pass
            return "+70000000007"
        """
    )
    customiser = await opened(Limits(urgent=1.0))
    looping = asyncio.create_task(ask(customiser, PHONE, phone="+70000000666"))
    await asyncio.sleep(0.1)  # it is under way
    other = await ask(customiser, PHONE, phone="+70000000001")
    assert other.seconds < 5.0
    assert (await looping).fate is Fate.FAILED
    again = await ask(customiser, PHONE, phone="+70000000001")
    assert (again.fate, again.value) == (Fate.CHANGED, "+70000000007")


async def test_a_slow_hook_where_nobody_waits_holds_up_no_card(opened: Open, write: Write) -> None:
    write(
        f"import time\ndef process_record_file_path(data):\n time.sleep(3); return 'x'\ndef process_client_phone(data): return '+71'\n{FINE}"
    )
    customiser = await opened(Limits(urgent=2.0, ordinary=10.0))
    slow = asyncio.create_task(ask(customiser, Point.PROCESS_RECORD_FILE_PATH))
    await asyncio.sleep(0.05)
    quick = await ask(customiser, PHONE)
    assert (quick.value, quick.seconds < 1.5) == ("+71", True)
    assert (await slow).value == "x"


async def test_left_alone_after_three_time_outs_in_a_row(opened: Open, write: Write) -> None:
    now = [1000.0]
    write("import os\ndef process_client_phone(data):\n os._exit(1)\ndef need_registration(data): return False\n")
    customiser = await opened(Limits(urgent=5.0), clock=lambda: now[0])
    for _ in range(3):
        assert (await ask(customiser, PHONE)).fate is Fate.FAILED
    assert not customiser.wants(PHONE)
    assert (await ask(customiser, PHONE)).fate is Fate.NOT_ASKED
    assert customiser.wants(Point.NEED_REGISTRATION)
    (point,) = [one for one in customiser.status().points if one.name == "process_client_phone"]
    assert (point.until, point.failed) == (1300.0, 3)
    now[0] += 301
    assert (await ask(customiser, PHONE)).fate is Fate.FAILED
    assert not customiser.wants(PHONE)  # one more was enough
    now[0] += 301
    write("def process_client_phone(data): return '+75'\n")
    await customiser._look()
    assert (await ask(customiser, PHONE)).value == "+75"


async def test_nobody_is_left_when_it_ends_while_new_files_are_loaded(opened: Open, write: Write, folder: Path) -> None:
    write(FINE)
    customiser = await opened()
    write("import os, pathlib\npathlib.Path('me').write_text(str(os.getpid()))\n" + FINE)
    async with customiser._urgent._turn:  # a question is under way
        loading = asyncio.create_task(customiser._look())
        async with asyncio.timeout(10):
            while not customiser._urgent._turn._waiters:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        loading.cancel()
        await asyncio.wait([loading])
    await customiser.close()
    assert members(int((folder / "me").read_text())) == []


async def test_nobody_is_left_when_it_is_closed(opened: Open, write: Write) -> None:
    write(
        f"""
        import subprocess
        def process_client_phone(data):
            subprocess.Popen(["sleep", "600"])
            return data["phone"]
        {FINE.replace(chr(10), chr(10) + "        ")}
        """
    )
    customiser = await opened(Limits(urgent=5.0))
    assert (await ask(customiser, PHONE)).fate is Fate.UNCHANGED
    await ask(customiser, FINAL)
    groups = processes(customiser)
    assert len(groups) == 2
    await customiser.close()
    assert not [pid for pid in groups if members(pid)]


def members(group: int) -> list[str]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            told = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(told[2]) == group and told[0] != "Z":
            found.append(str(stat))
    return found
