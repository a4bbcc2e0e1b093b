"""The worker half: copies between the engine's pages and the arena, in the background.

Called by vLLM on the worker's own thread; the copies run on threads of their own (copies.py) and
leave what they have done in `_Done`. A load reads extents that the scheduler half has leased, with
no message, and counts only when every one of them validates after the copy. A save reserves,
gathers and commits here. The pages a copy touches are held by the scheduler half until the copy
is reported, whatever it came to.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from lmcd.errors import LmcdError
from lmcd.grants import Grants
from lmcd.keys import Keys
from lmcd.vllm import versions
from lmcd.vllm.copies import Copies, Urgency
from lmcd.vllm.geometry import Geometry
from lmcd.vllm.layout import Layout
from lmcd.vllm.link import Link
from lmcd.vllm.messages import Facts, GroupLoad, GroupSave, LoadJob, Orders, Report, SaveJob
from lmcd.vllm.options import Options
from lmcd.vllm.statistics import Statistics, Stopwatch

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from vllm.config import VllmConfig
    from vllm.v1.kv_cache_interface import KVCacheConfig

    from lmcd.namespace import Namespace

logger = logging.getLogger("vllm.lmcd")

_IDLE_WAIT_S = 0.02  # of a step that runs no model: long for a spin, short for a new request
_START_WAIT_MS = 1000
_STOP_S = 10.0  # more than any copy that is on its way takes


class _Done:
    """What the copy threads have finished and vLLM has not been told."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._loaded: set[str] = set()
        self._failed: set[str] = set()
        self._saved: dict[int, int] = {}
        self._running = 0

    def begin(self) -> None:
        """Note that a job runs."""
        with self._changed:
            self._running += 1

    def end_load(self, request_id: str, *, whole: bool) -> None:
        """Note a load's end."""
        with self._changed:
            self._running -= 1
            self._loaded.add(request_id)
            if not whole:
                self._failed.add(request_id)
            self._changed.notify_all()

    def end_save(self, number: int) -> None:
        """Note a save's end."""
        with self._changed:
            self._running -= 1
            self._saved[number] = 1
            self._changed.notify_all()

    def wait(self, timeout_s: float) -> None:
        """Wait until something has ended, if anything runs."""
        with self._changed:
            if self._running and not self._loaded and not self._saved:
                self._changed.wait(timeout_s)

    def take_loads(self) -> tuple[set[str], set[str]]:
        """Take the loads that ended, and those of them that failed."""
        with self._changed:
            taken = self._loaded, self._failed
            self._loaded, self._failed = set(), set()
        return taken

    def take_saves(self) -> dict[int, int]:
        """Take the saves that ended."""
        with self._changed:
            saved, self._saved = self._saved, {}
        return saved


class Worker:
    """One rank's half."""

    def __init__(
        self,
        config: VllmConfig,
        cache: KVCacheConfig,
        geometry: Geometry,
        options: Options,
        rank: int,
    ) -> None:
        self._config = config
        self._cache = cache
        self._geometry = geometry
        self._options = options
        self._rank = rank
        self._part_rank = rank if geometry.rank_count > 1 else 0
        self._saves_here = rank < geometry.rank_count
        self._layout: Layout | None = None
        self._done = _Done()
        self._told_incarnation = b""
        self.statistics = Statistics()
        self._copies = Copies(options.copy_threads)
        self._link = Link(
            options, f"vllm worker {rank}", geometry.namespace_groups(), geometry.rank_count
        )

    def register(self, tensors: Mapping[str, Any]) -> None:
        """Take note of where the engine's KV is."""
        instruction_sets = [
            versions.instruction_set(self._config, group.kv_cache_spec)
            for group in self._cache.kv_cache_groups
        ]
        self._layout = Layout(self._geometry, tensors, self._cache.num_blocks, instruction_sets)

    def facts(self) -> Facts | None:
        """Return what the scheduler half cannot know; None before the KV is registered.

        Called while the engine starts: here alone the daemon is waited for, a second at most.
        """
        if self._layout is None:
            return None
        self._link.wait_for_first_look(min(self._options.timeout_ms, _START_WAIT_MS))
        self._told_incarnation = self._link.incarnation
        return Facts(self._layout.text, self._layout.block_bytes, self._told_incarnation)

    def begin(self, orders: Orders) -> None:
        """Start a step's loads. Does not wait."""
        for job in orders.loads:
            self._done.begin()
            self._copies.submit(Urgency.LOAD, partial(self._load, job))

    def hand_over_saves(self, orders: Orders) -> None:
        """Start a step's saves: the model has written these blocks. Does not wait."""
        for job in orders.saves:
            self._done.begin()
            if self._saves_here:
                self._copies.submit(Urgency.SAVE, partial(self._save, job))
            else:
                self._done.end_save(job.number)

    def take_loads(self, orders: Orders) -> tuple[set[str], set[str]]:
        """Return the requests whose loads ended, and those of them that failed."""
        if orders.idle:
            self._done.wait(_IDLE_WAIT_S)
        return self._done.take_loads()

    def report(self) -> Report | None:
        """Return what the scheduler half should know; None when there is nothing."""
        saved = self._done.take_saves()
        incarnation = self._link.incarnation
        if not saved and incarnation == self._told_incarnation:
            return None
        self._told_incarnation = incarnation
        return Report(saved, {self._rank: incarnation})

    def close(self) -> None:
        """Finish the copies that were begun, then let go of the arena."""
        if not self._copies.close(_STOP_S):
            logger.warning("lmcd: a copy is still running at the worker's end")
            return  # the mapping stays until the process ends
        self._link.close()

    # On the copy threads.

    def _load(self, job: LoadJob) -> None:
        whole = False
        watch = Stopwatch()
        try:
            loaded = [self._load_group(one) for one in job.ranks[self._part_rank]]
            whole = all(count is not None for count in loaded)
            if whole:
                self.statistics.loaded(sum(count or 0 for count in loaded), watch.seconds())
            else:
                self.statistics.failed("load", "lease_lost")
        except Exception as error:  # nothing may reach the engine
            self.statistics.failed("load", type(error).__name__)
            logger.warning("lmcd: a load failed, its tokens are computed: %r", error)
        self._done.end_load(job.request_id, whole=whole)

    def _load_group(self, one: GroupLoad) -> int | None:
        """Copy one group's extents; return their bytes, None unless all are whole."""
        mapping = self._link.mapping
        assert self._layout is not None
        grants = Grants.from_bytes(one.grants)
        if mapping is None or not len(grants) or not mapping.covers(grants, 0):
            return None
        valid = mapping.scatter(
            self._layout.pages[one.group],
            grants,
            _rows(one.rows, one.blocks_per_item),
            threads=self._options.copy_threads,
        )
        return len(grants) * grants[0].length if all(valid) else None

    def _save(self, job: SaveJob) -> None:
        watch = Stopwatch()
        try:
            space = self._link.space(job.space, self._options.timeout_ms)
            if space is None or not self._link.alive:
                self.statistics.failed("save", "no_daemon")
            else:
                stored = sum(self._save_group(space, job.tenant, one) for one in job.groups)
                self.statistics.saved(stored, watch.seconds())
        except LmcdError as error:
            self.statistics.failed("save", type(error).__name__)
        except Exception as error:  # nothing may reach the engine
            self.statistics.failed("save", type(error).__name__)
            logger.warning("lmcd: a save failed, it is dropped: %r", error)
        self._done.end_save(job.number)

    def _save_group(self, space: Namespace, tenant: str, one: GroupSave) -> int:
        """Store one run of chunks; return the bytes that were new."""
        assert self._layout is not None
        pages = self._layout.pages[one.group]
        length = one.blocks_per_item * pages.block_bytes
        with space.reserve(
            Keys(one.keys),
            length=length,
            part=(self._part_rank, one.group),
            parent=one.parent,
            depth=one.depth,
            tenant=tenant,
        ) as lease:
            lease.gather(pages, _rows(one.rows, one.blocks_per_item))
            stored = sum(1 for _ in lease.granted())
            lease.commit()
        self.statistics.outcomes(lease.outcomes())
        return stored * length


def _rows(data: bytes, blocks_per_item: int) -> NDArray[np.uint32]:
    return np.frombuffer(data, dtype=np.uint32).reshape(-1, blocks_per_item)
