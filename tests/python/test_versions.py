"""Neighbours in version understand each other or say so: a daemon starts cold over a ledger of
another layout, and says what it dropped.
"""

from __future__ import annotations

import pathlib
import struct

import pytest

import lmcd
from tests.python.daemon import Daemon, fresh_keys, payload, store

PLACE_OF_VERSION = 8  # lib/ledger/layout.h: behind the magic


def ledger_of(daemon: Daemon) -> pathlib.Path:
    (ledger,) = pathlib.Path("/dev/shm").glob(f"lmcd_{daemon.identity()}_ledger")
    return ledger


def change_version(daemon: Daemon, by: int) -> str:
    """Make the ledger one of a neighbouring version; return what is to be said of it."""
    with ledger_of(daemon).open("r+b") as file:
        file.seek(PLACE_OF_VERSION)
        (present,) = struct.unpack("<I", file.read(4))
        file.seek(PLACE_OF_VERSION)
        file.write(struct.pack("<I", present + by))
    return f"layout version {present + by}, this library reads {present}"


@pytest.mark.parametrize("by", [-1, 1])
@pytest.mark.parametrize("orderly", [True, False])
def test_a_ledger_of_another_version_is_dropped_and_said_so(
    daemon: Daemon, by: int, orderly: bool
) -> None:
    with daemon.session() as session:
        space = session.namespace("test")
        keys = fresh_keys(2)
        store(space, keys)
        lease = space.acquire(keys)
        view = lease[1].view()
        if orderly:
            daemon.end()
        else:
            daemon.kill()
        expected = change_version(daemon, by)
        daemon.start()
        log = (daemon.folder / "log").read_text().splitlines()
        (said,) = [line for line in log if "start.cold" in line]
        assert expected in said
        assert "arena_bytes=67108864" in said
        # Who mapped the old one keeps its memory, and is told that nothing of it counts.
        assert view.tobytes() == payload(1, 8192)
        assert lease.valid() == [False, False]
        lease.close()
    with daemon.session() as session:
        space = session.namespace("test")
        assert space.lookup(keys).usable_prefix() == 0
        store(space, keys)
        with space.acquire(keys) as lease:
            assert bytes(lease[1]) == payload(1, 8192)


@pytest.mark.parametrize("by", [-1, 1])
def test_a_client_refuses_a_ledger_of_another_version(daemon: Daemon, by: int) -> None:
    expected = change_version(daemon, by)
    with pytest.raises(lmcd.VersionMismatch, match=expected):
        daemon.session()
