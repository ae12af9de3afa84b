"""`perezvon customisation`: the integrator's own functions: which there are, one tried on a stored call, a new one."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from json import JSONDecodeError, dumps, loads
from pathlib import Path
from typing import Annotated, Any

import typer

from perezvon.cli.exits import Exit, Refusal, answering
from perezvon.cli.installation import Installation, opened
from perezvon.cli.options import DEFAULT_DATA_DIR, DataDir, Json, Verbose
from perezvon.cli.speech import Speech
from perezvon.customisation import POINTS, Answer, Customiser, Fate, Point
from perezvon.customisation.answer import difference
from perezvon.settings.errors import told
from perezvon.settings.model import Settings

app = typer.Typer(no_args_is_help=True, help="Customisation: the integrator's own Python functions.")

_STYLES = {Fate.CHANGED: "green", Fate.CANCELLED: "yellow", Fate.FAILED: "red"}


@app.command("list")
@answering
def list_(data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False, verbose: Verbose = False) -> None:
    """Show all points, the functions that are asked at them, and what is wrong with the files."""
    speech = Speech(as_json=json)

    async def work() -> Customiser:
        async with opened(data_dir, as_owner=True) as installation, _customiser(installation) as (customiser, _settings):
            return customiser

    customiser = asyncio.run(work())
    status = customiser.status()
    found = {point.name: point for point in status.points}
    _ = speech.translate
    troubles = [(told(seen, _), told(fix, _)) for seen, fix in status.troubles]
    speech.answer(
        {
            "folder": status.folder,
            "points": [
                {
                    "name": point.value,
                    "when": rules.title,
                    "function": found[point].place if point in found else None,
                    "on": point not in customiser.limits.off,
                    "seconds": customiser.limits.of(point),
                    "cancels": rules.cancels,
                }
                for point, rules in POINTS.items()
            ],
            "troubles": [{"seen": seen, "fix": fix} for seen, fix in troubles],
        }
    )
    speech.say(_("Folder: {folder}").format(folder=status.folder), "bold")
    for point, rules in POINTS.items():
        if point not in found:
            speech.say(f"  {point.value}: {_(rules.title)}", "dim")
            continue
        off = f" ({_('switched off')})" if point in customiser.limits.off else ""
        speech.say(f"✓ {point.value}: {found[point].place}{off}", "green")
    for seen, fix in troubles:
        speech.say(f"! {seen}", "yellow")
        speech.say(f"    → {fix}")
    if troubles:
        raise typer.Exit(Exit.PROBLEM)


@app.command()
@answering
def test(
    point: Annotated[str, typer.Argument(help="The point whose function is tried.", metavar="POINT")],
    call: Annotated[str, typer.Option("--call", help="A stored call; the last one, if not given.", metavar="ID")] = "",
    data: Annotated[
        Path | None, typer.Option("--input", help="What the function is given instead, as a JSON file.", metavar="FILE")
    ] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Run a point's function on a stored call and show what it changes. Nothing is sent or stored, but what the function
    itself does is done."""
    speech = Speech(as_json=json)
    chosen = _point(point)

    async def work() -> list[tuple[Mapping[str, Any], Answer]]:
        from perezvon.service.customisation_trial import TrialUnfit, tried  # noqa: PLC0415  the house is large

        given = _read(data) if data is not None else None
        async with opened(data_dir, as_owner=True) as installation:
            settings = (await installation.store.load()).settings
            try:
                found = await tried(installation.database, settings, data_dir, chosen, call, given)
            except TrialUnfit as unfit:
                raise Refusal(str(unfit).strip(), Exit.USAGE) from None
            return [(trial.given, trial.answer) for trial in found]

    answers = asyncio.run(work())
    subject = POINTS[chosen].subject
    speech.answer(
        [
            {
                "given": one,
                "fate": answer.fate.value,
                "answer": answer.value,
                "note": None if answer.note is None else str(answer.note),
                "printed": answer.printed,
                "seconds": round(answer.seconds, 4),
            }
            for one, answer in answers
        ]
    )
    _ = speech.translate
    if not answers:
        speech.say(_("In this call the function would not have been asked."), "yellow")
    for one, answer in answers:
        stage = f" [{one['stage']}]" if "stage" in one else ""
        took = f"{answer.seconds * 1000:.0f} ms"
        speech.say(f"{chosen.value}{stage}: {_(answer.fate.value)}, {took}", _STYLES.get(answer.fate, ""))
        if answer.fate is Fate.CHANGED:
            speech.say(textwrap.indent(difference(one.get(subject, {}), answer.value).replace("; ", "\n"), "    "))
        elif answer.note is not None:
            speech.say(f"    {answer.note}")
        if answer.printed:
            speech.say(textwrap.indent(answer.printed.rstrip(), "    | "))
    if any(answer.fate is Fate.FAILED for _one, answer in answers):
        raise typer.Exit(Exit.PROBLEM)


@app.command()
@answering
def new(
    point: Annotated[str, typer.Argument(help="The point.", metavar="POINT")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Write a file with an empty function for a point, and an example of what it is given. An older file stays."""
    speech = Speech(as_json=json)
    chosen = _point(point)

    async def folder() -> Path:
        async with opened(data_dir) as installation:
            return (await installation.store.load()).settings.customisation.place(data_dir)

    place = asyncio.run(folder())
    file = place / f"{chosen.value}.py"
    if file.exists():
        raise Refusal(f"{file} is there already", Exit.USAGE)
    place.mkdir(parents=True, exist_ok=True)
    file.write_text(pattern(chosen), encoding="utf-8")
    speech.answer({"file": str(file)})
    speech.say(speech.translate("Written: {file}").format(file=file), "green")


def pattern(point: Point) -> str:
    """A function that changes nothing."""
    rules = POINTS[point]
    back = f'data["{rules.subject}"]' if rules.subject else "True" if point is Point.NEED_REGISTRATION else "None"
    cancels = "\n\nReturn None to cancel what would follow." if rules.cancels and rules.subject else ""
    example = textwrap.indent(dumps(rules.sample, indent=4, ensure_ascii=False), "#     ")
    return (
        f'"""Asked {rules.title}.{cancels}\n"""\n\n\ndef {point.value}(data):\n    return {back}\n\n\n'
        f"# An example of data:\n#\n{example}\n"
    )


@asynccontextmanager
async def _customiser(installation: Installation) -> AsyncGenerator[tuple[Customiser, Settings]]:
    settings = (await installation.store.load()).settings
    customiser = Customiser(settings.customisation.place(installation.data_dir), settings.customisation.limits())
    try:
        await customiser.open()
        yield customiser, settings
    finally:
        await customiser.close()


def _point(name: str) -> Point:
    try:
        return Point(name)
    except ValueError:
        raise Refusal(f"there is no point {name}; known: {', '.join(POINTS)}", Exit.USAGE) from None


def _read(file: Path) -> dict[str, Any]:
    try:
        found = loads(file.read_text(encoding="utf-8"))
    except (JSONDecodeError, UnicodeDecodeError) as error:
        raise Refusal(f"{file} is no JSON: {error}", Exit.USAGE) from None
    if not isinstance(found, dict):
        raise Refusal(f"{file} holds no object", Exit.USAGE)
    return found  # pyright: ignore[reportUnknownVariableType]
