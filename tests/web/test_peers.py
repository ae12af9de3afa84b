"""From where a request comes, and whose tries to sign in are counted together."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from perezvon.web.peers import Proxied, host_of, peer_of
from perezvon.web.throttle import MOST, Throttle, source


async def seen(proxied: list[str], peer: str, **headers: str) -> tuple[str, str, str]:
    found: list[Request] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        found.append(Request(scope))

    async def nothing(*_: Any) -> Any:
        raise AssertionError

    told = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "scheme": "http", "client": (peer, 5), "headers": told, "path": "/", "query_string": b""}
    await Proxied(application, lambda: proxied)(scope, nothing, nothing)
    return host_of(found[0]), found[0].scope["scheme"], peer_of(found[0])


PROXIES = ["127.0.0.1", "172.18.0.0/16", "fd00::/8"]


@pytest.mark.parametrize(
    ("peer", "told", "host"),
    [
        ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("172.18.4.1", "10.9.9.9, 203.0.113.9", "203.0.113.9"),
        ("172.18.4.1", "203.0.113.9, 172.18.0.7", "203.0.113.9"),
        ("fd00::1", "2001:db8::5", "2001:db8::5"),
        ("203.0.113.9", "127.0.0.1", "203.0.113.9"),
        ("203.0.113.9", "10.0.0.1", "203.0.113.9"),
    ],
)
async def test_a_proxy_is_believed_and_nobody_else(peer: str, told: str, host: str) -> None:
    found, scheme, shown = await seen(PROXIES, peer, x_forwarded_for=told, x_forwarded_proto="https")
    assert (found, scheme) == (host, "http" if peer == "203.0.113.9" else "https")
    assert shown == f"{host} ({told})"


async def test_without_proxies_nobody_is_believed() -> None:
    assert await seen([], "127.0.0.1", x_forwarded_for="1.2.3.4", x_forwarded_proto="https") == (
        "127.0.0.1",
        "http",
        "127.0.0.1 (1.2.3.4)",
    )
    assert await seen([], "127.0.0.1") == ("127.0.0.1", "http", "127.0.0.1")


def test_an_ipv6_network_is_one_source() -> None:
    assert source("2001:db8:1:2:aaaa::1") == source("2001:db8:1:2::7%eth0") != source("2001:db8:1:3::1")
    assert source("::ffff:203.0.113.9") == source("203.0.113.9") == "203.0.113.9"
    assert source("") == ""
    assert len(source("x" * 5000)) == 100


def test_a_full_table_keeps_whom_it_holds_up() -> None:
    now = [1000.0]
    throttle = Throttle(lambda: now[0])
    while throttle.takes("login anna", 5):
        pass
    for number in range(MOST + 10):
        assert throttle.takes(f"peer {number}", 20)
    assert not throttle.takes("login anna", 5)
    assert throttle.takes("peer of somebody else", 20)
