"""`lmcd demo`: two engines share KV through the daemon, across kill -9 of both."""

from __future__ import annotations

import click

from lmcd.cli.context import daemon_program


@click.command("demo")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def command(as_json: bool) -> int:
    """Show a conversation that survives the death of its engines and of the daemon.

    Ends with `demo: ok`, or `demo: FAILED` and exit status 1.
    """
    from lmcd.demo.run import run

    return run(str(daemon_program()), as_json=as_json)
