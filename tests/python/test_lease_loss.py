"""A lease that was lost is a miss: what was read under it is never taken for the object."""

import os

import numpy as np
import pytest

import lmcd
from tests.python.daemon import Daemon, contents, fresh_keys, payload, store


def lose(lease: lmcd.ReadLease, item: int) -> None:
    """Make the grant one of another generation of its record."""
    lease.grants.cdata[item].word += 256


def test_leaving_a_lost_lease_raises(space: lmcd.Namespace) -> None:
    keys = fresh_keys(3)
    store(space, keys)
    lease = space.acquire(keys)
    assert lease.valid() == [True] * 3
    lose(lease, 1)
    assert lease.valid() == [True, False, True]
    with pytest.raises(lmcd.LeaseLost, match=r"items \[1\] of 3"), lease:
        pass
    assert lease.ended


def test_a_copy_of_lost_bytes_raises(space: lmcd.Namespace) -> None:
    keys = fresh_keys(1)
    store(space, keys)
    lease = space.acquire(keys)
    lose(lease, 0)
    with pytest.raises(lmcd.LeaseLost, match="item 0"):
        lease[0].copy_to(bytearray(8192))
    lease.release()


def test_an_exception_goes_before_the_loss(space: lmcd.Namespace) -> None:
    keys = fresh_keys(1)
    store(space, keys)
    lease = space.acquire(keys)
    lose(lease, 0)
    with pytest.raises(KeyError), lease:
        raise KeyError("first")


def test_a_scatter_tells_which_items_are_whole(space: lmcd.Namespace) -> None:
    keys = fresh_keys(3)
    store(space, keys[:1], length=256)
    store(space, keys[2:], length=256)
    blocks = np.zeros((8, 64), np.uint8)
    lease = space.acquire(keys)
    lose(lease, 2)
    rows = np.array([[0, 1, 2, 3], [0, 0, 0, 0], [4, 5, 6, 7]])
    assert lease.scatter(lmcd.Pages.of([blocks]), rows) == [True, False, False]
    assert blocks[:4].tobytes() == payload(0, 256)
    lease.release()


def test_a_daemon_that_discards_its_arena_voids_every_lease(daemon: Daemon) -> None:
    with daemon.session() as session:
        space = session.namespace("test")
        keys = fresh_keys(1)
        store(space, keys)
        lease = space.acquire(keys)
        view = lease[0].view()
        daemon.kill()
        assert lease.valid() == [True]  # nobody has touched the bytes
        daemon.start("--cold")
        assert lease.valid() == [False]
        assert len(view.tobytes()) == 8192
        with pytest.raises(lmcd.LeaseLost), lease:
            pass


def test_a_session_works_again_when_a_daemon_is_back(daemon: Daemon) -> None:
    with daemon.session() as session:
        space = session.namespace("test")
        keys = fresh_keys(2)
        store(space, keys)
        daemon.kill()
        assert space.lookup(keys).usable_prefix() == 2
        with pytest.raises(ConnectionError):
            session.ping()
        daemon.start()
        while True:  # the library tries at most every 100 ms
            try:
                session.ping()
            except ConnectionError:
                continue
            break
        with space.acquire(keys) as lease:
            assert contents(lease) == [payload(0, 8192), payload(1, 8192)]
        store(space, fresh_keys(1))


def test_a_write_lease_of_a_lost_session_is_given_back(daemon: Daemon) -> None:
    with daemon.session() as session:
        space = session.namespace("test")
        lease = space.reserve(fresh_keys(1), length=4096)
        daemon.kill()
        daemon.start()
        lease[0].copy_from(bytes(4096))
        lease.abort()
        while True:
            try:
                metrics = session.operator.stats()["metrics"]
            except ConnectionError:
                continue
            if metrics["quarantined_parts"] == 0:
                break
        assert metrics["used_bytes"] == 0


def test_a_forked_child_is_told_and_harms_nobody(space: lmcd.Namespace) -> None:
    keys = fresh_keys(1)
    store(space, keys)
    lease = space.acquire(keys)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            space.lookup(keys)
        except lmcd.Forked:
            status = 0
        lease.release()
        del lease
        space.session.close()
        os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with lease:
        assert bytes(lease[0]) == payload(0, 8192)
    space.session.ping()
