"""daemon_driven: the daemon gathers from and scatters to a registered segment."""

import mmap
import os
from collections.abc import Iterator

import numpy as np
import pytest

import lmcd
from lmcd import Outcome, Page
from tests.python.daemon import fresh_keys

BLOCKS, BLOCK_BYTES = 16, 4096


class Shared:
    """Memory of an engine: blocks in a memfd."""

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("engine")
        self.length = BLOCKS * BLOCK_BYTES
        os.ftruncate(self.descriptor, self.length)
        self._map = mmap.mmap(self.descriptor, self.length)
        self.blocks = np.frombuffer(self._map, np.uint8).reshape(BLOCKS, BLOCK_BYTES)
        self.pages = [Page(0, BLOCK_BYTES, 0, BLOCK_BYTES, 1, BLOCKS)]


@pytest.fixture
def shared() -> Iterator[Shared]:
    shared = Shared()
    yield shared
    os.close(shared.descriptor)


def test_the_daemon_stores_and_loads(space: lmcd.Namespace, shared: Shared) -> None:
    before = np.random.default_rng(3).integers(0, 255, shared.blocks.shape, np.uint8)
    shared.blocks[:] = before
    session = space.session
    segment = session.segment(shared.descriptor, shared.length, shared.pages, name="kv")
    keys = fresh_keys(2)
    ids = [[3, 1], [7, 2]]
    assert segment.store(space, keys, ids).wait(5000) == [Outcome.STORED] * 2
    assert segment.store(space, keys, ids).wait(5000) == [Outcome.EXISTS] * 2
    with space.acquire(keys) as lease:
        assert bytes(lease[1]) == before[[7, 2]].tobytes()
    shared.blocks[:] = 0
    wanted = lmcd.Keys.join([*keys, *fresh_keys(1)])
    with segment.load(space, wanted, [*ids, [9, 9]]) as transfer:
        assert transfer.wait() == [Outcome.LOADED, Outcome.LOADED, Outcome.ABSENT]
    assert (shared.blocks[[3, 1, 7, 2]] == before[[3, 1, 7, 2]]).all()
    segment.close()
    with pytest.raises(lmcd.Released):
        segment.load(space, keys, ids)


def test_a_wrong_block_is_refused(space: lmcd.Namespace, shared: Shared) -> None:
    segment = space.session.segment(shared.descriptor, shared.length, shared.pages)
    with pytest.raises(lmcd.InvalidArgument):
        segment.store(space, fresh_keys(1), [[BLOCKS]]).wait(5000)
    space.session.ping()


def test_a_segment_longer_than_its_memory_is_refused(session: lmcd.Session, shared: Shared) -> None:
    with pytest.raises(lmcd.LmcdError):
        session.segment(shared.descriptor, shared.length * 2, shared.pages)
    session.ping()
