"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_DATA_DIR = Path("/var/lib/perezvon")
DEFAULT_BIND = "127.0.0.1:8077"

DataDir = Annotated[
    Path,
    typer.Option(
        "--data-dir", envvar="PEREZVON_DATA_DIR", help="Where Perezvon keeps its database and its key file.", metavar="DIR"
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show what is done, and tracebacks of errors.")]
