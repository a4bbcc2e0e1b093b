"""`lmcd unpin`: let objects be evicted again."""

from __future__ import annotations

from collections.abc import Callable

import click

from lmcd.cli.context import Context, with_context
from lmcd.cli.pin import set_pins
from lmcd.cli.selection import with_selection
from lmcd.operate import Operator, Selector


@click.command("unpin")
@with_selection
@with_context
def command(context: Context, selector: Callable[[Operator], Selector]) -> None:
    """Let objects be evicted again: all, or those given."""
    set_pins(context, selector, pinned=False)
