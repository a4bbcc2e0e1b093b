"""What a million objects of one part cost the daemon in memory.

Private memory is what the daemon alone has (Private_* of /proc/PID/smaps) outside of arena,
ledger and mapped program files; the ledger is the blocks of its file. Both are counted per object
after a million have been stored with room for 1,048,576, and private memory also before the first:
15 MiB are allowed beside 150 bytes an object.
"""

from __future__ import annotations

import re

from report import Report, at_most
from served import Served, options_for, store

OBJECTS = 10**6
BASE_BYTES = 15 << 20


def private_bytes(pid: int) -> int:
    """Return the bytes that only this process has, shared segments and program text apart."""
    total = 0
    counts = False
    with open(f"/proc/{pid}/smaps") as maps:
        for line in maps:
            head = re.match(r"[0-9a-f]+-[0-9a-f]+ (....) \S+ \S+ \d+\s*(.*)", line)
            if head:
                counts = "s" not in head[1] and (not head[2].startswith("/") or "w" in head[1])
            elif counts and line.startswith("Private_"):
                total += int(line.split()[1]) << 10
    return total


def main() -> int:
    report = Report()
    with Served(*options_for(OBJECTS)) as served, served.start() as session:
        pid = session.info().daemon_pid
        empty = private_bytes(pid)
        store(session.namespace("bench"), OBJECTS)
        full = private_bytes(pid)
        ledger = served.segment("ledger").stat().st_blocks * 512
        report.add("private memory, no object", empty / 2**20, "MiB", None, at_most(15))
        report.add("private memory, 1e6 objects", full / 2**20, "MiB")
        share = full / (BASE_BYTES + 150 * OBJECTS)
        report.add("of 15 MiB and 150 bytes an object", full, "bytes", share, at_most(1))
        report.add("private memory an object", (full - empty) / OBJECTS, "bytes")
        report.add("ledger with index, an object", ledger / OBJECTS, "bytes", None, at_most(250))
    return report.finish()


if __name__ == "__main__":
    raise SystemExit(main())
