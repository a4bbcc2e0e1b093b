"""Views over shared memory: without a copy, read-only where they must be, refused after their
lease, and never a crash, whatever outlives what.
"""

import copy
import gc
import hashlib
import io
import os
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lmcd
from lmcd.views import SharedArray
from tests.python.daemon import Daemon, fresh_keys, payload, store


def leased(space: lmcd.Namespace) -> lmcd.ReadLease:
    keys = fresh_keys(1)
    store(space, keys)
    return space.acquire(keys)


def run_alone(script: str, daemon: Daemon) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own; its arguments are the socket and a stored key."""
    with daemon.session() as session:
        keys = fresh_keys(1)
        store(session.namespace("test"), keys)
        return subprocess.run(
            [sys.executable, "-c", script, daemon.socket, keys[0].hex()],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def test_an_array_is_the_memory_itself(space: lmcd.Namespace) -> None:
    keys = fresh_keys(1)
    with space.reserve(keys, length=64) as lease:
        array = lease[0].array("<f4", (4, 4))
        array[:] = np.arange(16).reshape(4, 4)
        array[1] += 0.5
        view = lease[0].view()
        assert view[:8].tobytes() == np.array([0, 1], "<f4").tobytes()
        view[0:4] = np.array([7], "<f4").tobytes()
        lease.commit()
    space.session.ping()
    with space.acquire(keys) as found:
        expected = np.arange(16, dtype="<f4").reshape(4, 4)
        expected[1] += 0.5
        expected[0, 0] = 7
        assert (found[0].array("<f4", (4, 4)) == expected).all()


def test_what_is_leased_to_be_read_cannot_be_written(space: lmcd.Namespace) -> None:
    with leased(space) as lease:
        with pytest.raises(ValueError, match="read-only"):
            lease[0].array()[0] = 1
        with pytest.raises(TypeError, match="read-only"):
            lease[0].view()[0] = 1


@pytest.mark.parametrize(
    "use",
    [
        lambda array: array[0],
        lambda array: array.sum(),
        lambda array: array + 1,
        lambda array: np.add(1, array),
        lambda array: array.tobytes(),
        lambda array: np.concatenate([array, array]),
        lambda array: np.copyto(np.empty_like(np.zeros(8192, np.uint8)), array),
        lambda array: np.zeros(8192).__iadd__(array),
        len,
        list,
        bool,
        str,
        lambda array: 3 in array,
        lambda array: array.copy(),
        lambda array: array == array,
        memoryview,
        bytes,
        bytearray,
        lambda array: bytearray(8192).__setitem__(slice(0, array.nbytes), array),
        lambda array: hashlib.sha256(array),
        lambda array: io.BytesIO().write(array),
        lambda array: np.frombuffer(array, np.uint8),
        lambda array: struct.unpack_from("B", array),
        lambda array: array.__array_interface__,
        lambda array: np.from_dlpack(array),
        lambda array: array.__array__(),
        pickle.dumps,
        lambda array: pickle.dumps(array, protocol=5, buffer_callback=lambda _: None),
        copy.copy,
        copy.deepcopy,
        lambda array: array.view(np.ndarray),
        lambda array: array.base,
        lambda array: np.save(io.BytesIO(), array),
        lambda array: array.tofile("/dev/null"),
        lambda array: array.flat[0],
    ],
)
def test_an_array_raises_after_its_lease(use: object, space: lmcd.Namespace) -> None:
    with leased(space) as lease:
        array = lease[0].array()
        part = array[10:20].reshape(2, 5)[1]
    for view in (array, part):
        with pytest.raises(lmcd.Released):
            use(view)  # type: ignore[operator]
    assert "ended" in repr(array)


def test_a_buffer_of_an_array_is_exported_as_long_as_its_lease_lasts(
    space: lmcd.Namespace,
) -> None:
    expected = payload(0, 8192)
    with leased(space) as lease:
        array = lease[0].array()
        assert memoryview(array).readonly
        assert bytes(array) == bytes(memoryview(array)[:]) == expected
        assert hashlib.sha256(array).digest() == hashlib.sha256(expected).digest()
        loaded = pickle.loads(pickle.dumps(array))
        exported = memoryview(array)
    # What was pickled is a copy; what was exported keeps the memory and cannot crash.
    assert loaded.tobytes() == expected
    assert exported.tobytes() == expected


def test_an_array_that_is_no_view_of_a_lease_exports_its_buffer(space: lmcd.Namespace) -> None:
    with leased(space) as lease:
        copied = lease[0].array().copy()
    assert memoryview(copied).tobytes() == bytes(copied) == payload(0, 8192)


def in_child(act: Callable[[], bool]) -> bool:
    """Run `act` in a forked child; return whether it answered True and nothing crashed."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if act() else 2
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_forked_child_reads_no_memory_of_its_parents(space: lmcd.Namespace) -> None:
    keys = fresh_keys(1)
    lease = leased(space)
    array, view, plain = lease[0].array(), lease[0].view(), np.asarray(lease[0].array())
    part = array[5:]
    writing = space.reserve(keys, length=4096)
    target, own = writing[0].array(), writing[0].view()
    target[:] = 5

    def refused(use: Callable[[], object]) -> bool:
        try:
            use()
        except lmcd.Forked:
            return True
        return False

    def use_all() -> bool:
        uses: tuple[Callable[[], object], ...] = (
            lambda: array[0],
            lambda: part.sum(),
            lambda: memoryview(array),
            lambda: pickle.dumps(array),
            lambda: target.__setitem__(0, 1),
            lambda: lease[0],
            lambda: lease.valid(),
            lambda: writing.commit(),
        )
        own[0] = 9  # its own zeros, whose change nobody sees
        zeros = not any(view) and not plain.any() and own[0] == 9
        repr(array)
        all_refused = all(map(refused, uses))
        lease.close()
        writing.close()
        return all_refused and zeros

    assert in_child(use_all)
    assert view.tobytes() == plain.tobytes() == payload(0, 8192)
    assert target[0] == own[0] == 5
    writing.commit()
    space.session.ping()
    with space.acquire(keys) as found:
        assert bytes(found[0]) == bytes([5]) * 4096
    lease.close()


def test_views_of_a_lost_session_stay_readable_and_refuse_after_their_end(daemon: Daemon) -> None:
    """The daemon is killed and started again under views and their leases."""
    with daemon.session() as session:
        space = session.namespace("test")
        lease = leased(space)
        array, view = lease[0].array(), lease[0].view()
        daemon.kill()
        daemon.start()
        while True:
            try:
                session.ping()
            except ConnectionError:
                continue
            break
        assert bytes(array) == view.tobytes() == payload(0, 8192)
        lease.close()
        with pytest.raises(lmcd.Released):
            memoryview(array)
        with pytest.raises(ValueError, match="released memoryview"):
            view.tobytes()
        session.ping()


def test_views_used_by_threads_while_their_lease_ends_never_crash(daemon: Daemon) -> None:
    """In a process of its own, which ends while daemon threads still use views."""
    script = """
import sys, threading
import lmcd
session = lmcd.Session(sys.argv[1])
space = session.namespace("test")
keys = [bytes.fromhex(sys.argv[2])]
held = []

def use():
    while True:
        for array, view in list(held):
            for act in (lambda: bytes(array), lambda: memoryview(array)[-1], lambda: array.sum(),
                        lambda: view[0], lambda: array[1:].copy()):
                try:
                    act()
                except ValueError:  # Released is one
                    pass

for _ in range(4):
    threading.Thread(target=use, daemon=True).start()
for turn in range(200):
    lease = space.acquire(keys)
    held.append((lease[0].array(), lease[0].view()))
    if turn % 3:
        lease.close()
    del lease, held[:-4]
held.append((space.acquire(keys)[0].array(), memoryview(b"x")))
print("whole")
"""
    done = run_alone(script, daemon)
    assert (done.returncode, done.stdout) == (0, "whole\n"), done.stderr


def test_copies_and_results_are_plain_arrays(space: lmcd.Namespace) -> None:
    with leased(space) as lease:
        array = lease[0].array()
        copy, total, doubled = array.copy(), array[:4].sum(), array * 2
        assert isinstance(array[3:], SharedArray)
    assert copy.tobytes() == payload(0, 8192)
    assert total == sum(payload(0, 8192)[:4])
    assert doubled.shape == (8192,)


def test_a_memoryview_raises_after_its_lease(space: lmcd.Namespace) -> None:
    with leased(space) as lease:
        view = lease[0].view()
    with pytest.raises(ValueError, match="released memoryview"):
        view[0]
    with pytest.raises(lmcd.Released):
        lease[0]
    with pytest.raises(lmcd.Released):
        lease.valid()


def test_a_buffer_raises_after_its_lease(space: lmcd.Namespace) -> None:
    with leased(space) as lease:
        buffer = lease[0]
    for act in (buffer.view, buffer.array, lambda: buffer.copy_to(bytearray(8192))):
        with pytest.raises(lmcd.Released):
            act()


def test_a_view_keeps_its_lease_at_the_daemon(space: lmcd.Namespace) -> None:
    def read_leases() -> int:
        return int(space.session.operator.stats()["metrics"]["read_leases"])

    with leased(space) as lease:
        plain = np.asarray(lease[0].array())
        del lease
    assert read_leases() == 1
    assert plain.tobytes() == payload(0, 8192)
    del plain
    gc.collect()
    assert read_leases() == 0


def test_a_dropped_lease_is_given_back(space: lmcd.Namespace) -> None:
    lease = space.reserve(fresh_keys(4), length=4096)
    assert space.session.operator.stats()["metrics"]["write_leases"] == 1
    del lease
    gc.collect()
    metrics = space.session.operator.stats()["metrics"]
    assert (metrics["write_leases"], metrics["used_bytes"]) == (0, 0)


def test_memory_outlives_session_and_daemon(daemon: Daemon) -> None:
    session = daemon.session()
    space = session.namespace("test")
    keys = fresh_keys(1)
    store(space, keys)
    lease = space.acquire(keys)
    view = lease[0].view()
    session.close()
    daemon.kill()
    del session, space
    gc.collect()
    assert view.tobytes() == payload(0, 8192)
    copy = bytearray(8192)
    lease[0].copy_to(copy)
    assert copy == payload(0, 8192)


def test_no_order_of_ends_crashes(daemon: Daemon) -> None:
    """In a process of its own, since a crash would end this one."""
    script = """
import gc, itertools, sys
import lmcd
socket, key = sys.argv[1], bytes.fromhex(sys.argv[2])
for order in itertools.permutations(("session", "space", "lease", "buffer", "view", "array")):
    held = {"session": lmcd.Session(socket)}
    held["space"] = held["session"].namespace("test")
    held["lease"] = held["space"].acquire([key])
    held["buffer"] = held["lease"][0]
    held["view"] = held["buffer"].view()
    held["array"] = held["buffer"].array()
    if order[0] == "session":
        held["session"].close()
    for name in order:
        del held[name]
        gc.collect(0)
        if "view" in held:
            held["view"].tobytes()
print("whole")
"""
    done = run_alone(script, daemon)
    assert (done.returncode, done.stdout) == (0, "whole\n"), done.stderr


def test_finalizers_of_a_cycle_may_use_everything(daemon: Daemon) -> None:
    """The collector finalizes the objects of a cycle in any order; nothing is closed meanwhile.

    In a process of its own, which ends with another such cycle alive.
    """
    script = """
import gc, sys
import lmcd

class Engine:
    def __init__(self):
        self.first = User(self)  # finalized before what it uses,
        self.session = lmcd.Session(sys.argv[1])
        self.space = self.session.namespace("test")
        self.key = bytes.fromhex(sys.argv[2])
        self.lease = self.space.acquire([self.key])
        self.mapping = self.session.mapping()
        self.view = self.mapping.view(self.lease.grants, 0)
        self.array = self.lease[0].array()
        self.writing = self.space.reserve([bytes(32)], length=64)
        self.last = User(self)  # and after

class User:
    def __init__(self, engine):
        self.engine = engine

    def __del__(self):
        engine = self.engine
        assert len(engine.view.tobytes()) == engine.array.size == 8192
        assert engine.space.lookup([engine.key]).usable_prefix() == 1
        with engine.space.acquire([engine.key]) as lease:
            assert lease[0].view() == engine.view
        print("used")

for _ in range(20):
    Engine()
    gc.collect()
last = Engine()
"""
    done = run_alone(script, daemon)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "used\n" * 42


def test_a_tensor_is_the_memory_itself_and_raises_after_its_lease(space: lmcd.Namespace) -> None:
    torch: Any = pytest.importorskip("torch", reason="torch is not installed")
    keys = fresh_keys(1)
    with space.reserve(keys, length=64) as lease:
        tensor = lease[0].tensor(torch.float32, (4, 4))
        tensor.copy_(torch.arange(16).reshape(4, 4))
        tensor[2] += 1
        lease.commit()
    with pytest.raises(lmcd.Released):
        tensor.sum()
    space.session.ping()
    with space.acquire(keys) as found:
        tensor = found[0].tensor(torch.float32, (4, 4))
        row, total, plain = tensor[2], tensor.sum(), tensor * 1
        assert total.item() == sum(range(16)) + 4
        writes: tuple[Callable[[], Any], ...] = (
            lambda: tensor.add_(1),
            lambda: tensor.__setitem__(0, 1),
            lambda: torch.add(plain, plain, out=tensor),
            lambda: row.zero_(),
        )
        for write in writes:
            with pytest.raises(lmcd.Released, match="leased to be read"):
                write()
    assert plain[2].tolist() == [9, 10, 11, 12]
    assert total.item() == 124
    for use in (
        lambda: tensor[0],
        lambda: row + 1,
        lambda: torch.empty(4).copy_(row),
        lambda: torch.stack([plain[0], row]),
        tensor.tolist,
        tensor.numpy,
    ):
        with pytest.raises(lmcd.Released):
            use()
