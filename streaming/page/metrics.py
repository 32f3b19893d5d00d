"""The newest report as Prometheus metrics, with those of the page itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from roadmask.streaming.live.reports import CameraReport, CameraState, LiveReport
from roadmask.streaming.page.feed import Feed

_COUNTERS: tuple[tuple[str, str, Callable[[CameraReport], float]], ...] = (
    ("captured_frames", "Frames captured.", lambda camera: camera.ledger.captured),
    ("watched_frames", "Frames tracked and shown, but not stored.", lambda camera: camera.watched),
    ("limit_changes", "Changes of the limit of frames per second.", lambda camera: camera.limit_changes),
    ("reconnects", "Reconnections of the stream.", lambda camera: camera.reconnects),
)
_COUNTERS_BY_REASON: tuple[tuple[str, str, Callable[[CameraReport], dict[str, int]]], ...] = (
    ("dropped_frames", "Frames dropped, by reason.", lambda camera: camera.dropped),
    ("failed_frames", "Frames failed, by reason.", lambda camera: camera.ledger.failed),
)
_GAUGES: tuple[tuple[str, str, Callable[[CameraReport], float | None]], ...] = (
    ("in_flight_frames", "Frames captured whose outcome is not known yet.", lambda camera: camera.ledger.in_flight),
    # What a recorder had not committed when it died is not stored after all, so this may fall.
    ("stored_frames", "Frames stored with their masks.", lambda camera: camera.ledger.stored),
    ("captured_frames_per_second", "Frames captured per second, recently.", lambda camera: camera.captured_fps),
    ("segmented_frames_per_second", "Frames segmented per second, recently.", lambda camera: camera.segmented_fps),
    ("image_age_seconds", "Age of the newest image.", lambda camera: _seconds(camera.image_age_ms)),
    ("masks_age_seconds", "Age of the newest image that has masks.", lambda camera: _seconds(camera.masks_age_ms)),
    (
        "epoch",
        "Epoch of the newest image: image size, rotation and clock do not change within one.",
        lambda camera: camera.epoch,
    ),
    (
        "frames_per_second_limit",
        "Maximum number of frames per second offered to the engine.",
        lambda camera: camera.limit_fps,
    ),
)
_QUANTILES = (("0.5", "p50_ms"), ("0.95", "p95_ms"), ("0.99", "p99_ms"))


class RunCollector(Collector):
    """Turns the newest report into metrics each time they are collected."""

    def __init__(self, feed: Feed, clients: Callable[[], int]) -> None:
        self._feed = feed
        self._clients = clients

    def collect(self) -> Iterator[Metric]:
        """Yields all metrics; those of the run only once it has reported."""
        report, age_s = self._feed.last_report()
        yield _gauge("roadmask_report_age_seconds", "Time since the last report of the run.", age_s)
        if report is not None:
            yield from _run_metrics(report)
        yield from self._page_metrics()

    def _page_metrics(self) -> Iterator[Metric]:
        yield _gauge("roadmask_page_clients", "Open pages.", self._clients())
        yield _gauge(
            "roadmask_page_history_bytes", "Size of the images kept for looking back.", self._feed.history_bytes()
        )
        published = CounterMetricFamily("roadmask_page_published_images", "Images published.", labels=["camera"])
        sent = CounterMetricFamily("roadmask_page_sent_images", "Images sent to pages.", labels=["camera"])
        skipped = CounterMetricFamily(
            "roadmask_page_skipped_images",
            "Images not sent to a page because a newer one came first.",
            labels=["camera"],
        )
        for camera, number in self._feed.published().items():
            published.add_metric([camera], number)
            sent.add_metric([camera], self._feed.sent[camera])
            skipped.add_metric([camera], self._feed.skipped[camera])
        yield from (published, sent, skipped)


def run_registry(feed: Feed, clients: Callable[[], int]) -> CollectorRegistry:
    """Returns the metrics of the run, its page and its process."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(RunCollector(feed, clients))
    ProcessCollector(registry=registry)
    return registry


def _run_metrics(report: LiveReport) -> Iterator[Metric]:
    yield _gauge("roadmask_uptime_seconds", "Time since the run began.", report.uptime_s)
    yield _gauge("roadmask_storing", "1 while masks are stored.", float(report.storing))
    if report.budget_ms is not None:
        yield _gauge("roadmask_latency_budget_seconds", "The latency budget.", report.budget_ms / 1000)
    if report.input_size is not None:
        changes = CounterMetricFamily("roadmask_input_size_changes", "Changes of the network input size.")
        changes.add_metric([], report.input_size_changes)
        size = GaugeMetricFamily("roadmask_input_size", "1 for the network input size in use.", labels=["size"])
        size.add_metric([report.input_size], 1)
        yield from (changes, size)
    for name, text, count_of in _COUNTERS:
        counter = CounterMetricFamily(f"roadmask_camera_{name}", text, labels=["camera"])
        for camera in report.cameras:
            counter.add_metric([camera.camera], count_of(camera))
        yield counter
    for name, text, counts_of in _COUNTERS_BY_REASON:
        counter = CounterMetricFamily(f"roadmask_camera_{name}", text, labels=["camera", "reason"])
        for camera in report.cameras:
            for reason, number in counts_of(camera).items():
                counter.add_metric([camera.camera, reason], number)
        yield counter
    for name, text, value_of in _GAUGES:
        gauge = GaugeMetricFamily(f"roadmask_camera_{name}", text, labels=["camera"])
        for camera in report.cameras:
            value = value_of(camera)
            if value is not None:
                gauge.add_metric([camera.camera], value)
        yield gauge
    yield from _labelled_gauges(report)


def _labelled_gauges(report: LiveReport) -> Iterator[Metric]:
    state = GaugeMetricFamily(
        "roadmask_camera_state", "1 for the present state of the camera.", labels=["camera", "state"]
    )
    ages = GaugeMetricFamily(
        "roadmask_camera_stage_age_seconds",
        "Age of frames when a stage had finished with them, over the last minute.",
        labels=["camera", "stage", "quantile"],
    )
    tracks = GaugeMetricFamily(
        "roadmask_camera_tracks", "Confirmed tracks in the newest image.", labels=["camera", "class"]
    )
    for camera in report.cameras:
        for one in CameraState:
            state.add_metric([camera.camera, one.value], float(camera.state is one))
        for stage, quantiles in camera.ages.items():
            for quantile, field in _QUANTILES:
                ages.add_metric([camera.camera, stage, quantile], getattr(quantiles, field) / 1000)
        for name, number in camera.counts.items():
            tracks.add_metric([camera.camera, name], number)
    yield from (state, ages, tracks)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else ms / 1000
