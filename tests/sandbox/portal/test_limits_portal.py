"""The rate limit (503) and the operating-time limit (429), with a clock that stands still."""

from __future__ import annotations

import pytest
from portal_client import Rest

from perezvon.sandbox.portal import Clock, Operating, PortalConfig, PortalServer, Rate
from perezvon.sandbox.portal.limits import LeakyBuckets, OperatingTime


class TestRate:
    @pytest.fixture
    def portal_config(self) -> PortalConfig:
        return PortalConfig(rate=Rate(2.0, 50))

    @pytest.fixture
    async def stopped(self, portal: PortalServer) -> Clock:
        portal.state.clock.stop()
        return portal.state.clock

    async def test_burst_then_two_a_second(self, hook: Rest, portal: PortalServer, stopped: Clock) -> None:
        for _ in range(50):
            assert (await hook.ask("server.time"))[0] == 200
        status, body = await hook.ask("server.time")
        assert status == 503
        assert body == {"error": "QUERY_LIMIT_EXCEEDED", "error_description": "Too many requests"}
        stopped.advance(1.0)
        assert [(await hook.ask("server.time"))[0] for _ in range(3)] == [200, 200, 503]
        assert portal.state.buckets.refused == 2
        assert portal.state.journal.http_requests == 54
        stopped.advance(25.0)
        assert (await hook.ask("server.time"))[0] == 200

    async def test_a_batch_is_one(self, hook: Rest, portal: PortalServer, stopped: Clock) -> None:
        for _ in range(5):
            await hook.batch({str(i): "server.time" for i in range(1, 41)})
        assert portal.state.buckets.level("127.0.0.1") == 5

    async def test_no_retry_after(self, hook: Rest, stopped: Clock) -> None:
        for _ in range(50):
            await hook.ask("server.time")
        async with hook.http.post(hook.address + "server.time") as answer:
            assert answer.status == 503
            assert "Retry-After" not in answer.headers

    async def test_a_refused_request_does_no_work(self, app: Rest, portal: PortalServer, stopped: Clock) -> None:
        for _ in range(50):
            await app.ask("server.time")
        await app.ask("telephony.externalCall.register", {"USER_ID": 11, "PHONE_NUMBER": "+79161234567", "TYPE": 2})
        assert portal.calls() == []


def test_addresses_have_their_own_buckets() -> None:
    buckets = LeakyBuckets(Rate(2.0, 2))
    assert [buckets.take("a", 0.0) for _ in range(3)] == [True, True, False]
    assert buckets.take("b", 0.0)
    assert buckets.take("a", 0.5)


class TestOperating:
    @pytest.fixture
    def portal_config(self) -> PortalConfig:
        return PortalConfig(rate=None, operating=Operating(480.0, {"user.get": 100.0}))

    async def test_the_call_that_crosses_completes_the_next_is_refused(
        self, hook: Rest, app: Rest, portal: PortalServer
    ) -> None:
        portal.state.clock.stop()
        spent = [(await hook.whole("user.get"))["time"]["operating"] for _ in range(5)]
        assert spent == [100.0, 200.0, 300.0, 400.0, 500.0]
        status, body = await hook.ask("user.get")
        assert (status, body["error"]) == (429, "OPERATION_TIME_LIMIT")
        reset_at = body["time"]["operating_reset_at"]
        assert 0 < reset_at - portal.state.now() <= 600
        assert (await hook.ask("server.time"))[0] == 200, "another method goes on"
        assert (await app.ask("user.get"))[0] == 200, "another application too"
        portal.state.clock.advance(reset_at - portal.state.now())
        assert (await hook.ask("user.get"))[0] == 200

    async def test_commands_of_a_batch_are_billed_by_method(self, hook: Rest) -> None:
        answer = await hook.batch({f"c{i}": "user.get" for i in range(7)} | {"t": "server.time"})
        assert set(answer["result_error"]) == {"c5", "c6"}
        assert answer["result_error"]["c5"]["error"] == "OPERATION_TIME_LIMIT"
        assert answer["result_time"]["c4"]["operating"] == 500.0
        assert "t" in answer["result"]


def test_baskets_drop_one_by_one() -> None:
    time = OperatingTime(Operating(10.0, {"*": 6.0}))
    time.charge("app", "m", 30.0, 0.0)
    time.charge("app", "m", 90.0, 0.0)
    assert not time.allowed("app", "m", 90.0)
    assert time.reset_at("app", "m", 90.0) == 600
    assert time.spent("app", "m", 600.0) == 6.0
    assert time.allowed("app", "m", 600.0)
    assert time.allowed("other", "m", 90.0)


class TestDelay:
    @pytest.fixture
    def portal_config(self) -> PortalConfig:
        return PortalConfig(rate=None, delay=0.05)

    async def test_every_answer_takes_so_long(self, hook: Rest, portal: PortalServer) -> None:
        await hook.call("server.time")
        assert next(iter(portal.state.journal)).ms >= 50
