"""`perezvon erase`: forgets one client, and says what is left of him elsewhere."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perezvon.calls import Numbering
from perezvon.cli.exits import Exit, Refusal, kindly
from perezvon.cli.installation import opened
from perezvon.cli.options import DEFAULT_DATA_DIR, DataDir, Json, Verbose
from perezvon.cli.speech import Speech
from perezvon.storage.erasing import Whose

if TYPE_CHECKING:
    from perezvon.service.erasure import Found

SHORTEST = 7
"""Digits of a number below which too many others would be taken for it."""


@kindly
def erase(
    client: Annotated[str, typer.Option("--client", help="The client's number.", metavar="NUMBER")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be erased; write nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    pbx_files: Annotated[bool, typer.Option("--pbx-files", help="The PBX's own recordings of the client, too.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also calls that the portal has not been told of completely.")
    ] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Erase a client's recordings and personal data here; say what is left in the portal and elsewhere."""
    speech = Speech(as_json=json)
    if json and not (yes or dry_run):
        raise Refusal("with --json nobody can be asked: add --yes, or --dry-run", Exit.USAGE)
    asyncio.run(_work(data_dir, client, speech, dry_run=dry_run, yes=yes, pbx_files=pbx_files, force=force))


async def _work(
    data_dir: DataDir, client: str, speech: Speech, *, dry_run: bool, yes: bool, pbx_files: bool, force: bool
) -> None:
    from perezvon.service.erasure import Erasure  # noqa: PLC0415  other commands do without

    async with opened(data_dir, as_owner=True) as installation:
        settings = (await installation.store.load()).settings
        full = Numbering(region=settings.calls.region).international(client)
        whose = Whose.of(full or client)
        if len(whose.digits) < SHORTEST:
            raise Refusal(f"--client {client!r} is no number that could be told from others", Exit.USAGE)
        erasure = Erasure(installation.database, settings, data_dir, whose)
        found = await erasure.find(force=force)
        _show(found, whose, speech, pbx_files=pbx_files)
        erased, failed = False, list[str]()
        if not dry_run and not found.nothing and (yes or _agreed(speech)):
            failed = await erasure.erase(found, pbx_files=pbx_files)
            erased = True
    _end(found, whose, speech, erased=erased, dry_run=dry_run, failed=failed, pbx_files=pbx_files)


def _agreed(speech: Speech) -> bool:
    return typer.confirm(speech.translate("Erase all this for good?"), err=True)


def _show(found: Found, whose: Whose, speech: Speech, *, pbx_files: bool) -> None:
    _ = speech.translate
    speech.say(_("Client {number}").format(number=whose.forms[0]), "bold")
    if found.nothing:
        speech.say(_("Nothing is kept of this client."))
        return
    told = {
        _("calls"): len(found.calls),
        _("recordings here"): len(found.files),
        _("recordings on the PBX"): len(found.pbx_files) if pbx_files else 0,
        _("other entries"): sum(found.rows.values()) + len(found.lanes),
    }
    for what, count in told.items():
        speech.say(f"  {what}: {count}")


def _end(
    found: Found, whose: Whose, speech: Speech, *, erased: bool, dry_run: bool, failed: list[str], pbx_files: bool
) -> None:
    _ = speech.translate
    left = list(_left(found, speech, pbx_files=pbx_files))
    speech.answer(
        {
            "client": whose.forms[0],
            "dry_run": dry_run,
            "erased": erased,
            "calls": found.calls,
            "waiting": found.waiting,
            "files": [str(file) for file in found.files],
            "pbx_files": [str(file) for file in found.pbx_files],
            "entries": {**found.rows, "missed lanes": len(found.lanes)},
            "portal": [asdict(one) for one in found.portal],
            "copies": [str(file) for file in found.copies],
            "in_settings": found.in_settings,
            "failed": failed,
        }
    )
    if erased:
        speech.say(_("Erased."), "green")
    elif dry_run:
        speech.say(_("Nothing was written (--dry-run)."))
    if not found.nothing and left:
        speech.say(_("Left, to be deleted there:"), "bold")
        for line in left:
            speech.say(f"  {line}")
    for line in failed:
        speech.complain(_("could not be deleted: {what}").format(what=line))
    if failed or (erased and found.waiting):
        raise typer.Exit(Exit.PROBLEM)


def _left(found: Found, speech: Speech, *, pbx_files: bool) -> Any:
    _ = speech.translate
    if found.waiting:
        text = _("{count} calls that are not over, or not with the portal yet: run this again later (or --force)")
        yield text.format(count=len(found.waiting))
    for one in found.portal:
        what = [f"CALL_ID {one.call}"]
        what += [_("activity {id}").format(id=one.activity)] if one.activity else []
        what += [one.entity] if one.entity else []
        what += [_("recording {id}").format(id=one.file)] if one.file else []
        yield _("portal {portal}: {what}").format(portal=one.portal, what=", ".join(what))
    if found.portal:
        yield _("the portal's contacts, leads, deals, tasks and chats with this number")
    if found.pbx_files and not pbx_files:
        yield _("{count} recordings on the PBX (--pbx-files), e.g. {file}").format(
            count=len(found.pbx_files), file=found.pbx_files[0]
        )
    yield _("the PBX's own call logs (CDR, CEL, queue_log), voice mail and log files; this service's log (journalctl)")
    for file in found.copies:
        yield _("a copy of the database, made before an upgrade: {file}").format(file=file)
    yield _("backups of the database that were made before")
    if found.in_settings:
        yield _("the settings and their history, where the number stands in a list")
