"""A stand-in for systemd: it owns the listening socket, keeps what the daemon stores, and hears its
notifications (sd_listen_fds(3), sd_notify(3)). The daemon is the real one.
"""

from __future__ import annotations

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

from lmcd.cli.context import daemon_program

BOUND_S = 60.0
KEPT = 64

# LISTEN_PID must be the daemon's own: what sets it becomes the daemon.
_BECOME = """
import os, sys
taken = [int(word) for word in sys.argv[1].split(",")]
aside = [os.dup(one) for one in taken]
free = 3 + len(taken)
aside = [os.dup2(one, free + len(taken) + at) for at, one in enumerate(aside)]
for place, one in enumerate(aside, 3):
    os.dup2(one, place, inheritable=True)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


class StandIn:
    """Runs one service whose options are `options`."""

    def __init__(self, folder: pathlib.Path, *options: str, watchdog_s: float = 0) -> None:
        self.socket = str(folder / "lmcd.sock")
        self._options = ["--socket", self.socket, "--state-dir", str(folder / "state"), *options]
        self._watchdog_s = watchdog_s
        self._log = folder / "log"
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.socket)
        self._listener.listen(64)
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind("")
        self.store: dict[str, int] = {}
        self.heard: list[str] = []
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the service, without waiting for it."""
        passed = {"lmcd.socket": self._listener.fileno(), **self.store}
        environment = {
            **os.environ,
            "NOTIFY_SOCKET": "@" + self._notify.getsockname()[1:].decode(),
            "LISTEN_FDS": str(len(passed)),
            "LISTEN_FDNAMES": ":".join(passed),
            "LMCD_TESTING": "1",
        }
        if self._watchdog_s:
            environment["WATCHDOG_USEC"] = str(int(self._watchdog_s * 1e6))
        numbers = ",".join(map(str, passed.values()))
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _BECOME, numbers, str(daemon_program()), *self._options],
                env=environment,
                pass_fds=tuple(passed.values()),
                stderr=log,
            )

    def hear(self, field: str, within_s: float = BOUND_S) -> str | None:
        """Take notifications until one has `field`; its value, or None when the time is up."""
        end = time.monotonic() + within_s
        while (left := end - time.monotonic()) > 0:
            self._notify.settimeout(left)
            try:
                data, descriptors, _, _ = socket.recv_fds(self._notify, 4096, KEPT)
            except TimeoutError:
                break
            fields = dict(line.partition("=")[::2] for line in data.decode().splitlines())
            self.heard.append(data.decode())
            self._keep(fields, descriptors)
            if field in fields:
                return fields[field]
        return None

    def _keep(self, fields: dict[str, str], descriptors: list[int]) -> None:
        name = fields.get("FDNAME", "stored")
        if "FDSTOREREMOVE" in fields and name in self.store:
            os.close(self.store.pop(name))
        for descriptor in descriptors:
            if name in self.store:
                os.close(self.store.pop(name))
            self.store[name] = descriptor

    def end(self, number: int = signal.SIGTERM) -> int:
        """End the service, and return its status."""
        assert self.process is not None
        self.process.send_signal(number)
        status = self.process.wait(timeout=BOUND_S)
        self.process = None
        return status

    def close(self) -> None:
        """End everything."""
        if self.process is not None:
            self.end(signal.SIGKILL)
        for descriptor in self.store.values():
            os.close(descriptor)
        self._listener.close()
        self._notify.close()
