"""`lmcd top` against a real daemon, and the numbers that it makes of frames."""

from __future__ import annotations

import io
import json
import subprocess
import sys

from rich.console import Console

import lmcd
from lmcd.admin.panel import frame_of
from lmcd.cli.top import quantile, render, spark
from tests.python.daemon import Daemon, fresh_keys, store


def top(daemon: Daemon, *options: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "lmcd", "top", "--socket", daemon.socket, *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


def test_a_frame_a_line_for_programs(daemon: Daemon) -> None:
    lines = top(daemon, "--json", "--count", "2", "--interval-seconds", "0.1").splitlines()
    first, second = map(json.loads, lines)
    assert second["metrics"]["requests_total"] > first["metrics"]["requests_total"]


def test_people_see_namespaces_sessions_and_times(space: lmcd.Namespace, daemon: Daemon) -> None:
    store(space, fresh_keys(3), length=4096)
    text = top(daemon, "--count", "1")
    for shown in ("test", "12.0 KiB", "lmcd top", "Reserve", "_default", "why objects went"):
        assert shown in text, shown


def test_rates_are_of_the_time_between_frames(space: lmcd.Namespace) -> None:
    operator = space.session.operator
    before = frame_of(operator.stats(), 10_000)
    store(space, fresh_keys(4), length=1 << 20)
    after = frame_of(operator.stats(), 12_000)
    down = {"tier": 1, "type": "s3", "health": "down", "reason": "no route", "faults": 3}
    numbers = ("used_bytes", "capacity_bytes", "spilled_bytes", "prefetched_bytes")
    after["tiers"] = [down | dict.fromkeys(numbers, 1 << 30)]
    screen = Console(width=120, record=True, file=io.StringIO())
    screen.print(render([before, after]))
    shown = screen.export_text()
    assert "2.0 MiB/s" in shown
    assert "1 s3" in shown
    assert "down no route" in shown


def test_quantiles_lie_within_their_bucket() -> None:
    assert quantile([0, 0, 0], 1024, 0.5) == 0
    assert quantile([10, 0, 0], 1024, 0.5) == 512
    assert quantile([0, 4, 4], 1024, 0.25) == 1536
    assert 2048 < quantile([0, 99, 1], 1024, 0.999) <= 4096


def test_a_sparkline_reaches_from_nothing_to_the_most() -> None:
    assert spark([0, 4, 8]) == " ▄█"
    assert spark([1], 8) == "▁"
    assert spark([]) == ""
