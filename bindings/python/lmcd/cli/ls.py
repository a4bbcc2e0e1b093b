"""`lmcd ls`: the objects that the daemon holds."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import click

from lmcd.cli.context import Context, with_context
from lmcd.cli.output import bytes_text, duration_text, print_json, print_table, tenant_text
from lmcd.cli.selection import with_selection
from lmcd.operate import Listed, Operator, Selector

SHOWN_DIGITS = 16


@click.command("ls")
@with_selection
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most.")
@with_context
def command(context: Context, selector: Callable[[Operator], Selector], limit: int) -> None:
    """List objects: all, or those of the keys, namespace and tenant given.

    A key is shown by its first digits, which the other commands take as well.
    """
    with context.session() as session:
        operator = session.operator
        objects = list(itertools.islice(operator.list(selector(operator)), limit + 1))
    shown, more = objects[:limit], len(objects) > limit
    if context.as_json:
        print_json({"objects": shown, "more": more})
        return
    print_objects(shown)
    if more:
        click.echo(f"more than {limit}: --limit shows more")


def print_objects(objects: Sequence[Listed]) -> None:
    """Print a table of objects."""
    print_table(
        ("key", "space>", "tenant", "depth>", "parts>", "bytes>", "hits>", "idle>", "state"),
        (
            (
                one.key.hex()[:SHOWN_DIGITS],
                one.space,
                tenant_text(one.tenant),
                one.depth,
                one.part_count,
                bytes_text(one.bytes),
                one.hits,
                duration_text(one.idle_ms),
                _state(one),
            )
            for one in objects
        ),
    )


def _state(one: Listed) -> str:
    words = ["pinned"] if one.pinned else []
    if one.lease_count:
        words.append(f"leased {one.lease_count}")
    return ", ".join(words)
