"""`lmcd reload`: have the daemon read its options again."""

from __future__ import annotations

import click

from lmcd.cli.context import Context, with_context
from lmcd.cli.output import print_json


@click.command("reload")
@with_context
def command(context: Context) -> None:
    """Have the daemon read its options again, as SIGHUP does.

    Shows those that are in use now and were not before; docs/options.md tells which may change. The
    daemon's log names those that need a restart.
    """
    with context.session() as session:
        before = session.operator.config()
        session.operator.reload()
        after = session.operator.config()
    changed = {name: one["value"] for name, one in after.items() if one != before[name]}
    if context.as_json:
        print_json({"changed": changed})
        return
    for name, value in changed.items():
        click.echo(f"{name}: {value}")
    if not changed:
        click.echo("nothing changed")
