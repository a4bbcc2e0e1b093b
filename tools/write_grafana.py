"""Write deploy/grafana/lmcd.json, the dashboard for Grafana, from the panels declared here.

Usage: write_grafana.py [--check]

A panel is a title, a unit and its queries; places, ids and what every panel has in common follow.
"""

from __future__ import annotations

import json
import pathlib
import sys
from typing import Any

PATH = pathlib.Path(__file__).resolve().parents[1] / "deploy" / "grafana" / "lmcd.json"
HOST = '{instance=~"$instance"}'
SOURCE = {"type": "prometheus", "uid": "${source}"}


def rate(metric: str) -> str:
    """Return the query of a counter's growth per second, by host."""
    return f"sum by (instance) (rate({metric}{HOST}[$__rate_interval]))"


def each_tier(metric: str) -> str:
    """Return the query of a counter's growth per second, by host and tier."""
    return f"sum by (instance, tier) (rate({metric}{HOST}[$__rate_interval]))"


def quantile(share: float) -> str:
    """Return the query of a quantile of the time in the daemon, by message."""
    buckets = f"rate(lmcd_verb_seconds_bucket{HOST}[$__rate_interval])"
    return f"histogram_quantile({share}, sum by (le, verb) ({buckets}))"


# Rows of panels: title, unit, [(query, legend)].
ROWS: list[list[tuple[str, str, list[tuple[str, str]]]]] = [
    [
        ("Daemons that answer", "short", [(f"lmcd_up{HOST}", "{{instance}}")]),
        (
            "Hit rate",
            "percentunit",
            [
                (
                    f"{rate('lmcd_hit_parts_total')} / {rate('lmcd_requested_parts_total')}",
                    "{{instance}}",
                )
            ],
        ),
        (
            "Arena in use",
            "percentunit",
            [(f"lmcd_used_bytes{HOST} / lmcd_arena_bytes{HOST}", "{{instance}}")],
        ),
    ],
    [
        ("Stored", "Bps", [(rate("lmcd_committed_bytes_total"), "{{instance}}")]),
        ("Loaded", "Bps", [(rate("lmcd_hit_bytes_total"), "{{instance}}")]),
        ("Messages", "reqps", [(rate("lmcd_requests_total"), "{{instance}}")]),
    ],
    [
        ("Time in the daemon, median", "s", [(quantile(0.5), "{{verb}}")]),
        ("Time in the daemon, 99th percentile", "s", [(quantile(0.99), "{{verb}}")]),
        (
            "Why objects went",
            "ops",
            [
                (rate("lmcd_evicted_for_room_objects_total"), "for room {{instance}}"),
                (rate("lmcd_evicted_for_quota_objects_total"), "for a quota {{instance}}"),
                (
                    rate("lmcd_evicted_with_namespace_objects_total"),
                    "with a namespace {{instance}}",
                ),
                (rate("lmcd_evicted_in_background_objects_total"), "watermark {{instance}}"),
                (rate("lmcd_cleared_objects_total"), "cleared {{instance}}"),
            ],
        ),
    ],
    [
        ("Tenants", "bytes", [(f"lmcd_tenant_used_bytes{HOST}", "{{tenant}} {{instance}}")]),
        (
            "Quotas used",
            "percentunit",
            [
                (
                    f"lmcd_tenant_used_bytes{HOST} / lmcd_tenant_limit_bytes{HOST}",
                    "{{tenant}} {{instance}}",
                )
            ],
        ),
        ("Namespaces", "bytes", [(f"lmcd_namespace_hot_bytes{HOST}", "{{fingerprint}}")]),
    ],
    [
        (
            "Tiers in use",
            "percentunit",
            [
                (
                    f"lmcd_tier_used_bytes{HOST} / lmcd_tier_capacity_bytes{HOST}",
                    "tier {{tier}} {{instance}}",
                )
            ],
        ),
        (
            "In and out of tiers",
            "Bps",
            [
                (each_tier("lmcd_tier_spilled_bytes_total"), "in {{tier}} {{instance}}"),
                (each_tier("lmcd_tier_prefetched_bytes_total"), "out {{tier}} {{instance}}"),
            ],
        ),
        (
            "Faults of tiers",
            "ops",
            [(each_tier("lmcd_tier_faults_total"), "tier {{tier}} {{instance}}")],
        ),
    ],
    [
        (
            "Stores that did not",
            "ops",
            [
                (rate("lmcd_no_space_total"), "no space {{instance}}"),
                (rate("lmcd_refused_total"), "refused {{instance}}"),
            ],
        ),
        (
            "Sessions and leases",
            "short",
            [
                (f"lmcd_sessions{HOST}", "sessions {{instance}}"),
                (f"lmcd_read_leases{HOST}", "read leases {{instance}}"),
                (f"lmcd_write_leases{HOST}", "write leases {{instance}}"),
            ],
        ),
        (
            "Faults",
            "ops",
            [
                (rate("lmcd_sessions_failed_total"), "sessions failed {{instance}}"),
                (rate("lmcd_malformed_total"), "malformed {{instance}}"),
                (rate("lmcd_checksum_failures_total"), "checksums {{instance}}"),
            ],
        ),
    ],
]


def panel(number: int, place: dict[str, int], title: str, unit: str, queries: list[Any]) -> Any:
    """Return one panel."""
    return {
        "id": number,
        "type": "timeseries",
        "title": title,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {
            "defaults": {
                "unit": unit,
                "min": 0,
                "custom": {"lineWidth": 1, "fillOpacity": 8, "showPoints": "never"},
            },
            "overrides": [],
        },
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}},
        "targets": [
            {"refId": chr(ord("A") + at), "expr": query, "legendFormat": legend}
            for at, (query, legend) in enumerate(queries)
        ],
    }


def dashboard() -> dict[str, Any]:
    """Return the whole document."""
    panels = [
        panel(1 + 3 * row + at, {"x": 8 * at, "y": 8 * row, "w": 8, "h": 8}, *one)
        for row, ones in enumerate(ROWS)
        for at, one in enumerate(ones)
    ]
    source = {"name": "source", "type": "datasource", "query": "prometheus", "label": "Source"}
    instance = {
        "name": "instance",
        "type": "query",
        "label": "Host",
        "datasource": SOURCE,
        "query": {"query": "label_values(lmcd_up, instance)", "refId": "instance"},
        "includeAll": True,
        "multi": True,
        "refresh": 2,
    }
    return {
        "uid": "lmcd",
        "title": "lmcd",
        "tags": ["lmcd"],
        "schemaVersion": 39,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [source, instance]},
        "panels": panels,
    }


def main() -> int:
    """Write the file, or compare it; return the exit code."""
    text = json.dumps(dashboard(), indent=1) + "\n"
    if sys.argv[1:] == ["--check"]:
        if PATH.exists() and PATH.read_text() == text:
            return 0
        print(f"{PATH.name} is not what its panels declare: run make docs", file=sys.stderr)
        return 1
    PATH.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
