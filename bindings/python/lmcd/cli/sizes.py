"""Numbers of bytes and of seconds on the command line."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

import click

_TEXT = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<power>[kmgt]?)(?P<binary>i?)b?", re.IGNORECASE)
_MOST = 1 << 63

SIZE_HELP = (
    "SIZE is bytes, or a number with kB, MB, GB, TB (powers of 1000) or KiB, MiB, GiB, TiB "
    "(powers of 1024)."
)


class Seconds(click.FloatRange):
    """A number of seconds within bounds, which the floating point's no number is not."""

    name = "seconds"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number of a text."""
        seconds: float = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is no number from {self.min} to {self.max}.", param, ctx)
        return seconds


def size(text: str) -> int:
    """Read a number of bytes: 1073741824, 1GiB, 1.5 GB."""
    found = _TEXT.fullmatch(text.strip())
    if found is None or (found["binary"] and not found["power"]):
        raise click.BadParameter(f"{text!r} is no size; {SIZE_HELP}")
    base = 1024 if found["binary"] else 1000
    count = int(Decimal(found["number"]) * base ** " kmgt".index(found["power"].lower() or " "))
    if count >= _MOST:
        raise click.BadParameter(f"{text!r} is too much: must be below 8 EiB")
    return count
