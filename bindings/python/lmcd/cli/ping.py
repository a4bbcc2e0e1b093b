"""`lmcd ping`: a round trip to the daemon."""

from __future__ import annotations

import statistics
import time

import click

from lmcd.cli.context import Context, with_context
from lmcd.cli.output import print_json


@click.command("ping")
@click.option("--count", type=click.IntRange(1, 10_000), default=5, show_default=True)
@with_context
def command(context: Context, count: int) -> None:
    """Ask the daemon an empty question, and tell how long the answer took."""
    with context.session() as session:
        daemon_pid = session.info().daemon_pid
        times_us = []
        for _ in range(count):
            begin = time.perf_counter()
            session.ping()
            times_us.append((time.perf_counter() - begin) * 1e6)
    facts = {
        "daemon_pid": daemon_pid,
        "count": count,
        "least_us": round(min(times_us), 1),
        "median_us": round(statistics.median(times_us), 1),
        "most_us": round(max(times_us), 1),
    }
    if context.as_json:
        print_json(facts)
    else:
        click.echo(
            f"pid {daemon_pid} answers: {facts['median_us']} us "
            f"({facts['least_us']} to {facts['most_us']} in {count})"
        )
