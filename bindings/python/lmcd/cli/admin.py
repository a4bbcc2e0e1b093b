"""`lmcd admin`: the admin server alone, beside a daemon that runs or will run."""

from __future__ import annotations

import json

import click

from lmcd.cli.context import daemon_program, environment
from lmcd.cli.daemon_options import ask

# Nobody makes an arena here, but the daemon reads its options as a whole.
_ANY_SIZE = {"LMCD_L1_SIZE_GB": "1048576"}  # the most: bounds other sizes


@click.command(
    "admin",
    context_settings={"ignore_unknown_options": True, "help_option_names": ["-h", "--help"]},
)
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def command(options: tuple[str, ...]) -> None:
    """Serve dashboard, metrics and admin calls over HTTP. `lmcd serve` does so by itself.

    Takes the options of `lmcd serve`; those of the admin server and --socket count. Ends on
    SIGTERM and SIGINT.
    """
    # Imported here, for those who ask for help alone.
    from lmcd.admin.server import CannotListen, serve
    from lmcd.admin.settings import WrongSetting, settings_of

    settings = json.loads(
        ask(daemon_program(), ["--print-config", *options], _ANY_SIZE | environment())
    )
    try:
        serve(settings_of(settings))
    except WrongSetting as error:
        raise click.UsageError(str(error)) from None
    except CannotListen as error:
        raise click.ClickException(f"the admin server cannot listen: {error}") from None
