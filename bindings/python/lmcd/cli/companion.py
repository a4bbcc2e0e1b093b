"""A process that `lmcd serve` runs beside the daemon, such as the admin server.

It is started once the daemon is ready, and again when it ends, after a pause that grows while it
keeps ending early. It is an ordinary client: neither its end nor the daemon's is the other's.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

PAUSE_S = 0.25  # before the second start in a row; doubled for each further one
LONGEST_PAUSE_S = 30.0
STEADY_S = 10.0  # one that lived so long begins a new row
STOP_S = 10.0  # to end in, after SIGTERM

_PR_SET_PDEATHSIG = 1  # prctl(2)


def signal_name(number: int) -> str:
    """Return a signal's name, or its number: those of real time have none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class Companion:
    """One such process. Called from the supervisor's only thread."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self.due: float | None = None  # when it is to be started
        self.descriptor = -1  # becomes readable when it ends; -1 while it does not run
        self._command = list(command)
        self._environment = dict(environment)
        self._libc = ctypes.CDLL(None)
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._early_ends = 0

    def start(self) -> None:
        """Start it."""
        self.due = None
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            preexec_fn=self._end_with_parent,
        )
        self.descriptor = os.pidfd_open(self._process.pid)

    def _end_with_parent(self) -> None:
        self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    def reap(self) -> str:
        """Take note of its end, and of when it is started again. Returns what became of it."""
        status = self._close()
        steady = time.monotonic() - self._started >= STEADY_S
        self._early_ends = 0 if steady else self._early_ends + 1
        pause = min(PAUSE_S * 2 ** max(self._early_ends - 1, 0), LONGEST_PAUSE_S)
        self.due = time.monotonic() + pause
        if status < 0:
            return f"was killed by {signal_name(-status)}"
        return f"ended with status {status}"

    def stop(self) -> None:
        """End it, and wait until it has."""
        self.due = None
        if self._process is None:
            return
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_S)
        self._process.kill()
        self._close()

    def _close(self) -> int:
        assert self._process is not None
        status = self._process.wait()
        os.close(self.descriptor)
        self.descriptor = -1
        self._process = None
        return status
