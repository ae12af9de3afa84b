"""The commands as scripts and people call them: their output and their exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from perezvon.cli import app
from perezvon.cli.exits import Exit

SETTINGS = """
[[asterisk]]
name = "main"
ami = "tcp://perezvon:hunter2@127.0.0.1:9"
[[portal]]
name = "main"
webhook = "http://127.0.0.1:9/rest/1/hunter3/"
[[line]]
number = "+74951234567"
"""


def perezvon(*arguments: str | Path, stdin: str = "", **environment: str) -> Result:
    runner = CliRunner(env={"LC_ALL": "C.UTF-8", **environment})
    return runner.invoke(app, [str(argument) for argument in arguments], input=stdin)


def as_a_process(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from perezvon.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def answer(done: Result) -> Any:
    return json.loads(done.stdout)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def applied(data: Path) -> Path:
    done = perezvon("config", "apply", "-", "--data-dir", data, stdin=SETTINGS)
    assert done.exit_code == Exit.OK, done.stderr
    return data


def test_apply_export_edit_apply_history_undo(applied: Path, tmp_path: Path) -> None:
    exported = perezvon("config", "export", "--data-dir", applied)
    assert exported.exit_code == Exit.OK
    assert "hunter" not in exported.stdout
    edited = tmp_path / "edited.toml"
    edited.write_text(exported.stdout.replace("127.0.0.1:9", "127.0.0.2:9"))

    dry = answer(perezvon("config", "apply", edited, "--data-dir", applied, "--dry-run", "--json"))
    assert (dry["version"], dry["dry_run"], [change["path"] for change in dry["changes"]]) == (
        None,
        True,
        ["asterisk[main].ami", "portal[main].webhook"],
    )
    done = answer(perezvon("config", "apply", edited, "--data-dir", applied, "--json", "--note", "moved"))
    assert (done["version"], done["changed"]) == (2, True)
    again = answer(perezvon("config", "apply", edited, "--data-dir", applied, "--json"))
    assert (again["version"], again["changed"]) == (2, False)

    plain = perezvon("config", "export", "--with-secrets", "--data-dir", applied)
    assert 'ami = "tcp://perezvon:hunter2@127.0.0.2:9"' in plain.stdout
    history = answer(perezvon("config", "history", "--json", "--data-dir", applied))
    assert [(entry["id"], entry["note"]) for entry in history] == [(2, "moved"), (1, "apply stdin")]
    undone = answer(perezvon("config", "undo", "--json", "--data-dir", applied))
    assert (undone["version"], undone["changed"]) == (3, True)
    words = perezvon("config", "history", "--data-dir", applied)
    assert "undo: back to version 1" in words.stdout
    assert "hunter" not in words.stdout


def test_a_mistake_in_the_file_is_told_and_nothing_is_saved(applied: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[calls]\nintrenal = true\n")
    done = perezvon("config", "apply", wrong, "--data-dir", applied)
    assert done.exit_code == Exit.USAGE
    assert done.stderr.strip() == f"{wrong}:2: calls.intrenal: there is no such setting; did you mean internal?"
    russian = perezvon("config", "apply", wrong, "--data-dir", applied, LC_ALL="ru_RU.UTF-8")
    assert f"{wrong}:2: calls.intrenal: такой настройки нет" in russian.stderr
    told = perezvon("config", "apply", wrong, "--data-dir", applied, "--json")
    assert told.exit_code == Exit.USAGE
    assert answer(told)["mistakes"][0]["path"] == "calls.intrenal"
    assert len(answer(perezvon("config", "history", "--json", "--data-dir", applied))) == 1


def test_replace_drops_what_the_file_leaves_out(applied: Path) -> None:
    done = perezvon("config", "apply", "-", "--replace", "--json", "--data-dir", applied, stdin="[log]\nlevel='debug'")
    assert answer(done)["changed"]
    assert perezvon("config", "export", "--data-dir", applied).stdout == '[log]\nlevel = "debug"\n'


def test_a_lost_key_is_told_and_settings_can_be_entered_anew(applied: Path) -> None:
    (applied / "secret.key").unlink()
    (applied / "secret.key").touch(0o600)
    assert "is no key file of Perezvon" in perezvon("config", "export", "--data-dir", applied).stderr
    (applied / "secret.key").unlink()
    done = perezvon("config", "apply", "-", "--replace", "--data-dir", applied, stdin=SETTINGS)
    assert done.exit_code == Exit.OK, done.stderr
    assert "hunter2" in perezvon("config", "export", "--with-secrets", "--data-dir", applied).stdout


def test_a_directory_without_an_installation_is_not_made(tmp_path: Path) -> None:
    for command in (["config", "export"], ["config", "undo"], ["doctor"], ["backup", str(tmp_path / "b.tgz")]):
        done = perezvon(*command, "--data-dir", tmp_path / "none")
        assert done.exit_code == Exit.USAGE
        assert "--data-dir" in done.stderr
    assert not (tmp_path / "none").exists()


def test_a_database_that_cannot_be_had(tmp_path: Path) -> None:
    url = "postgresql://u:hunter2@127.0.0.1:9/none"
    done = perezvon("config", "apply", "-", "--data-dir", tmp_path / "d", stdin=f"[database]\nurl='{url}'")
    assert done.exit_code == Exit.UNAVAILABLE
    assert "127.0.0.1:9" in done.stderr
    assert "hunter2" not in done.stderr
    assert "Traceback" not in done.stderr


def test_root_leaves_no_files_that_the_service_could_not_use(data: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    data.mkdir(mode=0o700)
    os.chown(data, 65534, 65534)
    assert perezvon("config", "apply", "-", "--data-dir", data, stdin=SETTINGS).exit_code == Exit.OK
    assert {file.name: file.stat().st_uid for file in data.iterdir() if file.stat().st_uid != 65534} == {}


def test_backup_holds_the_database_the_key_and_the_customisation(applied: Path, tmp_path: Path) -> None:
    file = tmp_path / "backup.tgz"
    (applied / "customisation" / "shop" / "__pycache__").mkdir(parents=True)
    for name in ("hooks.py", "shop/prices.json", "shop/__pycache__/made.pyc"):
        (applied / "customisation" / name).write_text(name)
    assert answer(perezvon("backup", file, "--json", "--data-dir", applied))["bytes"] == file.stat().st_size
    assert file.stat().st_mode & 0o777 == 0o600
    restored = tmp_path / "restored"
    with tarfile.open(file) as archive:
        archive.extractall(restored)
    assert "hunter2" in perezvon("config", "export", "--with-secrets", "--data-dir", restored).stdout
    kept = [path for path in (restored / "customisation").rglob("*") if path.is_file()]
    assert sorted(path.read_text() for path in kept) == ["hooks.py", "shop/prices.json"]
    assert perezvon("backup", file, "--data-dir", applied).exit_code == Exit.USAGE
    assert perezvon("backup", file, "--force", "--data-dir", applied).exit_code == Exit.OK
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_doctor_names_problems_and_says_so_by_its_exit_code(applied: Path) -> None:
    done = perezvon("doctor", "--json", "--data-dir", applied)
    assert done.exit_code == Exit.PROBLEM
    told = answer(done)
    assert told["state"] == "problem"
    found = {check["name"]: check for check in told["checks"]}
    assert found["ami.reachable"]["state"] == "problem"
    assert "manager.conf" in found["ami.reachable"]["fix"]
    assert found["encoder"]["state"] == "ok"
    assert found["database.write"]["state"] == "ok"
    assert all(check["fix"] for check in told["checks"] if check["state"] != "ok")
    assert "hunter" not in done.stdout + done.stderr
    assert perezvon("doctor", "--data-dir", applied, LC_ALL="ru_RU.UTF-8").stdout.count("→") >= 2


def test_version_and_usage(tmp_path: Path) -> None:
    assert answer(perezvon("version", "--json"))["version"]
    assert perezvon("version").stdout.startswith("Perezvon ")
    assert perezvon("nonsense").exit_code == Exit.USAGE
    assert perezvon("config", "apply").exit_code == Exit.USAGE
    assert perezvon("serve", "--data-dir", tmp_path, "--bind", "nonsense").exit_code == Exit.UNAVAILABLE


@pytest.mark.slow
def test_sandbox_is_another_program() -> None:
    done = as_a_process("sandbox", "--help")
    assert done.returncode == Exit.OK
    assert "sandbox" in done.stdout


# Replay


def test_replay_prints_an_object_a_call(corpora: Path) -> None:
    done = perezvon("replay", corpora / "asterisk22" / "rg.json")
    assert done.exit_code == Exit.OK, done.stderr
    calls = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(calls) == 1
    assert calls[0]["outcome"] == "answered"
    assert calls[0]["started"].endswith("+00:00")
    assert answer(perezvon("replay", "--json", corpora / "asterisk22" / "rg.json")) == calls


def test_replay_with_settings_adds_decisions_and_requests(corpora: Path, tmp_path: Path, applied: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text(SETTINGS)
    recording = corpora / "asterisk22" / "rg.json"
    done = perezvon("replay", recording, "--settings", file)
    assert done.exit_code == Exit.OK, done.stderr
    (call,) = [json.loads(line) for line in done.stdout.splitlines()]
    requests = [request for decision in call["decisions"] for request in decision["requests"]]
    methods = [request["method"].rpartition(".")[2] for request in requests]
    assert methods[0] == "register"
    assert methods.count("register") == methods.count("finish") == 1
    assert all(request["reason"] for request in requests)
    stored = perezvon("replay", recording, "--data-dir", applied)
    assert json.loads(stored.stdout)["decisions"] == call["decisions"]


def test_2g_replay_explains_the_task_of_a_missed_call(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text(SETTINGS + '\n[missed]\ntask = true\ntitle = "{client}{again}"\n')
    recording = Path(__file__).parents[1] / "calls" / "recordings" / "incoming_client_gives_up.ami.gz"
    (call,) = answer(perezvon("replay", "--json", recording, "--settings", file))
    made = call["decisions"][-1]
    assert made["reason"] == f"missed call: a task for whoever shall call {call['client']} back"
    (asked,) = made["requests"]
    assert asked["method"] == "tasks.task.add"
    assert asked["params"]["fields"]["TITLE"] == call["client"]


def test_replay_explains_the_trigger_of_a_missed_call(tmp_path: Path) -> None:
    portal = 'domain = "https://example.bitrix24.ru"\nclient_id = "local.1"\nclient_secret = "hunter3"'
    webhook = 'webhook = "http://127.0.0.1:9/rest/1/hunter3/"'
    file = tmp_path / "my.toml"
    file.write_text(SETTINGS.replace(webhook, portal + "\n[portal.automation]\nmissed = true"))
    recording = Path(__file__).parents[1] / "calls" / "recordings" / "incoming_client_gives_up.ami.gz"
    (call,) = answer(perezvon("replay", "--json", recording, "--settings", file))
    requests = [request for made in call["decisions"] for request in made["requests"]]
    pulled = {"CODE": "perezvon.missed", "OWNER_TYPE_ID": "$object", "OWNER_ID": "$object"}
    assert [one["params"] for one in requests if one["method"] == "crm.automation.trigger.execute"] == [pulled]


def test_replay_of_what_is_no_recording(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text("hello")
    assert perezvon("replay", file).exit_code == Exit.USAGE
    assert perezvon("replay", tmp_path / "none.json").exit_code == Exit.USAGE
    file.write_text("[]")
    assert "Traceback" not in perezvon("replay", file).stderr


@pytest.mark.postgresql
def test_settings_move_to_another_database(applied: Path, postgres_url: str) -> None:
    done = answer(
        perezvon("config", "apply", "-", "--json", "--data-dir", applied, stdin=f"[database]\nurl = '{postgres_url}'\n")
    )
    assert (done["restart"], done["version"]) == (True, 1)
    assert "+74951234567" in perezvon("config", "export", "--data-dir", applied).stdout
    exported = perezvon("config", "export", "--data-dir", applied).stdout
    assert "[database]" in exported
    again = answer(perezvon("config", "apply", "-", "--json", "--data-dir", applied, stdin=exported))
    assert (again["changed"], again["restart"]) == (False, False)
    refused = perezvon("backup", applied / "b.tgz", "--data-dir", applied)
    assert refused.exit_code == Exit.USAGE
    assert "pg_dump" in refused.stderr
