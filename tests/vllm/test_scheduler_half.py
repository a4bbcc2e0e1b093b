"""The scheduler half holds every block and lease until its copy is reported, and not longer.

The real half with a real daemon, and around it what stands for vLLM: requests, a pool that counts
references, and a worker whose reports the test writes.
"""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import time
import warnings
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import lmcd
from tests.python.daemon import Daemon

if TYPE_CHECKING or importlib.util.find_spec("vllm"):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what vLLM and torch deprecate is not ours
        from lmcd.vllm.geometry import Geometry, LayerGroup
        from lmcd.vllm.link import Link
        from lmcd.vllm.messages import NO_BLOCK, GroupLoad, LoadJob, Report, SaveJob
        from lmcd.vllm.options import Options
        from lmcd.vllm.scheduler import Scheduler

PART_BYTES = 8192
READY_S = 30.0


class Pool:
    """Counts references as vLLM's block pool does."""

    def __init__(self, count: int = 1000) -> None:
        self.num_gpu_blocks = count
        self.blocks = [SimpleNamespace(block_id=at, ref_cnt=0) for at in range(count)]

    def touch(self, blocks: Sequence[Any]) -> None:
        for block in blocks:
            block.ref_cnt += 1

    def free_blocks(self, blocks: Sequence[Any]) -> None:
        for block in blocks:
            block.ref_cnt -= 1
            assert block.ref_cnt >= 0

    @property
    def held(self) -> set[int]:
        return {block.block_id for block in self.blocks if block.ref_cnt}


class Half:
    """A scheduler half, and what it is told. Every prompt of it begins with `prompt`."""

    def __init__(
        self, daemon: Daemon, prompt: str, windows: Sequence[int] = (0,), ranks: int = 1
    ) -> None:
        name = f"model=test windows={windows} ranks={ranks}"
        self._prompt = prompt
        self._numbers = itertools.count()
        self.pool = Pool()
        self.block_ids: dict[str, tuple[list[int], ...]] = {}
        self.geometry = Geometry(
            groups=tuple(LayerGroup(("layer",), 128, window) for window in windows),
            scheduler_tokens=128,
            hash_tokens=128,
            chunk_tokens=256,
            rank_count=ranks,
            worker_count=ranks,
        )
        self.link = Link(
            Options(socket=daemon.socket, heartbeat_interval_ms=10),
            "test",
            self.geometry.namespace_groups(),
            ranks,
        )
        self.half = Scheduler(
            self.geometry,
            self.link,
            lambda _: name,
            loads=True,
            saves=True,
            save_decode=False,
        )
        pool: Any = self.pool
        self.half.bind(pool, lambda request_id: self.block_ids[request_id])
        deadline = time.monotonic() + READY_S
        while (space := self.link.space(name, 100)) is None:
            assert time.monotonic() < deadline
        self.space = space
        self.half.know_workers(dict.fromkeys(range(ranks), self.link.incarnation))

    def request(self, tokens: int) -> Any:
        """Make one more request of the prompt."""
        hashes = [
            hashlib.sha256(f"{self._prompt} {at}".encode()).digest() for at in range(tokens // 128)
        ]
        return SimpleNamespace(
            request_id=f"request {next(self._numbers)}",
            block_hashes=hashes,
            num_tokens=tokens,
            num_prompt_tokens=tokens,
            num_computed_tokens=0,
            cache_salt=None,
            lora_request=None,
        )

    def request_of_stored(self, tokens: int) -> Any:
        """Make a request whose prompt another has stored."""
        request = self.request(tokens)
        self.half.match(request, 0)
        self.store(self.run(request, tokens))
        self.half.finish(request)
        return self.request(tokens)

    def load(self, request: Any, *block_ids: list[int], local: int = 0) -> int:
        """Have what is offered loaded into these blocks; return how many tokens that is."""
        tokens = self.half.match(request, local)
        self.half.settle(request, block_ids, tokens)
        return tokens

    def run(self, request: Any, tokens: int) -> list[SaveJob]:
        """Schedule a step of a request."""
        self.block_ids.setdefault(
            request.request_id,
            tuple(
                [1 + group * 300 + at for at in range(-(-request.num_tokens // 128))]
                for group in range(len(self.geometry.groups))
            ),
        )
        output: Any = SimpleNamespace(
            num_scheduled_tokens={request.request_id: tokens}, total_num_scheduled_tokens=tokens
        )
        saves = self.half.orders(output).saves
        request.num_computed_tokens += tokens
        return saves

    def loads(self) -> list[LoadJob]:
        nothing: Any = SimpleNamespace(num_scheduled_tokens={}, total_num_scheduled_tokens=0)
        orders = self.half.orders(nothing)
        assert orders.idle
        return orders.loads

    def store(self, jobs: Sequence[SaveJob]) -> None:
        """Do what workers do, and report it."""
        for job in jobs:
            for rank in range(self.geometry.rank_count):
                for one in job.groups:
                    with self.space.reserve(
                        lmcd.Keys(one.keys),
                        length=PART_BYTES,
                        part=(rank, one.group),
                        parent=one.parent,
                        depth=one.depth,
                    ) as lease:
                        lease.commit()
                self.half.take_report(Report({job.number: 1}))
        self.space.session.ping()


@pytest.fixture
def half(daemon: Daemon, request: pytest.FixtureRequest) -> Iterator[Half]:
    """A half whose prompts no other test has; its parameter says what is not plain about it."""
    made = Half(daemon, request.node.name, **getattr(request, "param", {}))
    yield made
    made.half.close()


def rows_of(load: GroupLoad) -> list[list[int]]:
    table = np.frombuffer(load.rows, dtype=np.uint32).reshape(-1, load.blocks_per_item)
    return [[-1 if block == NO_BLOCK else int(block) for block in row] for row in table]


two_ranks = pytest.mark.parametrize("half", [{"ranks": 2}], indirect=True, ids=["two ranks"])
window = pytest.mark.parametrize("half", [{"windows": (0, 192)}], indirect=True, ids=["window"])


@two_ranks
def test_blocks_are_held_until_every_worker_has_saved(half: Half) -> None:
    request = half.request(700)
    assert half.half.match(request, 0) == 0
    (job,) = half.run(request, 700)
    assert half.pool.held == {1, 2, 3, 4}  # two chunks; the rest is none yet
    half.half.finish(request)
    assert half.half.has_jobs
    assert half.half.frees_blocks_soon
    half.half.take_report(Report({job.number: 1}))
    assert half.pool.held == {1, 2, 3, 4}
    half.half.take_report(Report({job.number: 1}))
    assert not half.pool.held
    assert not half.half.has_jobs


def test_a_load_begins_and_ends_within_chunks(half: Half) -> None:
    request = half.request_of_stored(1024)
    # The last token is computed.
    assert half.load(request, [11, 12, 13, 14, 15, 16, 17], local=128) == 896 - 128
    (job,) = half.loads()
    ((load,),) = job.ranks
    assert rows_of(load) == [[-1, 12], [13, 14], [15, 16], [17, -1]]
    assert half.pool.held == {12, 13, 14, 15, 16, 17}
    half.half.end_loads({request.request_id}, set())
    assert not half.pool.held


def test_a_request_that_ends_under_its_load_gives_its_blocks_back_later(half: Half) -> None:
    request = half.request_of_stored(600)
    assert half.load(request, [1, 2, 3, 4, 5]) == 512
    half.half.finish(request)
    assert half.pool.held == {1, 2, 3, 4}
    half.half.end_loads({request.request_id}, {request.request_id})
    assert not half.pool.held
    assert not half.half.has_jobs


def test_an_offer_that_is_not_taken_is_taken_back(half: Half) -> None:
    request = half.request_of_stored(600)
    assert half.half.match(request, 0) == 512
    assert half.half.match(request, 0) == 512
    half.half.settle(request, ([1, 2, 3, 4, 5],), 0)
    assert half.loads() == []
    assert not half.half.has_jobs


def test_after_a_failed_load_all_is_computed_and_stored(half: Half) -> None:
    request = half.request_of_stored(600)
    assert half.load(request, [1, 2, 3, 4, 5]) == 512
    half.loads()
    half.half.end_loads({request.request_id}, {request.request_id})
    assert half.half.match(request, 0) == 0
    assert half.run(request, 600) == []  # for it is there


def test_a_worker_with_another_arena_is_offered_nothing(half: Half) -> None:
    request = half.request_of_stored(600)
    half.half.know_workers({0: b"another"})
    assert half.half.match(request, 0) == 0


@window
def test_a_window_loads_what_is_in_it(half: Half) -> None:
    request = half.request_of_stored(1100)
    assert half.load(request, [*range(1, 10)], [0, 0, 0, 0, 0, 0, 27, 28, 29]) == 1024
    (job,) = half.loads()
    ((first, second),) = job.ranks
    assert rows_of(first) == [[1, 2], [3, 4], [5, 6], [7, 8]]
    assert rows_of(second) == [[27, 28]]


@window
def test_a_window_that_has_moved_on_is_not_saved(half: Half) -> None:
    request = half.request(600)
    half.half.match(request, 0)
    half.block_ids[request.request_id] = ([1, 2, 3, 4, 5], [0, 32, 33, 34, 35])
    (job,) = half.run(request, 600)
    assert [(save.group, save.depth) for save in job.groups] == [(0, 0), (1, 1)]
    half.store([job])
    assert not half.pool.held


def test_saves_hold_no_more_than_half_of_the_blocks(half: Half) -> None:
    half.pool.num_gpu_blocks = 8
    request = half.request(2048)
    half.half.match(request, 0)
    first = half.run(request, 512)
    assert half.run(request, 512) == []  # four of eight are held
    half.store(first)
    (job,) = half.run(request, 512)  # now what was held back goes too
    assert len(job.groups[0].keys) == 4 * lmcd.KEY_BYTES
    half.store([job])
    assert not half.pool.held
