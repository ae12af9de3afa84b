"""Recordings of a PBX that does not tell their names: where they are looked for, and where never."""

from __future__ import annotations

import os
from datetime import UTC
from pathlib import Path

import pytest

from perezvon.recordings import Folder, NotThere, OutsideFolder, expand, find, matching
from perezvon.recordings.layout import SCHEME, Known, LayoutError, parse

CALL = Known(1795251052.4, "1795251052.12", "+79161234567", "+74951234567", "101")


def place(folder: Path, *names: str) -> None:
    for age, name in enumerate(names):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"sound")
        os.utime(file, (1000 + age, 1000 + age))


@pytest.mark.parametrize(
    ("templates", "there"),
    [
        (("{year}/{month}/{day}/{uniqueid}.wav",), "2026/11/21/1795251052.12.wav"),
        (("freepbx",), "2026/11/21/in-74951234567-79161234567-20261121-085052-1795251052.12.wav"),
        (("freepbx",), "2026/11/21/q-300-+79161234567-20261121-085055-1795251052.12.mp3"),
        (("issabel",), "2026/11/21/q300-79161234567-20261121-085052-1795251052.12.gsm"),
        (("issabel",), "20261121-085052-1795251052.12.wav"),
        (("{client}-{hour}{minute}{second}-{extension}.wav",), "+79161234567-085052-101.wav"),
    ],
)
def test_the_recording_is_found(tmp_path: Path, templates: tuple[str, ...], there: str) -> None:
    place(tmp_path, there, "2026/11/21/in-1-2-20261121-085052-1795251052.129.wav", "1795251052.1.wav", "1795251052x12.wav")
    assert matching(expand(templates, CALL, UTC), Folder(tmp_path)) == [there]


def test_all_of_a_call_in_the_order_of_time(tmp_path: Path) -> None:
    names = [f"2026/11/21/{kind}-1-2-20261121-085052-1795251052.12.wav" for kind in ("rg", "in")]
    place(tmp_path, *names)
    assert matching(expand(("freepbx",), CALL, UTC), Folder(tmp_path)) == names


@pytest.mark.parametrize(
    "hostile",
    [
        "../../../etc/passwd", "..", "*", "[a-z]*", "a/b", "{uniqueid}", "|etc/passwd", "a\0b", "a\nb", "?" * 9, "{0.__class__}",
    ],
)  # fmt: skip
def test_hostile_values_stay_in_the_name(tmp_path: Path, hostile: str) -> None:
    folder = tmp_path / "spool"
    place(folder, "other.wav", "x/secret.wav")
    place(tmp_path, "passwd.wav")
    path = expand(("{client}/{extension}-{uniqueid}.wav",), Known(0.0, hostile, hostile, hostile, hostile), UTC)
    for pattern in path.removeprefix(SCHEME).split("|"):
        assert not set(pattern) & set("*?[]{}\0\n")
        assert ".." not in pattern.split("/")
        assert pattern.count("/") <= 1
    if path:
        with pytest.raises(NotThere):
            matching(path, Folder(folder))


def test_what_is_not_known_makes_no_name(tmp_path: Path) -> None:
    assert expand(("{client}-{uniqueid}.wav",), Known(0.0, "1.2"), UTC) == ""
    assert expand(("{client}.wav", "{uniqueid}.wav"), Known(0.0, "1.2"), UTC) == "layout:1.2.wav"


def test_a_link_out_of_the_folder_leads_nowhere(tmp_path: Path) -> None:
    folder, outside = tmp_path / "spool", tmp_path / "outside"
    folder.mkdir()
    place(outside, "1795251052.12.wav")
    (folder / "away").symlink_to(outside)
    with pytest.raises(NotThere):
        matching("layout:away/*1795251052.12.*", Folder(folder))
    (folder / "1795251052.12.wav").symlink_to(outside / "1795251052.12.wav")
    (name,) = matching("layout:*1795251052.12.*", Folder(folder))
    with pytest.raises(OutsideFolder):
        find(name, Folder(folder))


@pytest.mark.parametrize(
    "template",
    [
        "/etc/{uniqueid}", "../{uniqueid}.wav", "{unknown}.wav", "{uniqueid", "*/{uniqueid}.wav", "{uniqueid}.[w]av", "all.wav",
        "{uniqueid!r}.wav", "{uniqueid:>99999999}.wav", "{uniqueid.__class__}.wav", "", "a\n{uniqueid}", "a\\{uniqueid}",
    ],
)  # fmt: skip
def test_wrong_templates_are_told(template: str) -> None:
    with pytest.raises(LayoutError):
        parse(template)
