"""The settings of autoconnect and of working time: what is refused, and what the rules get of them."""

from __future__ import annotations

import pytest

from perezvon.rules.connecting import Connecting
from perezvon.rules.working_time import Hours
from perezvon.service import policies
from perezvon.settings.errors import InvalidSettings
from perezvon.settings.load import parse, settings_from
from perezvon.settings.model import Settings
from perezvon.settings.wiring import wiring_of


def of(text: str) -> Settings:
    return settings_from(parse(text), text=text)


def test_it_is_off_unless_it_is_wanted() -> None:
    empty = Settings()
    assert not empty.autoconnects_somebody
    one = of('[[line]]\nnumber = "1"\nautoconnect = true\n[[line]]\nnumber = "2"')
    assert (one.autoconnects(), one.autoconnects(one.line[0]), one.autoconnects(one.line[1])) == (False, True, False)
    assert one.autoconnects_somebody


def test_the_rules_by_default() -> None:
    assert policies.connecting(Settings(), None) == Connecting()


def test_the_rules_of_the_settings() -> None:
    settings = of(
        """
[[portal]]
name = "main"
webhook = "https://x.bitrix24.ru/rest/1/abc/"
time_zone = "Asia/Vladivostok"
[autoconnect]
enabled = true
chain = ["line"]
objects = ["deal", "contact"]
sticky_days = 0.5
ring = 15
checks = ["workday"]
workday = ["closed"]
busy = "ring"
[[autoconnect.deputy]]
employee = "101"
deputies = ["102", "103"]
[working_time]
week = ["Mon-Sun 09:00-18:00"]
[[working_time.employee]]
extension = "104"
week = ["Mon-Sun 00:00-24:00"]
"""
    )
    rules = policies.connecting(settings, settings.portal[0])
    assert (rules.chain, rules.objects, rules.sticky, rules.ring) == (("line",), ("deal", "contact"), 43200.0, 15)
    assert (rules.checks, rules.not_working, rules.ring_busy) == ({"workday"}, {"closed"}, True)
    assert rules.deputies == {"101": ("102", "103")}
    noon_utc = 12 * 3600.0  # 22:00 in Vladivostok
    assert rules.working_time.of_employee("101", noon_utc) is Hours.CLOSED
    assert rules.working_time.of_employee("104", noon_utc) is Hours.OPEN
    assert policies.attended(settings, settings.portal[0]) == policies.Attended(True, False, rules.working_time.zone)


def test_nobody_is_asked_for_while_it_is_off() -> None:
    settings = of('[[portal]]\nname = "main"\nwebhook = "https://x.bitrix24.ru/rest/1/abc/"')
    assert not policies.attended(settings, settings.portal[0])


def test_the_dialplan_gets_its_times() -> None:
    text = '[[asterisk]]\nname = "main"\nami = "tcp://u:p@127.0.0.1"\nrecordings = "/x"\n[autoconnect]\n{more}'
    on = of(text.format(more="enabled = true\npatience = 0.5\nring = 33"))
    wiring = wiring_of(on, on.asterisk[0])
    assert (wiring.with_connect, wiring.connect_seconds, wiring.connect_lookup_seconds) == (True, 33, 0.8)
    off = of(text.format(more=""))
    assert not wiring_of(off, off.asterisk[0]).with_connect


@pytest.mark.parametrize(
    ("text", "path", "told"),
    [
        ('[autoconnect]\nchain = ["owner"]', "autoconnect.chain[0]", "must be one of"),
        ("[autoconnect]\nring = 1", "autoconnect.ring", "must be 3 or more"),
        ('[autoconnect]\ndevice = "SHELL(rm {number}; x)"', "autoconnect.device", "must be a function of the dialplan"),
        ('[autoconnect]\ndevice = "DEVICE_STATE(PJSIP/101)"', "autoconnect.device", "must have {number} in it"),
        ('[autoconnect]\ndo_not_disturb = "DB(DND/{number:>99})"', "autoconnect.do_not_disturb", "must be a function"),
        ('[autoconnect]\ncaller_name = "{client.__class__}"', "autoconnect.caller_name", "there is an unknown place"),
        ('[autoconnect]\ncaller_name = "{person:>99999999}"', "autoconnect.caller_name", "there is an unknown place"),
        ('[autoconnect]\ncaller_name = "{person"', "autoconnect.caller_name", "the braces do not pair up"),
        (
            '[[autoconnect.deputy]]\nemployee = "101"\ndeputies = ["101"]',
            "autoconnect.deputy[0].deputies",
            "nobody is his own deputy",
        ),
        (
            '[[autoconnect.deputy]]\nemployee = "1"\ndeputies = ["2"]\n[[autoconnect.deputy]]\nemployee = "1"\ndeputies = ["3"]',
            "autoconnect.deputy[1].employee",
            "1 is there twice",
        ),
        (
            '[[autoconnect.deputy]]\nemployee = "1&2"\ndeputies = ["2"]',
            "autoconnect.deputy[0].employee",
            "must be an extension",
        ),
        ('[working_time]\nweek = ["9 to 5"]', "working_time.week[0]", "hours are written like"),
        ('[working_time]\nholidays = ["May 9"]', "working_time.holidays[0]", "days are written like"),
        ('[working_time]\ntime_zone = "Moscow"', "working_time.time_zone", "must be the name of a time zone"),
        (
            '[[working_time.employee]]\nextension = "1"\n[[working_time.employee]]\nextension = "1"',
            "working_time.employee[1].extension",
            "1 is there twice",
        ),
        ('[[line]]\nnumber = "1"\nfirst_employee = "the boss"', "line[0].first_employee", "must be an extension"),
        ('[[line]]\nnumber = "1"\nworking_time = ["always"]', "line[0].working_time[0]", "hours are written like"),
    ],
)
def test_what_is_refused(text: str, path: str, told: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        of(text)
    assert [(mistake.path, told in str(mistake.reason)) for mistake in refused.value.mistakes] == [(path, True)], str(
        refused.value
    )


def test_the_hours_of_the_examples_are_understood() -> None:
    from perezvon.settings.working_time import EmployeeTime, WorkingTimeSettings

    for model in (EmployeeTime, WorkingTimeSettings):
        examples = {name: field.examples[0] for name, field in model.model_fields.items() if field.examples}
        assert settings_from(
            {"working_time": examples} if model is WorkingTimeSettings else {"working_time": {"employee": [examples]}}
        )
