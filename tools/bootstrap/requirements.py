"""Print what pyproject.toml requires for the named extras, one requirement a line.

Usage: requirements.py [EXTRA...]; `base` stands for the package's own dependencies, `build`
for those of the build. An extra that names others of lmcd (`lmcd[test]`) stands for them.
"""

from __future__ import annotations

import pathlib
import re
import sys
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    from pip._vendor import tomli as tomllib

PYPROJECT = pathlib.Path(__file__).resolve().parents[2] / "pyproject.toml"


def requirements(pyproject: dict[str, Any], extra: str) -> list[str]:
    """Return the requirements of one extra, own extras expanded."""
    project = pyproject["project"]
    if extra == "base":
        listed = project["dependencies"]
    elif extra == "build":
        listed = pyproject["build-system"]["requires"]
    elif extra in project["optional-dependencies"]:
        listed = project["optional-dependencies"][extra]
    else:
        known = ", ".join(["base", "build", *project["optional-dependencies"]])
        raise SystemExit(f"setup: no extra {extra!r} in pyproject.toml; it has: {known}")
    expanded: list[str] = []
    for entry in listed:
        own = re.fullmatch(rf"{project['name']}\[(.+)\]", entry)
        if own:
            for name in own[1].split(","):
                expanded += requirements(pyproject, name.strip())
        else:
            expanded.append(entry)
    return expanded


def main() -> None:
    """Print the union of the extras named on the command line, in their order."""
    pyproject = tomllib.loads(PYPROJECT.read_text())
    lines = [line for extra in sys.argv[1:] for line in requirements(pyproject, extra)]
    print("\n".join(dict.fromkeys(lines)))


if __name__ == "__main__":
    main()
