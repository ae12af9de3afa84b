from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perezvon.recordings import Folder, NotThere, OutsideFolder, RecordingError, Unreadable, find

PBX = "/var/spool/asterisk/monitor"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "monitor"
    folder.mkdir()
    return folder


def put(folder: Path, name: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


@pytest.mark.parametrize(
    ("told", "lies"),
    [
        (f"{PBX}/2026/11/21/in-74951234567.wav", "2026/11/21/in-74951234567.wav"),
        ("2026/11/21/in.wav", "2026/11/21/in.wav"),
        ("in-1795230222.1.wav", "in-1795230222.1.wav"),
        ("in-1795230222.1", "in-1795230222.1.wav"),
        ("in", "in.WAV"),
        ("in.wav49", "in.WAV"),
        ("in.wav", "in.mp3"),
        ("in.gsm", "in.gsm"),
        ("in", "in.ulaw"),
        ("in.wav,b,/usr/bin/after ^{FILE}", "in.wav"),
        ("a,b.wav", "a,b.wav"),
        (f"{PBX}/in.wav,ab", "in.wav"),
        ('Иван \\"Злой\\".wav', 'Иван "Злой".wav'),
        ("O\\'Neill\\\\x.wav", "O'Neill\\x.wav"),
        ("  in.wav ", "in.wav"),
        ("in-74951234567-20261121-103000-1795230222.1", "2026/11/21/in-74951234567-20261121-103000-1795230222.1.wav"),
        ("q-1795230222.1", "2026/11/21/q-1795230222.1.wav"),
        ("q-1795219200.1", "2026/11/20/q-1795219200.1.wav"),
    ],
)
def test_the_file_is_found_by_what_the_pbx_calls_it(here: Path, told: str, lies: str) -> None:
    put(here, "other.wav")
    path = put(here, lies)
    assert find(told, Folder(here, PBX)) == path


def test_without_a_mapping_the_pbx_and_we_see_the_same_folder(here: Path) -> None:
    path = put(here, "in.wav")
    assert find(str(path), Folder(here)) == path


def test_the_told_extension_comes_first(here: Path) -> None:
    put(here, "in.wav")
    assert find("in.gsm", Folder(here)).suffix == ".wav"
    put(here, "in.gsm")
    assert find("in.gsm", Folder(here)).suffix == ".gsm"


def test_a_missing_file_names_the_places(here: Path) -> None:
    with pytest.raises(NotThere, match=rf"'in' is not there\. Tried: {here}/in, {here}/in\.wav.* more"):
        find("in", Folder(here))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotThere, match=r"absent is not there \(or not mounted\)"):
        find("in.wav", Folder(tmp_path / "absent"))


@pytest.mark.parametrize("told", ["", " ", ".", "/", ",b"])
def test_no_name_is_no_file(here: Path, told: str) -> None:
    with pytest.raises((NotThere, OutsideFolder)):
        find(told, Folder(here, PBX))


def test_a_folder_or_a_pipe_is_no_recording(here: Path) -> None:
    (here / "in.wav").mkdir()
    os.mkfifo(here / "in.gsm")
    with pytest.raises(NotThere):
        find("in", Folder(here))


@pytest.mark.parametrize(
    "told", ["../secret.wav", "/etc/passwd", "a/../../secret.wav", "x\0.wav", f"{PBX}/../secret.wav", "..,b"]
)
def test_names_that_lead_out_are_refused(here: Path, told: str) -> None:
    put(here.parent, "secret.wav")
    with pytest.raises(OutsideFolder, match="was not opened"):
        find(told, Folder(here, PBX))


def test_links_that_lead_out_are_refused(here: Path) -> None:
    secret = put(here.parent, "secret.wav")
    (here / "in.wav").symlink_to(secret)
    (here / "day").symlink_to(here.parent)
    for told in ("in.wav", "in", "day/secret.wav"):
        with pytest.raises(OutsideFolder):
            find(told, Folder(here))


def test_links_inside_and_a_linked_folder_itself_are_fine(here: Path) -> None:
    path = put(here, "real.wav")
    (here / "in.wav").symlink_to(path)
    link = here.parent / "link"
    link.symlink_to(here)
    assert find("in.wav", Folder(link)) == path
    assert find(str(link / "in.wav"), Folder(link)) == path


@contextmanager
def plain_user() -> Iterator[None]:
    """root may read everything, so it steps down for the test."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_file_that_we_may_not_read(here: Path) -> None:
    path = put(here, "in.wav")
    for folder in (here, *here.parents[:4]):
        if folder.owner() != "root" or os.geteuid() == 0:
            folder.chmod(folder.stat().st_mode | 0o011)
    path.chmod(0)
    with plain_user(), pytest.raises(Unreadable, match="group of Asterisk"):
        find("in.wav", Folder(here))


@given(st.text(max_size=60))
def test_any_name_ends_in_a_file_inside_or_a_typed_error(tmp_path_factory: pytest.TempPathFactory, told: str) -> None:
    here = tmp_path_factory.getbasetemp()
    try:
        found = find(told, Folder(here, PBX))
    except RecordingError:
        return
    assert found.is_relative_to(here.resolve())
