"""`lmcd doctor`: checks this machine, and says how to mend it."""

from __future__ import annotations

import click

from lmcd.cli.checks import Finding, State, examine
from lmcd.cli.context import Context, daemon_program, default_socket, with_context
from lmcd.cli.output import console, print_json


@click.command("doctor")
@with_context
def command(context: Context) -> int:
    """Check what lmcd needs of this machine, and say how to mend what is wrong.

    The exit status is 1 when something must be mended.
    """
    try:
        program = str(daemon_program())
    except click.ClickException as error:
        program = ""
        missing = error.format_message()
    findings = examine(program or missing, bool(program), context.socket or default_socket())
    if context.as_json:
        print_json(findings)
    else:
        _print(findings)
    return 1 if any(one.state == State.WRONG for one in findings) else 0


def _print(findings: list[Finding]) -> None:
    out = console()
    style = {State.GOOD: "green", State.NOTE: "yellow", State.WRONG: "red"}
    for one in findings:
        out.print(f"[{style[one.state]}]{one.state:5}[/] [bold]{one.subject}[/]: {one.text}")
        if one.mend:
            out.print(f"      mend: {one.mend}")
