"""Templates of missed calls' tasks are checked when they are saved."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from perezvon.settings.missed import MissedSettings


@pytest.mark.parametrize(
    "text", ["", "{client}{again}", "Call {name} at {time}, {date}; {rung} {count} {queue} {waited} {line}"]
)
def test_good_templates(text: str) -> None:
    assert MissedSettings(title=text, description=text + "\nsecond line").title == text


@pytest.mark.parametrize(
    "text",
    ["{nobody}", "{client.__class__}", "{client!r}", "{client:>999999999}", "{}", "{0}", "{client", "{{client}}", "a\x00b", "x" * 3000],
)  # fmt: skip
def test_bad_templates(text: str) -> None:
    for name in ("title", "description", "comment"):
        with pytest.raises(ValidationError):
            MissedSettings.model_validate({name: text})


def test_a_title_is_one_line() -> None:
    with pytest.raises(ValidationError):
        MissedSettings(title="a\nb")
