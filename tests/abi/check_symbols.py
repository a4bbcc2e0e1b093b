"""Proves that the library exports what its headers declare, each symbol under the version that
introduced it, and nothing else.

Usage: check_symbols.py <liblmcd.so> <symbols.txt> <header>...
"""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
FUNCTION = re.compile(r"^[A-Za-z_][\w\s*]*?\b(lmcd_\w+)\s*\(", re.MULTILINE)


def declared(headers: list[str]) -> set[str]:
    """Return the functions that the headers declare."""
    texts = [COMMENT.sub("", pathlib.Path(header).read_text()) for header in headers]
    return {name for text in texts for name in FUNCTION.findall(text)}


def exported(library: str) -> set[str]:
    """Return what the library exports, as name@@version; versions themselves left out."""
    listing = subprocess.run(
        ["nm", "--dynamic", "--defined-only", "--with-symbol-versions", library],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    symbols = [line.split() for line in listing.splitlines()]
    return {name for _, kind, name in symbols if kind != "A"}


def main(library: str, recorded_in: str, *headers: str) -> int:
    """Compare, say what differs, and return the exit code."""
    recorded = set(pathlib.Path(recorded_in).read_text().split())
    names = {symbol.partition("@")[0] for symbol in recorded}
    wrong = [f"not exported: {s}" for s in sorted(recorded - exported(library))]
    wrong += [f"not recorded: {s}" for s in sorted(exported(library) - recorded)]
    wrong += [f"declared, not recorded: {s}" for s in sorted(declared(list(headers)) - names)]
    wrong += [f"recorded, not declared: {s}" for s in sorted(names - declared(list(headers)))]
    print("\n".join(wrong) or f"{len(recorded)} symbols")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
