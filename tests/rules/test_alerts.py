"""When a trouble is told, and its end: once each, and ever more rarely while it comes and goes."""

from __future__ import annotations

import itertools
import json

from hypothesis import given
from hypothesis import strategies as st

from perezvon.rules.alerts import CALM, SHOWN, Finding, Known, News, Trouble, look, message
from perezvon.rules.policy import Telling
from perezvon.rules.vocabulary import Reason

PATIENCE = 300.0
PBX = Finding("asterisk.connection|asterisk main", "asterisk main", Reason("no connection: {why}", {"why": "refused"}))


def watched(wrong: list[tuple[float, float]], until: float, patience: float = PATIENCE) -> list[tuple[float, str]]:
    """Looks every 10 s; `wrong`: from when until when the PBX is away. Gives what was told when."""
    known: Known = {}
    told: list[tuple[float, str]] = []
    now = 0.0
    while now <= until:
        findings = [PBX] if any(begin <= now < end for begin, end in wrong) else []
        news = look(known, findings, now, patience)
        known = {key: Trouble.from_json(json.loads(json.dumps(one.as_json()))) for key, one in news.known.items()}
        told += [(now, "wrong")] * len(news.began) + [(now, "right")] * len(news.over)
        now += 10.0
    return told


def test_what_lasts_is_told_once_and_its_end_once() -> None:
    assert watched([(0, 3600)], 10_000) == [(PATIENCE, "wrong"), (3600 + CALM, "right")]


def test_what_is_short_is_not_told() -> None:
    assert watched([(0, 290), (1000, 1290), (2000, 2290)], 5000) == []


def test_a_moment_of_health_is_no_end() -> None:
    assert watched([(0, 1000), (1030, 2000)], 5000) == [(300, "wrong"), (2060, "right")]


def test_what_flaps_is_told_ever_more_rarely() -> None:
    flaps = [(start, start + 400) for start in range(0, 86_000, 800)]
    told = watched(flaps, 86_000)
    assert 2 <= len(told) <= 6
    assert [what for _, what in told] == ["wrong", "right"] * (len(told) // 2) + ["wrong"] * (len(told) % 2)


def test_two_days_later_it_is_told_at_once_again() -> None:
    again = 3 * 86_400
    assert watched([(0, 1000), (again, again + 1000)], again + 2000)[2:] == [
        (again + 300, "wrong"),
        (again + 1060, "right"),
    ]


@given(st.lists(st.tuples(st.floats(0, 50_000), st.floats(0, 3000)), max_size=12), st.floats(1, 3000))
def test_whatever_happens_wrong_and_right_take_turns(spans: list[tuple[float, float]], patience: float) -> None:
    told = watched([(begin, begin + length) for begin, length in spans], 60_000, patience)
    assert all(what == ("wrong", "right")[place % 2] for place, (_, what) in enumerate(told))
    pauses = [later - sooner for (sooner, _), (later, _) in itertools.pairwise(told)]
    assert all(pause >= min(patience, CALM) for pause in pauses)


def test_the_words_hold_no_markup_of_others_and_are_short() -> None:
    hostile = Finding("a|b", "[URL=https://evil.example]main[/URL]\nb", Reason("{why}", {"why": "[b]x[/b]\n" * 500}))
    many = [hostile, *(Finding(f"a|{n}", f"asterisk {n}", Reason("away"), Reason("start it")) for n in range(40))]
    began = tuple((one, Trouble(one.subject, 0.0)) for one in many)
    words = message(News({}, began, (("x", Trouble("portal [main]", 0.0, gone=3700.0)),)), 4000.0, Telling())
    assert words.count("[") == 4, "our own two pairs of bold"
    assert f"and {41 - SHOWN} more" in words
    assert "1 h 1 min" in words
    assert len(words) < 3000
