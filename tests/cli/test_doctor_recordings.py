"""The doctor on recordings: stereo without its files, links that lead nowhere."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from perezvon.doctor.check import Check, State
from perezvon.doctor.recordings import examine_links, examine_sides
from perezvon.sandbox.pbx import sounds
from perezvon.settings.errors import InvalidSettings
from perezvon.settings.load import parse, settings_from
from perezvon.settings.model import Settings

SETTINGS = """
[[asterisk]]
name = "main"
ami = "tcp://a:b@127.0.0.1:5038"
recordings = "{spool}"
[recordings]
mode = "link"
public_url = "{url}"
channels = "{channels}"
"""


def settings(spool: Path, channels: str = "stereo", url: str = "http://127.0.0.1:9") -> Settings:
    return settings_from(parse(SETTINGS.format(spool=spool, url=url, channels=channels)))


async def sides(spool: Path, channels: str = "stereo") -> list[Check]:
    wanted = settings(spool, channels)
    return await examine_sides(wanted, wanted.asterisk[0])


def write(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        sounds.write_tone(file, 500, 0.3)


async def test_stereo_without_its_files(tmp_path: Path) -> None:
    day = tmp_path / "2026/11/21"
    assert await sides(tmp_path) == [], "nothing has been recorded yet"
    write(day / "a.wav")
    (check,) = await sides(tmp_path)
    assert (check.name, check.state) == ("recordings.sides", State.WARNING)
    assert "no client/a.wav and employee/a.wav" in str(check.seen)
    assert "bSr(client/{stem}{ext})t(employee/{stem}{ext})" in str(check.fix)
    write(day / "client/a.wav")
    assert (await sides(tmp_path))[0].state is State.WARNING
    write(day / "employee/a.wav")
    assert (await sides(tmp_path))[0].state is State.OK
    assert await sides(tmp_path, "mono") == []


async def test_links_that_lead_nowhere(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    (check,) = await examine_links(settings(tmp_path, url=f"http://127.0.0.1:{port}"))
    assert (check.name, check.state) == ("recordings.links", State.WARNING)
    assert "does not lead to us" in str(check.seen)


@pytest.mark.parametrize("wrong", ['mode = "link"', 'pause_key = "5"', 'pause_key = "*3"', 'stereo_client = "../{stem}"'])
def test_settings_that_cannot_be(wrong: str) -> None:
    with pytest.raises(InvalidSettings):
        settings_from(parse(f"[recordings]\n{wrong}\n"))


def test_a_line_alone_may_want_links() -> None:
    line = '[[line]]\nnumber = "+74951234567"\nrecordings = "link"\n'
    with pytest.raises(InvalidSettings, match="public_url"):
        settings_from(parse(line))
    assert (
        settings_from(parse(line + '[recordings]\npublic_url = "https://pbx.example.com"\n')).line[0].recordings == "link"
    )
