"""Run every bench and put their rows together in bench/results.json.

A bench is a program `*_bench` of the release build, or `*_bench.py` of this folder. It takes
`--json FILE`, prints its table, and writes a list of {name, value, unit, ratio, bound, met}.

Usage: run.py [BENCH...]    all of them without an argument
"""

from __future__ import annotations

import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
BUILT = HERE.parent / "build" / "release" / "bench"
RESULTS = HERE / "results.json"
LIMIT_SECONDS = 900


def benches() -> dict[str, list[str]]:
    """Return the command of each bench by its name."""
    built = [path for path in BUILT.glob("*_bench") if os.access(path, os.X_OK)]
    found = {path.name: [str(path)] for path in built}
    found |= {path.stem: [sys.executable, str(path)] for path in HERE.glob("*_bench.py")}
    return dict(sorted(found.items()))


def processor() -> str:
    """Return the name of the machine's processor."""
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def conditions() -> str:
    """Return what a figure is quoted with: machine, kernel and commit."""
    commit = subprocess.run(
        ["git", "-C", HERE, "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return (
        f"{processor()}, {os.cpu_count()} processors, Linux {platform.release()}, "
        f"commit {commit or 'unknown'}"
    )


def main() -> int:
    """Run, write the results, and tell which bounds were missed."""
    known = benches()
    unknown = [name for name in sys.argv[1:] if name not in known]
    if unknown:
        print(f"bench: no {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    rows: list[dict[str, object]] = []
    failed: list[str] = []
    print(conditions())
    for name in sys.argv[1:] or known:
        print(f"\n== {name}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            report = pathlib.Path(folder) / "rows.json"
            command = [*known[name], "--json", str(report)]
            status = subprocess.run(command, timeout=LIMIT_SECONDS, check=False).returncode
            if status != 0 or not report.exists():
                failed.append(name)
                continue
            rows += json.loads(report.read_text())
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")

    bounded = [row for row in rows if row["met"] is not None]
    missed = [row for row in bounded if not row["met"]]
    print(f"\n{RESULTS}: {len(rows)} figures, {len(bounded)} of them bounded")
    for row in missed:
        print(f"missed: {row['name']}: {row['ratio'] or row['value']}, bound {row['bound']}")
    for name in failed:
        print(f"failed: {name}")
    print(f"bench: {'FAILED' if failed else 'missed' if missed else 'ok'}")
    return 1 if failed or missed else 0


if __name__ == "__main__":
    sys.exit(main())
