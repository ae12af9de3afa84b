"""`perezvon customisation` as people and scripts call it: on calls that are stored, and on input of their own."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from plain_call import started, talk
from typer.testing import CliRunner, Result

from perezvon.calls.call import Direction
from perezvon.calls.facts import Answered, CallEnded, Ringing
from perezvon.cli import app
from perezvon.cli.exits import Exit
from perezvon.customisation import Point
from perezvon.storage import Database, calls, employees, journal
from perezvon.storage.calls import StoredCall

pytestmark = pytest.mark.slow

SETTINGS = """
[[asterisk]]
name = "main"
ami = "tcp://u:p@127.0.0.1:1"
recordings = "/tmp"
[[portal]]
name = "main"
webhook = "https://example.bitrix24.ru/rest/1/token/"
[[line]]
number = "+74951234567"
source = "CALL"
"""
T = 1_795_251_052.0
RECORD = talk(T, id="main-1", trunk="multifon", recordings=("a.wav",))


def perezvon(*arguments: object, language: str = "C.UTF-8") -> Result:
    return CliRunner(env={"LC_ALL": language}).invoke(app, [str(argument) for argument in arguments])


def answered(result: Result, code: Exit = Exit.OK) -> Any:
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    file = tmp_path / "settings.toml"
    file.write_text(SETTINGS)
    assert perezvon("config", "apply", file, "--data-dir", folder).exit_code == 0
    (folder / "customisation").mkdir()

    async def store() -> None:
        facts = [
            started(call="main-1", at=T, trunk="multifon"),
            Ringing("main-1", T + 1, "101", "PJSIP/101-1"),
            Answered("main-1", T + 5, "101", "PJSIP/101-1"),
            CallEnded("main-1", T + 15, RECORD),
        ]
        row = StoredCall(
            "main-1", "main", Direction.INCOMING, T, live=False, client="+79161234567", line="+74951234567",
            state=RECORD.as_json(),
        )  # fmt: skip
        async with await Database.open(folder) as database:

            async def work(conn: Any) -> None:
                await calls.save(conn, [row])
                await journal.append(conn, facts, time.time())
                await employees.replace(conn, "main", [employees.Employee("11", "101", "Ivanov", True, ())], time.time())

            await database.write(work)

    asyncio.run(store())
    return folder


def hook(data_dir: Path, source: str, name: str = "hooks.py") -> None:
    (data_dir / "customisation" / name).write_text(source, encoding="utf-8")


def test_a_stored_call_is_planned_anew(data_dir: Path) -> None:
    hook(
        data_dir,
        "def process_final_params(data):\n    print('for', data['call']['client'])\n    return data['params'] | {'USER_ID': 12}\n",
    )
    (one,) = answered(
        perezvon("customisation", "test", "process_final_params", "--call", "main-1", "--data-dir", data_dir, "--json")
    )
    assert (one["fate"], one["printed"]) == ("changed", "for +79161234567\n")
    assert one["given"]["params"]["STATUS_CODE"] == "200"
    assert one["answer"] == one["given"]["params"] | {"USER_ID": 12}
    assert one["given"]["call"]["trunk"] == "multifon"
    words = perezvon("customisation", "test", "process_final_params", "--data-dir", data_dir).stdout
    assert "process_final_params [call_ended]: changed" in words
    assert "    USER_ID: 11 -> 12" in words
    assert "    | for +79161234567" in words
    assert (
        "изменила"
        in perezvon("customisation", "test", "process_final_params", "--data-dir", data_dir, language="ru_RU.UTF-8").stdout
    )


@pytest.mark.parametrize("point", list(Point))
def test_every_point_can_be_tried(data_dir: Path, point: Point) -> None:
    assert perezvon("customisation", "new", point.value, "--data-dir", data_dir).exit_code == 0
    result = perezvon("customisation", "test", point.value, "--call", "main-1", "--data-dir", data_dir, "--json")
    tried = answered(result)
    assert all(one["fate"] in ("unchanged", "cancelled", "changed") for one in tried)
    of_steps_that_are_not_there = {"post_registration", "process_record_file_path", "customize_attach_record_url"}
    of_steps_that_are_not_there |= {"customize_entity", "process_originate_params"}
    assert bool(tried) is (point.value not in of_steps_that_are_not_there)


def test_a_hook_that_fails(data_dir: Path) -> None:
    hook(data_dir, "def need_registration(data):\n    return data['nothing']\n")
    result = perezvon("customisation", "test", "need_registration", "--data-dir", data_dir)
    assert result.exit_code == Exit.PROBLEM
    assert "hooks.py:2: KeyError: 'nothing'" in result.stdout


def test_input_of_ones_own(data_dir: Path, tmp_path: Path) -> None:
    hook(data_dir, "def customize_third_party(data): return data['code'] + '0'\n")
    file = tmp_path / "input.json"
    file.write_text('{"code": "55", "number": ""}')
    (one,) = answered(
        perezvon("customisation", "test", "customize_third_party", "--input", file, "--data-dir", data_dir, "--json")
    )
    assert one["answer"] == "550"
    file.write_text("{")
    assert (
        perezvon("customisation", "test", "customize_third_party", "--input", file, "--data-dir", data_dir).exit_code == 2
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("test", "no_such_point"), "there is no point no_such_point; known: need_registration, "),
        (("test", "need_registration"), "there is no function need_registration"),
        (("new", "no_such_point"), "there is no point"),
    ],
)
def test_mistakes(data_dir: Path, arguments: tuple[str, ...], told: str) -> None:
    result = perezvon("customisation", *arguments, "--data-dir", data_dir)
    assert result.exit_code == Exit.USAGE
    assert told in result.output


def test_a_call_that_is_not_there(data_dir: Path) -> None:
    hook(data_dir, "def need_registration(data): return True\n")
    result = perezvon("customisation", "test", "need_registration", "--call", "nothing", "--data-dir", data_dir)
    assert (result.exit_code, "there is no call nothing" in result.output) == (Exit.USAGE, True)


def test_list(data_dir: Path) -> None:
    hook(data_dir, "def need_registration(data): return True\n")
    listed = answered(perezvon("customisation", "list", "--data-dir", data_dir, "--json"))
    functions = {point["name"]: point["function"] for point in listed["points"]}
    assert functions == dict.fromkeys(Point) | {"need_registration": "hooks.py:1"}
    hook(data_dir, "def f(:\n", "broken.py")
    listed = answered(perezvon("customisation", "list", "--data-dir", data_dir, "--json"), Exit.PROBLEM)
    assert listed["troubles"][0]["seen"].startswith("customisation: broken.py is not loaded: broken.py:1: ")


def test_new_keeps_an_older_file(data_dir: Path) -> None:
    hook(data_dir, "# mine", "need_registration.py")
    result = perezvon("customisation", "new", "need_registration", "--data-dir", data_dir)
    assert result.exit_code == Exit.USAGE
    assert (data_dir / "customisation" / "need_registration.py").read_text() == "# mine"


def test_the_doctor_looks(data_dir: Path) -> None:
    hook(data_dir, "def need_registration(data): return True\n")
    (data_dir / "customisation").chmod(0o777)
    result = perezvon("doctor", "--data-dir", data_dir, "--json", "--deadline", "5")
    found = {check["name"]: check for check in json.loads(result.stdout)["checks"]}
    assert found["customisation.points"]["seen"].startswith("customisation: need_registration are asked, from ")
    assert found["customisation.rights"]["state"] == "problem"


def test_replay_asks_hooks_when_it_shall(tmp_path: Path) -> None:
    recording = Path(__file__).parents[1] / "e2e" / "recorded" / "hold.ami.gz"
    settings = tmp_path / "settings.toml"
    settings.write_text(SETTINGS)
    folder = tmp_path / "hooks"
    folder.mkdir()
    (folder / "hooks.py").write_text(
        "def process_final_params(data): return data['params'] | {'USER_ID': data['call']['rung'] and 77}\n"
        "def process_client_phone(data): 1/0\n"
    )

    def decisions(*more: object) -> list[dict[str, Any]]:
        calls = answered(perezvon("replay", recording, "--settings", settings, "--json", *more))
        return [decision for call in calls for decision in call["decisions"]]

    plain, hooked = decisions(), decisions("--hooks", folder)
    finishes = [request for made in hooked for request in made["requests"] if request["method"].endswith(".finish")]
    assert [request["params"]["USER_ID"] for request in finishes] == [77]
    reasons = [made["reason"] for made in hooked]
    assert (
        "customisation process_client_phone failed, the default stands: hooks.py:2: ZeroDivisionError: division by zero"
        in reasons
    )
    assert not [made for made in plain if "customisation" in made["reason"]]
    assert perezvon("replay", recording, "--hooks", folder).exit_code == Exit.USAGE
