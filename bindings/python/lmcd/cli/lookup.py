"""`lmcd lookup`: which keys are there."""

from __future__ import annotations

from collections.abc import Callable

import click

from lmcd.cli.context import Context, with_context
from lmcd.cli.ls import print_objects
from lmcd.cli.output import print_json
from lmcd.cli.selection import with_selection
from lmcd.operate import Operator, Selector


@click.command("lookup")
@with_selection
@with_context
def command(context: Context, selector: Callable[[Operator], Selector]) -> int:
    """Tell which of the keys are there.

    The exit status is 1 unless all are.
    """
    with context.session() as session:
        operator = session.operator
        wanted = selector(operator)
        if wanted.keys is None:
            raise click.UsageError("lookup takes at least one key")
        found = list(operator.list(wanted))
    present = {one.key for one in found}
    absent = [key for key in dict.fromkeys(wanted.keys) if key not in present]
    if context.as_json:
        print_json({"present": found, "absent": absent})
    else:
        print_objects(found)
        for key in absent:
            click.echo(f"absent: {key.hex()}")
    return 1 if absent else 0
