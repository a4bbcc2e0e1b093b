"""`lmcd config`: the daemon's effective options."""

from __future__ import annotations

import json

import click

from lmcd.cli.context import Context, with_context
from lmcd.cli.output import print_json, print_table


@click.command("config")
@with_context
def command(context: Context) -> None:
    """Show the running daemon's options and where each comes from, secrets masked."""
    with context.session() as session:
        options = session.operator.config()
    if context.as_json:
        print_json(options)
        return
    print_table(
        ("option", "value", "from"),
        ((name, _value(one["value"]), one["source"]) for name, one in options.items()),
    )


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
