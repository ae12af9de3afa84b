"""`perezvon asterisk install` on a running PBX, of both releases: the files load without a complaint, and go again."""

from __future__ import annotations

from pathlib import Path

import pytest
from talks import LINE, Answers, Steps, Talk

from perezvon.asterisk import AmiAddress
from perezvon.asterisk.wiring.includes import includes
from perezvon.asterisk.wiring.installation import install, undo
from perezvon.asterisk.wiring.loading import RELOADS, Unreachable, load
from perezvon.doctor.wiring import contents
from perezvon.sandbox.pbx import PbxSandbox, sounds
from perezvon.sandbox.pbx.errors import NotOnMirror
from perezvon.settings.load import parse, settings_from

pytestmark = pytest.mark.asterisk

SETTINGS = """
[[asterisk]]
name = "main"
ami = "tcp://installed:dark;matter@{office}:5048"
ari = "http://installed:dark;matter@{office}:8098"
[asterisk.wiring]
etc = "{etc}"
accounts = "ours"
carrier = "address"
carrier_endpoint = "new-carrier"
carrier_server = "{carrier}:5070"
carrier_addresses = ["127.255.0.8"]
dial_outside = "PJSIP/{{number}}@carrier"
portal = "office"
portal_endpoint = "new-portal"
portal_server = "{connector}:5070"
portal_addresses = ["127.255.0.9"]
dial_portal = "PJSIP/{{number}}@bitrix24"
portal_login = "sip1"
portal_password = "star"
our_login = "b24"
our_password = "comet"
last_resort = "ext-queues,300,1"
music_folder = "{etc}/../moh"
service_addresses = ["127.0.0.0/8"]
[agi]
bind = "{agi}"
[conference]
record_private = true
when_manager_leaves = "stay"
"""


@pytest.mark.parametrize("release", [None, 16], ids=["newest", "16"])
async def test_installed_loaded_and_taken_back(
    release: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        sandbox = await PbxSandbox.start(tmp_path, release=release, verbose=3)
    except NotOnMirror as gone:
        pytest.skip(str(gone))
    async with sandbox as pbx:
        etc = pbx.office.folder / "etc"
        at = {"office": pbx.addresses.office, "carrier": pbx.addresses.carrier, "connector": pbx.addresses.connector}
        settings = settings_from(parse(SETTINGS.format(etc=etc, agi=pbx.agi_bind, **at)))
        wanted = contents(settings, settings.asterisk[0])
        before = {name: (etc / "perezvon" / name).read_bytes() for name in RELOADS}
        install(etc, wanted, includes(etc, freepbx=False), force=True)
        loaded = await load(AmiAddress.parse(pbx.office_ami_all), tuple(RELOADS))
        assert loaded.missing == ()
        shown = "\n".join(await pbx.office.command("pjsip show endpoints"))
        assert "new-carrier" in shown
        assert "new-portal" in shown
        assert "perezvon" in "\n".join(await pbx.office.command("moh show classes"))
        probed = AmiAddress.parse(settings.asterisk[0].ami.reveal())
        monkeypatch.setenv("PATH", "/nowhere")
        with pytest.raises(Unreachable, match="Permission denied"):  # our user logs in, and may send no commands
            await load(probed, ())
        assert complaints(pbx) == []
        await the_private_talk_is_recorded_apart(pbx)
        await the_last_resort_is_rung(pbx)
        undo(etc)
        assert before == {name: (etc / "perezvon" / name).read_bytes() for name in RELOADS}
        assert (await load(AmiAddress.parse(pbx.office_ami_all), tuple(RELOADS))).missing == ()


def complaints(pbx: PbxSandbox) -> list[str]:
    log = (pbx.office.folder / "log/full").read_text(encoding="utf-8")
    return [line for line in log.splitlines() if "WARNING" in line or "ERROR" in line]


async def the_private_talk_is_recorded_apart(pbx: PbxSandbox) -> None:
    """And the others talk on when the manager leaves."""
    async with Steps(pbx).following() as steps, Answers().serving(pbx.agi_bind) as answers:
        talk = Talk(pbx, steps, answers, True, 71)
        await talk.begin()
        await talk.consult()
        third = await talk.private()
        await talk.listen(1.0, client="music", manager="third", third="manager")
        await talk.merge()
        await talk.listen(0.8, client="manager third", third="client manager")
        await talk.legs["manager"].hangup()
        await talk.parties("client", "third")
        await talk.listen(0.8, client="third", third="client")
        await talk.legs["client"].hangup()
        await talk.over()
        assert talk.differences() == []
    files = {path.name.partition("-")[0]: path for path in pbx.recordings.rglob("*.wav")}
    assert set(files) == {"in", "private"}
    assert sounds.seconds_heard(files["private"], third.tone) > 0.8
    assert sounds.seconds_heard(files["private"], talk.legs["manager"].tone) > 0.8
    assert sounds.seconds_heard(files["private"], talk.legs["client"].tone) == 0


async def the_last_resort_is_rung(pbx: PbxSandbox) -> None:
    """Bitrix24 refuses: the queue."""
    await pbx.world.connector.rejects()
    caller = await pbx.world.call(frm="79150007210", to=LINE)
    await pbx.world.phone("101").ringing()
    await caller.hangup()
