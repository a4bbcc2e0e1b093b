"""Options that are read again by a running daemon: on an operator's word, and on SIGHUP."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys

import pytest

import lmcd
from tests.python.daemon import READY_S, Daemon, fresh_keys


@pytest.fixture
def file(stopped_daemon: Daemon) -> pathlib.Path:
    """The daemon's configuration, and the daemon started with it."""
    path = stopped_daemon.folder / "lmcd.yaml"
    path.write_text("eviction-ratio: 0.5\n")
    stopped_daemon.start("--config", str(path))
    return path


def fill(session: lmcd.Session) -> None:
    """Store until all of the arena is in use."""
    space = session.namespace("test")
    for _ in range(16):
        with space.reserve(fresh_keys(4), length=1 << 20) as lease:
            lease.commit()
    session.ping()


def log_of(daemon: Daemon) -> str:
    return (daemon.folder / "log").read_text()


def test_a_watermark_that_is_set_later_evicts(stopped_daemon: Daemon, file: pathlib.Path) -> None:
    with stopped_daemon.session() as session:
        operator = session.operator
        fill(session)
        assert operator.stats()["metrics"]["free_bytes"] == 0
        file.write_text("eviction-ratio: 0.5\neviction-trigger-watermark: 0.75\n")
        operator.reload()
        assert operator.config()["eviction-trigger-watermark"]["value"] == 0.75
        while True:
            metrics = operator.stats()["metrics"]
            if metrics["free_bytes"] >= metrics["arena_bytes"] // 2:
                break
        assert metrics["evicted_in_background_objects_total"] == 32
    assert "changed=eviction-trigger-watermark need_restart=none" in log_of(stopped_daemon)


def test_what_needs_a_restart_is_named_and_stays(
    stopped_daemon: Daemon, file: pathlib.Path
) -> None:
    with stopped_daemon.session() as session:
        file.write_text("eviction-ratio: 0.5\neviction-policy: LRU\n")
        session.operator.reload()
        assert session.operator.config()["eviction-policy"]["value"] == "ARC"
    assert "changed=none need_restart=eviction-policy" in log_of(stopped_daemon)


def test_options_that_cannot_be_read_change_nothing(
    stopped_daemon: Daemon, file: pathlib.Path
) -> None:
    with stopped_daemon.session() as session:
        file.write_text("eviction-trigger-watermark: 0.5\neviction-ratio: 7\n")
        with pytest.raises(lmcd.InvalidArgument, match=r"eviction-ratio.*takes 0.001 to 1"):
            session.operator.reload()
        assert session.operator.config()["eviction-trigger-watermark"]["value"] == 1.0
        assert session.operator.config()["eviction-ratio"]["value"] == 0.5


def test_a_hangup_reloads_too(stopped_daemon: Daemon, file: pathlib.Path) -> None:
    with stopped_daemon.session() as session:
        file.write_text("eviction-ratio: 0.25\n")
        os.kill(stopped_daemon.pid, signal.SIGHUP)
        while session.operator.config()["eviction-ratio"]["value"] != 0.25:
            continue


def test_the_command_shows_what_changed(stopped_daemon: Daemon, file: pathlib.Path) -> None:
    def reload() -> str:
        return subprocess.run(
            [sys.executable, "-m", "lmcd", "reload", "--socket", stopped_daemon.socket],
            capture_output=True,
            text=True,
            timeout=READY_S,
            check=True,
        ).stdout

    file.write_text("eviction-ratio: 0.25\n")
    assert reload() == "eviction-ratio: 0.25\n"
    assert reload() == "nothing changed\n"
