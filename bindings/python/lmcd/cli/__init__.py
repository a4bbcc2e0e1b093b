"""The command line: `lmcd serve`, `lmcd status` and the other verbs.

A command is parse, one call, print; each stands in the module of its name. People get tables,
programs the same facts by --json. Errors are one line on stderr.

Exit status: 0 done, 1 a fault, 2 wrong usage or a wrong option, 3 no daemon answers, 4 not
allowed, 130 interrupted.
"""

from __future__ import annotations

import importlib
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import click

from lmcd import errors
from lmcd._ffi import REBUILD

EXIT_FAULT = 1
EXIT_USAGE = 2
EXIT_NO_DAEMON = 3
EXIT_DENIED = 4
EXIT_INTERRUPTED = 130

# The sub-command, the module it stands in, its line in the help.
_COMMANDS = {
    "serve": ("serve", "run the daemon and restart it when it dies"),
    "server": ("serve", "the same as serve"),
    "admin": ("admin", "the admin server alone: dashboard, metrics, calls over HTTP"),
    "status": ("status", "what the daemon holds and does"),
    "top": ("top", "the same, live"),
    "ls": ("ls", "list objects"),
    "lookup": ("lookup", "tell which keys are there"),
    "explain": ("explain", "say why a prompt missed"),
    "clear": ("clear", "forget objects"),
    "purge": ("purge", "forget a tenant"),
    "pin": ("pin", "keep objects from being evicted"),
    "unpin": ("unpin", "let objects be evicted again"),
    "quota": ("quota", "quotas of tenants"),
    "tier": ("tier", "the tiers, and what is in them"),
    "ping": ("ping", "measure a round trip to the daemon"),
    "events": ("events", "follow what happens"),
    "doctor": ("doctor", "check this machine, and say how to mend it"),
    "config": ("config", "the daemon's effective options"),
    "reload": ("reload", "have the daemon read its options again"),
    "bench": ("bench", "a quick measurement of the running daemon"),
    "demo": ("demo", "two engines share KV across kill -9"),
}


class _Commands(click.Group):
    """Loads a sub-command's module when the command is named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"lmcd.cli.{_COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])


def _print_version(ctx: click.Context, _option: click.Parameter, value: bool) -> None:
    if value:
        import lmcd

        click.echo(lmcd.__version__)
        ctx.exit()


def _print_prefix(ctx: click.Context, _option: click.Parameter, value: bool) -> None:
    if value:
        click.echo(pathlib.Path(__file__).absolute().parents[1])
        ctx.exit()


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version.",
)
@click.option(
    "--prefix",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_prefix,
    help="Print where C programs find lmcd: the folder for CMAKE_PREFIX_PATH; with "
    "/share/pkgconfig, for PKG_CONFIG_PATH.",
)
def group() -> None:
    """Keep the KV cache of LLM inference engines outside the engine process."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    try:
        result: Any = group.main(arguments, prog_name="lmcd", standalone_mode=False)
    except click.exceptions.Abort:
        return EXIT_INTERRUPTED
    except click.ClickException as error:
        return _complain(error.format_message(), error.exit_code)
    except errors.NoDaemon as error:
        return _complain(f"{error}; is `lmcd serve` running?", EXIT_NO_DAEMON)
    except errors.Denied as error:
        return _complain(str(error), EXIT_DENIED)
    except errors.LmcdError as error:
        return _complain(str(error), EXIT_FAULT)
    except AttributeError as error:
        # An extension of an earlier build, which lacks what this command is the first to call.
        if "cffi library" not in str(error):
            raise
        return _complain(f"{error}: {REBUILD}", EXIT_FAULT)
    except (ValueError, OverflowError, MemoryError) as error:
        return _complain(str(error) or type(error).__name__, EXIT_FAULT)
    except BrokenPipeError:  # a reader such as head(1) has seen enough
        sys.stderr.close()
        return 0
    return result if isinstance(result, int) else 0


def _complain(text: str, status: int) -> int:
    print(f"lmcd: {' '.join(text.split())}", file=sys.stderr)
    return status
