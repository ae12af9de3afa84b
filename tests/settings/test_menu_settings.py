"""The settings of the voice menu, the conference and their FastAGI server."""

from __future__ import annotations

import pytest

from perezvon.settings import InvalidSettings, Settings
from perezvon.settings.load import parse, settings_from


def of(text: str) -> Settings:
    return settings_from(parse(text))


def test_what_stands_without_a_word() -> None:
    """The times of document 004, and nothing that a PBX elsewhere could reach."""
    settings = of("")
    assert (settings.ivr.silence, settings.ivr.ring, settings.ivr.cycles) == (7.0, 20.0, 1)
    assert "FROM sAsterisk_ivr AS i" in settings.ivr.query
    assert settings.conference.query == "SELECT phone FROM sAsterisk_prefix WHERE pref = ?"
    assert (settings.conference.key, settings.conference.join_key, settings.conference.drop_key) == ("*3", "#", "*")
    assert (settings.agi.host, settings.agi.port, settings.agi.url) == ("127.0.0.1", 4573, "agi://127.0.0.1:4573")
    assert all(network.is_loopback for network in settings.agi.networks())


def test_sections_of_the_version_before() -> None:
    settings = of('[ivr]\ndatabase="mysql://r:s%40@h/pbx"\nsounds="/s"\n[conference]\ndatabase="sqlite:////srv/pbx.db"')
    assert settings.ivr.database is not None
    assert settings.conference.database is not None
    assert settings.ivr.database.place().password == "s@"
    assert settings.conference.database.place().database == "/srv/pbx.db"


def test_a_pbx_elsewhere() -> None:
    agi = of('[agi]\nbind="[::]:4574"\nreached_at="perezvon.lan:4574"\nallow=["10.0.0.5", "10.1.0.0/16"]').agi
    assert (agi.host, agi.port, agi.url) == ("::", 4574, "agi://perezvon.lan:4574")
    assert [str(network) for network in agi.networks()] == ["10.0.0.5/32", "10.1.0.0/16"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[ivr]\nquery='DELETE FROM x WHERE phone = ?'", "ivr.query: must be one SELECT statement"),
        ("[ivr]\nquery='SELECT 1'", "ivr.query: must have a ? (or :phone) where the value goes"),
        ("[ivr]\nquery=\"SELECT 1 FROM x WHERE phone = '?'\"", "must not stand in quotes"),
        ("[ivr]\nquery='SELECT ?; DROP TABLE x'", "must be one statement"),
        ("[ivr]\nquery='SELECT * FROM x WHERE y = :did'", "there is no :did; known are ? and :phone"),
        ("[ivr]\ndatabase='sqlite:///pbx.db'", "names no database: sqlite:////"),
        ("[ivr]\ndatabase='mysql://r:hunter2@h/db?ssl=1'", "unknown option ssl; none are known"),
        ("[ivr]\ndatabase='mysql://h/db'", "must have a user and a password"),
        ("[ivr]\nsilence=0", "ivr.silence: must be 1 or more"),
        ("[ivr]\nwrong_key='hang up'", "ivr.wrong_key: must be one of 'portal' or 'repeat'"),
        ("[conference]\nquery='SELECT 1'", "must have a ? (or :code, :pref)"),
        ("[conference]\njoin_key='*'", "conference.drop_key: the keys that join and that drop must differ"),
        ("[conference]\nkey='#'", "conference.key: the key that begins must be another one"),
        ("[conference]\nkey='A'", "conference.key: must be one to four of the keys"),
        ("[conference]\nextension='sales'", "conference.extension: must be digits"),
        ("[agi]\nbind='4573'", "agi.bind: must be a host and a port, e.g. 127.0.0.1:4573"),
        ("[agi]\nbind='h:99999'", "agi.bind: must be a host and a port"),
        ("[agi]\nallow=['10.0.0.1/8']", "agi.allow[0]: must be an address or a network"),
    ],
)
def test_mistakes(text: str, words: str) -> None:
    with pytest.raises(InvalidSettings) as raised:
        of(text)
    assert words in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_the_trunk_that_we_write_leads_to_the_portal() -> None:
    pbx = {"name": "main", "ami": "tcp://u:s@127.0.0.1:5038"}
    office = {"portal": "office", "portal_server": "ip.example.com", "portal_login": "sip1", "portal_password": "s"}
    for wiring, peers in (({}, set[str]()), (office, {"bitrix24"})):
        (made,) = settings_from({"asterisk": [{**pbx, "wiring": wiring}]}).asterisk
        assert made.ways_to_portal == peers | set(made.portal_peers)
    (named,) = settings_from({"asterisk": [{**pbx, "portal_peers": ["b24"], "wiring": office}]}).asterisk
    assert named.ways_to_portal == {"b24", "bitrix24"}
