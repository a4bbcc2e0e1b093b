"""Metrics for Prometheus, all of one scrape from one snapshot.

`declared.json` is daemon/core/metrics.def as `make docs` writes it: what is not declared there is
not told, and a daemon that does not know a metric yet leaves it out.
"""

from __future__ import annotations

import functools
import json
import pathlib
from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector

PREFIX = "lmcd_"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SERIES = 100  # of one family; the largest are told

Snapshot = dict[str, Any]


@functools.cache
def declared() -> list[dict[str, str]]:
    """Return the table of metrics."""
    text = (pathlib.Path(__file__).parent / "declared.json").read_text()
    table: list[dict[str, str]] = json.loads(text)
    return table


def exposition(snapshot: Snapshot | None, snapshot_seconds: float) -> bytes:
    """Return the text of one scrape; without a snapshot, that the daemon does not answer."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Scrape(snapshot, snapshot_seconds))
    return generate_latest(registry)


class _Scrape(Collector):
    """One snapshot as metrics."""

    def __init__(self, snapshot: Snapshot | None, snapshot_seconds: float) -> None:
        self._snapshot = snapshot
        self._snapshot_seconds = snapshot_seconds

    def collect(self) -> Iterator[Metric]:
        for metric in declared():
            if metric["origin"] == "scrape":
                made = self._own(metric)
            elif self._snapshot is None:
                made = None
            elif metric["origin"] == "metric":
                made = _single(metric, self._snapshot)
            else:
                made = _family(metric, self._snapshot)
            if made is not None:
                yield made

    def _own(self, metric: dict[str, str]) -> Metric | None:
        name = metric["name"]
        if name == "up":
            return _plain(metric, float(self._snapshot is not None))
        if self._snapshot is None:
            return None
        daemon = self._snapshot["daemon"]
        if name == "daemon_info":
            labels = ("version", "instance_id", "policy", "backing")
            info = GaugeMetricFamily(PREFIX + name, metric["help"], labels=labels)
            info.add_metric([daemon[label] for label in labels], 1)
            return info
        values = {
            "uptime_seconds": daemon["uptime_ms"] / 1000,
            "snapshot_seconds": self._snapshot_seconds,
        }
        return _plain(metric, values[name])


def _plain(metric: dict[str, str], value: float) -> Metric:
    kind = CounterMetricFamily if metric["kind"] == "counter" else GaugeMetricFamily
    return kind(PREFIX + metric["name"], metric["help"], value=value)


def _single(metric: dict[str, str], snapshot: Snapshot) -> Metric | None:
    value = snapshot["metrics"].get(metric["name"])
    return None if value is None else _plain(metric, value)


def _family(metric: dict[str, str], snapshot: Snapshot) -> Metric | None:
    entries = [one for one in snapshot.get(metric["list"], []) if metric["field"] in one]
    if metric["kind"] == "histogram":
        return _histogram(metric, entries)
    largest = sorted(entries, key=lambda one: one[metric["field"]], reverse=True)[:SERIES]
    kind = CounterMetricFamily if metric["kind"] == "counter" else GaugeMetricFamily
    family = kind(PREFIX + metric["name"], metric["help"], labels=[metric["label"]])
    for one in largest:
        family.add_metric([str(one[metric["label"]])], one[metric["field"]])
    return family


def _histogram(metric: dict[str, str], entries: list[Snapshot]) -> Metric:
    family = HistogramMetricFamily(
        PREFIX + metric["name"], metric["help"], labels=[metric["label"]]
    )
    for one in entries:
        below = 0
        buckets = []
        *counts, rest = one["buckets"]
        for power, count in enumerate(counts):
            below += count
            buckets.append((repr((one["least_bound_ns"] << power) / 1e9), float(below)))
        buckets.append(("+Inf", float(below + rest)))
        family.add_metric([one[metric["label"]]], buckets, one["nanoseconds"] / 1e9)
    return family
