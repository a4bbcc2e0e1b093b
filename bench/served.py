"""A daemon on a private socket and what an engine stores in it, for the benches in Python."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
from types import TracebackType

import lmcd
from lmcd.keys import KEY_BYTES, Keys

BUILT = pathlib.Path(__file__).resolve().parent.parent / "build" / "release"
DAEMON = BUILT / "daemon" / "server" / "lmcd-daemon"
PATIENCE_SECONDS = 60.0
OBJECT_BYTES = 4096
BATCH = 16384


class Served:
    """A daemon in a folder of its own: started, killed, started again on the same state."""

    def __init__(self, *options: str, command: list[str] | None = None) -> None:
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="lmcd-bench-"))
        self.socket = str(self.folder / "s")
        self._command = [
            *(command or [str(DAEMON)]),
            *("--socket", self.socket),
            *("--state-dir", str(self.folder / "state")),
            *options,
        ]
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Served:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end(signal.SIGTERM)
        for identity in (self.folder / "state").glob("*"):
            for segment in pathlib.Path("/dev/shm").glob(f"lmcd_{identity.name}_*"):
                segment.unlink(missing_ok=True)
        shutil.rmtree(self.folder)

    def add_options(self, *options: str) -> None:
        self._command += options

    def start(self) -> lmcd.Session:
        """Start it and return a session as soon as it gives one."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self._command, stderr=log)
        return self.session()

    def session(self) -> lmcd.Session:
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            try:
                return lmcd.Session(self.socket, name="bench", timeout_ms=30_000)
            except lmcd.NoDaemon:
                time.sleep(0.0005)
        raise SystemExit(f"no daemon:\n{(self.folder / 'log').read_text()}")

    def end(self, number: int) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait()
            self.process = None

    def segment(self, name: str) -> pathlib.Path:
        """Return the file of the daemon's "arena" or "ledger"."""
        for identity in (self.folder / "state").glob("*"):
            path = pathlib.Path(f"/dev/shm/lmcd_{identity.name}_{name}")
            if path.exists():
                return path
        raise SystemExit(f"no {name} of {self.folder} in /dev/shm")


def options_for(objects: int) -> list[str]:
    """Return the options of a daemon with room for so many objects of OBJECT_BYTES, or more."""
    return [
        *("--l1-size-gb", str(max(objects, 4096) * 1.05 * OBJECT_BYTES / (1 << 30))),
        *("--max-objects", str(max(objects + objects // 20, 65536))),
        *("--l1-init-size-gb", "0"),
    ]


def store(space: lmcd.Namespace, count: int) -> Keys:
    """Commit `count` objects of one part; return their keys."""
    keys = Keys(os.urandom(count * KEY_BYTES))
    for first in range(0, count, BATCH):
        with space.reserve(keys[first : first + BATCH], length=OBJECT_BYTES) as lease:
            lease.commit()
    space.session.ping()
    return keys
