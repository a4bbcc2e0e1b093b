"""A real daemon for the fault tests: started, killed, started again on the same state."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import lmcd

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(lmcd.__file__).parent / "_bin" / "lmcd-daemon"
ARENA_BYTES = 8 << 20
OBJECT_BYTES = 128 << 10
PATIENCE_SECONDS = 20.0


def eventually(what: str, seconds: float = PATIENCE_SECONDS) -> Attempts:
    """Return attempts, paced, that end with a failure naming `what` when time is up."""
    return Attempts(what, seconds)


class Attempts:
    """`for _ in eventually("..."): if done: break` — a poll with a bound."""

    def __init__(self, what: str, seconds: float) -> None:
        self._what = what
        self._end = time.monotonic() + seconds

    def __iter__(self) -> Attempts:
        return self

    def __next__(self) -> None:
        if time.monotonic() > self._end:
            raise AssertionError(f"not in time: {self._what}")
        time.sleep(0.005)  # tidy(sleep): paces a bounded poll of another process


def content_of(key: bytes) -> bytes:
    """Return what belongs under a key: every byte of an object follows from its key."""
    return key * (OBJECT_BYTES // len(key))


class Daemon:
    """lmcd-daemon on a socket in `folder`."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.socket = str(folder / "s")
        self._options = options
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, sync_point: str = "") -> None:
        """Start it; with a sync point armed it may not live to be ready."""
        environment = {**os.environ, "LMCD_TESTING": "1", "LMCD_SYNC_POINT": sync_point}
        if not sync_point:
            del environment["LMCD_SYNC_POINT"]
        command = [
            str(BINARY),
            *("--socket", self.socket),
            *("--state-dir", str(self.folder / "state")),
            *("--l1-size-gb", str(ARENA_BYTES / (1 << 30))),
            *self._options,
        ]
        with (self.folder / "daemon.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stderr=log)

    def log(self) -> str:
        """Return what all the daemons of this folder have said."""
        return (self.folder / "daemon.log").read_text(errors="replace")

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def wait_dead(self) -> int:
        """Wait until it has ended; return its exit code."""
        assert self.process is not None
        return self.process.wait(timeout=PATIENCE_SECONDS)

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it in order."""
        if self.alive:
            assert self.process is not None
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=PATIENCE_SECONDS)

    def discard(self) -> None:
        """End it and take away the arena and ledger that it left for the next one."""
        self.stop()
        for identity in set(re.findall(r"identity=(\S+)", self.log())):
            for left in Path("/dev/shm").glob(f"lmcd_{identity}_*"):
                left.unlink()

    def session(self) -> lmcd.Session:
        """Open a session as soon as it answers."""
        for _ in eventually("a daemon that answers"):
            try:
                return lmcd.Session(self.socket, name="test", timeout_ms=10_000)
            except lmcd.NoDaemon:
                assert self.alive, f"the daemon ended:\n{self.log()}"
        raise AssertionError


def child(module: str, *arguments: str, sync_point: str = "") -> subprocess.Popen[str]:
    """Run a module as a client process."""
    environment = {**os.environ, "LMCD_TESTING": "1"}
    environment.pop("LMCD_SYNC_POINT", None)
    if sync_point:
        environment["LMCD_SYNC_POINT"] = sync_point
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
