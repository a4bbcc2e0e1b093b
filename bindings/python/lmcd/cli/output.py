"""Facts, printed: tables for people, JSON for programs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

_FILE_WIDTH = 240
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def console() -> Console:
    """Return the console on stdout, which knows whether it is a terminal."""
    out = Console(highlight=False)
    if not out.is_terminal:
        out.width = _FILE_WIDTH  # nobody folds what goes to a pipe
    return out


def print_json(facts: Any) -> None:
    """Print facts as one JSON document; keys of the cache as hexadecimal."""
    click.echo(json.dumps(facts, default=_plain, ensure_ascii=False))


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    raise TypeError(f"{type(value).__name__} is no JSON")


def print_table(
    heads: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None
) -> None:
    """Print rows under heads; a head that ends in '>' is that of numbers."""
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold")
    for head in heads:
        table.add_column(
            head.rstrip(">"), justify="right" if head.endswith(">") else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*(cell if isinstance(cell, str) else str(cell) for cell in row))
    console().print(table)


def print_facts(facts: Iterable[tuple[str, Any]], *, title: str | None = None) -> None:
    """Print names and values side by side."""
    table = Table(box=None, show_header=False, title=title, title_justify="left")
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in facts:
        table.add_row(name, str(value))
    console().print(table)


def bytes_text(count: int) -> str:
    """Return a number of bytes as people read it: 1.5 GiB."""
    amount = float(count)
    for unit in _UNITS:
        if amount < 1024 or unit == _UNITS[-1]:
            break
        amount /= 1024
    return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"


def count_text(count: int, noun: str) -> str:
    """Return a number of things as people say it: 1 object, 2 objects."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def duration_text(milliseconds: float) -> str:
    """Return a duration as people read it: 3 d 4 h."""
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s"))
    shown = [f"{value} {unit}" for value, unit in parts if value]
    return " ".join(shown[:2])


def share_text(part: int, whole: int) -> str:
    """Return a share in percent; a dash when there is no whole."""
    return f"{100 * part / whole:.1f} %" if whole else "-"


def tenant_text(tenant: str) -> str:
    """Return a tenant's name as operators write it; the empty salt is the default tenant."""
    return tenant or DEFAULT_TENANT


DEFAULT_TENANT = "_default"
