"""Write what follows from a table of the code: the pages of options and metrics, and the table
of metrics that the admin server reads.

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

DECLARED = ROOT / "bindings" / "python" / "lmcd" / "admin" / "declared.json"

METRICS_HEAD = """# Metrics

What `/metrics` of the admin server tells; `lmcd status --json` has the numbers of the daemon
without the prefix. A counter only grows, a gauge is a state, the buckets of a histogram are powers
of two of a nanosecond. All of one scrape come from one snapshot. Of tenants and namespaces the 100
largest are told. This page is written by `make docs` from
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


def declared_metrics() -> list[dict[str, str]]:
    """Return every metric of the table, in its order, each with the section that it stands in."""
    line = re.compile(
        r"// -- (?P<section>.+?) -+$"
        r"|^LMCD_(?P<origin>METRIC|FAMILY|SCRAPE)\((?P<words>[\w, ]+), \"(?P<help>[^\"]*)\"\)",
        re.M,
    )
    fields = {"METRIC": ["name", "kind"], "SCRAPE": ["name", "kind"]}
    fields["FAMILY"] = ["list", "label", "field", "name", "kind"]
    metrics = []
    section = ""
    for found in line.finditer(METRICS.read_text()):
        if found["section"]:
            section = found["section"]
            continue
        metric = {"section": section, "origin": found["origin"].lower()}
        metric |= zip(fields[found["origin"]], found["words"].split(", "), strict=True)
        metrics.append(metric | {"help": found["help"]})
    return metrics


def metrics_page() -> str:
    """Return the page of the metrics."""
    lines = [METRICS_HEAD]
    section = ""
    for metric in declared_metrics():
        if metric["section"] != section:
            section = metric["section"]
            lines += [f"\n## {section}\n", *table("metric", "kind", "meaning")]
        label = f"{{{metric['label']}}}" if "label" in metric else ""
        lines.append(row(f"`lmcd_{metric['name']}{label}`", metric["kind"], metric["help"]))
    return "\n".join(lines) + "\n"


def metrics_data() -> str:
    """Return the same table as the admin server reads it."""
    return json.dumps(declared_metrics(), indent=1) + "\n"


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
    docs = ROOT / "docs"
    made = (
        (docs / "metrics.md", metrics_page),
        (docs / "options.md", options_page),
        (DECLARED, metrics_data),
    )
    for path, make in made:
        text = make()
        if path.exists() and path.read_text() == text:
            continue
        stale += 1
        name = path.relative_to(ROOT)
        if checking:
            print(f"{name} is not what the code declares: run make docs", file=sys.stderr)
        else:
            path.write_text(text)
            print(f"{name}: written")
    return 1 if checking and stale else 0


if __name__ == "__main__":
    sys.exit(main())
