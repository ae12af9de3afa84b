"""The wizard's first step: the AMI login as typed, tried, saved; and our files in the PBX's configuration.

Touches the PBX (reading only) and, when told to, the folder of its configuration.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import socket
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import structlog

from perezvon.asterisk.address import DEFAULT_PORTS
from perezvon.asterisk.probe import Probe, probe_pbx
from perezvon.asterisk.wiring.comparison import State as FileState
from perezvon.asterisk.wiring.comparison import compare, unified
from perezvon.asterisk.wiring.errors import WiringError
from perezvon.asterisk.wiring.includes import includes, is_freepbx
from perezvon.asterisk.wiring.installation import install, refuse_foreign
from perezvon.asterisk.wiring.loading import Unreachable, load
from perezvon.doctor.check import Check, State
from perezvon.doctor.pbx import told
from perezvon.doctor.wiring import contents
from perezvon.rules.vocabulary import Reason
from perezvon.service.setup_book import SetupBook
from perezvon.settings.errors import SettingsError, Wrong
from perezvon.settings.model import Settings
from perezvon.settings.pbx import AsteriskSettings
from perezvon.settings.urls import AmiUrl
from perezvon.web.setup_desk import CONTEXTS, AsteriskForm, AsteriskTried, Place, Unfit, WiringDone, WiringOffer

log = structlog.get_logger(__name__)

PATIENCE = 6.0
"""Seconds for the PBX's answers while one types."""

_HOST = re.compile(r"[A-Za-z0-9._:-]{1,253}")
_USER = re.compile(r"[A-Za-z0-9._-]{1,64}")
_RELOAD = 'asterisk -rx "manager reload"'
_READ_FIRST = Reason("the folder has no manager.conf: it is not that of an Asterisk's configuration")


class AsteriskSetup:
    def __init__(self, book: SetupBook) -> None:
        self._book = book

    @property
    def _saved(self) -> AsteriskSettings | None:
        return next(iter(self._book.settings.asterisk), None)

    async def form(self, *, live: bool) -> AsteriskForm:
        """`live`: the PBX is connected with what is saved; then no secret of ours is shown any more."""
        draft, saved = await self._book.draft(Place.ASTERISK), self._saved
        form = _of_settings(saved) if saved is not None else AsteriskForm()
        known = {name: draft[name] for name in ("host", "port", "user", "etc", "context") if name in draft}
        form = replace(form, **known, tls=draft.get("tls", "yes" if form.tls else "") == "yes")
        made = draft.get("made", "")
        if saved is None and not made:
            made = secrets.token_urlsafe(24)
            await self._book.keep(Place.ASTERISK, {**draft, "made": made})
        return replace(form, made="" if live else made, secret="", typed="secret" in draft)

    async def another_secret(self) -> None:
        draft = await self._book.draft(Place.ASTERISK)
        draft.pop("secret", None)
        await self._book.keep(Place.ASTERISK, {**draft, "made": secrets.token_urlsafe(24)})

    async def tried(self, form: AsteriskForm) -> AsteriskTried:
        await self._keep(form)
        try:
            address = (await self._url(form)).ami()
        except Unfit as unfit:
            return AsteriskTried(tuple(Check("ami.form", _subject(), State.WARNING, one) for one in unfit.reasons))
        except SettingsError as error:
            return AsteriskTried((Check("ami.secret", _subject(), State.PROBLEM, error.reason),))
        wanted = dict.fromkeys((form.context, *CONTEXTS))
        found = await probe_pbx(address, contexts=wanted, timeout=PATIENCE)
        there = tuple(name for name in wanted if found.contexts.get(name))
        narrowed = replace(
            found, contexts={name: is_there for name, is_there in found.contexts.items() if name == form.context}
        )
        comes_from = await asyncio.to_thread(our_address, form.host)
        checks = (plainly(found, form, comes_from),)
        if found.logged_in:
            checks = tuple(told(narrowed, _subject(), form.user, form.context))
        works = found.booted and not found.problem and not found.missing_actions and not found.missing_read
        return AsteriskTried(checks, works, found.asterisk or "", there, comes_from)

    async def save(self, form: AsteriskForm, who: str, wiring: Mapping[str, Any] | None = None) -> None:
        url = await self._url(form)
        values: dict[str, Any] = {"ami": url.raw, "originate_context": form.context}
        given: dict[str, Any] = dict(wiring or {})
        if form.etc != self._etc:
            given["etc"] = form.etc
        if given:
            values["wiring"] = given
        await self._book.save_first("asterisk", values, who, Place.ASTERISK)
        made = (await self._book.draft(Place.ASTERISK)).get("made", "")
        await self._book.keep(Place.ASTERISK, {"made": made} if made and made in url.raw else {})

    async def offer(self, form: AsteriskForm) -> WiringOffer:
        try:
            settings = await self._with_wiring(form)
            return await asyncio.to_thread(_offer, settings, Path(form.etc))
        except Unfit as unfit:
            return WiringOffer(form.etc, unfit.reasons[0])
        except SettingsError as error:
            return WiringOffer(form.etc, error.reason)

    async def write(self, form: AsteriskForm, who: str) -> WiringDone:
        etc = Path(form.etc)
        settings = await self._with_wiring(form)
        try:
            files = await asyncio.to_thread(_write, settings, etc)
        except (WiringError, SettingsError) as error:
            raise Unfit((error.reason,)) from None
        except OSError as error:
            told = {"file": str(error.filename or etc), "why": error.strerror or str(error)}
            raise Unfit((Reason("{file} cannot be written: {why}", told),)) from None
        log.info("wizard: the PBX's configuration written", folder=str(etc), files=list(files), who=who)
        pbx = settings.asterisk[0]
        await self.save(form, who, {"accounts": pbx.wiring.accounts})
        try:
            read = await load(pbx.ami.ami(), [name.rpartition("/")[2] for name in files])
        except Unreachable:
            return WiringDone(files, Reason("Asterisk has to read them now: asterisk -rx 'core reload'"))
        if read.missing:
            missing = {"files": ", ".join(read.missing)}
            return WiringDone(files, Reason("Asterisk has not read {files}: its log tells why", missing))
        return WiringDone(files)

    # ---- what was typed

    @property
    def _etc(self) -> str:
        return self._saved.wiring.etc if self._saved is not None else AsteriskForm().etc

    async def _keep(self, form: AsteriskForm) -> None:
        draft = await self._book.draft(Place.ASTERISK)
        typed = {name: value for name, value in asdict(form).items() if name in ("host", "port", "user", "etc", "context")}
        kept = {**draft, **typed, "tls": "yes" if form.tls else "no"}
        if form.secret:
            kept["secret"] = form.secret
        if kept != draft:
            await self._book.keep(Place.ASTERISK, kept)

    async def _url(self, form: AsteriskForm) -> AmiUrl:
        """Raises Unfit, SecretMissing."""
        saved = self._saved
        wrong = [
            reason
            for given, pattern, reason in (
                (form.host, _HOST, Reason("type the host of the PBX: a name or an address")),
                (form.user, _USER, Reason("type the AMI user: letters, digits, dots, hyphens")),
                (
                    form.context,
                    re.compile(r"[A-Za-z0-9_.-]{1,79}"),
                    Reason("type the dialling context, e.g. from-internal"),
                ),
            )
            if not pattern.fullmatch(given)
        ]
        if not (form.port.isascii() and form.port.isdigit() and 0 < int(form.port[:6]) < 65536):
            wrong.append(Reason("the port is a number, usually 5038"))
        if not form.etc.startswith("/"):
            wrong.append(Reason("must be an absolute path, beginning with /"))
        if wrong:
            raise Unfit(tuple(wrong))
        draft = await self._book.draft(Place.ASTERISK)
        if saved is not None and not form.secret and "secret" not in draft:
            if _of_settings(saved) == replace(form, secret="", made="", etc=self._etc, context=saved.originate_context):
                return saved.ami
            secret = saved.ami.address().password
        else:
            secret = form.secret or draft.get("secret") or draft.get("made", "")
        query = urlsplit(saved.ami.reveal()).query if saved is not None and form.tls else ""
        host = f"[{form.host}]" if ":" in form.host else form.host
        where = f"{quote(form.user, safe='')}:{quote(secret, safe='')}@{host}:{form.port}"
        try:
            return AmiUrl(f"{'tls' if form.tls else 'tcp'}://{where}{'?' if query else ''}{query}")
        except Wrong as error:
            raise Unfit((error.reason,)) from None

    async def _with_wiring(self, form: AsteriskForm) -> Settings:
        """The settings as they would be, with the AMI user written by us unless the PBX has it. Raises Unfit."""
        url = await self._url(form)
        theirs = await asyncio.to_thread(_has_user, Path(form.etc), form.user)
        wiring = {"etc": form.etc, "accounts": "existing" if theirs else "ours"}
        return self._book.with_first("asterisk", {"ami": url.raw, "originate_context": form.context, "wiring": wiring})


def plainly(found: Probe, form: AsteriskForm, comes_from: str) -> Check:
    """Why there is no login, shorter than the doctor says it: somebody is typing."""
    why, where = str(found.problem).lower(), {"address": f"{form.host}:{form.port}", "host": form.host, "reload": _RELOAD}
    fix: Reason
    if "is no ami port" in why:
        seen = Reason("something else than AMI answers at {address}", where)
        fix = Reason("look at the port (usually 5038) and at the firewall of the PBX")
        return Check("ami.reachable", _subject(), State.PROBLEM, seen, fix)
    if found.reachable:
        seen = Reason("{address} answers: wrong secret, or no such AMI user, or this machine may not log in", where)
        known = {**where, "user": form.user, "from": comes_from}
        fix = Reason("compare with [{user}] in manager.conf; permit = must have {from}; then {reload}", known)
        return Check("ami.login", _subject(), State.PROBLEM, seen, fix)
    if "name or service" in why or "address associated" in why or "name resolution" in why:
        seen, fix = Reason("there is no machine of the name {host}", where), Reason("correct the name, or type an address")
    elif "did not complete" in why or "timed out" in why:
        seen = Reason("{address} does not answer in time: a firewall is between, or this is not the AMI port", where)
        fix = Reason("look at the port (usually 5038) and at the firewall of the PBX")
    elif "connect call failed" in why or "refused" in why:
        seen = Reason("{address} refuses the connection: Asterisk does not run there, or its AMI is switched off", where)
        fix = Reason(
            "put enabled = yes, port and a bindaddr that we reach into [general] of manager.conf; then {reload}", where
        )
    else:
        return next(iter(told(found, _subject(), form.user, form.context)))
    return Check("ami.reachable", _subject(), State.PROBLEM, seen, fix)


def our_address(host: str) -> str:
    """From where this machine reaches that one; 127.0.0.1 when it is not known. Sends nothing."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, 5038, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as sock:
            sock.connect(place)
            found = str(sock.getsockname()[0])
    except (OSError, UnicodeError):
        return "127.0.0.1"
    return "127.0.0.1" if found.startswith("127.") else found


def _subject() -> str:
    return "asterisk"


def _of_settings(saved: AsteriskSettings) -> AsteriskForm:
    try:
        where = saved.ami.address()
    except SettingsError:
        return AsteriskForm(stored=True, etc=saved.wiring.etc, context=saved.originate_context)
    return AsteriskForm(
        host=where.host,
        port=str(where.port or DEFAULT_PORTS["tcp"]),
        tls=where.scheme == "tls",
        user=where.user,
        stored=True,
        etc=saved.wiring.etc,
        context=saved.originate_context,
    )


# ---- our files in the PBX's configuration


def _has_user(etc: Path, user: str) -> bool:
    """Whether the PBX's own files define this AMI user."""
    for name in ("manager.conf", "manager_custom.conf", "manager_additional.conf"):
        try:
            text = (etc / name).read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            continue
        if re.search(rf"^\s*\[{re.escape(user)}\]", text, re.MULTILINE):
            return True
    return False


def _offer(settings: Settings, etc: Path) -> WiringOffer:
    folder = {"folder": str(etc)}
    if not etc.is_dir():
        why = Reason("there is no folder {folder} on this machine: the PBX is another one, or keeps it elsewhere", folder)
        return WiringOffer(str(etc), why)
    if not (etc / "manager.conf").is_file():
        return WiringOffer(str(etc), _READ_FIRST)
    if not os.access(etc, os.W_OK | os.X_OK):
        return WiringOffer(str(etc), Reason("{folder} may not be written by us", folder))
    pbx = settings.asterisk[0]
    try:
        changes = [change for change in compare(etc, contents(settings, pbx)) if change.state is not FileState.SAME]
        lines = [line for line in includes(etc, freepbx=is_freepbx(etc)) if not line.there]
        refuse_foreign(changes, force=False)
    except WiringError as error:
        return WiringOffer(str(etc), error.reason)
    except OSError as error:
        return WiringOffer(str(etc), Reason("{file} may not be read by us", {"file": str(error.filename)}))
    return WiringOffer(
        str(etc),
        None,
        tuple(change.name for change in changes),
        tuple((line.file, line.text) for line in lines),
        unified(changes),
    )


def _write(settings: Settings, etc: Path) -> tuple[str, ...]:
    """Gives the files that were written. Raises WiringError, SettingsError, OSError."""
    if not (etc / "manager.conf").is_file():
        raise WiringError(_READ_FIRST)
    pbx = settings.asterisk[0]
    lines = [line for line in includes(etc, freepbx=is_freepbx(etc)) if not line.there]
    changes = install(etc, contents(settings, pbx), lines)
    return tuple(dict.fromkeys((*(change.name for change in changes), *(line.name for line in lines))))
