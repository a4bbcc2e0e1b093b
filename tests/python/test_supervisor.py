"""The supervisor of `lmcd serve`, with a daemon that does what the test wants."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from tests.python.daemon import Lines

FAKE = pathlib.Path(__file__).parent / "fake_daemon.py"
BOUND_S = 20.0
SCRIPT = """
import os, sys
from lmcd.cli import supervisor
from tests.python.daemon import Lines
supervisor.PAUSE_S = 0.001
run = supervisor.Supervisor(
    sys.argv[2:], dict(os.environ), watchdog_seconds=float(sys.argv[1]), description="the fake"
)
sys.exit(run.run())
"""


class Supervised:
    """A supervisor in a process of its own, and what it and its daemons say."""

    def __init__(self, diary: pathlib.Path, watchdog_s: float, behaviour: tuple[str, ...]) -> None:
        self._diary = diary
        diary.touch()
        daemon = [sys.executable, str(FAKE), str(diary), *behaviour]
        self._process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(watchdog_s), *daemon],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        self._lines = Lines(self._process.stderr)

    def line(self) -> str:
        """Return the next line that it says."""
        return self._lines.next()

    def diary(self) -> list[str]:
        return self._diary.read_text().splitlines()

    def daemon_pid(self) -> int:
        return int([line for line in self.diary() if line.startswith("life")][-1].split()[1])

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def status(self) -> int:
        return self._process.wait(timeout=BOUND_S)

    def close(self) -> None:
        self._process.kill()
        self._process.wait(timeout=BOUND_S)
        self._lines.close()


Start = Callable[..., Supervised]


@pytest.fixture
def start(tmp_path: pathlib.Path) -> Iterator[Start]:
    started: list[Supervised] = []

    def start(*behaviour: str, watchdog_s: float = 0) -> Supervised:
        started.append(Supervised(tmp_path / "diary", watchdog_s, behaviour))
        return started[-1]

    yield start
    for one in started:
        one.close()


def until(what: Callable[[], bool]) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + BOUND_S
    while not what():
        assert time.monotonic() < end
        os.sched_yield()


def test_it_says_once_when_the_daemon_is_ready_and_ends_with_it(start: Start) -> None:
    supervised = start("stay")
    assert supervised.line() == f"lmcd: ready: the fake, pid {supervised.daemon_pid()}"
    supervised.signal(signal.SIGTERM)
    assert supervised.status() == 0
    assert supervised.diary()[1:] == ["told to stop"]


def test_an_interrupt_stops_the_daemon_in_order(start: Start) -> None:
    supervised = start("stay")
    supervised.line()
    supervised.signal(signal.SIGINT)
    assert supervised.status() == 0
    assert supervised.diary()[1:] == ["told to stop"]


def test_a_hangup_is_passed_on(start: Start) -> None:
    supervised = start("stay")
    supervised.line()
    supervised.signal(signal.SIGHUP)
    until(lambda: supervised.diary()[1:] == ["hangup"])


def test_a_daemon_that_dies_is_started_again_with_what_it_stored(start: Start) -> None:
    supervised = start("store")
    supervised.line()
    first = supervised.daemon_pid()
    os.kill(first, signal.SIGKILL)
    assert "was killed by SIGKILL; starting another" in supervised.line()
    assert supervised.line().startswith("lmcd: ready again after 0.")
    second = supervised.daemon_pid()
    assert supervised.diary() == [
        f"life {first}",
        f"life {second} ledger=ledger bytes arena=arena bytes",
    ]
    os.kill(second, signal.SIGKILL)
    supervised.line()
    supervised.line()
    assert supervised.diary()[2] == (
        f"life {supervised.daemon_pid()} ledger=ledger bytes arena=arena bytes"
    )


def test_a_daemon_that_cannot_start_is_not_started_again(start: Start) -> None:
    supervised = start("fail", "3")
    assert supervised.status() == 3
    assert len(supervised.diary()) == 1


@pytest.mark.parametrize("status", [0, 2])
def test_a_daemon_that_ends_by_itself_is_not_started_again(start: Start, status: int) -> None:
    supervised = start("end", str(status))
    assert supervised.status() == status
    assert len(supervised.diary()) == 1


def test_a_daemon_that_fails_is_started_again(start: Start) -> None:
    supervised = start("end", "1")
    supervised.line()
    assert "ended with status 1; starting another" in supervised.line()
    until(lambda: len(supervised.diary()) > 1)


def test_one_that_never_gets_ready_again_is_given_up(start: Start) -> None:
    supervised = start("fail again", "1")
    assert supervised.status() == 1
    assert len(supervised.diary()) == 8


def test_a_daemon_without_a_sign_of_life_is_killed(start: Start) -> None:
    supervised = start("stay", watchdog_s=0.05)
    supervised.line()
    assert supervised.line().endswith("gives no sign of life; killing it")
    assert "was killed by SIGKILL" in supervised.line()


def test_the_word_of_another_process_does_not_count(start: Start, tmp_path: pathlib.Path) -> None:
    supervised = start("store")
    supervised.line()
    environment = pathlib.Path(f"/proc/{supervised.daemon_pid()}/environ").read_bytes()
    variables = dict(one.split(b"=", 1) for one in environment.split(b"\0") if one)
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import fake_daemon; "
        "fake_daemon.notify('FDSTOREREMOVE=1\\nFDNAME=arena')"
    )
    subprocess.run(
        [sys.executable, "-c", script, str(FAKE.parent)],
        env={"NOTIFY_SOCKET": variables[b"NOTIFY_SOCKET"].decode()},
        check=True,
        timeout=BOUND_S,
    )
    os.kill(supervised.daemon_pid(), signal.SIGKILL)
    supervised.line()
    supervised.line()
    assert supervised.diary()[1].endswith("ledger=ledger bytes arena=arena bytes")


def test_a_killed_supervisor_takes_the_daemon_with_it(start: Start) -> None:
    supervised = start("stay")
    supervised.line()
    supervised.signal(signal.SIGKILL)
    until(lambda: supervised.diary()[1:] == ["told to stop"])
