"""Settings files: what is right loads, what is wrong is told with its place and its remedy."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perezvon.settings import InvalidSettings, Settings, load, toml
from perezvon.settings.confidential import MASK
from perezvon.settings.load import dumped, masked, merged, parse, plainly, settings_from
from perezvon.settings.upgrade import upgraded

DESIGN = r"""
[[asterisk]]
name = "main"
ami = "tcp://user:secret@127.0.0.1:5038"
ari = "http://user:secret@127.0.0.1:8088"
recordings = "/var/spool/asterisk/monitor"
[[portal]]
name = "main"
webhook = "https://example.bitrix24.ru/rest/1/token/"
rate_per_second = 2
rate_burst = 50
[calls]
extension_pattern = '^\d{2,4}$'
[[line]]
number = "+74951234567"
trunk = "multifon"
source = "CALL"
[ivr]
database = "mysql://reader:secret@127.0.0.1/pbx"
sounds = "/var/lib/perezvon/sounds"
[conference]
database = "mysql://reader:secret@127.0.0.1/pbx"
"""


def of(text: str) -> Settings:
    return settings_from(parse(text, "my.toml"), text=text, source="my.toml")


def mistakes(text: str) -> str:
    with pytest.raises(InvalidSettings) as caught:
        of(text)
    return str(caught.value)


def test_the_fixed_names_of_the_design_load() -> None:
    settings = of(DESIGN)
    assert settings.asterisk[0].ami.ami().port == 5038
    assert settings.portal[0].webhook is not None
    assert settings.portal[0].webhook.reveal() == "https://example.bitrix24.ru/rest/1/token/"
    assert settings.portal[0].rate_per_second == 2.0
    assert settings.calls.extension_pattern == r"^\d{2,4}$"
    assert settings.line[0].source == "CALL"
    assert settings.ivr is not None
    assert settings.ivr.database is not None


def test_an_empty_file_is_valid() -> None:
    assert of("") == Settings()
    assert of("").recordings.mode == "upload"


def test_a_local_application_and_references() -> None:
    settings = of(
        """
        [[asterisk]]
        name = "main"
        ami = "tcp://perezvon:env:AMI_SECRET@127.0.0.1:5038"
        [[portal]]
        name = "main"
        domain = "https://Example.bitrix24.ru/"
        client_id = "local.1"
        client_secret = "env:B24_SECRET"
        fallback_user = 7
        """
    )
    portal = settings.portal[0]
    assert (portal.domain, portal.fallback_user, portal.events) == ("example.bitrix24.ru", "7", "offline")
    assert settings.portal_of("main") is portal


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[calls]\nshow_crad = true", "my.toml:2: calls.show_crad: there is no such setting; did you mean show_card?"),
        ("\n[recording]\n", "my.toml:2: recording: there is no such setting; did you mean recordings?"),
        ("[log]\nxyz = 1", "my.toml:2: log.xyz: there is no such setting; known here: format, level"),
        ("[[line]]\nname = 'x'", "my.toml:1: line[0].number: this setting is required"),
        ("[line]\nnumber = '1'", "my.toml:1: line: there can be several of these: write [[line]]"),
        ("[[calls]]\nregion = 'RU'", "my.toml:1: calls: this is a section: write its settings under [calls]"),
        ("calls = 3", "my.toml:1: calls: this is a section: write its settings under [calls]"),
        ("[calls]\nregion = 7", "my.toml:2: calls.region: must be text in quotes"),
        ("[calls]\nregion = 'XX'", "my.toml:2: calls.region: must be a country's two capital letters, e.g. RU, KZ, BY"),
        ("[calls]\ninternal = 1", "my.toml:2: calls.internal: must be true or false, without quotes"),
        ("[calls]\ncard_expires = '30'", "my.toml:2: calls.card_expires: must be a number, without quotes"),
        ("[calls]\ncard_expires = nan", "my.toml:2: calls.card_expires"),
        ("[calls]\nextension_pattern = '('", "my.toml:2: calls.extension_pattern: is no regular expression"),
        ("[calls]\nregion = 2026-01-01", "my.toml:2: calls.region: must be a country's"),
        ("[log]\nlevel = 'loud'", "my.toml:2: log.level: must be one of 'debug', 'info', 'warning' or 'error'"),
        ("[recordings]\nbitrate = 4", "my.toml:2: recordings.bitrate: must be 8 or more"),
        ("[[line]]\nnumber='1'\n[[line]]\nnumber='1'", "my.toml:4: line[1].number: 1 belongs to line[0] already"),
        ("version = 99", "my.toml:1: version: the settings have version 99"),
        ("[calls\n", "my.toml:1: this is no TOML"),
        (
            "[[portal]]\nname = 'main'",
            "my.toml:1: portal[0]: give a webhook, or domain, client_id and client_secret; domain is missing",
        ),
        (
            "[[portal]]\nname='m'\nwebhook='https://h/rest/1/t/'\nevents='both'",
            "my.toml:1: portal[0].public_url: must be given when events go to a handler",
        ),
        ("[[portal]]\nname='m'\nwebhook='https://h/rest/t/'", "my.toml:3: portal[0].webhook: the webhook must look like"),
        (
            "[[asterisk]]\nname='m'\nami='tcp://u:pa#ss@h:5038'",
            "my.toml:3: asterisk[0].ami: cannot be read as an address; the characters # / ? @ : in a password are written",
        ),
        (
            "[[asterisk]]\nname='m'\nami='http://u:p@h'",
            "my.toml:3: asterisk[0].ami: the address must begin with one of tcp://",
        ),
        (
            "[[asterisk]]\nname='m'\nami='tcp://u:p@h'\nportal='two'",
            "my.toml:4: asterisk[0].portal: there is no portal two; known: —",
        ),
        (
            "[[asterisk]]\nname='m'\nami='tcp://u:p@h'\noriginate_channel='PJSIP/{ext}'",
            "my.toml:4: asterisk[0].originate_channel: there is an unknown place in braces; known places are {extension}",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place_and_remedy(text: str, told: str) -> None:
    assert mistakes(text).startswith(told)


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    told = mistakes("[log]\nlevel = 1\n[calls]\nregion = 1\ninternal = 1").splitlines()
    assert [line.split(": ")[1] for line in told] == ["log.level", "calls.region", "calls.internal"]


def test_a_mistake_never_tells_a_secret() -> None:
    for address in ("tcp://u:hunter2#x@h", "hunter2", "tcp://hunter2@h", "tcp://u:hunter2@h/x", "tcp://u:hunter2@h:99999"):
        assert "hunter2" not in mistakes(f"[[asterisk]]\nname='m'\nami='{address}'")


def test_a_file_that_cannot_be_read(tmp_path: object) -> None:
    from pathlib import Path

    folder = Path(str(tmp_path))
    with pytest.raises(InvalidSettings, match="cannot be read: No such file"):
        load(folder / "none.toml")
    (folder / "latin.toml").write_bytes(b"# \xe9")
    with pytest.raises(InvalidSettings, match="not UTF-8"):
        load(folder / "latin.toml")


# A partial save replaces what it names and nothing else.


def test_a_section_keeps_what_the_file_does_not_name() -> None:
    current = of(DESIGN + "\n[log]\nlevel='debug'\n[recordings]\nbitrate = 64\n")
    after = merged(current, parse("[recordings]\nmode = 'off'\n"))
    assert (after.recordings.bitrate, after.recordings.mode, after.log.level) == (64, "off", "debug")
    assert after.line == current.line
    assert after.asterisk == current.asterisk


def test_a_named_list_is_replaced_as_a_whole() -> None:
    current = of("[[line]]\nnumber='1'\n[[line]]\nnumber='2'")
    assert [line.number for line in merged(current, parse("[[line]]\nnumber='3'")).line] == ["3"]
    assert merged(current, parse("line = []")).line == ()
    assert merged(current, parse("")).line == current.line


def test_an_export_can_be_edited_and_applied_without_writing_secrets_again() -> None:
    current = of(DESIGN)
    exported = toml.written(dumped(current, masked))
    assert "secret" not in exported
    assert "token" not in exported
    edited = exported.replace("127.0.0.1:5038", "10.0.0.5:5038")
    after = merged(current, parse(edited))
    assert after.asterisk[0].ami.reveal() == "tcp://user:secret@10.0.0.5:5038"
    assert after.portal[0].webhook == current.portal[0].webhook


def test_a_masked_secret_of_an_entry_that_was_not_there_is_refused() -> None:
    text = f"[[asterisk]]\nname='new'\nami='tcp://u:{MASK}@h'"
    with pytest.raises(InvalidSettings, match=r"^my.toml:3: asterisk\[0\].ami: the secret is hidden"):
        merged(of(DESIGN), parse(text), text=text, source="my.toml")


def test_a_partial_file_is_judged_together_with_what_is_there() -> None:
    portals = of("[[portal]]\nname='one'\nwebhook='https://h/rest/1/t/'")
    pbx = "[[asterisk]]\nname='m'\nami='tcp://u:p@h'\nportal='one'"
    assert merged(portals, parse(pbx)).asterisk[0].portal == "one"
    with pytest.raises(InvalidSettings, match="no portal one"):
        merged(Settings(), parse(pbx))


# Older formats.


def test_settings_of_an_older_version_are_upgraded_step_by_step() -> None:
    steps = {
        1: lambda named: {**named, "b": named["a"] + 1},
        2: lambda named: {**named, "c": named["b"] + 1},
    }
    assert upgraded({"version": 1, "a": 1}, steps, 3) == {"a": 1, "b": 2, "c": 3}
    assert upgraded({"version": 3, "a": 1}, steps, 3) == {"a": 1}
    assert upgraded({"a": 1}, steps, 3) == {"a": 1}


# TOML that is written reads back.


@given(st.text(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False))
def test_values_survive_writing(text: str, flag: bool, number: int, fraction: float) -> None:
    text = text.encode("utf-8", "ignore").decode()
    values = {"text": text, "flag": flag, "number": number, "fraction": fraction, "list": [text, ""]}
    assert tomllib.loads(toml.written({"version": 1, "one": values, "many": [values, values], "none": []})) == {
        "version": 1,
        "one": values,
        "many": [values, values],
        "none": [],
    }


def test_settings_survive_export() -> None:
    settings = of(DESIGN)
    assert of(toml.written(dumped(settings, plainly))) == settings


@pytest.mark.parametrize("zone", ["Moscow", "../etc/passwd", "Europe/", "UTC+3", "\\u0000"])
def test_a_time_zone_must_be_one(zone: str) -> None:
    assert "time_zone" in mistakes(DESIGN.replace("rate_burst = 50", f'rate_burst = 50\ntime_zone = "{zone}"'))
    assert of(DESIGN.replace("rate_burst = 50", 'time_zone = "Europe/Moscow"')).portal[0].time_zone == "Europe/Moscow"
