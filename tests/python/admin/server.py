"""A real admin server, and calls to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from tests.python.daemon import READY_S, Lines


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=READY_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(READY_S)
        self.sock.connect(self._path)


class Reply:
    """What a call answered."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode()

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class AdminServer:
    """`lmcd admin` in a process of its own, on a port of the kernel's choice."""

    def __init__(self, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lmcd", "admin", "--http-port", "0", *options],
            env={**os.environ},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        self.lines = Lines(self.process.stderr)
        self.url = self.lines.with_text("admin server on").rpartition(" ")[2].rstrip("/")
        self.host = self.url.removeprefix("http://")

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, timeout=READY_S)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        connection: http.client.HTTPConnection | None = None,
    ) -> Reply:
        """Make one call."""
        sent = dict(headers or {})
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        text = body if isinstance(body, str) or body is None else json.dumps(body)
        with contextlib.closing(connection or self.connection()) as used:
            used.request(method, path, text, sent)
            return Reply(used.getresponse())

    def get(self, path: str) -> Reply:
        """Make one call that changes nothing."""
        return self.call("GET", path)

    @contextlib.contextmanager
    def stream(self, path: str) -> Iterator[Iterator[str]]:
        """Read a stream line by line."""
        with contextlib.closing(self.connection()) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            assert response.status == 200
            yield (line.decode().rstrip("\n") for line in response)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and wait for the end."""
        self.process.send_signal(number)
        return self.process.wait(timeout=READY_S)

    def close(self) -> None:
        """End it whatever it does."""
        if self.process.poll() is None:
            self.end(signal.SIGKILL)
        self.lines.close()
