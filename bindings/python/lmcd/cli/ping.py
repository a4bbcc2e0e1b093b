"""`lmcd ping`: a round trip to the daemon."""

from __future__ import annotations

import statistics
import time

import click

from lmcd.cli.context import Context, with_context
from lmcd.cli.output import print_json
from lmcd.cli.sizes import Seconds
from lmcd.errors import NoDaemon
from lmcd.session import Session

_PAUSE_S = 0.05


def _session(context: Context, until: float) -> Session:
    """Connect, trying again until a moment as long as nobody answers."""
    while True:
        try:
            return context.session()
        except NoDaemon:
            if time.monotonic() >= until:
                raise
        time.sleep(_PAUSE_S)


@click.command("ping")
@click.option("--count", type=click.IntRange(1, 10_000), default=5, show_default=True)
@click.option(
    "--wait-seconds",
    type=Seconds(0, 3600),
    default=0.0,
    help="Wait so long for a daemon that starts.",
)
@with_context
def command(context: Context, count: int, wait_seconds: float) -> None:
    """Ask the daemon an empty question, and tell how long the answer took."""
    with _session(context, time.monotonic() + wait_seconds) as session:
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
