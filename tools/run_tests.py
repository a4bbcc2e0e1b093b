"""Run the tests of a preset: ctest and, where the preset has the Python package, pytest.

Usage: run_tests.py PRESET [LABEL]

Without a label, all but the slow ones; with one, only those that carry it (a label of ctest,
a marker or a folder of pytest). Ends with one line for each of the two, every skip with its
reason, and the sum.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter

ROOT = pathlib.Path(__file__).resolve().parents[1]
EXIT_NO_TESTS_OF_PYTEST = 5

# GoogleTest prints "file:line: Skipped", then the reason, for a test that skips itself.
SKIPPED_IN_GTEST = re.compile(r": Skipped\n(.+)")


@dataclasses.dataclass
class Outcome:
    """What one runner did: how many tests of each fate, and why those that skipped did."""

    runner: str
    exit_code: int
    passed: int = 0
    failed: int = 0
    skips: Counter[str] = dataclasses.field(default_factory=Counter)

    def __str__(self) -> str:
        return (
            f"{self.runner}: {self.passed} passed, {self.failed} failed, "
            f"{self.skips.total()} skipped"
        )


def without_address_randomisation(command: list[str]) -> list[str]:
    """Return the command under `setarch -R` where the machine allows that.

    GCC 12's ThreadSanitizer cannot map its shadow on kernels that randomise 32 bits of mmap.
    """
    prefix = ["setarch", platform.machine(), "-R"]
    if shutil.which("setarch") and subprocess.run([*prefix, "true"], check=False).returncode == 0:
        return [*prefix, *command]
    return command


def reported(path: pathlib.Path) -> list[ElementTree.Element]:
    """Return the test cases of a JUnit report; none if the runner did not get to write it."""
    if not path.exists():
        return []
    return list(ElementTree.parse(path).getroot().iter("testcase"))


def run_ctest(preset: str, label: str | None) -> Outcome:
    """Run the registered programs in parallel."""
    report = ROOT / "build" / preset / "ctest.xml"
    report.unlink(missing_ok=True)
    chosen = ["-L", f"^{label}$"] if label else ["-LE", "^slow$"]
    command = ["ctest", "--preset", preset, "-j", str(os.cpu_count()), "--output-junit"]
    command += [str(report), "--no-tests=ignore", *chosen]
    if preset == "tsan":
        command = without_address_randomisation(command)
    outcome = Outcome("ctest", subprocess.run(command, cwd=ROOT, check=False).returncode)
    for case in reported(report):
        output = case.findtext("system-out") or ""
        if case.get("status") == "fail":
            outcome.failed += 1
        elif case.find("skipped") is not None:
            reason = output.strip().rpartition("\n")[2] or "not run"
            outcome.skips[f"{case.get('name')}: {reason}"] += 1
        else:
            outcome.passed += 1
            for reason in SKIPPED_IN_GTEST.findall(output):
                outcome.skips[f"{case.get('name')}: {reason}"] += 1
    return outcome


def run_pytest(label: str | None) -> Outcome:
    """Run the tests written in Python."""
    report = ROOT / "build" / "release" / "pytest.xml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}"]
    if label and (ROOT / "tests" / label).is_dir():
        command.append(f"tests/{label}")
    else:
        command += ["-m", label or "not slow"]
    exit_code = subprocess.run(command, cwd=ROOT, check=False).returncode
    outcome = Outcome("pytest", 0 if exit_code == EXIT_NO_TESTS_OF_PYTEST else exit_code)
    for case in reported(report):
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            outcome.failed += 1
        elif skipped is not None:
            outcome.skips[f"{case.get('name')}: {skipped.get('message')}"] += 1
        else:
            outcome.passed += 1
    return outcome


def main() -> int:
    """Run, report, and return the exit code."""
    if len(sys.argv) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    preset = sys.argv[1]
    label = sys.argv[2] if len(sys.argv) == 3 else None
    outcomes = [run_ctest(preset, label)]
    if preset == "release":
        outcomes.append(run_pytest(label))

    print()
    for outcome in outcomes:
        for reason, count in outcome.skips.items():
            print(f"skipped {count}: {reason}")
    for outcome in outcomes:
        print(outcome)
    skips = sum(outcome.skips.total() for outcome in outcomes)
    ran = sum(outcome.passed + outcome.failed for outcome in outcomes)
    good = ran > 0 and all(outcome.exit_code == 0 for outcome in outcomes)
    what = f"{preset} {label}" if label else preset
    print(f"test ({what}): {'ok' if good else 'FAILED'}, {ran} ran, {skips} skipped")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
