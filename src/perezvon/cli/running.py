"""`perezvon serve`, `backup`, `version`, `sandbox`."""

from __future__ import annotations

import asyncio
import os
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Annotated

import structlog
import typer

from perezvon import __version__
from perezvon.cli.exits import Exit, Refusal, kindly
from perezvon.cli.installation import opened
from perezvon.cli.options import DEFAULT_BIND, DEFAULT_DATA_DIR, DataDir, Json, Verbose
from perezvon.cli.speech import Speech
from perezvon.settings.customisation import FOLDER
from perezvon.settings.place import POINTER
from perezvon.settings.secrets import KEY_FILE
from perezvon.storage.database import SQLITE_FILE

log = structlog.get_logger(__name__)


@kindly
def serve(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    bind: Annotated[
        str,
        typer.Option(
            "--bind", envvar="PEREZVON_BIND", help="Where the pages and the events handler listen.", metavar="HOST:PORT"
        ),
    ] = DEFAULT_BIND,
    verbose: Verbose = False,
) -> None:
    """Run the service until SIGTERM or Ctrl-C. SIGHUP makes it look for new settings at once."""
    from perezvon.service import front, run  # noqa: PLC0415  the house is large, and other commands do without

    try:
        asyncio.run(run.serve(data_dir, bind))
    except front.CannotBind as error:
        raise Refusal(str(error), Exit.UNAVAILABLE) from None


@kindly
def backup(
    file: Annotated[Path, typer.Argument(help="The archive to write (tar.gz, mode 0600).", metavar="FILE")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
    force: Annotated[bool, typer.Option("--force", help="Write over an older file.")] = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Copy the database (also while the service runs), the key file and customisation/ into one archive. Keep it safe: it
    holds secrets.

    To restore: stop the service, unpack it into an empty data directory, start the service.
    """
    speech = Speech(as_json=json)
    if file.exists() and not force:
        raise Refusal(f"{file} exists: name another file, or add --force", Exit.USAGE)
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)

    async def work(copy: Path) -> None:
        async with opened(data_dir) as installation:
            if installation.database.url.get_backend_name() != "sqlite":
                url = installation.database.url.render_as_string(hide_password=True)
                raise Refusal(
                    f"the database is in PostgreSQL: pg_dump -Fc {url} > FILE; and copy {data_dir / KEY_FILE}", Exit.USAGE
                )
            with speech.err.status("backup", spinner="line"):
                await installation.database.backup(copy)

    try:
        with os.fdopen(descriptor, "wb") as raw, tempfile.TemporaryDirectory(prefix="perezvon-backup-") as folder:
            copy = Path(folder) / SQLITE_FILE
            asyncio.run(work(copy))
            with tarfile.open(fileobj=raw, mode="w:gz") as archive:
                archive.add(copy, SQLITE_FILE)
                for name in (KEY_FILE, POINTER, FOLDER):
                    if (data_dir / name).exists():
                        archive.add((data_dir / name).resolve(), name, filter=_worth_keeping)
            raw.flush()
            os.fsync(raw.fileno())
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)
    size = file.stat().st_size
    speech.answer({"file": str(file), "bytes": size})
    speech.say(
        speech.translate("{file}: {size} bytes. It holds secrets: keep it safe.").format(file=file, size=size), "green"
    )


def _worth_keeping(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if entry.name.endswith("/__pycache__") else entry


@kindly
def version(json: Json = False, verbose: Verbose = False) -> None:
    """Print the version."""
    speech = Speech(as_json=json)
    speech.answer({"version": __version__, "python": sys.version.split()[0]})
    speech.say(f"Perezvon {__version__} (Python {sys.version.split()[0]})")


def sandbox(context: typer.Context) -> None:
    """The demo: a real Asterisk in a folder and a pretend Bitrix24. Its own options: perezvon sandbox --help."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "perezvon.sandbox", *context.args])  # noqa: S606  our own program
