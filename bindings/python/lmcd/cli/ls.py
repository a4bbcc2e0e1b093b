"""`lmcd ls`: the objects that the daemon holds."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import click

from lmcd.cli.context import Context, with_context
from lmcd.cli.output import bytes_text, duration_text, print_json, print_table, tenant_text
from lmcd.cli.selection import with_selection
from lmcd.errors import NotFound
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
        wanted = selector(operator)
        objects = list(itertools.islice(operator.list(wanted), limit + 1))
        if not objects:
            _check_known(operator, wanted)
    shown, more = objects[:limit], len(objects) > limit
    if context.as_json:
        print_json({"objects": shown, "more": more})
        return
    print_objects(shown)
    if more:
        click.echo(f"more than {limit}: --limit shows more")


def _check_known(operator: Operator, wanted: Selector) -> None:
    """Raise NotFound where nothing has the number or the name that was asked for."""
    if wanted.tenant is not None and all(
        known.tenant != wanted.tenant for known in operator.quotas()
    ):
        raise NotFound(f"no tenant {tenant_text(wanted.tenant)!r} has objects or a quota")
    if wanted.space is None:
        return
    stats = operator.stats()
    numbers = [one["space"] for one in stats["namespaces"]]
    whole = len(numbers) == stats["namespaces_total"]  # a list that was cut proves nothing
    if whole and wanted.space not in numbers:
        raise NotFound(f"no namespace has the number {wanted.space}; `lmcd status` lists them")


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
