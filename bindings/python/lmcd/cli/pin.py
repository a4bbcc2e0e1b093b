"""`lmcd pin`: keep objects from being evicted."""

from __future__ import annotations

from collections.abc import Callable

import click

from lmcd.cli.context import Context, with_context
from lmcd.cli.output import count_text, print_json
from lmcd.cli.selection import with_selection
from lmcd.operate import EVERYTHING, Operator, Selector


@click.command("pin")
@with_selection
@with_context
def command(context: Context, selector: Callable[[Operator], Selector]) -> None:
    """Keep objects of the keys, namespace and tenant given from being evicted."""
    set_pins(context, selector, pinned=True)


def set_pins(context: Context, selector: Callable[[Operator], Selector], *, pinned: bool) -> None:
    """Pin or unpin, and tell how many objects changed."""
    with context.session() as session:
        operator = session.operator
        chosen = selector(operator)
        if pinned and chosen == EVERYTHING:
            raise click.UsageError("pin takes keys, a namespace or a tenant")
        count = operator.pin(chosen, pinned=pinned)
    if context.as_json:
        print_json({"changed": count})
    else:
        click.echo(f"{'pinned' if pinned else 'unpinned'} {count_text(count, 'object')}")
