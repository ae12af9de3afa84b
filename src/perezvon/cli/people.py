"""`perezvon people`: who may sign in to the pages, for the administrator who cannot."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from perezvon.cli.exits import Exit, Refusal, kindly
from perezvon.cli.installation import opened, who
from perezvon.cli.options import DEFAULT_BIND, DEFAULT_DATA_DIR, DataDir, Json, Verbose
from perezvon.cli.speech import Speech
from perezvon.settings.errors import told
from perezvon.storage.people import Person
from perezvon.web.people import Actor, People, PeopleError
from perezvon.web.rights import Role

app = typer.Typer(no_args_is_help=True, help="People: who may sign in to the pages.")

Login = Annotated[str, typer.Argument(help="What is typed when signing in.", metavar="LOGIN")]
Url = Annotated[
    str, typer.Option("--url", help="Where the pages are, as the person's browser reaches them.", metavar="URL")
]
DEFAULT_URL = f"http://{DEFAULT_BIND}"


@app.command()
@kindly
def add(
    login: Login,
    role: Annotated[Role, typer.Option("--role", help="What the person may do.")] = Role.OBSERVER,
    name: Annotated[str, typer.Option("--name", help="The person's name.", metavar="NAME")] = "",
    url: Url = DEFAULT_URL,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Add a person, and print the one-time link with which the password is set."""
    speech = Speech(as_json=json)
    _tell(speech, url, *_run(data_dir, speech, lambda people, actor: people.add(login, name, role, actor)))


@app.command()
@kindly
def reset(
    login: Login,
    url: Url = DEFAULT_URL,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Take password, second factor and sessions away from a person who is locked out, and print a new one-time link."""
    speech = Speech(as_json=json)
    _tell(speech, url, *_run(data_dir, speech, lambda people, actor: people.reset(login, actor)))


@app.command("list")
@kindly
def list_(data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False, verbose: Verbose = False) -> None:
    """Show who may sign in."""
    speech = Speech(as_json=json)
    everybody = _run(data_dir, speech, lambda people, _: people.everybody())
    speech.answer({"people": [_as_json(one) for one in everybody]})
    for one in everybody:
        states = [one.role]
        states += [] if one.active else ["switched off"]
        states += [] if one.password else ["no password yet"]
        states += ["Second factor"] if one.totp else []
        named = f"{one.login} ({one.name})" if one.name else one.login
        speech.say(f"{named}: {', '.join(speech.translate(state) for state in states)}")
    if not everybody:
        speech.say(speech.translate("Nobody has been added yet."))


def _run(data_dir: Path, speech: Speech, work: Callable[[People, Actor], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with opened(data_dir, make=True) as installation:
            people = People(installation.database, installation.box, time.time)
            return await work(people, Actor(who(), "command line"))

    try:
        return asyncio.run(run())
    except PeopleError as error:
        raise Refusal(told(error.reason, speech.translate), Exit.USAGE) from None


def _tell(speech: Speech, url: str, one: Person, link: str) -> None:
    address = f"{url.rstrip('/')}/welcome/{link}"
    speech.answer({"login": one.login, "role": one.role, "link": address})
    speech.say(
        speech.translate("{login} ({role}): this link is good once, within a day:").format(login=one.login, role=one.role)
    )
    speech.say(address, "bold")


def _as_json(one: Person) -> dict[str, Any]:
    return {
        "login": one.login,
        "name": one.name,
        "role": one.role,
        "active": one.active,
        "password": bool(one.password),
        "second_factor": one.totp is not None,
        "created": datetime.fromtimestamp(one.created, UTC).isoformat(timespec="seconds"),
    }
