"""The processes of the demo, as the parent sees them: started, listened to, killed."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lmcd
from lmcd.closing import Closing
from lmcd.demo import ENVIRONMENT


class DemoFailed(RuntimeError):
    """Something that the demo promises did not happen."""


class Process(Closing):
    """A child that is killed, at the latest, when its context ends."""

    def __init__(self, command: list[str], log: Path, *, talks: bool, **environment: str) -> None:
        self._log = log
        self.child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
            stdout=subprocess.PIPE if talks else log.open("ab"),
            stderr=log.open("ab"),
            env={**os.environ, **ENVIRONMENT, **environment},
            text=True,
        )

    def kill(self) -> None:
        """Kill it with SIGKILL and wait until it is gone."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGKILL)
        self.child.wait(timeout=30)

    def close(self) -> None:
        """Ask it to end, and kill it when it does not."""
        if self.child.poll() is None:
            self.child.terminate()
        try:
            self.child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.kill()

    def last_words(self) -> str:
        """Return the end of what it wrote to stderr."""
        return self._log.read_text(errors="replace")[-2000:]


class EngineProcess(Process):
    """An engine that answers turns (lmcd.demo.engine_process)."""

    def __init__(self, name: str, request: dict[str, Any], log: Path) -> None:
        super().__init__([sys.executable, "-m", "lmcd.demo.engine_process"], log, talks=True)
        self.name = name
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        assert self.child.stdin is not None
        self.child.stdin.write(json.dumps(request))
        self.child.stdin.close()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.child.stdout is not None
        for line in self.child.stdout:
            self._events.put(json.loads(line))
        self._events.put(None)

    def events(self, timeout: float) -> Iterator[dict[str, Any]]:
        """Yield its events until it ends. Raises DemoFailed when none comes for `timeout` s."""
        while True:
            try:
                event = self._events.get(timeout=timeout)
            except queue.Empty:
                raise DemoFailed(f"engine {self.name}: silent for {timeout:.0f} s") from None
            if event is None:
                return
            yield event

    def check_ended_well(self) -> None:
        """Raise DemoFailed unless it exited with 0."""
        if self.child.wait(timeout=30) != 0:
            raise DemoFailed(f"engine {self.name} failed:\n{self.last_words()}")


class DaemonProcess(Process):
    """`lmcd serve` on a private socket: the supervisor, and below it the daemon."""

    def __init__(self, program: str, folder: Path) -> None:
        self.socket = str(folder / "lmcd.sock")
        command = [
            *(sys.executable, "-m", "lmcd", "serve"),
            *("--socket", self.socket),
            *("--state-dir", str(folder / "state")),
            *("--l1-size-gb", "0.25", "--no-admin"),
        ]
        super().__init__(command, folder / "daemon.log", talks=False, LMCD_DAEMON=program)

    def session(self, timeout: float = 20.0) -> lmcd.Session:
        """Open a session as soon as a daemon answers. Raises DemoFailed after `timeout` s."""
        end = time.monotonic() + timeout
        while True:
            try:
                return lmcd.Session(self.socket, name="demo")
            except lmcd.LmcdError as error:
                if self.child.poll() is not None or time.monotonic() > end:
                    raise DemoFailed(f"the daemon: {error}\n{self.last_words()}") from None
            time.sleep(0.02)

    def kill_daemon(self, session: lmcd.Session) -> tuple[int, float]:
        """Kill the daemon itself with SIGKILL and wait for its successor.

        Returns the successor's process id and the seconds until it answered.
        """
        before = session.info().daemon_pid
        os.kill(before, signal.SIGKILL)
        began = time.monotonic()
        while time.monotonic() < began + 20.0:
            try:
                after = session.info().daemon_pid
                session.ping()
            except lmcd.LmcdError:
                after = before
            if after != before:
                return after, time.monotonic() - began
            time.sleep(0.01)
        raise DemoFailed(f"no daemon came back within 20 s\n{self.last_words()}")
