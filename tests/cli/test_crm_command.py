"""Fields of the CRM at `config apply` and `replay`: checked as far as the portal answers, explained before they are used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from perezvon.cli import app
from perezvon.cli.exits import Exit

RECORDING = Path(__file__).resolve().parents[1] / "calls" / "recordings" / "blind_by_code.ami.gz"
SETTINGS = """
[[portal]]
name = "main"
webhook = "http://127.0.0.1:9/rest/1/hunter3/"
language = "en"
[crm]
lead_responsible = "fixed"
lead_user = 15
bind_deals = "newest"
[chat]
leads = "chat5"
leads_text = "{object}: {client}\\n{link}"
[[crm.field]]
of = "lead"
name = "UTM_SOURCE"
value = "{line|default:unknown line}"
"""


def perezvon(*arguments: str | Path, stdin: str = "") -> Result:
    return CliRunner(env={"LC_ALL": "C.UTF-8"}).invoke(app, [str(one) for one in arguments], input=stdin)


def test_3e_a_portal_that_does_not_answer_is_a_warning(tmp_path: Path) -> None:
    done = perezvon("config", "apply", "-", "--data-dir", tmp_path / "d", "--json", stdin=SETTINGS)
    assert done.exit_code == Exit.OK, done.stderr
    (warning,) = json.loads(done.stdout)["warnings"]
    assert warning.startswith("the fields are not checked yet (portal main: ")
    assert "hunter3" not in done.stdout + done.stderr


def test_3e_a_wrong_template_is_told_with_its_line(tmp_path: Path) -> None:
    wrong = SETTINGS.replace("{line|default:unknown line}", "{lines}")
    done = perezvon("config", "apply", "-", "--data-dir", tmp_path / "d", stdin=wrong)
    assert done.exit_code == Exit.USAGE
    assert "crm.field[0].value: there is no place lines; there are {client}, " in done.stderr


def test_replay_explains_what_a_call_leaves_in_the_crm(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(SETTINGS, encoding="utf-8")
    done = perezvon("replay", RECORDING, "--settings", file, "--json")
    assert done.exit_code == Exit.OK, done.stderr
    found = [
        (one["reason"], asked) for call in json.loads(done.stdout) for one in call["decisions"] for asked in one["requests"]
    ]

    def asked(method: str) -> tuple[str, dict[str, Any]]:
        return next((reason, request["params"]) for reason, request in found if request["method"] == method)

    reason, params = asked("crm.lead.update")
    assert reason == "fields of the lead are filled: UTM_SOURCE, ASSIGNED_BY_ID"
    assert params["fields"]["ASSIGNED_BY_ID"] == "15"
    reason, params = asked("im.message.add")
    assert (reason, params["DIALOG_ID"]) == ("a new lead is announced to chat5", "chat5")
    assert params["MESSAGE"].endswith("\n$object")
    assert asked("crm.activity.binding.add")[0] == "the activity is bound to the client's open deals and repeat leads too"
