"""The `perezvon` command."""

from perezvon.cli.main import app, main

__all__ = ["app", "main"]
