"""Hooks on the status page, in /status, in the metrics, and what is said of those in trouble."""

from __future__ import annotations

from dataclasses import replace

from test_web_app import NOW, WELL, Browser, Service, browser, password, service  # noqa: F401  fixtures

from perezvon.customisation import CustomisationStatus, PointStatus
from perezvon.doctor import State
from perezvon.rules import Reason
from perezvon.web.metrics import exposition
from perezvon.web.troubles import troubles

GOOD = PointStatus("need_registration", "hooks.py:3", asked=10, changed=2)
TIRED = PointStatus(
    "process_final_params", "hooks.py:9", until=NOW + 60, asked=3, failed=3, last_error="no answer", last_error_at=NOW
)
BAD = PointStatus(
    "customize_menu", "menu.py:1", asked=5, failed=1, last_error="menu.py:2: KeyError: 1", last_error_at=NOW - 60
)
OLD = replace(BAD, last_error_at=NOW - 86400)
BROKEN = (Reason("customisation: a.py is not loaded: a.py:1: invalid syntax"), Reason("correct the file"))


def told(*points: PointStatus, trouble: bool = False) -> list[tuple[str, str, State]]:
    status = replace(WELL, customisation=CustomisationStatus("/hooks", points, (BROKEN,) if trouble else (), NOW))
    found = [check for check in troubles(status) if check.name.startswith("customisation")]
    return [(check.name, str(check.seen), check.state) for check in found]


def test_well() -> None:
    assert told(GOOD, OLD) == []


def test_troubles() -> None:
    (one,) = told(GOOD, TIRED)
    assert (one[0], one[2]) == ("customisation.left_alone", State.WARNING)
    assert "process_final_params is not asked until" in one[1]
    assert told(BAD) == [
        (
            "customisation.failed",
            "customisation customize_menu has failed 1 times, the last: menu.py:2: KeyError: 1",
            State.WARNING,
        )
    ]
    assert [name for name, *_ in told(trouble=True)] == ["customisation.files"]


def test_json_and_metrics() -> None:
    status = replace(WELL, customisation=CustomisationStatus("/hooks", (GOOD, TIRED), (BROKEN,), NOW))
    body = status.as_json()["customisation"]
    assert body["points"][0]["place"] == "hooks.py:3"
    assert body["points"][1]["until"].endswith("+00:00")
    assert body["troubles"] == [["customisation: a.py is not loaded: a.py:1: invalid syntax", "correct the file"]]
    text = exposition(status).decode()
    assert 'perezvon_hook_asked_total{point="need_registration"} 10.0' in text
    assert 'perezvon_hook_failed_total{point="process_final_params"} 3.0' in text
    assert 'perezvon_hook_left_alone{point="process_final_params"} 1.0' in text


async def test_the_page_shows_them(browser: Browser, service: Service) -> None:  # noqa: F811
    service.now = replace(WELL, customisation=CustomisationStatus("/hooks", (GOOD, TIRED, replace(BAD, on=False)), (), NOW))
    _status, page = await browser.get("/?lang=ru")
    for word in ("Кастомизация", "need_registration", "hooks.py:9", "не вызывается до", "выключена", "no answer"):
        assert word in page
    service.now = WELL
    assert "Кастомизация" not in (await browser.get("/?lang=ru"))[1]
