"""`lmcd serve`: the daemon in the foreground, started again when it dies."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from lmcd.admin.settings import WrongSetting, settings_of
from lmcd.cli.companion import Companion
from lmcd.cli.context import daemon_program, environment
from lmcd.cli.daemon_options import ask
from lmcd.cli.sizes import Seconds
from lmcd.cli.supervisor import PROTOCOL, Supervisor


class _Serve(click.Command):
    """Shows the daemon's options, which are declared there and nowhere else."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        described = json.loads(ask(daemon_program(), ["--describe-options"], environment()))
        with formatter.section("Options of the daemon (also LMCD_<NAME>, and keys of --config)"):
            formatter.write_dl([_help(option) for option in described["options"]])


def _help(option: dict[str, Any]) -> tuple[str, str]:
    value = "" if option["kind"] == "switch" else f" <{option['valid']}>"
    default = "required" if option["required"] else f"default: {option['default']}"
    hint = f" ({default})" if option["required"] or option["default"] else ""
    return f"{option['flag']}{value}", option["help"] + hint


@click.command(
    "serve",
    cls=_Serve,
    context_settings={"ignore_unknown_options": True, "help_option_names": ["-h", "--help"]},
)
@click.option("--no-admin", is_flag=True, help="Without the admin server.")
@click.option(
    "--watchdog-seconds",
    type=Seconds(0, 3600),
    default=30,
    show_default=True,
    help="Kill and restart a daemon that gave no sign of life for so long; 0: never.",
)
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[DAEMON OPTION]...")
def command(no_admin: bool, watchdog_seconds: float, options: tuple[str, ...]) -> int:
    """Run the daemon, keep its memory for it, and start it again when it dies.

    Beside it runs the admin server (dashboard, metrics, admin calls over HTTP), which is started
    again as well. Ends with the daemon on SIGTERM and SIGINT; SIGHUP is passed on. The exit status
    is the daemon's.
    """
    program = daemon_program()
    settings = json.loads(ask(program, ["--print-config", *options], environment()))
    if not no_admin:
        _check(settings)
    supervisor = Supervisor(
        [str(program), *options],
        environment(),
        watchdog_seconds=watchdog_seconds,
        description=_description(settings),
        companions=[] if no_admin else [_admin_server(options)],
    )
    return supervisor.run()


def _check(settings: dict[str, Any]) -> None:
    """Refuse what the admin server would refuse, once and before anything is started."""
    try:
        settings_of(settings)
    except WrongSetting as error:
        raise click.UsageError(str(error)) from None


def _admin_server(options: tuple[str, ...]) -> Companion:
    """Return the admin server, which reads the same options."""
    command = [sys.executable, "-m", "lmcd", "admin", *options]
    own = {name: value for name, value in environment().items() if name not in PROTOCOL}
    return Companion("admin server", command, own)


def _description(settings: dict[str, Any]) -> str:
    size = settings["l1-size-gb"]["value"]
    return (
        f"socket {settings['socket']['value']}, "
        f"arena {size:g} GiB {settings['l1-backing']['value']}"
    )
