"""Lookups through the Python client, beside the ping-pong that asking the daemon would cost.

A lookup reads the index in the shared ledger; the keys are random ones of those stored. By
turns in every round: the ping-pong (two CPUs, 1 ms apart, median of 200) and the lookups
(on the client's CPU, 1 ms apart, median of 100). Each has the median of its best round. Back to
back they stand beside without a bound.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import time
from dataclasses import dataclass

from report import Report, at_most
from served import BUILT, Served, options_for, store

import lmcd
from lmcd.keys import Keys

ROUNDS = 7
CALLS = 100
PACE_SECONDS = 0.001
CLIENT_CPU = 0
MANY, FEW = 1024, 16
BOUNDS = {(MANY, 10**5): 0.5, (MANY, 10**6): 0.8, (FEW, 10**5): 0.05, (FEW, 10**6): 0.05}


@dataclass
class Arm:
    """Lookups of so many keys: the best median, in microseconds."""

    count: int
    paced: float = 1e9
    unpaced: float = 1e9


def ping_pong() -> float:
    """Return its median, in microseconds."""
    done = subprocess.run([BUILT / "bench" / "ping_pong"], capture_output=True, check=True)
    return float(done.stdout)


def median_us(space: lmcd.Namespace, batches: list[Keys], pause: float) -> float:
    took = []
    for keys in batches:
        if pause:
            time.sleep(pause)
        begin = time.perf_counter_ns()
        found = space.lookup(keys)
        took.append((time.perf_counter_ns() - begin) / 1e3)
        if found.usable_prefix() != len(keys):
            raise SystemExit("a stored object was not found")
    return statistics.median(took)


def measure(report: Report, objects: int) -> None:
    numbers = random.Random(objects)
    with Served(*options_for(objects)) as served, served.start() as session:
        space = session.namespace("bench")
        stored = store(space, objects)
        arms = [Arm(MANY), Arm(FEW)]
        divisor = 1e9
        for _ in range(ROUNDS):
            divisor = min(divisor, ping_pong())
            for arm in arms:
                batches = [
                    Keys.join([stored[numbers.randrange(objects)] for _ in range(arm.count)])
                    for _ in range(CALLS)
                ]
                arm.paced = min(arm.paced, median_us(space, batches, PACE_SECONDS))
                arm.unpaced = min(arm.unpaced, median_us(space, batches, 0))
        report.add(f"ping-pong beside 1e{len(str(objects)) - 1} objects", divisor, "us", 1.0)
        for arm in arms:
            name = f"lookup of {arm.count} keys of 1e{len(str(objects)) - 1}"
            bound = at_most(BOUNDS[arm.count, objects])
            report.add(f"{name}, paced", arm.paced, "us", arm.paced / divisor, bound)
            report.add(f"{name}, back to back", arm.unpaced, "us", arm.unpaced / divisor)


def main() -> int:
    os.sched_setaffinity(0, {CLIENT_CPU})
    report = Report()
    for objects in (10**5, 10**6):
        measure(report, objects)
    return report.finish()


if __name__ == "__main__":
    raise SystemExit(main())
