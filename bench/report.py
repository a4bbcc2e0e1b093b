"""The rows of a bench in Python: printed and written as bench/report.h does."""

from __future__ import annotations

import json
import pathlib
import sys
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Bound:
    """A limit of a row's ratio, or of its value where it has none."""

    side: str
    limit: float

    def met(self, figure: float) -> bool:
        return figure >= self.limit if self.side == ">=" else figure <= self.limit

    def __str__(self) -> str:
        return f"{self.side} {self.limit:.4g}"


def at_least(limit: float) -> Bound:
    return Bound(">=", limit)


def at_most(limit: float) -> Bound:
    return Bound("<=", limit)


@dataclass
class Row:
    name: str
    value: float
    unit: str
    ratio: float | None = None
    bound: Bound | None = None

    @property
    def met(self) -> bool | None:
        if self.bound is None:
            return None
        return self.bound.met(self.value if self.ratio is None else self.ratio)


@dataclass
class Report:
    rows: list[Row] = field(default_factory=list)

    def add(
        self,
        name: str,
        value: float,
        unit: str,
        ratio: float | None = None,
        bound: Bound | None = None,
    ) -> None:
        self.rows.append(Row(name, value, unit, ratio, bound))

    def finish(self) -> int:
        """Print the table, write the file of `--json FILE`; return the exit status."""
        print(f"{'':52} {'value':>12} {'':6} {'ratio':>8} {'bound':>9}")
        for row in self.rows:
            ratio = "" if row.ratio is None else f"{row.ratio:.3f}"
            bound = "" if row.bound is None else str(row.bound)
            met = {None: "", True: "met", False: "MISSED"}[row.met]
            print(f"{row.name:52} {row.value:12.4g} {row.unit:6} {ratio:>8} {bound:>9} {met}")
        if len(sys.argv) == 1:
            return 0
        if len(sys.argv) != 3 or sys.argv[1] != "--json":
            print(f"usage: {sys.argv[0]} [--json FILE]", file=sys.stderr)
            return 2
        rows = [
            {
                "name": row.name,
                "value": row.value,
                "unit": row.unit,
                "ratio": row.ratio,
                "bound": None if row.bound is None else str(row.bound),
                "met": row.met,
            }
            for row in self.rows
        ]
        pathlib.Path(sys.argv[2]).write_text(json.dumps(rows, indent=1) + "\n")
        return 0
