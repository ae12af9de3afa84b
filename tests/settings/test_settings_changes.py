"""What changed between two versions, as people read it."""

from __future__ import annotations

from perezvon.settings.changes import changes
from perezvon.settings.load import parse, settings_from

PBX = "[[asterisk]]\nname='main'\nami='tcp://u:hunter2@h'\n"


def told(before: str, after: str) -> list[str]:
    return [str(change) for change in changes(settings_from(parse(before)), settings_from(parse(after)))]


def test_an_entry_comes_and_goes_with_what_was_named() -> None:
    assert told("", PBX + "encoding='koi8-r'") == [
        '+ asterisk[main].name = "main"',
        '+ asterisk[main].ami = "tcp://u:********@h"',
        '+ asterisk[main].encoding = "koi8-r"',
    ]
    assert told(PBX, "") == ['- asterisk[main].name = "main"', '- asterisk[main].ami = "tcp://u:********@h"']


def test_entries_are_told_apart_by_name_and_not_by_place() -> None:
    two = PBX.replace("main", "two")
    assert told(PBX + two, two + PBX) == []
    assert told("[[line]]\nnumber='1'\nname='a'", "[[line]]\nnumber='1'\nname='b'") == ['~ line[1].name: "a" -> "b"']


def test_a_default_written_out_is_no_change_but_one_put_back_is() -> None:
    assert told("", "[log]\nlevel='info'") == []
    assert told("[log]\nlevel='debug'", "") == ['~ log.level: "debug" -> "info"']
    assert told(PBX + "recordings=''", PBX) == ['+ asterisk[main].recordings = "/var/spool/asterisk/monitor"']


def test_a_new_password_is_a_change_that_shows_nothing() -> None:
    (change,) = changes(settings_from(parse(PBX)), settings_from(parse(PBX.replace("hunter2", "hunter3"))))
    assert change.secret
    assert "hunter" not in f"{change} {change.as_json()} {change!r}"
