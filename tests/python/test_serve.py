"""`lmcd serve` with the real daemon: it lives again within a second of a SIGKILL, its memfds with
it, and its options are those that the daemon describes.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator

import psutil
import pytest

import lmcd
from lmcd.cli.context import daemon_program
from tests.python.daemon import Lines, contents, fresh_keys, payload, store

BOUND_S = 30.0


@pytest.fixture
def folder() -> Iterator[pathlib.Path]:
    # pytest's own folders have names too long for a socket.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lmcd-"))
    yield folder
    shutil.rmtree(folder)


def serve(*options: str) -> tuple[subprocess.Popen[str], Lines]:
    process = subprocess.Popen(
        [sys.executable, "-m", "lmcd", "serve", *options], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    return process, Lines(process.stderr)


def test_a_living_client_hits_within_a_second_of_a_kill(folder: pathlib.Path) -> None:
    socket = str(folder / "lmcd.sock")
    process, lines = serve(
        *("--l1-size-gb", "0.0625", "--l1-backing", "memfd", "--no-admin"),
        *("--socket", socket, "--state-dir", str(folder / "state")),
    )
    try:
        line = lines.with_text("lmcd: ready")
        assert f"socket {socket}, arena 0.0625 GiB memfd" in line
        with lmcd.Session(socket) as session:
            space = session.namespace("test")
            keys = fresh_keys(3)
            store(space, keys)
            os.kill(session.info().daemon_pid, signal.SIGKILL)
            killed = time.monotonic()
            while True:
                try:
                    with space.acquire(keys) as lease:
                        found = [one for one in contents(lease) if one is not None]
                except ConnectionError:
                    continue
                if found:
                    break
            seconds = time.monotonic() - killed
            assert found == [payload(at, 8192) for at in range(3)]
            lines.with_text("lmcd: ready again")
        # Ten times the bound: this machine may be busy. The bench holds it to one second.
        assert seconds < 10
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=BOUND_S) == 0
    finally:
        process.kill()
        process.wait(timeout=BOUND_S)
        lines.close()


def test_the_admin_server_is_started_beside_the_daemon_and_again(folder: pathlib.Path) -> None:
    process, lines = serve(
        *("--l1-size-gb", "0.0625", "--http-port", "0", "--state-dir", str(folder / "state")),
        *("--socket", str(folder / "lmcd.sock"), "--l1-backing", "memfd"),
    )
    try:
        for _ in range(2):
            url = lines.with_text("lmcd: admin server on").rpartition(" ")[2]
            with urllib.request.urlopen(f"{url}healthz", timeout=BOUND_S) as reply:
                assert reply.status == 200
            (admin,) = (
                child
                for child in psutil.Process(process.pid).children()
                if "admin" in child.cmdline()
            )
            admin.kill()
            lines.with_text("the admin server was killed by SIGKILL; starting another")
        lines.with_text("lmcd: admin server on")
        (daemon,) = (
            child
            for child in psutil.Process(process.pid).children()
            if "admin" not in child.cmdline()
        )
        daemon.kill()
        lines.with_text("lmcd: ready again")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=BOUND_S) == 0
    finally:
        process.kill()
        process.wait(timeout=BOUND_S)
        lines.close()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ([], 'option "l1-size-gb": must be given'),
        (["--l1-size-gb", "1", "--chunk-size", "0"], '"0" is not valid; takes 1 to 65536'),
        (["--l1-size-gb", "1", "--l1-sise-gb", "2"], 'did you mean "l1-size-gb"?'),
        (["--watchdog-seconds", "nan", "--l1-size-gb", "1"], "is no number from 0 to 3600"),
        (["--l1-size-gb", "1", "--enable-tracing"], "it comes with traces"),
    ],
)
def test_a_wrong_option_is_one_line_and_status_2(options: list[str], text: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lmcd", "server", *options],
        capture_output=True,
        text=True,
        timeout=BOUND_S,
        check=False,
    )
    assert done.returncode == 2
    assert text in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_help_shows_every_option_of_the_daemon() -> None:
    described = json.loads(subprocess.check_output([daemon_program(), "--describe-options"]))
    shown = subprocess.check_output([sys.executable, "-m", "lmcd", "serve", "--help"], text=True)
    for option in described["options"]:
        assert option["flag"] in shown
    assert shown.splitlines()[0].endswith("serve [OPTIONS] [DAEMON OPTION]...")
