"""What the READMEs, the guides, the Makefile and the systemd unit show is there, and the first example works as it stands."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer
from typer.testing import CliRunner

import perezvon.sandbox.__main__ as sandbox
from perezvon.cli import app

ROOT = Path(__file__).resolve().parents[1]
READMES = [ROOT / "README.md", ROOT / "README.ru.md"]
PAGES = [*READMES, *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def spans(page: Path) -> list[str]:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`]+)`", text)


def shown(page: Path) -> Iterator[list[str]]:
    """Every command that a page shows, without comments, as words."""
    for line in [*"".join(blocks(page, "sh")).splitlines(), *spans(page)]:
        if re.match(r"(make|perezvon|\.venv/bin/perezvon) \S", line):
            yield shlex.split(line, comments=True)


def wrong_with(words: list[str]) -> str:
    """Why a `perezvon …` cannot be typed; empty when it can."""
    command: click.Command = typer.main.get_command(app)
    for at, word in enumerate(words[1:], 1):
        if isinstance(command, click.Group) or hasattr(command, "commands"):
            if word.isupper() or word == "…":
                return ""
            if word == "sandbox":
                command = typer.main.get_command(sandbox.app)
            elif (inner := command.commands.get(word)) is not None:  # type: ignore[attr-defined]
                command = inner
            elif word not in ("--help", "-h"):
                return f"no command {word!r} in {shlex.join(words)}"
            continue
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        missing = [option for option in words[at:] if option.startswith("-") and len(option) > 1 and option not in known]
        return f"{shlex.join(words)} has no option {missing}" if missing else ""
    return ""


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_is_shown_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for words in shown(page):
        if words[0] == "make":
            called = [word for word in words[1:] if "=" not in word]
            assert set(called) <= targets, shlex.join(words)
        else:
            assert not wrong_with(words)


def test_what_does_not_exist_is_noticed() -> None:
    assert "servee" in wrong_with(["perezvon", "servee"])
    assert "--bindd" in wrong_with(["perezvon", "serve", "--bindd", "x"])
    assert "--asteriskk" in wrong_with(["perezvon", "sandbox", "demo", "--asteriskk", "x"])
    assert not wrong_with(["perezvon", "config", "apply", "my.toml", "--data-dir", "x"])
    assert len([words for page in READMES for words in shown(page)]) >= 16


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        goal = (page.parent / file).resolve() if file else page
        assert goal.exists(), target
        if anchor and goal.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", goal.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
            assert anchor in anchors, target


def test_both_languages_show_the_same() -> None:
    english, russian = ([bare(block) for block in blocks(page, "sh")] for page in READMES)
    assert english == russian
    english_toml, russian_toml = (tomllib.loads(*blocks(page, "toml")) for page in READMES)
    assert english_toml == russian_toml


def bare(block: str) -> list[list[str]]:
    return [shlex.split(line, comments=True) for line in block.splitlines()]


@pytest.mark.parametrize("page", READMES, ids=lambda page: page.name)
def test_the_first_settings_can_be_saved(page: Path, tmp_path: Path) -> None:
    (example,) = blocks(page, "toml")
    file = tmp_path / "my.toml"
    file.write_text(example, encoding="utf-8")
    runner = CliRunner(env={"LC_ALL": "C.UTF-8", "AMI_SECRET": "hunter2", "B24_SECRET": "hunter3"})
    saved = runner.invoke(app, ["config", "apply", str(file), "--data-dir", str(tmp_path / "data")])
    assert saved.exit_code == 0, saved.output
    exported = runner.invoke(app, ["config", "export", "--data-dir", str(tmp_path / "data")])
    kept = tomllib.loads(exported.stdout)
    for section, entries in tomllib.loads(example).items():
        assert [given.items() - entry.items() for given, entry in zip(entries, kept[section], strict=True)] == [set()]


def test_the_unit_starts_a_command_that_exists() -> None:
    unit = (ROOT / "deploy/perezvon.service").read_text()
    (started,) = re.findall(r"^ExecStart=(.+)$", unit, re.MULTILINE)
    words = shlex.split(started)
    assert Path(words[0]).name == "perezvon"
    assert not wrong_with(words)
    folder = words[words.index("--data-dir") + 1]
    assert f"StateDirectory={Path(folder).name}\n" in unit
    assert folder == f"/var/lib/{Path(folder).name}"
