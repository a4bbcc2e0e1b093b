"""How soon a daemon serves: from exec, from a SIGKILL, and to a client that lives on.

Ready means that a client has opened a session: from before the fork that leads to exec, polled
every half millisecond, best of 7. Arenas are lazy; the large one is a sparse file, since this
machine's memory would bound a shared one. A warm restart begins with the SIGKILL of a daemon that
holds a million objects and ends with the lease of one of them. Under `lmcd serve` the client is one
that was there before and asks again until it holds the lease and the bytes validate. Best of 5.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from report import Report, at_most
from served import PATIENCE_SECONDS, Served, options_for, store

import lmcd
from lmcd.keys import Keys

STARTS = 7
KILLS = 5
OBJECTS = 10**6
ARENAS = (("1 GiB", ("--l1-size-gb", "1")), ("64 GiB sparse", ("--l1-size-gb", "64")))


def start_ms(*options: str) -> float:
    """Return the milliseconds until a fresh daemon gave a session."""
    with Served(*options) as served:
        if "64" in options:
            served.add_options("--l1-backing", "file", "--l1-path", str(served.folder / "arena"))
        begin = time.perf_counter()
        with served.start():
            return (time.perf_counter() - begin) * 1e3


def hit(space: lmcd.Namespace, key: Keys) -> bool:
    """Return whether the daemon leases this key and its bytes validate."""
    with space.acquire(key) as lease:
        buffer = lease[0]
        if buffer is None:
            return False
        buffer.copy_to(bytearray(len(buffer)))
        return True


def first_hit(space: lmcd.Namespace, key: Keys, begin: float) -> float:
    """Ask until it is there; return the seconds since `begin`."""
    while time.perf_counter() < begin + PATIENCE_SECONDS:
        try:
            if hit(space, key):
                return time.perf_counter() - begin
        except (lmcd.SessionLost, lmcd.NoDaemon, lmcd.LeaseLost):
            pass
        time.sleep(0.001)
    raise SystemExit("no hit after the restart")


def restart_seconds() -> float:
    """Kill the daemon and start it again; return the best time to a lease."""
    best = PATIENCE_SECONDS
    with Served(*options_for(OBJECTS)) as served:
        with served.start() as session:
            keys = store(session.namespace("bench"), OBJECTS)
        for _ in range(KILLS):
            begin = time.perf_counter()
            served.end(signal.SIGKILL)
            with served.start() as session:
                best = min(best, first_hit(session.namespace("bench"), keys[-1:], begin))
    return best


def survive_seconds() -> float:
    """Kill the daemon under its supervisor; return the best time to the next hit."""
    best = PATIENCE_SECONDS
    command = [sys.executable, "-m", "lmcd", "serve", "--no-admin"]
    with Served(*options_for(OBJECTS), command=command) as served, served.start() as session:
        space = session.namespace("bench")
        keys = store(space, OBJECTS)
        for _ in range(KILLS):
            victim = session.info().daemon_pid
            begin = time.perf_counter()
            os.kill(victim, signal.SIGKILL)
            best = min(best, first_hit(space, keys[-1:], begin))
            time.sleep(1)
    return best


def main() -> int:
    report = Report()
    for name, options in ARENAS:
        best = min(start_ms(*options, "--l1-init-size-gb", "0") for _ in range(STARTS))
        report.add(f"ready to serve, lazy arena of {name}", best, "ms", None, at_most(100))
    report.add("warm restart of 1e6 objects", restart_seconds(), "s", None, at_most(0.5))
    report.add(
        "first hit of a living client under lmcd serve", survive_seconds(), "s", None, at_most(1)
    )
    return report.finish()


if __name__ == "__main__":
    raise SystemExit(main())
