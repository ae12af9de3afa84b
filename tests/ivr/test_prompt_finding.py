"""Prompts are found by the names that people wrote into a table, and never outside the sounds folder."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perezvon.ivr.finding import Part, find_prompt
from perezvon.recordings.errors import NotThere, OutsideFolder, RecordingError, Unreadable


def a_folder(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


@pytest.mark.parametrize(
    ("part", "name", "there"),
    [
        (Part.INTRO, "intro.mp3", "scenario/intro.mp3"),
        (Part.INTRO, "intro", "scenario/intro.mp3"),
        (Part.INTRO, "intro.mp3", "scenario/intro.wav"),
        (Part.INTRO, "intro.mp3", "scenario/intro.MP3"),
        (Part.INTRO, "Intro.MP3", "scenario/intro.Mp3"),
        (Part.INTRO, "intro", "Scenario/Intro.Wav"),
        (Part.KEY, "1", "keyNum/1.mp3"),
        (Part.KEY, "12", "keynum/12.ogg"),
        (Part.KEY, "*", "keyNum/*.mp3"),
        (Part.KEY, "*", "keyNum/star.mp3"),
        (Part.KEY, "#", "keyNum/pound.wav"),
        (Part.MESSAGE, "торты.mp3", "msgMp3/торты.mp3"),
        (Part.MESSAGE, "Торты и пирожные", "msgMp3/торты и пирожные.OGG"),
        (Part.MESSAGE, "цветы/розы.mp3", "msgMp3/цветы/розы.wav"),
        (Part.MESSAGE, "v1.2", "msgMp3/v1.2.mp3"),
        (Part.MESSAGE, "./a.mp3", "msgMp3/a.mp3"),
        (Part.MESSAGE, unicodedata.normalize("NFD", "йод"), f"msgMp3/{unicodedata.normalize('NFC', 'йод')}.mp3"),
        (Part.MESSAGE, unicodedata.normalize("NFC", "йод"), f"msgMp3/{unicodedata.normalize('NFD', 'йод')}.mp3"),
        (Part.MESSAGE, "..mp3", "msgMp3/..mp3"),
        (Part.MESSAGE, "a", "msgMp3/a"),
    ],
)
def test_found(tmp_path: Path, part: Part, name: str, there: str) -> None:
    a_folder(tmp_path, there, str(Path(there).with_name("other.mp3")), "9.mp3")
    assert find_prompt(tmp_path, part, name) == tmp_path / there


def test_the_name_as_written_comes_first(tmp_path: Path) -> None:
    a_folder(tmp_path, "keyNum/1.wav", "keyNum/1.mp3", "keyNum/1.MP3", "keyNum/1/x.mp3")
    assert find_prompt(tmp_path, Part.KEY, "1.mp3").name == "1.mp3"
    assert find_prompt(tmp_path, Part.KEY, "1.MP3").name == "1.MP3"
    assert find_prompt(tmp_path, Part.KEY, "1").name == "1.wav"
    assert find_prompt(tmp_path, Part.KEY, "1.ogg").name == "1.wav"


@pytest.mark.parametrize("name", ["2", "intro", "", ".", "1.mp3/x", "x/y/z.mp3", "a\nb", "~", "%2e%2e/secret"])
def test_not_there(tmp_path: Path, name: str) -> None:
    a_folder(tmp_path, "keyNum/1.mp3", "secret.mp3")
    with pytest.raises(NotThere):
        find_prompt(tmp_path, Part.KEY, name)


@pytest.mark.parametrize(
    "name", ["../secret.mp3", "../../etc/passwd", "/etc/passwd", "a/../../secret", "1.mp3\0.wav", ".."]
)
def test_no_way_out_by_name(tmp_path: Path, name: str) -> None:
    a_folder(tmp_path, "keyNum/1.mp3", "secret.mp3", "keyNum/a/b.mp3")
    with pytest.raises(OutsideFolder):
        find_prompt(tmp_path, Part.KEY, name)


def test_no_way_out_by_links(tmp_path: Path) -> None:
    sounds = a_folder(tmp_path / "sounds", "keyNum/1.mp3")
    a_folder(tmp_path / "secret", "a.mp3", "keys/a.mp3")
    (sounds / "keyNum/2.mp3").symlink_to(tmp_path / "secret/a.mp3")
    (sounds / "keyNum/inner").symlink_to(tmp_path / "secret/keys")
    (sounds / "msgMp3").symlink_to(tmp_path / "secret")
    for part, name in ((Part.KEY, "2"), (Part.KEY, "inner/a"), (Part.MESSAGE, "a")):
        with pytest.raises(OutsideFolder, match="is a link"):
            find_prompt(sounds, part, name)
    (tmp_path / "way").symlink_to(sounds)
    assert find_prompt(tmp_path / "way", Part.KEY, "1") == sounds / "keyNum/1.mp3", "the folder itself may be a link"


def test_a_folder_that_is_not_mounted_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotThere, match="is not there, or not mounted"):
        find_prompt(tmp_path / "gone", Part.KEY, "1")


@given(st.text(max_size=60))
def test_any_name_stays_inside(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    root = tmp_path_factory.getbasetemp() / "any"
    if not root.exists():
        a_folder(root, "sounds/keyNum/1.mp3", "sounds/secret.mp3", "secret.mp3")
    try:
        found = find_prompt(root / "sounds", Part.KEY, name)
    except RecordingError as error:
        assert isinstance(error, NotThere | OutsideFolder | Unreadable)
    else:
        assert found.resolve().is_relative_to(root / "sounds/keyNum")
