"""Numbers of bytes on the command line."""

from __future__ import annotations

import re
from decimal import Decimal

import click

_TEXT = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<power>[kmgt]?)(?P<binary>i?)b?", re.IGNORECASE)
_MOST = 1 << 63

SIZE_HELP = (
    "SIZE is bytes, or a number with kB, MB, GB, TB (powers of 1000) or KiB, MiB, GiB, TiB "
    "(powers of 1024)."
)


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
