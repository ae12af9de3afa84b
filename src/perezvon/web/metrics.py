"""`GET /metrics` in Prometheus' text format: the status and the process as numbers. docs/metrics.md describes each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from perezvon.web.status import Status
from perezvon.web.troubles import troubles


def exposition(status: Status) -> bytes:
    registry = CollectorRegistry()
    ProcessCollector(namespace="perezvon", registry=registry)
    registry.register(_Collected(status))
    return generate_latest(registry)


class _Collected(Collector):
    def __init__(self, status: Status) -> None:
        self._status = status

    def collect(self) -> Iterable[Metric]:
        return metrics(self._status)


def metrics(status: Status) -> Iterator[Metric]:
    yield _gauge("perezvon_info", "Always 1; the label has the version", ["version"], [((status.version,), 1)])
    yield _gauge("perezvon_uptime_seconds", "Since the service started", [], [((), status.now - status.started)])
    found = [check.state.value for check in troubles(status)]
    yield _gauge(
        "perezvon_troubles",
        "What the status page names, by how bad it is: warning | problem",
        ["state"],
        [((state,), found.count(state)) for state in ("warning", "problem")],
    )
    yield _gauge("perezvon_settings_version", "Number of the saved settings that apply", [], [((), status.settings)])
    yield _gauge(
        "perezvon_database_ok", "1 while the database can be written", [], [((), 0 if status.database.trouble else 1)]
    )
    pbxs = status.pbxs
    yield _gauge(
        "perezvon_pbx_connected", "1 while events arrive", ["pbx"], [((pbx.name,), pbx.state == "live") for pbx in pbxs]
    )
    yield _gauge("perezvon_pbx_live_calls", "Calls under way", ["pbx"], [((pbx.name,), pbx.live_calls) for pbx in pbxs])
    yield _counter(
        "perezvon_pbx_reconnects", "Lost and regained connections", ["pbx"], [((pbx.name,), pbx.reconnects) for pbx in pbxs]
    )
    portals = status.portals
    yield _gauge(
        "perezvon_portal_ready",
        "1 while requests may leave",
        ["portal"],
        [((p.name,), p.state == "ready") for p in portals],
    )
    yield _gauge(
        "perezvon_queue_waiting",
        "Requests that wait for the portal",
        ["portal", "priority"],
        [((p.name, queue.priority), queue.waiting) for p in portals for queue in p.queue],
    )
    yield _gauge(
        "perezvon_queue_oldest_seconds",
        "How long the oldest request has waited",
        ["portal"],
        [((p.name,), max(0.0, status.now - p.oldest) if p.oldest is not None else 0.0) for p in portals],
    )
    yield _gauge(
        "perezvon_queue_refused",
        "Requests that the portal refused for good",
        ["portal"],
        [((p.name,), p.dead) for p in portals],
    )
    yield _gauge(
        "perezvon_portal_tokens", "Requests that the limit allows now", ["portal"], [((p.name,), p.tokens) for p in portals]
    )
    yield _counter(
        "perezvon_portal_requests",
        "HTTP requests sent to the portal",
        ["portal"],
        [((p.name,), p.requests) for p in portals],
    )
    yield _gauge(
        "perezvon_employees",
        "Employees of the portal with an extension",
        ["portal"],
        [((p.name,), p.employees) for p in portals],
    )
    yield _gauge(
        "perezvon_missed_waiting",
        "Clients who wait for a call back",
        ["portal"],
        [((p.name,), p.missed.waiting) for p in portals],
    )
    yield _gauge(
        "perezvon_missed_oldest_seconds",
        "How long the first of them has waited",
        ["portal"],
        [((p.name,), max(0.0, status.now - p.missed.oldest) if p.missed.oldest else 0.0) for p in portals],
    )
    yield _gauge(
        "perezvon_called_back",
        "Clients who were talked to after a missed call, in the last day",
        ["portal"],
        [((p.name,), p.missed.called_back) for p in portals],
    )
    yield _gauge(
        "perezvon_called_back_seconds",
        "How long that took on average",
        ["portal"],
        [((p.name,), p.missed.after or 0.0) for p in portals],
    )
    recordings = status.recordings
    yield _gauge(
        "perezvon_recordings",
        "Recordings by state",
        ["state"],
        [(("waiting",), recordings.waiting), (("done",), recordings.done), (("missing",), recordings.missing),
         (("failed",), recordings.failed)],
    )  # fmt: skip
    points = status.customisation.points
    yield _counter(
        "perezvon_hook_asked", "Questions to the integrator's functions", ["point"], [((p.name,), p.asked) for p in points]
    )
    yield _counter(
        "perezvon_hook_failed",
        "Questions that an integrator's function did not answer, or with nonsense",
        ["point"],
        [((p.name,), p.failed) for p in points],
    )
    yield _gauge(
        "perezvon_hook_left_alone",
        "1 while a function is not asked, because it did not answer several times in a row",
        ["point"],
        [((p.name,), p.until is not None) for p in points],
    )
    yield _counter(
        "perezvon_unmapped_calls",
        "Calls of extensions that no employee of the portal has",
        ["portal", "extension"],
        [((case.portal, case.extension), case.count) for case in status.unmapped],
    )
    yield _counter(
        "perezvon_unknown_line_calls",
        "Calls to numbers of the company that are not in the settings",
        ["portal", "line"],
        [((case.portal, case.number), case.count) for case in status.unknown_lines],
    )
    yield _counter(
        "perezvon_left_out_calls",
        "Calls that the portal was not told of because of a filter",
        ["portal", "setting"],
        [((case.portal, case.setting), case.count) for case in status.left_out],
    )


Samples = Iterable[tuple[tuple[str, ...], float]]


def _gauge(name: str, told: str, labels: list[str], samples: Samples) -> Metric:
    family = GaugeMetricFamily(name, told, labels=labels)
    for values, number in samples:
        family.add_metric(values, float(number))
    return family


def _counter(name: str, told: str, labels: list[str], samples: Samples) -> Metric:
    family = CounterMetricFamily(name, told, labels=labels)
    for values, number in samples:
        family.add_metric(values, float(number))
    return family
