"""Proves that what the pages tell people to type works: the blocks of shell and Python of a page
are run in their order, as one script, with a home and a runtime directory of their own. A line
that begins with `!` must fail.
"""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = ("README.md", "docs/operating.md")
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def script_of(page: str) -> str:
    """Return the blocks of a page as one script, which ends at the first failure."""
    lines = ["set -euo pipefail"]
    for kind, block in BLOCK.findall((ROOT / page).read_text()):
        if kind == "python":
            lines += ["python3 - <<'END_OF_PYTHON'", block.rstrip(), "END_OF_PYTHON"]
            continue
        for line in block.splitlines():
            # bash's -e does not look at what follows a "!".
            refused = line.removeprefix("! ")
            lines.append(line if refused == line else f"if {refused}; then exit 99; fi")
    return "\n".join([*lines, "echo the page ends here", ""])


@pytest.fixture
def home() -> Iterator[pathlib.Path]:
    # pytest's own folders have names too long for a socket.
    home = pathlib.Path(tempfile.mkdtemp(prefix="lmcd-page-"))
    yield home
    for identity in (home / "state" / "lmcd").iterdir():
        for left in pathlib.Path("/dev/shm").glob(f"lmcd_{identity.name}_*"):
            left.unlink()
    shutil.rmtree(home)


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_tells_to_type_works(page: str, home: pathlib.Path) -> None:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("LMCD_")
    }
    environment |= {
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home),
        "XDG_STATE_HOME": f"{home}/state",
    }
    environment["PYTHONPATH"] = str(ROOT / "build" / "release" / "python")
    environment["PATH"] = f"{ROOT / '.venv' / 'bin'}:{environment['PATH']}"
    script = subprocess.Popen(
        ["bash", "-c", script_of(page)],
        cwd=home,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        # The daemon that the page leaves running holds the pipe no longer than the script.
        assert script.stdout is not None
        said = []
        for line in script.stdout:
            said.append(line)
            if line == "the page ends here\n":
                break
        assert said[-1] == "the page ends here\n", "".join(said)
    finally:
        os.killpg(script.pid, signal.SIGTERM)
        script.communicate(timeout=60)
