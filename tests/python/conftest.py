"""A real daemon for each test that asks for one."""

from __future__ import annotations

import pathlib
import shutil
import tempfile
from collections.abc import Iterator

import pytest

import lmcd
from tests.python.daemon import Daemon


@pytest.fixture
def stopped_daemon() -> Iterator[Daemon]:
    """A daemon that the test starts itself."""
    # pytest's own folders have names too long for a socket.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lmcd-"))
    daemon = Daemon(folder)
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
