"""Proves that the daemon is a good service: it takes its socket from the service manager, says when
it is ready and how it is, gives signs of life until its loop hangs, and leaves its memfds with the
manager, so that a restart loses nothing and refuses nobody.
"""

from __future__ import annotations

import pathlib
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator

import pytest

import lmcd
from tests.e2e.systemd_stand_in import StandIn
from tests.python.daemon import contents, fresh_keys, payload, store

Run = Callable[..., StandIn]
ARENA = ("--l1-size-gb", "0.0625", "--l1-backing", "memfd")


@pytest.fixture
def run() -> Iterator[Run]:
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lmcd-"))
    started: list[StandIn] = []

    def start(watchdog_s: float = 0) -> StandIn:
        systemd = StandIn(folder, *ARENA, watchdog_s=watchdog_s)
        started.append(systemd)
        systemd.start()
        assert systemd.hear("READY") == "1"
        return systemd

    yield start
    for systemd in started:
        systemd.close()
    shutil.rmtree(folder)


def test_readiness_comes_with_a_status(run: Run) -> None:
    systemd = run()
    assert systemd.hear("STATUS") == "serving: arena of 64 MiB, started cold with 0 objects"
    assert systemd.end() == 0
    assert systemd.hear("STOPPING", within_s=1) == "1"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_loses_no_memfd_and_no_object(run: Run, how: signal.Signals) -> None:
    systemd = run()
    assert len(systemd.store) >= 2, "arena and ledger are with the manager before readiness"
    keys = fresh_keys(3)
    with lmcd.Session(systemd.socket) as session:
        store(session.namespace("test"), keys)
        systemd.end(how)
        systemd.start()
        assert systemd.hear("READY") == "1"
        assert "started warm with 3 objects" in str(systemd.hear("STATUS"))
    with lmcd.Session(systemd.socket) as session, session.namespace("test").acquire(keys) as lease:
        assert contents(lease) == [payload(at, 8192) for at in range(3)]


def test_who_connects_while_nobody_serves_waits_and_is_served(run: Run) -> None:
    systemd = run()
    systemd.end()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as early:
        early.connect(systemd.socket)  # into the queue of the manager's socket
        systemd.start()
        assert systemd.hear("READY") == "1"
        early.settimeout(30)
        early.sendall(bytes(16))  # no message: the daemon says so, and ends the connection
        while early.recv(4096):
            continue
    with lmcd.Session(systemd.socket) as session:
        session.ping()


def test_signs_of_life_come_until_the_loop_hangs(run: Run) -> None:
    systemd = run(watchdog_s=2)
    for _ in range(2):
        assert systemd.hear("WATCHDOG", within_s=20) == "1"
    assert systemd.process is not None
    systemd.process.send_signal(signal.SIGSTOP)
    while systemd.hear("WATCHDOG", within_s=0.2):  # what was under way
        continue
    assert systemd.hear("WATCHDOG", within_s=3) is None
    systemd.process.send_signal(signal.SIGCONT)
    assert systemd.hear("WATCHDOG", within_s=20) == "1"
