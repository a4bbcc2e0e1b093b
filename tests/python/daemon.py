"""A real daemon on a socket of its own, and what tests put into it."""

from __future__ import annotations

import os
import pathlib
import queue
import signal
import socket
import subprocess
import threading
from typing import IO

import lmcd
from lmcd.cli.context import daemon_program

READY_S = 30.0


class Lines:
    """The lines that a process says, as they come."""

    def __init__(self, stream: IO[str]) -> None:
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self._lines.put(line.rstrip())
        self._lines.put(None)

    def close(self) -> None:
        """Wait for the end of what is said."""
        self._thread.join(READY_S)

    def next(self) -> str:
        """Return the next one."""
        line = self._lines.get(timeout=READY_S)
        assert line is not None, "it ended"
        return line

    def with_text(self, text: str) -> str:
        """Return the next one that has `text`."""
        while text not in (line := self.next()):
            continue
        return line


class Daemon:
    """A daemon in a folder that is its own. Its options are kept across restarts."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.socket = str(folder / "lmcd.sock")
        self.options = [
            *("--socket", self.socket, "--state-dir", str(folder / "state")),
            *("--l1-size-gb", "0.0625", "--l1-backing", "posix_shm"),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str) -> None:
        """Start it and wait until it is ready."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind("")
            notify.settimeout(READY_S)
            address = "@" + notify.getsockname()[1:].decode()
            with (self.folder / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    [daemon_program(), *self.options, *more],
                    env={**os.environ, "NOTIFY_SOCKET": address, "LMCD_TESTING": "1"},
                    stderr=log,
                )
            while b"READY=1" not in notify.recv(4096):
                continue

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end."""
        assert self._process is not None
        self._process.send_signal(number)
        status = self._process.wait(timeout=READY_S)
        self._process = None
        return status

    def kill(self) -> None:
        """Kill it where it stands."""
        self.end(signal.SIGKILL)

    def close(self) -> None:
        """End it, and take its arena away: a start that discards, and an orderly stop."""
        if self._process is not None:
            self.kill()
        self.start("--cold")
        self.end()
        for left in pathlib.Path("/dev/shm").glob(f"*{self.identity()}*"):
            left.unlink()

    def identity(self) -> str:
        """Return what its shared memory and its part of the state directory are named by."""
        (own,) = (self.folder / "state").iterdir()
        return own.name

    def session(self, name: str = "test") -> lmcd.Session:
        """Open a session."""
        return lmcd.Session(self.socket, name=name)


def fresh_keys(count: int) -> lmcd.Keys:
    """Return keys that nobody else has."""
    return lmcd.Keys(os.urandom(count * lmcd.KEY_BYTES))


def payload(index: int, length: int) -> bytes:
    """Return bytes that differ from item to item and along their length."""
    return bytes((index * 37 + at * 11 + (at >> 8)) % 251 for at in range(length))


def store(space: lmcd.Namespace, keys: lmcd.Keys, length: int = 8192) -> None:
    """Write a payload for each key, commit, and wait until all can be looked up."""
    with space.reserve(keys, length=length) as lease:
        for index, buffer in lease.granted():
            buffer.copy_from(payload(index, length))
        lease.commit()
    space.session.ping()  # the commit was read before this


def contents(lease: lmcd.ReadLease) -> list[bytes | None]:
    """Return each item's bytes, validated; None for what is not there."""
    found: list[bytes | None] = [None] * len(lease)
    for index, buffer in lease.granted():
        found[index] = bytes(buffer)
    return found
