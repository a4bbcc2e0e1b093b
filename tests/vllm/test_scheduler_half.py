"""The scheduler half holds every block and lease until its copy is reported, and not longer.

The real half with a real daemon, and around it what stands for vLLM: requests, a pool that counts
references, and a worker whose reports the test writes.
"""

from __future__ import annotations

import hashlib
import importlib.util
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
    """A scheduler half, and what it is told."""

    def __init__(self, daemon: Daemon, windows: Sequence[int] = (0,), ranks: int = 1) -> None:
        name = f"model=test windows={windows} ranks={ranks}"
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

    def request(self, name: str, tokens: int) -> Any:
        hashes = [
            hashlib.sha256(f"{name.split('/')[0]} {at}".encode()).digest()
            for at in range(tokens // 128)
        ]
        return SimpleNamespace(
            request_id=name,
            block_hashes=hashes,
            num_tokens=tokens,
            num_prompt_tokens=tokens,
            num_computed_tokens=0,
            cache_salt=None,
            lora_request=None,
        )

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


@pytest.fixture(scope="module")
def halves(daemon: Daemon) -> Iterator[Any]:
    made: list[Half] = []

    def make(**options: Any) -> Half:
        made.append(Half(daemon, **options))
        return made[-1]

    yield make
    for half in made:
        half.half.close()


def rows_of(load: GroupLoad) -> list[list[int]]:
    table = np.frombuffer(load.rows, dtype=np.uint32).reshape(-1, load.blocks_per_item)
    return [[-1 if block == NO_BLOCK else int(block) for block in row] for row in table]


def stored(half: Half, name: str, tokens: int) -> None:
    request = half.request(name, tokens)
    half.half.match(request, 0)
    half.store(half.run(request, tokens))
    half.half.finish(request)


def test_blocks_are_held_until_every_worker_has_saved(halves: Any) -> None:
    half = halves(ranks=2)
    request = half.request("two ranks", 700)
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


def test_a_load_begins_and_ends_within_chunks(halves: Any) -> None:
    half = halves()
    stored(half, "parts", 1024)
    request = half.request("parts/again", 1024)
    assert half.half.match(request, 128) == 896 - 128  # the last token is computed
    half.half.settle(request, ([11, 12, 13, 14, 15, 16, 17],), 896 - 128)
    (job,) = half.loads()
    ((load,),) = job.ranks
    assert rows_of(load) == [[-1, 12], [13, 14], [15, 16], [17, -1]]
    assert half.pool.held == {12, 13, 14, 15, 16, 17}
    half.half.end_loads({request.request_id}, set())
    assert not half.pool.held


def test_a_request_that_ends_under_its_load_gives_its_blocks_back_later(halves: Any) -> None:
    half = halves()
    stored(half, "aborted", 600)
    request = half.request("aborted/again", 600)
    assert half.half.match(request, 0) == 512
    half.half.settle(request, ([1, 2, 3, 4, 5],), 512)
    half.half.finish(request)
    assert half.pool.held == {1, 2, 3, 4}
    half.half.end_loads({request.request_id}, {request.request_id})
    assert not half.pool.held
    assert not half.half.has_jobs


def test_an_offer_that_is_not_taken_is_taken_back(halves: Any) -> None:
    half = halves()
    stored(half, "refused", 600)
    request = half.request("refused/again", 600)
    assert half.half.match(request, 0) == 512
    assert half.half.match(request, 0) == 512
    half.half.settle(request, ([1, 2, 3, 4, 5],), 0)
    assert half.loads() == []
    assert not half.half.has_jobs


def test_after_a_failed_load_all_is_computed_and_stored(halves: Any) -> None:
    half = halves()
    stored(half, "failed", 600)
    request = half.request("failed/again", 600)
    assert half.half.match(request, 0) == 512
    half.half.settle(request, ([1, 2, 3, 4, 5],), 512)
    half.loads()
    half.half.end_loads({request.request_id}, {request.request_id})
    assert half.half.match(request, 0) == 0
    assert half.run(request, 600) == []  # for it is there


def test_a_worker_with_another_arena_is_offered_nothing(halves: Any) -> None:
    half = halves()
    stored(half, "unmapped", 600)
    half.half.know_workers({0: b"another"})
    assert half.half.match(half.request("unmapped/again", 600), 0) == 0


def test_a_window_loads_what_is_in_it(halves: Any) -> None:
    half = halves(windows=(0, 192))
    stored(half, "window", 1100)
    request = half.request("window/again", 1100)
    assert half.half.match(request, 0) == 1024
    full = list(range(1, 10))
    window = [0, 0, 0, 0, 0, 0, 27, 28, 29]
    half.half.settle(request, (full, window), 1024)
    (job,) = half.loads()
    ((first, second),) = job.ranks
    assert rows_of(first) == [[1, 2], [3, 4], [5, 6], [7, 8]]
    assert rows_of(second) == [[27, 28]]


def test_a_window_that_has_moved_on_is_not_saved(halves: Any) -> None:
    half = halves(windows=(0, 192))
    request = half.request("moved", 600)
    half.half.match(request, 0)
    half.block_ids["moved"] = ([1, 2, 3, 4, 5], [0, 32, 33, 34, 35])
    (job,) = half.run(request, 600)
    assert [(save.group, save.depth) for save in job.groups] == [(0, 0), (1, 1)]
    half.store([job])
    assert not half.pool.held


def test_saves_hold_no_more_than_half_of_the_blocks(halves: Any) -> None:
    half = halves()
    half.pool.num_gpu_blocks = 8
    request = half.request("held back", 2048)
    half.half.match(request, 0)
    first = half.run(request, 512)
    assert half.run(request, 512) == []  # four of eight are held
    half.store(first)
    (job,) = half.run(request, 512)  # now what was held back goes too
    assert len(job.groups[0].keys) == 4 * lmcd.KEY_BYTES
    half.store([job])
    assert not half.pool.held
