"""The client of one portal: `call`, `batch`, `listing`, `upload`, `download`. One attempt each.

Two things are repeated, because the portal did no work the first time: a request refused for its expired access token
(after one refresh for all who wait; the new token is stored before it is used) and one redirected because the portal was
renamed, when the authorization server says so too. A webhook's secret is its address: it goes to no other host than the
settings name. Everything else is the caller's decision, by the class of the error (errors.py).
"""

from __future__ import annotations

import copy
import os
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, cast
from urllib.parse import urljoin, urlsplit

import aiohttp
import structlog

from perezvon.bitrix24.address import Address, OAuthGrant, Webhook, root
from perezvon.bitrix24.answers import Answer, read_answer, read_batch, read_redirect
from perezvon.bitrix24.encoding import MAX_COMMANDS, Command, json_body
from perezvon.bitrix24.errors import (
    AuthRefused,
    BadParameters,
    OperationLimited,
    PortalBlocked,
    PortalError,
    PortalMoved,
    RateLimited,
    Temporary,
    TokenExpired,
)
from perezvon.bitrix24.limits import Bucket, OperatingBudget
from perezvon.bitrix24.redaction import redact
from perezvon.bitrix24.renewal import GrantKeeper
from perezvon.bitrix24.values import Json, mapping, rows
from perezvon.bitrix24.wire import Reply, Wire
from perezvon.rules.vocabulary import Reason

PAGE = 50
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_PAGES = 4000
_METHOD = re.compile(r"^[A-Za-z][A-Za-z0-9_.]*$")

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One HTTP request as the observer is told of it. No member holds a secret.

    `what`: a method, "batch", "upload" or "download". `methods`: what was asked (several in a batch). `outcome`: "ok", or
    the name of the class of `error`. `status`: 0 without an answer. `seconds`: from sending to the last byte.
    """

    portal: str
    what: str
    methods: tuple[str, ...]
    seconds: float
    status: int
    outcome: str
    told: str
    sent_bytes: int
    received_bytes: int
    error: PortalError | None = None


Observer = Callable[[Exchange], None]


class Portal:
    """`name`: the portal's name in the settings. `identity`: in whose name we speak.

    `bucket` and `operating` are shared with whoever decides when to send: every request takes from the bucket and never
    waits for it, unless `reserve` says how many tokens have to stay.
    """

    def __init__(
        self,
        name: str,
        identity: Webhook | GrantKeeper,
        *,
        bucket: Bucket | None = None,
        operating: OperatingBudget | None = None,
        wire: Wire | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.name = name
        self.bucket = bucket or Bucket()
        self.operating = operating or OperatingBudget()
        self.requests = 0
        self.identity = identity
        self._wire = wire or Wire()
        self._observer = observer

    async def __aenter__(self) -> Portal:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Waits for a refresh under way (its new token must not be lost), then closes the connections."""
        if isinstance(self.identity, GrantKeeper):
            await self.identity.close()
        await self._wire.close()

    @property
    def address(self) -> Address:
        return self.identity.grant if isinstance(self.identity, GrantKeeper) else self.identity

    @property
    def is_application(self) -> bool:
        """Whether we come as a local application (else as a webhook)."""
        return isinstance(self.identity, GrantKeeper)

    def redact(self, text: str) -> str:
        return redact(text, self.address.secrets)

    async def call(self, method: str, params: Mapping[str, Any] | None = None, *, reserve: float | None = None) -> Answer:
        """One method. Raises a PortalError."""
        outcome = await self._ask(method, (method,), params or {}, reserve)
        if isinstance(outcome, PortalError):
            raise outcome
        return outcome

    async def batch(
        self, commands: Sequence[Command], *, halt: bool = False, reserve: float | None = None
    ) -> list[Answer | PortalError]:
        """Up to 50 commands in one request: one outcome for each, in order. Raises a PortalError when all of it failed.

        With `halt` the portal stops at the first error; the commands after it are NotSent.
        """
        if not commands:
            return []
        if len(commands) > MAX_COMMANDS:
            raise ValueError(f"a batch takes {MAX_COMMANDS} commands, not {len(commands)}")
        if len({command.key for command in commands}) != len(commands):
            raise ValueError("two commands of a batch have the same key")
        body = {"halt": int(halt), "cmd": {command.key: str(command) for command in commands}}
        outcome = await self._ask("batch", tuple(command.method for command in commands), body, reserve)
        if isinstance(outcome, PortalError):
            raise outcome
        read = read_batch(outcome, commands, halt=halt)
        for command, part in zip(commands, read, strict=True):
            self._note(command.method, part)
            if isinstance(part, PortalError):
                part.scrub(self.address.secrets)
        return read

    async def ask_as(self, token: str, commands: Sequence[Command]) -> list[Answer | PortalError]:
        """A batch with the token of somebody who uses our application in the portal's pages. Whatever comes of it tells
        nothing of how we ourselves stand with the portal: nobody is told, no token is renewed. Raises a PortalError."""
        ours = self.address
        if not isinstance(ours, OAuthGrant):
            raise AuthRefused("a webhook knows no users")
        cmd = {command.key: str(command) for command in commands}
        body = json_body({"halt": 0, "cmd": cmd, "auth": token})
        self.bucket.take()
        self.requests += 1
        headers = {"Content-Type": "application/json"}
        reply = await self._wire.exchange("POST", ours.rest + "batch", what="batch", body=body, headers=headers)
        secrets = (*ours.secrets, token)
        if isinstance(reply, PortalError):
            raise reply.scrub(secrets)
        if reply.status in _REDIRECTS:
            raise PortalMoved("batch: redirected", status=reply.status, method="batch")
        answer = read_answer(reply.body, reply.status, reply.content_type, "batch")
        if isinstance(answer, RateLimited):
            answer.retry_after = self.bucket.penalise()
        if isinstance(answer, PortalError):
            raise answer.scrub(secrets)
        parts = read_batch(answer, commands, halt=False)
        return [part.scrub(secrets) if isinstance(part, PortalError) else part for part in parts]

    async def listing(
        self, method: str, params: Mapping[str, Any] | None = None, *, items: str = "", reserve: float | None = None
    ) -> AsyncIterator[Json]:
        """The rows of all pages. `items`: the member of the result that holds the rows (`tasks`), else the result does.

        The first page comes alone, the others in batches. Raises a PortalError as soon as one page fails.
        """
        answer = await self.call(method, params, reserve=reserve)
        for row in rows(_member(answer.result, items)):
            yield row
        start = answer.next
        pages = 1
        while start is not None and pages < _MOST_PAGES:
            end = max(answer.total or 0, start + 1)
            starts = list(range(start, end, PAGE))[:MAX_COMMANDS]
            commands = [Command(f"p{at}", method, {**(params or {}), "start": at}) for at in starts]
            for page in await self.batch(commands, halt=True, reserve=reserve):
                if isinstance(page, PortalError):
                    raise page
                answer = page
                for row in rows(_member(page.result, items)):
                    yield row
            pages += len(starts)
            start = answer.next if answer.next is not None and answer.next > starts[-1] else None

    async def upload(
        self,
        url: str,
        field: str,
        filename: str,
        content: bytes | Path,
        *,
        total: float = 300.0,
        reserve: float | None = None,
    ) -> Answer:
        """The second step of attachRecord: multipart POST to the address the portal gave. That address dies with the access
        token: then Temporary, and a new address has to be asked for. Raises a PortalError."""
        what = "upload"
        if not self._is_http(url):
            raise BadParameters(f"{what}: the portal gave no usable upload address", method=what)
        form = aiohttp.FormData()
        opened = None if isinstance(content, bytes) else content.open("rb")
        try:
            form.add_field(
                field, content if opened is None else opened, filename=filename, content_type=_media_type(filename)
            )
            size = len(content) if isinstance(content, bytes) else os.stat(content).st_size  # noqa: PTH116
            reply = await self._exchange((what,), "POST", url, what, form, size, reserve, total=total)
        finally:
            if opened is not None:
                opened.close()
        outcome = (
            reply if isinstance(reply, PortalError) else read_answer(reply.body, reply.status, reply.content_type, what)
        )
        outcome = self._settle(what, outcome)
        if isinstance(outcome, TokenExpired) or (isinstance(outcome, AuthRefused) and outcome.status == 401):
            raise Temporary(
                f"{what}: the upload address is no longer good, ask for a new one", retry_after=0.0, method=what
            )
        if isinstance(outcome, PortalError):
            raise outcome
        return outcome

    async def download(self, url: str, *, max_bytes: int | None = None, total: float = 300.0) -> bytes:
        """A file of the portal (a recording), redirects followed. Raises a PortalError."""
        what = "download"
        headers = {"Accept": "*/*", "Accept-Language": "ru,en;q=0.8", "Referer": root(self.address.rest) + "/"}
        for _ in range(5):
            if not self._is_http(url):
                raise BadParameters(f"{what}: this is no address of a file", method=what)
            reply = await self._exchange(
                (what,), "GET", url, what, None, 0, None, headers=headers, total=total, max_bytes=max_bytes
            )
            if isinstance(reply, PortalError):
                raise reply
            if reply.status == 200:
                return reply.body
            if reply.status not in _REDIRECTS or not reply.location:
                outcome = read_answer(reply.body, reply.status, reply.content_type, what)
                error = Temporary(f"{what}: HTTP {reply.status}", method=what) if isinstance(outcome, Answer) else outcome
                raise error.scrub(self.address.secrets)
            url = urljoin(url, reply.location)
        raise PortalBlocked(f"{what}: the portal redirects in a circle", method=what)

    async def _ask(
        self, method: str, methods: tuple[str, ...], params: Mapping[str, Any], reserve: float | None
    ) -> Answer | PortalError:
        """One request, and its repetition after a refresh or a move."""
        renewed = moved = False
        while True:
            used = self.address
            outcome = self._settle(method, await self._once(used, method, methods, params, reserve))
            if isinstance(outcome, TokenExpired) and isinstance(self.identity, GrantKeeper) and not renewed:
                renewed = True
                await self.identity.renew(cast("OAuthGrant", used))
            elif isinstance(outcome, PortalMoved) and not moved:
                moved = True
                if not isinstance(self.identity, GrantKeeper):
                    return _not_followed(outcome, "the address is the webhook's secret and goes to no other host")
                if not await self.identity.ask_where(cast("OAuthGrant", used)):
                    return _not_followed(outcome, "the authorization server does not confirm that")
            else:
                return outcome

    async def _once(
        self, used: Address, method: str, methods: tuple[str, ...], params: Mapping[str, Any], reserve: float | None
    ) -> Answer | PortalError:
        if not _METHOD.match(method):
            return BadParameters(f"{method!r} is no name of a REST method", method=method)
        if isinstance(used, OAuthGrant):
            if not used.access_token:
                return AuthRefused(
                    Reason(
                        "{method}: the application is not installed in {domain} yet: install it there",
                        {"method": method, "domain": used.domain},
                    ),
                    method=method,
                )
            params = {**params, "auth": used.access_token}
        try:
            body = json_body(params)
        except (TypeError, ValueError, RecursionError) as error:
            return BadParameters(f"{method}: a parameter cannot be written as JSON: {error}", method=method)
        url = used.rest + method
        reply = await self._exchange(
            methods, "POST", url, method, body, len(body), reserve, headers={"Content-Type": "application/json"}
        )
        if isinstance(reply, PortalError):
            return reply
        if reply.status in _REDIRECTS and reply.location:
            return read_redirect(url, reply.location, reply.status, method)
        return read_answer(reply.body, reply.status, reply.content_type, method)

    async def _exchange(
        self,
        methods: tuple[str, ...],
        verb: str,
        url: str,
        what: str,
        body: bytes | aiohttp.FormData | None,
        size: int,
        reserve: float | None,
        *,
        headers: Mapping[str, str] | None = None,
        total: float | None = None,
        max_bytes: int | None = None,
    ) -> Reply | PortalError:
        if reserve is not None:
            await self.bucket.wait(reserve=reserve)
        self.bucket.take()
        self.requests += 1
        began = time.monotonic()
        reply = await self._wire.exchange(
            verb, url, what=what, body=body, headers=headers, total=total, max_bytes=max_bytes
        )
        if self._observer is not None:
            failed = isinstance(reply, PortalError)
            told = copy.copy(reply) if failed else _glance(reply, what)
            exchange = Exchange(
                portal=self.name,
                what=what,
                methods=methods,
                seconds=time.monotonic() - began,
                status=reply.status,
                outcome="ok" if told is None else type(told).__name__,
                told="" if told is None else self.redact(str(told)),
                sent_bytes=size,
                received_bytes=0 if failed else len(reply.body),
                error=None if told is None else told.scrub(self.address.secrets),
            )
            try:
                self._observer(exchange)
            except Exception:
                log.exception("observer of portal requests failed", portal=self.name)
        return reply

    def _settle(self, method: str, outcome: Answer | PortalError) -> Answer | PortalError:
        """Keeps the mirrors of the portal's limits true."""
        if isinstance(outcome, RateLimited):
            outcome.retry_after = self.bucket.penalise()
            log.warning("portal refuses requests for a while", portal=self.name, pause=round(outcome.retry_after, 1))
        elif isinstance(outcome, Answer) or outcome.status not in (0, 503):
            self.bucket.accepted()
        if method != "batch":
            self._note(method, outcome)
        return outcome if isinstance(outcome, Answer) else outcome.scrub(self.address.secrets)

    def _note(self, method: str, outcome: Answer | PortalError) -> None:
        if isinstance(outcome, OperationLimited):
            outcome.reset_at = self.operating.refused(method, outcome.reset_at)
        elif isinstance(outcome, Answer) and outcome.time.operating is not None:
            self.operating.note(method, outcome.time.operating, outcome.time.operating_reset_at)

    def _is_http(self, url: str) -> bool:
        try:
            scheme = urlsplit(root(url)).scheme
        except ValueError:
            return False
        return scheme == "https" or scheme == urlsplit(self.address.rest).scheme


def _glance(reply: Reply, what: str) -> PortalError | None:
    """The error of a reply, for the observer; None when it is a success."""
    if reply.status == 200 and what == "download":
        return None
    if reply.status in _REDIRECTS and reply.location:
        return PortalMoved(f"{what}: redirected", status=reply.status, method=what)
    outcome = read_answer(reply.body, reply.status, reply.content_type, what)
    return outcome if isinstance(outcome, PortalError) else None


def _not_followed(moved: PortalMoved, why: str) -> PortalMoved:
    told = f"{moved.method}: the portal has moved to {moved.location}, which is not followed: {why}"
    return PortalMoved(told, location=moved.location, status=moved.status, method=moved.method)


def _member(result: Json, items: str) -> Json:
    return mapping(result).get(items) if items else result


def _media_type(filename: str) -> str:
    return {".mp3": "audio/mpeg", ".wav": "audio/wav"}.get(Path(filename).suffix.lower(), "application/octet-stream")
