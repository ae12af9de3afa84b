"""Secrets: seen nowhere, sealed at rest, followed at use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from perezvon.settings import KeyFileUnsafe, KeyLost, Secret, SecretBox, SecretMissing, Settings
from perezvon.settings.load import parse, settings_from
from perezvon.settings.secrets import KEY_FILE
from perezvon.settings.urls import AmiUrl, CompanyDatabaseUrl, OwnDatabaseUrl, WebhookUrl

ALL = """
[[asterisk]]
name = "main"
ami = "tcp://user:hunter2@127.0.0.1"
ari = "http://user:hunter3@127.0.0.1"
[[portal]]
name = "main"
domain = "h"
client_id = "c"
client_secret = "hunter4"
application_token = "hunter5"
[[portal]]
name = "two"
webhook = "https://h/rest/1/hunter6"
[web]
password = "hunter7"
[database]
url = "postgresql://u:hunter8@h/db"
[ivr]
database = "mysql://u:hunter9@h/db"
"""


def test_secrets_are_in_no_representation() -> None:
    settings = settings_from(parse(ALL))
    shown = [repr(settings), str(settings), settings.model_dump_json(), f"{settings.portal[0]!s}"]
    shown += [f"{secret} {secret!r}" for _, secret in settings.secrets()]
    assert not [text for text in shown if "hunter" in text]


def test_every_secret_is_known_to_the_redaction() -> None:
    values = settings_from(parse(ALL)).secret_values()
    assert values == {f"hunter{number}" for number in range(2, 10)}


@pytest.mark.parametrize(
    ("secret", "masked"),
    [
        (Secret("x"), "********"),
        (Secret("env:NAME"), "env:NAME"),
        (AmiUrl("tcp://u:p@h:1"), "tcp://u:********@h:1"),
        (AmiUrl("tls://u:p%40q@h"), "tls://u:********@h"),
        (AmiUrl("tcp://u:env:NAME@h"), "tcp://u:env:NAME@h"),
        (OwnDatabaseUrl("postgresql:///db"), "postgresql:///db"),
        (CompanyDatabaseUrl("sqlite:////data/pbx.db"), "sqlite:////data/pbx.db"),
        (CompanyDatabaseUrl("mysql://u:p@h/db"), "mysql://u:********@h/db"),
        (WebhookUrl("http://127.0.0.1:8000/rest/1/abc"), "http://127.0.0.1:8000/rest/1/********/"),
    ],
)
def test_a_mask_leaves_what_helps(secret: Secret, masked: str) -> None:
    assert str(secret) == masked


def test_references_are_followed_at_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = Secret("env:PEREZVON_TEST_SECRET")
    with pytest.raises(SecretMissing, match="PEREZVON_TEST_SECRET is not set"):
        secret.reveal()
    monkeypatch.setenv("PEREZVON_TEST_SECRET", "a@b")
    assert secret.reveal() == "a@b"
    assert AmiUrl("tcp://u:env:PEREZVON_TEST_SECRET@h").ami().secret == "a@b"

    file = tmp_path / "secret"
    with pytest.raises(SecretMissing, match="cannot be read: No such file"):
        Secret(f"file:{file}").reveal()
    file.write_text("from a file\n")
    assert Secret(f"file:{file}").reveal() == "from a file"
    assert AmiUrl(f"tcp://u:file:{file}@h").ami().secret == "from a file"
    file.write_text("tcp://u:whole@h")
    assert AmiUrl(f"file:{file}").ami().secret == "whole"
    file.write_text("nonsense")
    with pytest.raises(SecretMissing, match="unfit: the address must begin"):
        AmiUrl(f"file:{file}").ami()


@pytest.mark.parametrize("wrong", ["env:", "env:1X", "env:A B", "file:secret", "file:", ""])
def test_a_reference_must_be_one(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"after (env|file):|must not be empty"):
        Secret(wrong)


def test_the_key_file_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    box = SecretBox.open(tmp_path / "data")
    assert box.path.stat().st_mode & 0o777 == 0o600
    again = SecretBox.open(tmp_path / "data")
    assert again.unseal(box.seal(b"x")) == b"x"
    assert [path.name for path in (tmp_path / "data").iterdir()] == [KEY_FILE]


def test_a_key_file_open_to_others_is_refused(tmp_path: Path) -> None:
    box = SecretBox.open(tmp_path)
    box.path.chmod(0o640)
    with pytest.raises(KeyFileUnsafe, match=r"mode 0640\): chmod 600"):
        SecretBox.open(tmp_path)


@pytest.mark.parametrize("content", ["", "nonsense", "ключ"])
def test_a_file_that_is_no_key_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / KEY_FILE).write_text(content)
    (tmp_path / KEY_FILE).chmod(0o600)
    with pytest.raises(KeyFileUnsafe, match="is no key file"):
        SecretBox.open(tmp_path)


def test_an_older_key_still_opens_after_a_rotation(tmp_path: Path) -> None:
    old = SecretBox.open(tmp_path)
    sealed = old.seal(b"x")
    new = old.rotate()
    assert new.unseal(sealed) == b"x"
    assert len(new.path.read_text().split()) == 2
    with pytest.raises(KeyLost):
        old.unseal(new.seal(b"y"))


def test_a_lost_key_says_what_to_do(tmp_path: Path) -> None:
    sealed = SecretBox.open(tmp_path / "one").seal(b"x")
    with pytest.raises(KeyLost, match=r"put back the key file .* config apply --replace"):
        SecretBox.open(tmp_path / "two").unseal(sealed)
    with pytest.raises(KeyLost):
        SecretBox.open(tmp_path / "one").unsealed_text("sealed:" + Fernet(Fernet.generate_key()).encrypt(b"x").decode())


def test_what_is_stored_holds_no_secret_and_references_stay(tmp_path: Path) -> None:
    box = SecretBox.open(tmp_path)
    settings = settings_from(parse(ALL.replace("hunter7", "env:WEB")))
    stored = settings.model_dump_json(exclude_unset=True, context={"show": box.sealed_secret})
    assert "hunter" not in stored
    assert '"env:WEB"' in stored
    assert settings_from(json.loads(stored), unseal=box.unsealed_text) == settings


def test_a_secret_that_looks_sealed_survives(tmp_path: Path) -> None:
    box = SecretBox.open(tmp_path)
    settings = Settings.model_validate_json('{"web": {"password": "sealed:really"}}')
    stored = settings.model_dump_json(exclude_unset=True, context={"show": box.sealed_secret})
    assert settings_from(json.loads(stored), unseal=box.unsealed_text) == settings
