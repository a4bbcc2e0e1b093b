"""An admin server for each test that asks for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.python.admin.server import AdminServer
from tests.python.daemon import Daemon

Serve = Callable[..., AdminServer]


@pytest.fixture
def serve(stopped_daemon: Daemon) -> Iterator[Serve]:
    """Start admin servers of the daemon's socket with these options."""
    started: list[AdminServer] = []

    def start(*options: str) -> AdminServer:
        started.append(AdminServer("--socket", stopped_daemon.socket, *options))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def admin(serve: Serve) -> AdminServer:
    """An admin server on a loopback port."""
    return serve()
