"""What the client makes of a misbehaving network, web server and PHP: the class of the error says what may be done."""

from __future__ import annotations

import gzip
import json
import socket
from typing import Any

import pytest
from scripted_http import ScriptedServer, answer, close, error, ok, raw, reset, silence

from perezvon.bitrix24 import Bucket, Command, Exchange, Portal, Webhook, Wire
from perezvon.bitrix24.errors import (
    Ambiguous,
    AuthRefused,
    BadParameters,
    Forbidden,
    NotSent,
    Permanent,
    PortalBlocked,
    PortalError,
    PortalMoved,
    RateLimited,
    Temporary,
)

SECRET = "s3cr3tw3bh00k"
HTML = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


def portal_at(url: str, *, total: float = 20.0, connect: float = 5.0, max_bytes: int = 1_000_000, **more: Any) -> Portal:
    wire = Wire(total=total, connect=connect, max_bytes=max_bytes)
    return Portal("main", Webhook.parse(f"{url}/rest/1/{SECRET}/"), wire=wire, **more)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize(
    ("story", "act", "expected"),
    [
        ("the connection is closed instead of an answer", close, Ambiguous),
        ("the connection is reset", reset, Ambiguous),
        ("the answer breaks off", raw(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"result":'), None),
        ("half a JSON", answer('{"result":{"CALL_ID":"x"}'), Ambiguous),
        ("half a batch, an inner object whole", answer('{"result":{"result":{"a":1},"result_error":[]}'), Ambiguous),
        ("an empty answer", answer(""), Ambiguous),
        ("a page instead of JSON", answer("<html>hello</html>", content_type="text/html"), Ambiguous),
        ("neither result nor error", answer({"time": {}}), Ambiguous),
        ("JSON, but a list", answer("[1,2]"), Ambiguous),
        ("nginx: 502", answer(HTML, 502, "text/html"), Ambiguous),
        ("nginx: 504", answer(HTML, 504, "text/html"), Ambiguous),
        ("nginx: 503", answer(HTML, 503, "text/html"), Temporary),
        ("nginx: 429", answer(HTML, 429, "text/html"), Temporary),
        ("nginx: 413", answer(HTML, 413, "text/html"), Permanent),
        ("a firewall's page", answer(HTML, 403, "text/html"), PortalBlocked),
        ("a wrong address", answer(HTML, 404, "text/html"), PortalBlocked),
        ("a login asked for by a proxy", answer(HTML, 401, "text/html"), AuthRefused),
        ("a redirect to a login page", answer("", 302, Location="/auth/?backurl=x"), PortalBlocked),
        ("a redirect to nowhere", answer("", 302, Location="http://[bad"), PortalBlocked),
        ("not HTTP at all", raw(b"220 smtp ready\r\n\r\n"), Ambiguous),
        ("too many requests", error("QUERY_LIMIT_EXCEEDED", "Too many requests", 503), RateLimited),
        ("PHP died", error("INTERNAL_SERVER_ERROR", "Internal server error", 500), Ambiguous),
    ],
)
async def test_what_may_be_done(story: str, act: Any, expected: type[PortalError] | None) -> None:
    async def then_close(request: Any, writer: Any) -> None:
        await act(request, writer)
        writer.close()

    async with ScriptedServer([then_close if expected is None else act]) as server, portal_at(server.url) as portal:
        with pytest.raises(expected or Ambiguous) as caught:
            await portal.call("telephony.externalCall.finish", {"CALL_ID": "x"})
        assert type(caught.value) is (expected or Ambiguous), story
        assert len(server.seen) == 1, "sent exactly once"
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize("junk", ["\ufeff", "<br />\n<b>Warning</b>: Undefined array key {5} in /x.php\n", "\n\n"])
async def test_php_noise_around_the_answer_is_read_through(junk: str) -> None:
    async with ScriptedServer([answer(junk + '{"result":{"CALL_ID":"x"}}')]) as server, portal_at(server.url) as portal:
        assert (await portal.call("profile")).result == {"CALL_ID": "x"}


async def test_no_listener_is_not_sent() -> None:
    async with portal_at(f"http://127.0.0.1:{free_port()}") as portal:
        with pytest.raises(NotSent, match="no connection"):
            await portal.call("profile")


async def test_an_unknown_name_is_not_sent() -> None:
    async with portal_at("http://no-such-portal.invalid") as portal:
        with pytest.raises(NotSent, match="cannot be resolved"):
            await portal.call("profile")


async def test_tls_against_a_plain_server_is_not_sent() -> None:
    async with ScriptedServer([ok()]) as server, portal_at(server.url.replace("http", "https"), connect=0.3) as portal:
        with pytest.raises(NotSent):
            await portal.call("profile")
        assert server.seen == []


async def test_silence_is_ambiguous_after_the_time_out() -> None:
    async with ScriptedServer([silence]) as server, portal_at(server.url, total=0.2) as portal:
        with pytest.raises(Ambiguous, match=r"no answer within 0\.2 s"):
            await portal.call("profile")
        assert len(server.seen) == 1


async def test_an_endless_answer_is_cut_off() -> None:
    async with ScriptedServer([ok("x" * 5000)]) as server, portal_at(server.url, max_bytes=1000) as portal:
        with pytest.raises(Ambiguous, match="longer than 1000 bytes"):
            await portal.call("profile")


async def test_a_compressed_bomb_is_cut_off() -> None:
    bomb = gzip.compress(b'{"result":"' + b"0" * 5_000_000 + b'"}')
    act = answer(bomb, Content_Encoding="gzip")
    async with ScriptedServer([act]) as server, portal_at(server.url, max_bytes=100_000) as portal:
        with pytest.raises(Ambiguous, match="longer than 100000 bytes"):
            await portal.call("profile")


async def test_connections_are_kept_and_a_closed_one_is_replaced() -> None:
    script = [ok(), ok(), answer({"result": True}, Connection="close"), ok()]
    async with ScriptedServer(script) as server, portal_at(server.url) as portal:
        for _ in range(3):
            await portal.call("profile")
        assert server.connections == 1
        await portal.call("profile")
        assert server.connections == 2


async def test_a_request_is_what_the_portal_expects() -> None:
    async with ScriptedServer([ok()]) as server, portal_at(server.url) as portal:
        await portal.call("user.get", {"FILTER": {"NAME": "Ёж 🦔"}, "start": 0})
        request = server.seen[0]
        assert (request.verb, request.path) == ("POST", f"/rest/1/{SECRET}/user.get")
        assert request.headers["user-agent"].startswith("Perezvon/")
        assert request.headers["content-type"] == "application/json"
        assert request.json == {"FILTER": {"NAME": "Ёж 🦔"}, "start": 0}


async def test_what_cannot_be_sent_is_said_before_sending() -> None:
    async with ScriptedServer([ok()]) as server, portal_at(server.url) as portal:
        for method, params in (("profile", {"x": float("nan")}), ("profile", {"x": object()}), ("../../etc", {})):
            with pytest.raises(BadParameters):
                await portal.call(method, params)
        assert server.seen == []


async def test_half_a_character_does_not_spoil_the_request() -> None:
    async with ScriptedServer([ok()]) as server, portal_at(server.url) as portal:
        await portal.call("x.y", {"NAME": "caf\udce9"})
        assert server.seen[0].json == {"NAME": "caf?"}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_webhooks_secret_goes_to_no_other_host(status: int) -> None:
    async with ScriptedServer([]) as new:
        turns = [answer("", status, Location=f"{new.url}/rest/1/{SECRET}/{method}") for method in ("profile", "batch")]
        async with ScriptedServer(turns) as old, portal_at(old.url) as portal:
            for ask in (portal.call("profile", {"a": 1}), portal.batch([Command("a", "profile", {})])):
                with pytest.raises(PortalMoved, match="goes to no other host") as caught:
                    await ask
                assert SECRET not in str(caught.value)
                assert caught.value.location == new.url
            assert portal.address.host == old.url[7:]
        assert new.seen == []


async def test_every_request_is_counted_and_told() -> None:
    told: list[Exchange] = []
    bucket = Bucket(2, 50, clock=lambda: 0.0)
    before = bucket.tokens()
    script = [ok(), answer({"result": {"result": {"a": 1, "b": 2}, "result_error": []}}), reset]
    async with ScriptedServer(script) as server, portal_at(server.url, bucket=bucket, observer=told.append) as portal:
        await portal.call("profile")
        await portal.batch([Command("a", "x.y", {}), Command("b", "x.z", {})])
        with pytest.raises(Ambiguous):
            await portal.call("scope")
        assert portal.requests == 3
    assert bucket.tokens() == before - 3
    assert [(e.what, e.methods, e.status, e.outcome) for e in told] == [
        ("profile", ("profile",), 200, "ok"),
        ("batch", ("x.y", "x.z"), 200, "ok"),
        ("scope", ("scope",), 0, "Ambiguous"),
    ]
    assert all(SECRET not in repr(e) for e in told)


async def test_a_failing_observer_does_not_lose_an_answer() -> None:
    def observer(_: Exchange) -> None:
        raise RuntimeError("metrics are broken")

    async with ScriptedServer([ok(5)]) as server, portal_at(server.url, observer=observer) as portal:
        assert (await portal.call("profile")).result == 5


async def test_the_mirror_closes_after_a_refusal_and_opens_after_the_pause() -> None:
    now = [100.0]
    bucket = Bucket(2, 50, clock=lambda: now[0])
    script = [error("QUERY_LIMIT_EXCEEDED", status=503), ok()]
    async with ScriptedServer(script) as server, portal_at(server.url, bucket=bucket) as portal:
        with pytest.raises(RateLimited) as caught:
            await portal.call("profile")
        assert caught.value.retry_after == pytest.approx(1.0)
        assert bucket.tokens() <= 0
        now[0] += 1.1
        assert bucket.tokens() > 0
        await portal.call("profile")


async def test_a_batch_tells_each_command_its_own_fate() -> None:
    body = {
        "result": {
            "result": {"a": {"CALL_ID": "1"}, "d": None},
            "result_error": {
                "b": {"error": "ERROR_CORE", "error_description": "Call is not found (call should be registered)"},
                "c": "odd",
            },
            "result_total": {"a": 7},
            "result_next": [],
            "result_time": {"a": {"operating": 1.5, "operating_reset_at": 1700000000}},
        }
    }
    async with ScriptedServer([answer(body)]) as server, portal_at(server.url) as portal:
        answers = await portal.batch([Command(key, f"m.{key}", {}) for key in "abcde"])
        assert server.seen[0].json == {"halt": 0, "cmd": {key: f"m.{key}" for key in "abcde"}}
        kinds = [type(part).__name__ for part in answers]
        assert kinds == ["Answer", "CallNotFound", "BadParameters", "Answer", "Ambiguous"]
        assert portal.operating.used("m.a") == pytest.approx(1.5 / 480)


async def test_a_halted_batch_leaves_the_rest_unsent() -> None:
    body = {"result": {"result": [], "result_error": {"a": {"error": "ERROR_CORE", "error_description": "x"}}}}
    async with ScriptedServer([answer(body)]) as server, portal_at(server.url) as portal:
        first, second = await portal.batch([Command("a", "m.a", {}), Command("b", "m.b", {})], halt=True)
        assert isinstance(first, BadParameters)
        assert isinstance(second, NotSent)
        assert server.seen[0].json["halt"] == 1


async def test_wrong_batches_are_refused_before_sending() -> None:
    async with ScriptedServer([ok()]) as server, portal_at(server.url) as portal:
        with pytest.raises(ValueError, match="50 commands"):
            await portal.batch([Command(f"c{n}", "x.y", {}) for n in range(51)])
        with pytest.raises(ValueError, match="same key"):
            await portal.batch([Command("a", "x.y", {}), Command("a", "x.y", {})])
        assert await portal.batch([]) == []
        assert server.seen == []


async def test_a_background_request_waits_for_its_reserve() -> None:
    now, slept = [0.0], []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    bucket = Bucket(2, 50, margin=0, clock=lambda: now[0], sleep=sleep)
    bucket.take(count=45)
    async with ScriptedServer([ok()]) as server, portal_at(server.url, bucket=bucket) as portal:
        await portal.call("user.get", reserve=10)
    assert sum(slept) == pytest.approx(3.0)  # 5 tokens were left, 11 are needed, 2 come back a second


async def test_pages_come_in_batches() -> None:
    def page(start: int) -> dict[str, Any]:
        rows = [{"ID": str(n)} for n in range(start, min(start + 50, 180))]
        return {"result": rows, "total": 180} | ({"next": start + 50} if start + 50 < 180 else {})

    async def act(request: Any, writer: Any) -> None:
        if request.path.endswith("user.get"):
            await answer(page(0))(request, writer)
            return
        pages = {key: page(int(command.rpartition("start=")[2])) for key, command in request.json["cmd"].items()}
        parts = {"result": "result", "total": "result_total", "next": "result_next"}
        body = {whole: {k: p[part] for k, p in pages.items() if part in p} for part, whole in parts.items()}
        await answer(json.dumps({"result": {**body, "result_error": []}}))(request, writer)

    async with ScriptedServer([act]) as server, portal_at(server.url) as portal:
        ids = [row["ID"] async for row in portal.listing("user.get", {"FILTER": {"ACTIVE": True}})]
        assert ids == [str(n) for n in range(180)]
        assert len(server.seen) == 2
        assert next(iter(server.seen[1].json["cmd"].values())) == "user.get?FILTER%5BACTIVE%5D=1&start=50"


async def test_rows_may_lie_inside_the_result_and_a_failing_page_is_told() -> None:
    first = answer({"result": {"tasks": [{"id": "1"}]}, "total": 120, "next": 50})
    second = {"result": {"p50": {"tasks": [{"id": "2"}]}}, "result_error": {"p100": {"error": "ACCESS_DENIED"}}}
    async with ScriptedServer([first, answer({"result": second})]) as server, portal_at(server.url) as portal:
        seen: set[str] = set()
        with pytest.raises(Forbidden):
            async for row in portal.listing("tasks.task.list", items="tasks"):
                seen.add(row["id"])
        assert seen == {"1", "2"}


async def test_an_upload_goes_only_to_an_address() -> None:
    async with ScriptedServer([ok()]) as server, portal_at(server.url) as portal:
        for url in ("", "/rest/upload", "file:///etc/passwd", "javascript:1"):
            with pytest.raises(BadParameters):
                await portal.upload(url, "file", "a.mp3", b"x")
            with pytest.raises(BadParameters):
                await portal.download(url)
        assert server.seen == []


async def test_a_download_follows_redirects_but_not_in_circles() -> None:
    async with ScriptedServer([answer("", 302, Location="/b"), answer(b"sound", 200, "audio/mpeg")]) as server:
        async with portal_at(server.url) as portal:
            assert await portal.download(f"{server.url}/a") == b"sound"
        assert [request.path for request in server.seen] == ["/a", "/b"]
    async with ScriptedServer([answer("", 302, Location="/a")]) as server, portal_at(server.url) as portal:
        with pytest.raises(PortalBlocked, match="circle"):
            await portal.download(f"{server.url}/a")
