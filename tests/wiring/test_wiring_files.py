"""Our include files: what is in them, where they go, how they come and go. In a folder that looks like a PBX's."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from perezvon.asterisk.wiring.comparison import State, compare, unified
from perezvon.asterisk.wiring.errors import HandChanged, NothingToUndo
from perezvon.asterisk.wiring.includes import includes, is_freepbx
from perezvon.asterisk.wiring.installation import install, undo
from perezvon.asterisk.wiring.render import NAMES, render
from perezvon.asterisk.wiring.values import Login, Trunk, Wiring
from perezvon.cli import app
from perezvon.cli.exits import Exit
from perezvon.doctor.check import State as Health
from perezvon.doctor.wiring import contents, examine_wiring
from perezvon.settings.errors import InvalidSettings, UnfitWiring
from perezvon.settings.load import parse, settings_from
from perezvon.settings.model import Settings
from perezvon.settings.wiring import wiring_of

PASSWORD = "moon;light"
SETTINGS = f"""
[[asterisk]]
name = "main"
ami = "tcp://perezvon:{PASSWORD}@127.0.0.1:5"
[asterisk.wiring]
etc = "ETC"
accounts = "ours"
carrier = "multifon"
carrier_endpoint = "multifon"
carrier_login = "79261234567@multifon.ru"
carrier_password = "sun"
portal = "office"
portal_server = "ip.b24-1.bitrixphone.com"
portal_login = "sip1"
portal_password = "star"
our_login = "bitrix24"
our_password = "comet"
"""
PLAIN = {
    "extensions.conf": "[general]\n[default]\n",
    "features.conf": "[general]\n",
    "confbridge.conf": "",
    "musiconhold.conf": "[default]\n",
    "indications.conf": "[general]\ncountry=us",
    "pjsip.conf": "[udp]\ntype=transport\n",
    "manager.conf": "[general]\nenabled=yes\n",
    "ari.conf": "[general]\nenabled=yes\n",
}
CUSTOM = {
    "extensions.conf": "extensions_custom.conf",
    "features.conf": "features_applicationmap_custom.conf",
    "confbridge.conf": "confbridge_custom.conf",
    "musiconhold.conf": "musiconhold_custom.conf",
    "pjsip.conf": "pjsip_custom.conf",
    "manager.conf": "manager_custom.conf",
    "ari.conf": "ari_additional_custom.conf",
}


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    folder = tmp_path / "asterisk"
    folder.mkdir()
    for name, text in PLAIN.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def freepbx(tmp_path: Path) -> Path:
    folder = tmp_path / "asterisk"
    folder.mkdir()
    (folder / "extensions_additional.conf").write_text("; generated\n")
    for name in PLAIN:
        included = f"#include {CUSTOM[name]}\n" if name in CUSTOM else ""
        (folder / name).write_text(f"; belongs to FreePBX\n{included}")
    (folder / "extensions_custom.conf").write_text("[from-internal-custom]\nexten => 1234,1,Hangup()\n")
    return folder


def settings(etc: Path, more: str = "") -> Settings:
    return settings_from(parse(SETTINGS.replace("ETC", str(etc)) + more))


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) for path in files}


def text_of(wiring: Wiring, name: str) -> str:
    return next(file.text for file in render(wiring) if file.name == name)


# ---- what is in them


def test_the_same_settings_give_the_same_files() -> None:
    assert render(Wiring()) == render(Wiring())
    assert tuple(file.name for file in render(Wiring())) == NAMES


def test_settings_become_files(etc: Path) -> None:
    made = settings(
        etc, '[conference]\nkey = "*7"\njoin_key = "1"\nring = 25\ncallerid_to_third = "line"\nextension = "901"\n'
    )
    wiring = wiring_of(made, made.asterisk[0])
    dialplan = text_of(wiring, "extensions.conf")
    assert "AGI(agi://127.0.0.1:4573/main/third,${PEREZVON_CODE})" in dialplan
    assert "Dial(PJSIP/${FILTER(0-9,${PEREZVON_TO})}@multifon,25,rgHb(" in dialplan
    assert "Set(CONNECTEDLINE(num,i)=${PEREZVON_LINE})" in dialplan
    assert "exten => 901,1," in dialplan
    assert "perezvon_third => *7,self," in text_of(wiring, "features.conf")
    assert "perezvon_merge => 1,self," in text_of(wiring, "features.conf")
    assert "\n*7 = leave_conference\n" in text_of(wiring, "confbridge.conf")
    trunks = text_of(wiring, "pjsip.conf")
    for line in (
        "client_uri = sip:79261234567@multifon.ru",
        "server_uri = sip:sbc.megafon.ru",
        "from_domain = multifon.ru",
        "from_user = sip1",
        "dtmf_mode = auto",
        "match = ip.b24-1.bitrixphone.com",
        "context = perezvon-out",
    ):
        assert f"\n{line}\n" in trunks, line


def test_a_semicolon_in_a_password_is_no_comment(etc: Path) -> None:
    made = settings(etc)
    assert "\nsecret = moon\\;light\n" in text_of(wiring_of(made, made.asterisk[0]), "manager.conf")


@pytest.mark.parametrize(
    ("wiring", "there", "not_there"),
    [
        (Wiring(last_resort="ext-queues,300,1"), "Goto(ext-queues,300,1)", "PEREZVON_TO=ext"),
        (Wiring(last_resort="79161234567"), "Set(PEREZVON_TO=79161234567)", "Goto(79161234567"),
        (Wiring(record="no"), "exten => s,1,Set(VOLUME(RX)=0)", "Gosub(perezvon-record"),
        (Wiring(record="whole"), "MixMonitor(${PEREZVON_DAY}/${PEREZVON_FILE})", ",b)"),
        (Wiring(stereo=True), ",bSi(PEREZVON_RECORDER)r(${PEREZVON_DAY}/client/", "perezvon-pause"),
        (Wiring(pause_key="*5"), ",bi(PEREZVON_RECORDER))", "r(${PEREZVON_DAY}/client/"),
        (Wiring(pause_key="*5"), "DYNAMIC_FEATURES=perezvon_third#perezvon_pause", "=perezvon_third)"),
        (Wiring(pause_key="*5", record="no"), "DYNAMIC_FEATURES=perezvon_third)", "perezvon-pause"),
        (Wiring(record_private=True), "Gosub(perezvon-record,s,1(private))", "§"),
        (Wiring(with_menu=False), "exten => s,1,Gosub(perezvon-record,s,1(in))\n same => n,Goto(perezvon-portal,s,1)", "§"),
        (Wiring(transfer_number=""), "[perezvon-out]\nexten => _[+0-9].", "exten => 900"),
        (Wiring(manager_leaves="stay"), "GROUP_MATCH_COUNT", '= "manager"]?everybody'),
    ],
)
def test_what_a_setting_changes(wiring: Wiring, there: str, not_there: str) -> None:
    dialplan = text_of(wiring, "extensions.conf")
    assert there in dialplan
    assert not_there not in dialplan


def test_after_each_question_the_time_limit_is_lifted_first() -> None:
    lines = text_of(Wiring(), "extensions.conf").splitlines()
    asked = [number for number, line in enumerate(lines) if ",AGI(" in line]
    assert len(asked) == 4
    for number in asked[:3]:
        assert lines[number - 2].endswith("Set(AGIEXITONHANGUP=yes)")
        assert "Set(TIMEOUT(absolute)=0)" in lines[number + 1]
    late = [line for line in lines if line.startswith("exten => T,1")]
    assert late[:3] == ["exten => T,1,Set(TIMEOUT(absolute)=0)"] * 3


def test_autoconnect_gives_back_the_time_limit_of_the_route() -> None:
    """Also when the script did not come to an end: T leads to the same place."""
    lines = text_of(Wiring(), "extensions.conf").splitlines()
    asked = next(number for number, line in enumerate(lines) if "/connect," in line)
    assert lines[asked - 1].endswith("Set(TIMEOUT(absolute)=1.8)")
    assert lines[asked + 1].startswith(" same => n(asked),Set(TIMEOUT(absolute)=${IF(")
    assert lines[-1] == " same => n,Goto(s,asked)"


def test_autoconnect_is_there_when_it_is_on() -> None:
    assert "[perezvon-connect]" in text_of(Wiring(), "extensions.conf")
    assert "perezvon-connect" not in text_of(Wiring(with_connect=False), "extensions.conf")


@pytest.mark.parametrize(
    "wrong",
    [
        'carrier = "registration"',
        'portal = "office"',
        'last_resort = "call my mobile"',
        'dial_outside = "PJSIP/carrier"',
        'carrier_endpoint = "a b"',
        'music = "a;b"',
        'our_login = "x"',
    ],
)
def test_wrong_settings_are_told(wrong: str) -> None:
    with pytest.raises(InvalidSettings) as told:
        settings_from(parse(f'[[asterisk]]\nname="main"\nami="tcp://u:p@127.0.0.1"\n[asterisk.wiring]\n{wrong}\n'))
    assert told.value.mistakes[0].path.startswith("asterisk[0].wiring")


def test_a_key_that_no_room_can_have(etc: Path) -> None:
    made = settings(etc, '[conference]\nkey = "#3"\n')
    with pytest.raises(UnfitWiring, match="#3"):
        wiring_of(made, made.asterisk[0])


# ---- how they come and go


def test_install_and_undo_restore_every_bit(etc: Path) -> None:
    before = snapshot(etc)
    made = settings(etc)
    wanted = contents(made, made.asterisk[0])
    install(etc, wanted, includes(etc, freepbx=False))
    for name in wanted:
        path = etc / "perezvon" / name
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        assert path.stat().st_gid == etc.stat().st_gid
    assert all(change.state is State.SAME for change in compare(etc, wanted))
    assert all(include.there for include in includes(etc, freepbx=False))
    assert (etc / "features.conf").read_text() == "[general]\n\n[applicationmap]\n#tryinclude perezvon/features.conf\n"
    assert (etc / "indications.conf").read_text() == ("[general]\ncountry=us\n\n#tryinclude perezvon/indications.conf\n")
    assert install(etc, wanted, includes(etc, freepbx=False)) == []
    undo(etc)
    assert snapshot(etc) == before
    assert not (etc / "perezvon").exists()
    with pytest.raises(NothingToUndo):
        undo(etc)


def test_undo_goes_back_step_by_step(etc: Path) -> None:
    first, second = (
        contents(made, made.asterisk[0]) for made in (settings(etc), settings(etc, "[conference]\ntries = 5\n"))
    )
    install(etc, first)
    between = snapshot(etc)
    install(etc, second)
    assert snapshot(etc) != between
    undo(etc)
    assert snapshot(etc) == between


def test_a_prompt_that_is_not_wanted_any_more_goes(etc: Path) -> None:
    made = settings(etc)
    wanted = contents(made, made.asterisk[0])
    assert (etc / "perezvon/sounds/busy.wav").exists() is False
    install(etc, wanted)
    assert (etc / "perezvon/sounds/busy.wav").read_bytes()[:4] == b"RIFF"
    install(etc, {name: data for name, data in wanted.items() if name.endswith(".conf")})
    assert not (etc / "perezvon/sounds/busy.wav").exists()


def test_a_file_changed_by_hand_is_not_replaced(etc: Path) -> None:
    made = settings(etc)
    wanted = contents(made, made.asterisk[0])
    install(etc, wanted)
    by_hand = etc / "perezvon/confbridge.conf"
    by_hand.write_text(by_hand.read_text() + "; mine\n")
    there = snapshot(etc)
    with pytest.raises(HandChanged, match=r"confbridge\.conf"):
        install(etc, wanted)
    with pytest.raises(HandChanged, match=r"confbridge\.conf"):
        undo(etc)
    assert snapshot(etc) == there
    install(etc, wanted, force=True)
    undo(etc)
    assert snapshot(etc) == there


def test_a_foreign_file_in_our_folder_is_not_replaced(etc: Path) -> None:
    (etc / "perezvon").mkdir()
    (etc / "perezvon/extensions.conf").write_text("[mine]\n")
    made = settings(etc)
    with pytest.raises(HandChanged, match=r"extensions\.conf"):
        install(etc, contents(made, made.asterisk[0]))


def test_a_file_of_the_pbx_that_was_changed_since_loses_our_line_alone(etc: Path) -> None:
    made = settings(etc)
    install(etc, contents(made, made.asterisk[0]), includes(etc, freepbx=False))
    with (etc / "extensions.conf").open("a") as file:
        file.write("[later]\n")
    undone = undo(etc)
    assert undone.left == ("extensions.conf",)
    assert (etc / "extensions.conf").read_text() == "[general]\n[default]\n\n[later]\n"
    assert (etc / "pjsip.conf").read_text() == PLAIN["pjsip.conf"]


def test_freepbx_keeps_its_own_files(freepbx: Path) -> None:
    assert is_freepbx(freepbx)
    before = snapshot(freepbx)
    made = settings(freepbx)
    lines = includes(freepbx, freepbx=True)
    assert {line.file for line in lines} == {*CUSTOM.values(), "indications_custom.conf"}
    assert [line.file for line in lines if not line.reached] == ["indications_custom.conf"]
    install(freepbx, contents(made, made.asterisk[0]), lines)
    for name in PLAIN:
        assert (freepbx / name).read_bytes() == before[name][0]
    assert (freepbx / "features_applicationmap_custom.conf").read_text() == "#tryinclude perezvon/features.conf\n"
    assert (freepbx / "extensions_custom.conf").read_text().endswith("Hangup()\n\n#tryinclude perezvon/extensions.conf\n")
    undo(freepbx)
    assert snapshot(freepbx) == before


def test_no_secret_is_in_a_diff(etc: Path) -> None:
    made = settings(etc)
    install(etc, contents(made, made.asterisk[0]))
    other = Wiring(ami=Login("perezvon", "dawn"), carrier=Trunk("multifon", "s", "l", "dusk", "n"))
    changes = compare(etc, {file.name: file.text.encode() for file in render(other)})
    shown = unified(changes)
    assert "+secret = ******** (another)\n" in shown
    for secret in ("moon", "sun", "star", "comet", "dawn", "dusk"):
        assert secret not in shown
    assert not any(secret in repr(other) for secret in ("dawn", "dusk"))


# ---- the commands


def run(*args: str, code: Exit = Exit.OK) -> dict[str, object]:
    result = CliRunner().invoke(app, ["asterisk", *args, "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def test_the_commands(etc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    file = tmp_path / "settings.toml"
    file.write_text(SETTINGS.replace("ETC", str(etc)))
    before = snapshot(etc)
    named = ("--settings", str(file))
    seen = run("install", "--dry-run", *named)
    assert snapshot(etc) == before
    assert PASSWORD not in str(seen)
    assert "moon" not in str(seen)
    done = run("install", "--write-includes", *named)
    assert done["loaded"] is None
    assert "no asterisk program" in str(done["not_loaded_because"])
    assert all(line["there"] for line in done["includes"])  # type: ignore[union-attr]
    assert run("diff", *named)["changed"] is False
    with (etc / "perezvon/features.conf").open("a") as ours:
        ours.write("; mine\n")
    assert [entry["by_hand"] for entry in run("diff", *named)["files"]] == [True]  # type: ignore[union-attr]
    assert "features.conf" in str(run("install", *named, code=Exit.PROBLEM)["error"])
    run("install", "--force", *named)
    run("undo", *named)
    run("undo", "--force", *named)
    assert snapshot(etc) == before
    assert "nothing was installed" in str(run("undo", *named, code=Exit.USAGE)["error"])


async def test_the_doctor_tells_what_differs(etc: Path) -> None:
    made = settings(etc)
    pbx = made.asterisk[0]
    assert await examine_wiring(made, pbx) == []
    install(etc, contents(made, pbx), includes(etc, freepbx=False))
    assert [check.state for check in await examine_wiring(made, pbx)] == [Health.OK]
    other = settings(etc, "[conference]\ntries = 5\n")
    [check] = await examine_wiring(other, other.asterisk[0])
    assert (check.state, "extensions.conf" in str(check.seen)) == (Health.WARNING, True)
    (etc / "manager.conf").write_text(PLAIN["manager.conf"])
    os.truncate(etc / "perezvon/ari.conf", 0)
    checks = await examine_wiring(made, pbx)
    assert [check.name for check in checks] == ["wiring.files", "wiring.includes"]
    assert "by hand" in str(checks[0].seen)
    assert "#tryinclude perezvon/manager.conf" in str(checks[1].seen)
