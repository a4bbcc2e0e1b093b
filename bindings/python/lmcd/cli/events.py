"""`lmcd events`: what happens, as it happens."""

from __future__ import annotations

import itertools
import time

import click

from lmcd.cli.context import Context, with_context
from lmcd.cli.ls import SHOWN_DIGITS
from lmcd.cli.output import bytes_text, print_json
from lmcd.events import Event, EventKind


@click.command("events")
@click.option("--count", type=click.IntRange(1), help="End after so many.")
@with_context
def command(context: Context, count: int | None) -> None:
    """Follow what happens until interrupted; --json prints one object a line."""
    with context.session() as session:
        for event in itertools.islice(session.events(), count):
            if context.as_json:
                print_json(event)
            else:
                click.echo(_line(event))


def _line(event: Event) -> str:
    clock = time.strftime("%H:%M:%S", time.localtime(event.time_ms / 1000))
    line = f"{clock}.{event.time_ms % 1000:03} {event.kind.name.lower():9}"
    if event.kind == EventKind.MISSED:
        return f"{line} {event.count} events"
    if event.kind == EventKind.REFUSED:
        return f"{line} lease {event.lease}: {event.code}"
    return (
        f"{line} {event.key.hex()[:SHOWN_DIGITS]} space {event.space} depth {event.depth} "
        f"rank {event.rank} group {event.group} {bytes_text(event.bytes)}"
    )
