"""What can be set, asked, measured or returned is documented."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from perezvon.cli import app
from perezvon.cli.exits import MEANING, Exit
from perezvon.settings.docs import inner_section, markdown, section_model
from perezvon.settings.model import Settings
from perezvon.web import LeftOut, PbxStatus, PortalStatus, Status, UnknownLine, Unmapped
from perezvon.web.metrics import exposition
from perezvon.web.translations import catalog

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize(("file", "language"), [("settings.md", "en"), ("settings.ru.md", "ru")])
def test_the_documentation_of_the_settings_is_current(file: str, language: str) -> None:
    made = markdown(catalog("ru" if language == "ru" else "en").gettext)
    assert (DOCS / file).read_text(encoding="utf-8") == made, f"perezvon config docs --lang {language} > docs/{file}"


def test_every_setting_says_what_it_is() -> None:
    for section, field in Settings.model_fields.items():
        assert field.title, section
        assert field.description, section
        for path, inner in settings_of(section_model(field)[0], section):
            assert inner.title, f"{path} has no title"
            assert inner.description, f"{path} has no help"
            assert inner.examples or inner_section(inner), f"{path} has no example"


def settings_of(model: type[BaseModel], path: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        yield f"{path}.{name}", field
        if (below := inner_section(field)) is not None:
            yield from settings_of(below, f"{path}.{name}")


def commands(group: object, path: str) -> Iterator[tuple[str, object]]:
    for name, command in getattr(group, "commands", {}).items():
        yield f"{path} {name}", command
        yield from commands(command, f"{path} {name}")


def test_every_command_and_option_is_documented() -> None:
    text = (DOCS / "commands.md").read_text(encoding="utf-8")
    found = dict(commands(typer.main.get_command(app), "perezvon"))
    assert len(found) >= 11
    for name, command in found.items():
        assert f"`{name}`\n" in text, name
        for parameter in command.params:  # type: ignore[attr-defined]
            for option in parameter.opts:
                if option.startswith("--") and option != "--help":
                    assert f"`{option}" in text or f"{option} " in text, f"{name} {option}"


def test_every_exit_code_is_documented() -> None:
    text = (DOCS / "commands.md").read_text(encoding="utf-8")
    for code in Exit:
        assert f"| {code.value} | {code.name.lower()} | {MEANING[code]}" in text


def test_every_metric_is_documented() -> None:
    text = (DOCS / "metrics.md").read_text(encoding="utf-8")
    status = Status(
        "1",
        0,
        0,
        pbxs=(PbxStatus("p", "live", 0),),
        portals=(PortalStatus("p", "ready", 0),),
        unmapped=(Unmapped("p", "1", 1, 0),),
        unknown_lines=(UnknownLine("p", "+7495", 1, 0),),
        left_out=(LeftOut("p", "filters.clients.never", 1, 0),),
    )
    names = {line.split()[2] for line in exposition(status).decode().splitlines() if line.startswith("# TYPE")}
    assert "perezvon_pbx_connected" in names
    for name in names:
        assert f"`{name}`" in text or name.startswith("perezvon_process_"), name
