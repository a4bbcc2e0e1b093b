"""`lmcd clear`: forget objects."""

from __future__ import annotations

from collections.abc import Callable

import click

from lmcd.cli.context import Context, with_context
from lmcd.cli.output import bytes_text, print_json
from lmcd.cli.selection import with_selection
from lmcd.operate import Operator, Selector


@click.command("clear")
@with_selection
@click.option("--force", is_flag=True, help="Leased and pinned objects, too.")
@with_context
def command(context: Context, selector: Callable[[Operator], Selector], force: bool) -> None:
    """Forget objects: all, or those of the keys, namespace and tenant given."""
    with context.session() as session:
        operator = session.operator
        cleared = operator.clear(selector(operator), force=force)
    if context.as_json:
        print_json(cleared)
        return
    click.echo(f"cleared {cleared.objects} objects, {bytes_text(cleared.bytes)}")
    if cleared.kept:
        click.echo(f"kept {cleared.kept}, leased or pinned; --force clears them, too")
