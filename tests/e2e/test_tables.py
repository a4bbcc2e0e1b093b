"""Proves that the pages of options and metrics say what the daemon has, no more and no less."""

from __future__ import annotations

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_options_and_metrics_are_documented_as_they_are_declared() -> None:
    result = subprocess.run(
        [sys.executable, ROOT / "tools" / "write_tables.py", "--check"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
