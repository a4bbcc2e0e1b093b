"""A real daemon for each test that asks for one, on a socket of its own."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence

import pytest

import lmcd
from lmcd.cli.context import PROGRAM, daemon_program

READY_S = 30.0
PROGRAM_MISSING = f"{PROGRAM} is not built"


class Daemon:
    """A daemon in a folder that is its own. Its options are kept across restarts."""

    def __init__(self, folder: pathlib.Path, options: Sequence[str]) -> None:
        self.folder = folder
        self.socket = str(folder / "lmcd.sock")
        self.options = [
            *("--socket", self.socket, "--state-dir", str(folder / "state")),
            *(options or ("--l1-size-gb", "0.0625", "--l1-backing", "posix_shm")),
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
        for left in pathlib.Path("/dev/shm").glob(f"*{self._identity()}*"):
            left.unlink()

    def _identity(self) -> str:
        log = (self.folder / "log").read_text()
        return log.rpartition("identity=")[2].split()[0]

    def session(self, name: str = "test") -> lmcd.Session:
        """Open a session."""
        return lmcd.Session(self.socket, name=name)


@pytest.fixture
def stopped_daemon() -> Iterator[Daemon]:
    """A daemon that the test starts itself."""
    if shutil.which(PROGRAM) is None:
        try:
            daemon_program()
        except Exception:
            pytest.skip(PROGRAM_MISSING)
    # pytest's own folders have names too long for a socket.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lmcd-"))
    daemon = Daemon(folder, ())
    yield daemon
    daemon.close()
    shutil.rmtree(folder)


@pytest.fixture
def daemon(stopped_daemon: Daemon) -> Daemon:
    """A running daemon with an arena of 64 MiB."""
    stopped_daemon.start()
    return stopped_daemon


@pytest.fixture
def session(daemon: Daemon) -> Iterator[lmcd.Session]:
    """A session with it."""
    with daemon.session() as session:
        yield session


@pytest.fixture
def space(session: lmcd.Session) -> lmcd.Namespace:
    """A namespace of one rank and one full group."""
    return session.namespace("test")


def fresh_keys(count: int) -> lmcd.Keys:
    """Return keys that nobody else has."""
    return lmcd.Keys(os.urandom(count * lmcd.KEY_BYTES))


def payload(index: int, length: int) -> bytes:
    """Return bytes that differ from item to item and along their length."""
    return bytes((index * 37 + at * 11 + (at >> 8)) % 251 for at in range(length))


def store(space: lmcd.Namespace, keys: lmcd.Keys, length: int = 8192) -> None:
    """Write a payload for each key, commit, and wait until all can be looked up."""
    with space.reserve(keys, length=length) as lease:
        for index, buffer in enumerate(lease):
            buffer.copy_from(payload(index, length))
        lease.commit()
    space.session.ping()  # the commit was read before this
