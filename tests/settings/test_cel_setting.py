"""The setting `cel`: a file as ever, or a database whose password nobody sees."""

from __future__ import annotations

from pathlib import Path

import pytest

from perezvon.settings import InvalidSettings, SecretBox, Settings
from perezvon.settings.load import dumped, masked, merged, parse, settings_from
from perezvon.settings.urls import CelPlace


def settings(cel: str) -> Settings:
    return settings_from(parse(f"[[asterisk]]\nname='main'\nami='tcp://u:p@h'\ncel='{cel}'\n"))


def test_a_file_and_nothing() -> None:
    found = settings("/var/log/asterisk/cel-custom/Master.csv").asterisk[0].cel
    assert found is not None
    assert str(found) == found.source().name == "/var/log/asterisk/cel-custom/Master.csv"
    assert settings("").asterisk[0].cel is None
    assert settings("/x").secret_values() == {"p"}


@pytest.mark.parametrize(
    ("place", "shown", "name"),
    [
        ("mysql://r:hunter2@h/cdr", "mysql://r:********@h/cdr", "mysql://h:3306/cdr, table cel"),
        ("postgresql://r:hunter2@h:5433/cdr?table=a.cel", "postgresql://r:********@h:5433/cdr?table=a.cel",
         "postgresql://h:5433/cdr, table a.cel"),
        ("sqlite:////var/lib/master.db", "sqlite:////var/lib/master.db", "sqlite:///var/lib/master.db, table cel"),
    ],
)  # fmt: skip
def test_a_database(place: str, shown: str, name: str) -> None:
    whole = settings(place)
    found = whole.asterisk[0].cel
    assert found is not None
    assert (str(found), found.source().name) == (shown, name)
    assert "hunter2" not in f"{whole!r} {whole.model_dump_json()} {found.source()!r}"
    assert whole.secret_values() == ({"p", "hunter2"} if "hunter2" in place else {"p"})


def test_the_password_may_lie_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("hun@ter2\n")
    found = settings(f"mysql://r:file:{file}@h/cdr").asterisk[0].cel
    assert found is not None
    assert "ter2" not in str(found)
    assert found.source().name == "mysql://h:3306/cdr, table cel"


def test_an_export_is_applied_again() -> None:
    whole = settings("mysql://r:hunter2@h/cdr?timezone=Europe/Moscow")
    assert merged(whole, dumped(whole, masked)) == whole


def test_settings_saved_before_databases_were_known(tmp_path: Path) -> None:
    """Then the path was no secret, and was not sealed."""
    box = SecretBox.open(tmp_path)
    stored = {"asterisk": [{"name": "main", "ami": "tcp://u:p@h", "cel": "/var/log/Master.csv"}]}
    found = settings_from(stored, unseal=box.unsealed_text)
    again = settings_from(dumped(found, box.sealed_secret), unseal=box.unsealed_text)
    assert str(again.asterisk[0].cel) == str(found.asterisk[0].cel) == "/var/log/Master.csv"


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("Master.csv", "must be an absolute path, beginning with /, or a database: mysql://reader:PASSWORD@"),
        ("mysql://h/cdr", "must have a user and a password"),
        ("oracle://r:hunter2@h/cdr", "must begin with one of mysql://, mariadb://, postgresql://, sqlite://"),
        ("mysql://r:hunter2@h", "names no database"),
        ("sqlite:///master.db", "names no database: sqlite:////"),
        ("mysql://r:hunter2@h/cdr?tables=x", "unknown option tables; known are table and timezone"),
    ],
)
def test_mistakes(place: str, words: str) -> None:
    with pytest.raises(InvalidSettings) as raised:
        settings(place)
    assert words in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_no_secret_in_its_address() -> None:
    assert "hunter2" not in repr(CelPlace("mysql://r:hunter2@h/cdr"))
