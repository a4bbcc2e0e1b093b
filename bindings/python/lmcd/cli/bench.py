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
from lmcd.cli.output import bytes_text, print_json, print_table
from lmcd.cli.sizes import SIZE_HELP, size
from lmcd.keys import KEY_BYTES, Keys
from lmcd.namespace import Namespace

_COPIES = 8


@click.command("bench", epilog=SIZE_HELP)
@click.option("--rounds", type=click.IntRange(10, 100_000), default=300, show_default=True)
@click.option(
    "--copy",
    "copy_bytes",
    type=size,
    default="32MiB",
    show_default=True,
    metavar="SIZE",
    help="Bytes of one copy.",
)
@with_context
def command(context: Context, rounds: int, copy_bytes: int) -> None:
    """Measure round trips, lookups and copies; leaves nothing behind but a namespace.

    memcpy copies between two buffers of this process, write from one of them into the arena
    (reserve, copy, give back), read from the arena into the other (lease, copy, validate,
    release): the same bytes, in turns, after one turn that touches all the memory.
    """
    with context.session("lmcd bench") as session:
        space = session.namespace("lmcd bench")
        figures = [
            _time("round trip (ping)", rounds, session.ping),
            *_lookups(space, rounds),
            _time("reserve 16 and give them back", rounds, lambda: _reserve(space, 16)),
            *_copies(space, copy_bytes),
        ]
    if context.as_json:
        print_json(figures)
        return
    print_table(
        ("what", "best>", "median>", "unit", "of memcpy>"),
        (
            (one["name"], one["best"], one["median"], one["unit"], one.get("of_memcpy", ""))
            for one in figures
        ),
    )


def _random_keys(count: int) -> Keys:
    return Keys(os.urandom(count * KEY_BYTES))


def _seconds(act: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin


def _time(name: str, rounds: int, act: Callable[[], Any]) -> dict[str, Any]:
    times = [_seconds(act) * 1e6 for _ in range(rounds)]
    return _figure(name, "us", min(times), statistics.median(times))


def _figure(name: str, unit: str, best: float, median: float) -> dict[str, Any]:
    return {"name": name, "unit": unit, "best": round(best, 2), "median": round(median, 2)}


def _lookups(space: Namespace, rounds: int) -> list[dict[str, Any]]:
    figures = []
    for count in (16, 1024):
        keys = _random_keys(count)
        figures.append(_time(f"lookup of {count} keys", rounds, partial(space.lookup, keys)))
    return figures


def _reserve(space: Namespace, count: int) -> None:
    """Reserve and give back, so that nothing is evicted."""
    with space.reserve(_random_keys(count), length=4096):
        pass


def _copies(space: Namespace, length: int) -> list[dict[str, Any]]:
    """Time the three copies in turns, so that what else the machine does meets all alike."""
    source, target = bytearray(os.urandom(min(length, 1 << 20))), bytearray(length)
    source *= -(-length // len(source))
    del source[length:]
    keys = _random_keys(1)
    _write(space, keys, source, commit=True)
    acts: dict[str, Callable[[], None]] = {
        "memcpy": lambda: _memcpy(target, source),
        "write": lambda: _write(space, _random_keys(1), source, commit=False),
        "read": lambda: _read(space, keys, target),
    }
    seconds: dict[str, list[float]] = {name: [] for name in acts}
    for turn in range(_COPIES + 1):
        for name, act in acts.items():
            took = _seconds(act)
            if turn:
                seconds[name].append(took)
    if target != source:
        raise click.ClickException("the bytes that came back are not those that were written")
    plain = statistics.median(seconds["memcpy"])
    return [
        _rate(f"{name} {bytes_text(length)}", length, times)
        | {"of_memcpy": round(plain / statistics.median(times), 2)}
        for name, times in seconds.items()
    ]


def _memcpy(target: bytearray, source: bytearray) -> None:
    memoryview(target)[:] = source


def _write(space: Namespace, keys: Keys, source: bytearray, *, commit: bool) -> None:
    with space.reserve(keys, length=len(source)) as lease:
        buffer = lease[0]
        if buffer is None:
            raise click.ClickException(f"no room for {bytes_text(len(source))} in the arena")
        buffer.copy_from(source)
        if commit:
            lease.commit()


def _read(space: Namespace, keys: Keys, target: bytearray) -> None:
    with space.acquire(keys, timeout_ms=1000) as lease:
        buffer = lease[0]
        if buffer is None:
            raise click.ClickException("the object that was written was evicted meanwhile")
        buffer.copy_to(target)


def _rate(name: str, length: int, seconds: list[float]) -> dict[str, Any]:
    return _figure(
        name, "GB/s", length / min(seconds) / 1e9, length / statistics.median(seconds) / 1e9
    )
