"""The log: one line an event, no secret in it, whatever the values are."""

from __future__ import annotations

import asyncio
import io
import json
import logging

import pytest
import structlog

from perezvon import log
from perezvon.settings import Settings


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_transition_is_one_json_line() -> None:
    stream = io.StringIO()
    log.set_up("info", "json", stream)
    structlog.get_logger("perezvon.pbx").info("connecting -> connected", pbx="main", name="Иван")
    logging.getLogger("aiohttp.client").warning("retry %d", 3)
    ours, theirs = lines(stream)
    assert (ours["event"], ours["pbx"], ours["name"], ours["level"]) == ("connecting -> connected", "main", "Иван", "info")
    assert theirs["event"] == "retry 3"
    assert "Иван" in stream.getvalue()


@pytest.mark.parametrize("form", ["json", "console"])
def test_secrets_are_in_no_line(form: log.Format) -> None:
    stream = io.StringIO()
    log.set_up("debug", form, stream)
    log.hide({"hunter2"})
    told = structlog.get_logger()
    told.info("asked https://a.bitrix24.ru/rest/1/hunter3/user.get.json", url="tcp://u:hunter4@h", token="hunter5")
    told.info("answer", body={"access_token": "hunter6", "nested": [{"auth": "hunter7"}]}, text="is hunter2 really")
    told.info("object", thing=ValueError("auth=hunter8"), raw='{"refresh_token":"hunter9"}')
    logging.getLogger("uvicorn.error").error("GET /?auth=hunter3")
    try:
        raise ConnectionError("https://a.bitrix24.ru/rest/1/hunter3/x")
    except ConnectionError:
        told.exception("failed")
    assert "failed" in stream.getvalue()
    assert "hunter" not in stream.getvalue()


def test_an_exception_is_one_line_with_its_causes_and_places() -> None:
    def inner() -> None:
        raise KeyError("x")

    stream = io.StringIO()
    log.set_up("info", "json", stream)
    try:
        try:
            inner()
        except KeyError as error:
            raise ValueError("two\nlines") from error
    except ValueError:
        structlog.get_logger().exception("failed")
    (line,) = lines(stream)
    told = str(line["exception"])
    assert told.startswith("ValueError: two lines (")
    assert "<- KeyError: 'x' (" in told
    assert "inner)" in told
    assert "traceback" not in line


async def test_a_group_of_exceptions_tells_all_of_them() -> None:
    async def fail(why: str) -> None:
        raise OSError(why)

    async def both() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail("one"))
            group.create_task(fail("two"))

    # In a task of its own: Python before 3.11.4 leaves the task of a failed group marked as being cancelled.
    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.create_task(both(), name="both")
    told = log.told(caught.value)
    assert "OSError: one" in told
    assert "OSError: two" in told


def test_a_hostile_name_makes_no_second_line() -> None:
    stream = io.StringIO()
    log.set_up("info", "console", stream)
    structlog.get_logger().info("call started", name="Bob\n2026-01-01 [error] owned \x1b[31m")
    assert len(stream.getvalue().splitlines()) == 1
    assert "\x1b" not in stream.getvalue()


def test_the_level_can_be_changed_while_running() -> None:
    stream = io.StringIO()
    told = structlog.get_logger()
    log.set_up("info", "json", stream)
    told.debug("hidden")
    log.set_up("debug", "json", stream)
    told.debug("shown")
    assert [line["event"] for line in lines(stream)] == ["shown"]


def test_the_settings_say_how(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(
        Settings.model_validate_json('{"log": {"level": "warning", "format": "json"}, "web": {"password": "hunter2"}}')
    )
    structlog.get_logger().info("hidden")
    structlog.get_logger().warning("is hunter2 really")
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["event"] == "is *** really"
