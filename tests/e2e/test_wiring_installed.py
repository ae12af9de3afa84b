"""`perezvon asterisk install` on a running PBX, of both releases: the files load without a complaint, and go again."""

from __future__ import annotations

from pathlib import Path

import pytest

from perezvon.asterisk import AmiAddress
from perezvon.asterisk.wiring.includes import includes
from perezvon.asterisk.wiring.installation import install, undo
from perezvon.asterisk.wiring.loading import RELOADS, Unreachable, load
from perezvon.doctor.wiring import contents
from perezvon.sandbox.pbx import PbxSandbox
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
portal = "office"
portal_endpoint = "new-portal"
portal_server = "{connector}:5070"
portal_login = "sip1"
portal_password = "star"
our_login = "b24"
our_password = "comet"
last_resort = "ext-queues,300,1"
music_folder = "{etc}/../moh"
service_addresses = ["127.0.0.0/8"]
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
        text = SETTINGS + "[conference]\nrecord_private = true\n"
        settings = settings_from(parse(text.format(etc=etc, **at)))
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
        undo(etc)
        assert before == {name: (etc / "perezvon" / name).read_bytes() for name in RELOADS}
        assert (await load(AmiAddress.parse(pbx.office_ami_all), tuple(RELOADS))).missing == ()
        log = (pbx.office.folder / "log/full").read_text(encoding="utf-8")
        assert [line for line in log.splitlines() if "WARNING" in line or "ERROR" in line] == []
