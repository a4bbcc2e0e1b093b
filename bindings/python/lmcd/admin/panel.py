"""What the dashboard and `lmcd top` show, taken out of a snapshot.

A frame is small whatever the daemon holds: lists are cut to their largest, and say how many there
are in all. Rates are made by who shows them, from the counters of two frames.
"""

from __future__ import annotations

from typing import Any

ROWS = 200

Facts = dict[str, Any]


def frame_of(snapshot: Facts, moment_ms: int) -> Facts:
    """Return the frame of a snapshot that was taken at `moment_ms` of Unix time."""
    return {
        "moment_ms": moment_ms,
        "reachable": True,
        "daemon": snapshot["daemon"],
        "metrics": snapshot["metrics"],
        "verbs": snapshot.get("verbs", []),
        "namespaces": _largest(snapshot, "namespaces", "hot_bytes"),
        "tenants": _largest(
            {
                "tenants": [
                    one for one in snapshot["tenants"] if one["used_bytes"] or one["limited"]
                ]
            },
            *("tenants", "used_bytes"),
        ),
        "sessions": _largest(snapshot, "sessions", "held_bytes"),
        "segments": len(snapshot["segments"]),
        "tiers": snapshot["tiers"],
    }


def unreachable(reason: str, moment_ms: int) -> Facts:
    """Return the frame of a daemon that does not answer."""
    return {"moment_ms": moment_ms, "reachable": False, "reason": reason}


def _largest(snapshot: Facts, name: str, field: str) -> Facts:
    rows = snapshot[name]
    shown = sorted(rows, key=lambda row: row.get(field, 0), reverse=True)[:ROWS]
    return {"total": snapshot.get(f"{name}_total", len(rows)), "rows": shown}
