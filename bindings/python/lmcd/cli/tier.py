"""`lmcd tier`: the tiers, and what is in them."""

from __future__ import annotations

from typing import Any

import click

from lmcd.cli.context import Context, with_context
from lmcd.cli.output import bytes_text, print_facts, print_json, print_table, share_text
from lmcd.errors import NotFound

_METRICS = ("spill", "evicted_unspilled", "dropped_clean", "prefetch", "cold", "leaving", "undeliv")


@click.group("tier")
def command() -> None:
    """The tiers, in the order of the cascade."""


@command.command("ls")
@with_context
def list_tiers(context: Context) -> None:
    """List the tiers, their state and use."""
    tiers = _stats(context)["tiers"]
    if context.as_json:
        print_json(tiers)
        return
    print_table(
        ("tier>", "type", "health", "used>", "capacity>", "records>", "faults>", "reason"),
        (
            (
                one["tier"],
                one["type"],
                one["health"],
                bytes_text(one["used_bytes"]),
                bytes_text(one["capacity_bytes"]) if one["capacity_bytes"] else "-",
                one["records"],
                one["faults"],
                one["reason"],
            )
            for one in tiers
        ),
    )


@command.command("stat")
@click.argument("tier", type=click.IntRange(0), required=False)
@with_context
def show(context: Context, tier: int | None) -> None:
    """Show all that is known of TIER, a number of `lmcd tier ls`; of all tiers without it.

    Without it the counters of spill and prefetch come too.
    """
    stats = _stats(context)
    tiers = [one for one in stats["tiers"] if tier is None or one["tier"] == tier]
    if not tiers and tier is not None:
        raise NotFound(f"there is no tier {tier}: the daemon has {len(stats['tiers'])}")
    counters = {
        name: value for name, value in stats["metrics"].items() if name.startswith(_METRICS)
    }
    if context.as_json:
        print_json(tiers[0] if tier is not None else {"tiers": tiers, "metrics": counters})
        return
    for one in tiers:
        print_facts(_facts(one), title=f"tier {one['tier']}")
    if tier is None:
        print_facts(counters.items(), title="spill and prefetch")


@command.command("drain")
@click.option(
    "--timeout-seconds",
    type=click.FloatRange(0.1, 86400),
    default=300,
    show_default=True,
    help="How long to wait; the spilling goes on after it.",
)
@with_context
def drain(context: Context, timeout_seconds: float) -> None:
    """Spill all that is hot and not yet in the tiers."""
    with context.session(timeout_ms=int(timeout_seconds * 1000)) as session:
        session.operator.drain()
        metrics = session.operator.stats()["metrics"]
    cold = {name: metrics[name] for name in ("cold_parts", "cold_bytes")}
    if context.as_json:
        print_json(cold)
    else:
        click.echo(f"in the tiers: {cold['cold_parts']} parts, {bytes_text(cold['cold_bytes'])}")


def _stats(context: Context) -> dict[str, Any]:
    with context.session() as session:
        return session.operator.stats()


def _facts(tier: dict[str, Any]) -> list[tuple[str, Any]]:
    capacity = tier["capacity_bytes"]
    speed = tier["measured_bytes_per_second"]
    return [
        ("type", tier["type"]),
        ("health", f"{tier['health']} {tier['reason']}".strip()),
        ("kept across restarts", "yes" if tier["durable"] else "no"),
        (
            "used",
            f"{bytes_text(tier['used_bytes'])}"
            + (f" of {bytes_text(capacity)}" if capacity else "")
            + (f" ({share_text(tier['used_bytes'], capacity)})" if capacity else ""),
        ),
        ("records", tier["records"]),
        ("evicted", f"{tier['evicted_records']} ({bytes_text(tier['evicted_bytes'])})"),
        ("faults", tier["faults"]),
        ("in flight", f"{tier['spills_in_flight']} spills, {tier['prefetches_in_flight']} loads"),
        ("spilled", bytes_text(tier["spilled_bytes"])),
        ("prefetched", bytes_text(tier["prefetched_bytes"])),
        ("loads at", f"{bytes_text(speed)}/s" if speed else "not measured"),
    ]
