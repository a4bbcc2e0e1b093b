"""What every command shares: which daemon, in what form to print, and the environment.

The only module of the package that reads environment variables.
"""

from __future__ import annotations

import functools
import os
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import click

from lmcd.session import Session

PROGRAM = "lmcd-daemon"


class Context:
    """The options that every command takes."""

    def __init__(self, socket: str | None, as_json: bool) -> None:
        self.socket = socket
        self.as_json = as_json

    def session(self, name: str = "lmcd", **options: int) -> Session:
        """Connect to the daemon."""
        return Session(self.socket, name=name, **options)


def with_context(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --socket and --json, and a Context as its first argument."""

    @click.option(
        "--socket",
        metavar="PATH",
        help="The daemon's socket ($LMCD_SOCKET, else where a daemon of this user has it).",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
    @functools.wraps(function)
    def command(*arguments: Any, socket: str | None, as_json: bool, **options: Any) -> Any:
        return function(Context(socket, as_json), *arguments, **options)

    return command


def daemon_program() -> pathlib.Path:
    """Find the daemon: $LMCD_DAEMON, else that of this package, else on the PATH."""
    named = os.environ.get("LMCD_DAEMON")
    packaged = pathlib.Path(__file__).resolve().parents[1] / "_bin" / PROGRAM
    staged = pathlib.Path(__file__).absolute().parents[1] / "_bin" / PROGRAM
    for candidate in (named, staged, packaged, shutil.which(PROGRAM)):
        if candidate and os.access(candidate, os.X_OK):
            return pathlib.Path(candidate)
        if candidate and candidate == named:
            raise click.ClickException(f"$LMCD_DAEMON: {named} is no program that may be run")
    raise click.ClickException(f"{PROGRAM} is neither in the package nor on the PATH")


def default_socket() -> str:
    """Return where the library looks for the daemon."""
    runtime = os.environ.get("XDG_RUNTIME_DIR") or "/run"
    return os.environ.get("LMCD_SOCKET") or f"{runtime}/lmcd/lmcd.sock"


def environment() -> dict[str, str]:
    """Return a copy of the environment, for a child."""
    return dict(os.environ)
