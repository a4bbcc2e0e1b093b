"""The connector's counters in vLLM's own log lines and /metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vllm.distributed.kv_transfer.kv_connector.v1.metrics import (
    KVConnectorPromMetrics,
    KVConnectorStats,
)

if TYPE_CHECKING:
    from vllm.config import VllmConfig


@dataclass(frozen=True)
class Metric:
    """A counter: what it says, and the label behind the colon of its name."""

    text: str
    label: str | None = None


METRICS = {
    "lookup_tokens": Metric("Tokens of prompts that lmcd was asked for."),
    "hit_tokens": Metric("Tokens that were loaded from lmcd.", "tier"),
    "loads": Metric("Loads of one rank that were whole."),
    "load_bytes": Metric("Bytes that were loaded."),
    "load_seconds": Metric("Seconds that loads took, on their own threads."),
    "load_failures": Metric("Loads whose tokens were computed instead.", "reason"),
    "saves": Metric("Saves of one rank that were through."),
    "save_bytes": Metric("Bytes that were stored and were not there before."),
    "save_seconds": Metric("Seconds that saves took, on their own threads."),
    "save_chunks": Metric("Parts of chunks that were to be stored.", "outcome"),
    "save_failures": Metric("Saves that were dropped.", "reason"),
    "lookup_failures": Metric("Lookups that came to nothing.", "reason"),
}


class LmcdStats(KVConnectorStats):
    """Counts of an interval, of all ranks together."""

    def reset(self) -> None:
        """Begin a new interval."""
        self.data: dict[str, Any] = {}

    def aggregate(self, other: KVConnectorStats) -> KVConnectorStats:
        """Add another's counts."""
        for name, count in other.data.items():
            self.data[name] = self.data.get(name, 0) + count
        return self

    def reduce(self) -> dict[str, int | float]:
        """Return what the periodic log line says."""
        return {f"lmcd {name}": round(count, 3) for name, count in sorted(self.data.items())}

    def is_empty(self) -> bool:
        """Tell whether nothing was counted."""
        return not self.data


class LmcdMetrics(KVConnectorPromMetrics):
    """The Prometheus counters, `vllm:lmcd_<name>_total`."""

    def __init__(
        self,
        vllm_config: VllmConfig,
        metric_types: dict[Any, Any],
        labelnames: list[str],
        per_engine_labelvalues: dict[int, list[object]],
    ) -> None:
        super().__init__(vllm_config, metric_types, labelnames, per_engine_labelvalues)
        self._counters: dict[str, Any] = {
            name: self._counter_cls(
                name=f"vllm:lmcd_{name}_total",
                documentation=metric.text,
                labelnames=[*labelnames, *([metric.label] if metric.label else [])],
            )
            for name, metric in METRICS.items()
        }

    def observe(self, transfer_stats_data: dict[str, Any], engine_idx: int = 0) -> None:
        """Add an interval's counts."""
        for full_name, count in transfer_stats_data.items():
            name, _, label = full_name.partition(":")
            values = [*self.per_engine_labelvalues[engine_idx], *([label] if label else [])]
            self._counters[name].labels(*values).inc(count)
