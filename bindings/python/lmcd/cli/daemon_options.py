"""The daemon's options, which are declared there and nowhere else: it is asked about them."""

from __future__ import annotations

import pathlib
import subprocess
from collections.abc import Mapping, Sequence

import click

_ASK_S = 30


class Refused(click.ClickException):
    """What the daemon says about its options."""

    exit_code = 2


def ask(program: pathlib.Path, arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """Run the daemon for something that it prints; its complaint is ours."""
    result = subprocess.run(
        [program, *arguments],
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=_ASK_S,
        check=False,
    )
    if result.returncode:
        raise Refused(result.stderr.strip().removeprefix("lmcd-daemon: "))
    return result.stdout
