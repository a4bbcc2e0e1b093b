"""`lmcd top`: what the dashboard shows, in a terminal."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from typing import Any

import click
from rich import box
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lmcd.admin.panel import Facts, frame_of, unreachable
from lmcd.cli.context import Context, with_context
from lmcd.cli.output import (
    bytes_text,
    console,
    duration_text,
    print_json,
    share_text,
    tenant_text,
)
from lmcd.errors import LmcdError
from lmcd.operate import Operator

_WINDOW = 10  # frames that a rate is of
_TRACE = 60  # frames that a sparkline is of
_BARS = " ▁▂▃▄▅▆▇█"
_ACCENT = "cyan"


@click.command("top")
@click.option(
    "--interval-seconds",
    type=click.FloatRange(0.1, 60),
    default=1.0,
    show_default=True,
    help="Between two frames.",
)
@click.option("--count", type=click.IntRange(1), help="End after so many frames.")
@with_context
def command(context: Context, interval_seconds: float, count: int | None) -> None:
    """Watch what the daemon holds and does, until interrupted.

    --json prints one frame a line.
    """
    frames: deque[Facts] = deque(maxlen=_TRACE)
    live = nullcontext() if context.as_json else Live(console=console(), auto_refresh=False)
    with context.session("lmcd top") as session, live as screen:
        for taken in itertools.count(1):
            frame = _frame(session.operator)
            if screen is None:
                print_json(frame)
            elif frame["reachable"]:
                frames.append(frame)
                screen.update(render(frames), refresh=True)
            else:
                frames.clear()  # a rate across a gap would be none
                screen.update(Text(frame["reason"], style="bold red"), refresh=True)
            if taken == count:
                return
            time.sleep(interval_seconds)


def _frame(operator: Operator) -> Facts:
    moment_ms = int(time.time() * 1000)
    try:
        return frame_of(operator.stats(), moment_ms)
    except LmcdError as error:
        return unreachable(str(error), moment_ms)


def render(frames: Sequence[Facts]) -> RenderableType:
    """Return the panel of the last of the frames, which came one after another."""
    now = frames[-1]
    return Group(
        _head(now["daemon"]),
        _figures(frames),
        _lists(now),
        _verbs(frames),
        *([_tiers(now["tiers"])] if now["tiers"] else []),
    )


def _head(daemon: Facts) -> Text:
    start = f"warm, {daemon['start']['objects']} objects" if daemon["start"]["warm"] else "cold"
    line = Text("lmcd ", style="bold")
    line.append(
        f"{daemon['version']}  {daemon['policy']}  {daemon['backing']}  "
        f"up {duration_text(daemon['uptime_ms'])}  start {start}  pid {daemon['pid']}",
        style="dim",
    )
    return line


def _figures(frames: Sequence[Facts]) -> Table:
    metrics = frames[-1]["metrics"]
    rows = [
        (
            "arena",
            f"{bytes_text(metrics['used_bytes'])} of {bytes_text(metrics['arena_bytes'])}",
            share_text(metrics["used_bytes"], metrics["arena_bytes"]),
            spark([one["metrics"]["used_bytes"] for one in frames], metrics["arena_bytes"]),
        ),
        (
            "hit rate",
            share_text(_grown(frames, "hit_parts_total"), _grown(frames, "requested_parts_total")),
            f"{share_text(metrics['hit_parts_total'], metrics['requested_parts_total'])} ever",
            "",
        ),
        _throughput(frames, "stored", "committed_bytes_total"),
        _throughput(frames, "loaded", "hit_bytes_total"),
        _events(frames, "messages", "requests_total"),
        _events(frames, "evicted", "evicted_objects_total"),
    ]
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column(style="bold", justify="right")
    table.add_column(style="dim", justify="right")
    table.add_column(style=_ACCENT, no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def _throughput(frames: Sequence[Facts], name: str, metric: str) -> tuple[str, str, str, str]:
    rate = f"{bytes_text(int(_rate(frames, metric)))}/s"
    return name, rate, bytes_text(frames[-1]["metrics"][metric]), spark(_steps(frames, metric))


def _events(frames: Sequence[Facts], name: str, metric: str) -> tuple[str, str, str, str]:
    total = str(frames[-1]["metrics"][metric])
    return name, f"{_rate(frames, metric):.0f}/s", total, spark(_steps(frames, metric))


def _window(frames: Sequence[Facts]) -> tuple[Facts, Facts]:
    return frames[max(0, len(frames) - 1 - _WINDOW)], frames[-1]


def _grown(frames: Sequence[Facts], metric: str) -> int:
    first, last = _window(frames)
    return max(0, int(last["metrics"][metric] - first["metrics"][metric]))


def _rate(frames: Sequence[Facts], metric: str) -> float:
    first, last = _window(frames)
    seconds = (last["moment_ms"] - first["moment_ms"]) / 1000
    return _grown(frames, metric) / seconds if seconds > 0 else 0.0


def _steps(frames: Sequence[Facts], metric: str) -> list[int]:
    values = [one["metrics"][metric] for one in frames]
    return [max(0, after - before) for before, after in itertools.pairwise(values)]


def spark(values: Sequence[float], most: float | None = None) -> str:
    """Return values as bars of one line, up to `most` or the largest."""
    top = most or max(values, default=0) or 1
    return "".join(_BARS[min(8, round(8 * value / top))] for value in values)


def _lists(now: Facts) -> Table:
    metrics = now["metrics"]
    table = Table(box=None, show_header=False, padding=(1, 4, 0, 0), expand=True)
    for _ in range(2):
        table.add_column(ratio=1, vertical="top")
    table.add_row(
        _rows(
            ("namespace", "parts>", "bytes>", "arena>"),
            (
                (
                    " ".join(one["description"].split()) or one["fingerprint"][:16],
                    one.get("parts", 0),
                    bytes_text(one.get("hot_bytes", 0)),
                    share_text(one.get("hot_bytes", 0), metrics["arena_bytes"]),
                )
                for one in now["namespaces"]["rows"][:8]
            ),
        ),
        _rows(
            ("tenant", "used>", "quota>"),
            (
                (
                    tenant_text(one["tenant"]),
                    bytes_text(one["used_bytes"]),
                    bytes_text(one["limit_bytes"]) if one["limited"] else "none",
                )
                for one in now["tenants"]["rows"][:8]
            ),
        ),
    )
    table.add_row(
        _rows(
            (f"session ({now['sessions']['total']})", "leases>", "writing>", "age>"),
            (
                (
                    one["name"],
                    one["leases"],
                    bytes_text(one["held_bytes"]),
                    duration_text(one["age_ms"]),
                )
                for one in now["sessions"]["rows"][:8]
            ),
        ),
        _rows(("why objects went", "objects>"), _reasons(metrics)),
    )
    return table


def _reasons(metrics: Facts) -> list[tuple[str, Any]]:
    return [
        ("for room", metrics.get("evicted_for_room_objects_total", 0)),
        ("for a quota", metrics.get("evicted_for_quota_objects_total", 0)),
        ("with a namespace", metrics.get("evicted_with_namespace_objects_total", 0)),
        ("past the watermark", metrics.get("evicted_in_background_objects_total", 0)),
        ("cleared", metrics["cleared_objects_total"]),
        ("stores without space", metrics["no_space_total"]),
        ("stores refused", metrics["refused_total"]),
    ]


def _verbs(frames: Sequence[Facts]) -> Table:
    first, last = _window(frames)
    before = {one["verb"]: one["count"] for one in first["verbs"]}
    seconds = (last["moment_ms"] - first["moment_ms"]) / 1000
    rows = []
    for one in sorted(last["verbs"], key=lambda verb: verb["count"], reverse=True)[:8]:
        grown = one["count"] - before.get(one["verb"], one["count"])
        rate = f"{grown / seconds:.0f}/s" if seconds > 0 else "-"
        p50, p99 = (quantile(one["buckets"], one["least_bound_ns"], q) for q in (0.5, 0.99))
        rows.append((one["verb"], one["count"], rate, _time_text(p50), _time_text(p99)))
    return _rows(("message", "handled>", "rate>", "p50>", "p99>"), rows)


def _tiers(tiers: Sequence[Facts]) -> Table:
    return _rows(
        ("tier", "state", "used>", "capacity>", "in>", "out>", "faults>"),
        (
            (
                f"{one['tier']} {one['type']}",
                f"{one['health']} {one['reason']}".strip(),
                *(
                    bytes_text(one[f"{name}_bytes"])
                    for name in ("used", "capacity", "spilled", "prefetched")
                ),
                one["faults"],
            )
            for one in tiers
        ),
    )


def quantile(buckets: Sequence[int], least_bound: int, share: float) -> float:
    """Return the value below which a share of what was counted lies, within its bucket."""
    wanted, below = share * sum(buckets), 0
    for power, count in enumerate(buckets):
        if count and below + count >= wanted:
            low = 0 if power == 0 else least_bound << (power - 1)
            return low + ((least_bound << power) - low) * (wanted - below) / count
        below += count
    return 0.0


def _time_text(nanoseconds: float) -> str:
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.1f} {unit}"
    return f"{nanoseconds:.0f} ns"


def _rows(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, expand=True, padding=(0, 1, 0, 0), header_style="dim")
    for at, head in enumerate(heads):
        table.add_column(
            head.rstrip(">"),
            justify="right" if head.endswith(">") else "left",
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if at == 0 else None,
        )
    for row in rows:
        table.add_row(*map(str, row))
    return table
