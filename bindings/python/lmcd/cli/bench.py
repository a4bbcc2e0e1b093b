"""`lmcd bench`: a quick measurement of the running daemon. `make bench` is the careful one."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import click

from lmcd.cli.context import Context, with_context
from lmcd.cli.output import print_json, print_table
from lmcd.keys import KEY_BYTES, Keys
from lmcd.namespace import Namespace

_COPY_BYTES = 32 << 20
_COPIES = 8


@click.command("bench")
@click.option("--rounds", type=click.IntRange(10, 100_000), default=300, show_default=True)
@with_context
def command(context: Context, rounds: int) -> None:
    """Measure round trips, lookups and copies; leaves nothing behind but a namespace.

    The first copies also pay for memory that was never touched.
    """
    with context.session("lmcd bench") as session:
        space = session.namespace("lmcd bench")
        figures = [
            _time("round trip (ping)", "us", rounds, session.ping),
            *_lookups(space, rounds),
            _time("reserve 16 and give them back", "us", rounds, lambda: _reserve(space, 16)),
            *_copies(space),
        ]
    if context.as_json:
        print_json(figures)
        return
    print_table(
        ("what", "best>", "median>", "unit"),
        ((one["name"], one["best"], one["median"], one["unit"]) for one in figures),
    )


def _random_keys(count: int) -> Keys:
    return Keys(os.urandom(count * KEY_BYTES))


def _time(name: str, unit: str, rounds: int, act: Callable[[], Any]) -> dict[str, Any]:
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        act()
        times.append((time.perf_counter() - begin) * 1e6)
    return _figure(name, unit, min(times), statistics.median(times))


def _figure(name: str, unit: str, best: float, median: float) -> dict[str, Any]:
    return {"name": name, "unit": unit, "best": round(best, 2), "median": round(median, 2)}


def _lookups(space: Namespace, rounds: int) -> list[dict[str, Any]]:
    figures = []
    for count in (16, 1024):
        keys = _random_keys(count)
        figures.append(_time(f"lookup of {count} keys", "us", rounds, partial(space.lookup, keys)))
    return figures


def _reserve(space: Namespace, count: int) -> None:
    """Reserve and give back, so that nothing is evicted."""
    with space.reserve(_random_keys(count), length=4096):
        pass


def _copies(space: Namespace) -> list[dict[str, Any]]:
    source, target = bytearray(os.urandom(1 << 20) * (_COPY_BYTES >> 20)), bytearray(_COPY_BYTES)
    keys = _random_keys(1)
    in_s, out_s = [], []
    for _ in range(_COPIES):
        begin = time.perf_counter()
        with space.reserve(_random_keys(1), length=_COPY_BYTES) as lease:
            buffer = lease[0]
            if buffer is None:
                raise click.ClickException(f"no room for {_COPY_BYTES >> 20} MiB in the arena")
            buffer.copy_from(source)
            in_s.append(time.perf_counter() - begin)
    with space.reserve(keys, length=_COPY_BYTES) as lease:
        lease[0].copy_from(source)
        lease.commit()
    for _ in range(_COPIES):
        begin = time.perf_counter()
        with space.acquire(keys, timeout_ms=1000) as found:
            found[0].copy_to(target)
        out_s.append(time.perf_counter() - begin)
    if target != source:
        raise click.ClickException("the bytes that came back are not those that were written")
    return [_rate("write 32 MiB", in_s), _rate("read 32 MiB", out_s)]


def _rate(name: str, seconds: list[float]) -> dict[str, Any]:
    rate = _COPY_BYTES / 1e9
    return _figure(name, "GB/s", rate / min(seconds), rate / statistics.median(seconds))
