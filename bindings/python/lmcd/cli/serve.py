"""`lmcd serve`: the daemon in the foreground, started again when it dies."""

from __future__ import annotations

import json
import pathlib
import subprocess
from typing import Any

import click

from lmcd.cli.context import daemon_program, environment
from lmcd.cli.sizes import Seconds
from lmcd.cli.supervisor import Supervisor

_ASK_S = 30


class _Refused(click.ClickException):
    """What the daemon says about its options."""

    exit_code = 2


class _Serve(click.Command):
    """Shows the daemon's options, which are declared there and nowhere else."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        described = json.loads(_ask(daemon_program(), ["--describe-options"]))
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
@click.option("--no-admin", is_flag=True, help="Without the admin server, which comes later.")
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

    Ends with it on SIGTERM and SIGINT; SIGHUP is passed on. The exit status is the daemon's.
    """
    program = daemon_program()
    settings = json.loads(_ask(program, ["--print-config", *options]))
    supervisor = Supervisor(
        [str(program), *options],
        environment(),
        watchdog_seconds=watchdog_seconds,
        description=_description(settings),
    )
    return supervisor.run()


def _description(settings: dict[str, Any]) -> str:
    size = settings["l1-size-gb"]["value"]
    return (
        f"socket {settings['socket']['value']}, "
        f"arena {size:g} GiB {settings['l1-backing']['value']}"
    )


def _ask(program: pathlib.Path, arguments: list[str]) -> str:
    """Run the daemon for something that it prints; its complaint is ours."""
    result = subprocess.run(
        [program, *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=_ASK_S,
        check=False,
    )
    if result.returncode:
        raise _Refused(result.stderr.strip().removeprefix("lmcd-daemon: "))
    return result.stdout
