"""`lmcd status`: what the daemon holds and does."""

from __future__ import annotations

from typing import Any

import click

from lmcd.cli.context import Context, with_context
from lmcd.cli.output import (
    bytes_text,
    count_text,
    duration_text,
    print_facts,
    print_json,
    print_table,
    share_text,
    tenant_text,
)


@click.command("status")
@with_context
def command(context: Context) -> None:
    """Show what the daemon holds and does.

    --json prints the whole snapshot, with every metric.
    """
    with context.session() as session:
        stats = session.operator.stats()
    if context.as_json:
        print_json(stats)
        return
    _print_summary(stats["daemon"], stats["metrics"])
    _print_sessions(stats)
    _print_namespaces(stats)
    _print_tenants(stats)


def _print_summary(daemon: dict[str, Any], metrics: dict[str, int]) -> None:
    used, whole = metrics["used_bytes"], metrics["arena_bytes"]
    start = daemon["start"]
    print_facts(
        [
            ("daemon", f"{daemon['version']}, pid {daemon['pid']}, {daemon['socket']}"),
            ("up", duration_text(daemon["uptime_ms"])),
            (
                "started",
                f"warm, with {count_text(start['objects'], 'object')}" if start["warm"] else "cold",
            ),
            (
                "arena",
                f"{bytes_text(used)} of {bytes_text(whole)} in use ({share_text(used, whole)}), "
                f"{bytes_text(metrics['populated_bytes'])} populated, {daemon['backing']}",
            ),
            (
                "objects",
                f"{metrics['objects']}, {metrics['leased_objects']} leased, "
                f"{metrics['pinned_objects']} pinned, policy {daemon['policy']}",
            ),
            (
                "hit rate",
                f"{share_text(metrics['hit_parts_total'], metrics['requested_parts_total'])} of "
                f"{count_text(metrics['requested_parts_total'], 'part')} asked for",
            ),
            (
                "writing",
                f"{bytes_text(metrics['reserved_bytes'])} reserved, "
                f"{bytes_text(metrics['quarantined_bytes'])} quarantined",
            ),
            ("evicted", count_text(metrics["evicted_objects_total"], "object")),
        ]
    )


def _print_sessions(stats: dict[str, Any]) -> None:
    print_table(
        ("session", "pid>", "uid>", "leases>", "held>", "requests>", "age>"),
        (
            (
                one["name"],
                one["pid"],
                one["uid"],
                one["leases"],
                bytes_text(one["held_bytes"]),
                one["requests"],
                duration_text(one["age_ms"]),
            )
            for one in stats["sessions"]
        ),
        title=count_text(stats["sessions_total"], "session"),
    )


def _print_namespaces(stats: dict[str, Any]) -> None:
    if stats["namespaces"]:
        print_table(
            ("namespace>", "ranks>", "groups>", "fingerprint", "description"),
            (
                (
                    one["space"],
                    one["ranks"],
                    one["groups"],
                    one["fingerprint"][:16],
                    " ".join(one["description"].split())[:60],
                )
                for one in stats["namespaces"]
            ),
        )


def _print_tenants(stats: dict[str, Any]) -> None:
    if stats["tenants"]:
        print_table(
            ("tenant", "used>", "quota>"),
            (
                (
                    tenant_text(one["tenant"]),
                    bytes_text(one["used_bytes"]),
                    bytes_text(one["limit_bytes"]) if one["limited"] else "-",
                )
                for one in stats["tenants"]
            ),
        )
