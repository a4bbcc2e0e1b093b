"""`lmcd clear`: forget objects."""

from __future__ import annotations

from collections.abc import Callable

import click

from lmcd.cli.context import Context, with_context
from lmcd.cli.output import bytes_text, count_text, print_json
from lmcd.cli.selection import with_selection
from lmcd.operate import EVERYTHING, Operator, Selector


@click.command("clear")
@with_selection
@click.option("--all", "everything", is_flag=True, help="Every object of every namespace.")
@click.option("--force", is_flag=True, help="Leased and pinned objects, too.")
@with_context
def command(
    context: Context, selector: Callable[[Operator], Selector], everything: bool, force: bool
) -> None:
    """Forget the objects of the keys, namespace and tenant given, or with --all every one."""
    with context.session() as session:
        operator = session.operator
        chosen = selector(operator)
        if everything == (chosen != EVERYTHING):
            raise click.UsageError(
                "clear takes either keys, a namespace or a tenant, or --all for every object"
            )
        cleared = operator.clear(chosen, force=force)
    if context.as_json:
        print_json(cleared)
        return
    click.echo(f"cleared {count_text(cleared.objects, 'object')}, {bytes_text(cleared.bytes)}")
    if cleared.kept:
        click.echo(f"kept {cleared.kept}, leased or pinned; --force clears them, too")
