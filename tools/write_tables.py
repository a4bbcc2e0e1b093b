"""Write the pages of docs/ that follow from a table of the code: options and metrics.

Usage: write_tables.py [--check]

The options come from the daemon itself (`lmcd-daemon --describe-options` of the release
build), the metrics from daemon/core/metrics.def. With --check nothing is written, and a page
that is not what would be written is named; `make test` asks so.
"""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[1]
DAEMON = ROOT / "build" / "release" / "python" / "lmcd" / "_bin" / "lmcd-daemon"
METRICS = ROOT / "daemon" / "core" / "metrics.def"

METRICS_HEAD = """# Metrics

What the daemon counts, as Prometheus sees it; `lmcd status --json` has the same numbers without
the prefix. A counter only grows, a gauge is a state. This page is written by `make docs` from
[metrics.def](../daemon/core/metrics.def)."""
OPTIONS_HEAD = """# Options

Each option is a flag, an environment variable (`LMCD_` and the name in capitals, dashes as
underscores) and a key of the YAML file that `--config` names; a flag goes before the
environment, and that before the file. An unknown name or a value out of range stops the start
with one line that says what would be valid. This page is written by `make docs` from
[options.def](../daemon/config/options.def).
"""


def row(*cells: str) -> str:
    """Return a row of a table; a bar within a cell would end it."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def table(*heads: str) -> Iterator[str]:
    """Yield the two lines that a table begins with."""
    yield row(*heads)
    yield "|" + "---|" * len(heads)


def metrics_page() -> str:
    """Return the page of the metrics."""
    lines = [METRICS_HEAD]
    line = re.compile(r'// -- (?P<section>.+?) -+$|LMCD_METRIC\((\w+), (\w+),\s*"([^"]*)"\)', re.M)
    for found in line.finditer(METRICS.read_text()):
        if found["section"]:
            lines += [f"\n## {found['section']}\n", *table("metric", "kind", "meaning")]
        else:
            lines.append(row(f"`lmcd_{found[2]}`", found[3], found[4]))
    return "\n".join(lines) + "\n"


def option_row(option: dict[str, Any]) -> str:
    """Return the row of one option."""
    names = [option["flag"], *(f"--{alias}" for alias in option["aliases"])]
    default = "required" if option["required"] else option["default"]
    valid = " ".join(part for part in (option["valid"], option["unit"]) if part)
    reload = "yes" if option["reload"] else ""
    return row(", ".join(f"`{name}`" for name in names), valid, default, reload, option["help"])


def options_page() -> str:
    """Return the page of the options, as the daemon describes them."""
    described = json.loads(
        subprocess.run(
            [DAEMON, "--describe-options"], capture_output=True, timeout=30, check=True
        ).stdout
    )
    lines = [OPTIONS_HEAD, *table("option", "value", "default", "reload", "meaning")]
    lines += [option_row(option) for option in described["options"]]
    if described["later"]:
        lines += ["\n## Known and refused\n", "These come with parts that are not there yet.\n"]
        lines += table("option", "comes with", "meaning")
        lines += [row(f"`--{o['name']}`", o["with"], o["help"]) for o in described["later"]]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the pages, or compare them; return the exit code."""
    checking = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not checking:
        print(__doc__, file=sys.stderr)
        return 2
    stale = 0
    for name, page in (("metrics.md", metrics_page()), ("options.md", options_page())):
        path = ROOT / "docs" / name
        if path.exists() and path.read_text() == page:
            continue
        stale += 1
        if checking:
            print(f"docs/{name} is not what the code declares: run make docs", file=sys.stderr)
        else:
            path.write_text(page)
            print(f"docs/{name}: written")
    return 1 if checking and stale else 0


if __name__ == "__main__":
    sys.exit(main())
