"""The scheduler half: what of a prompt is in lmcd, and what the workers are to copy.

Called by vLLM on the engine's thread alone; nothing here waits. A prompt is looked up in the
ledger's index and leased by a posted message; the extents go to the workers with the step's
metadata. Blocks that a copy reads or writes are held by reference from here until every worker
has reported it, so a request may be preempted, aborted or finished meanwhile, and its window may
move on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lmcd.errors import LmcdError
from lmcd.keys import Keys
from lmcd.vllm import versions
from lmcd.vllm.geometry import Geometry
from lmcd.vllm.link import Link
from lmcd.vllm.messages import LoadJob, Orders, Report, SaveJob
from lmcd.vllm.offers import Offer, load_job, make_offer
from lmcd.vllm.saves import group_saves, missing_runs
from lmcd.vllm.statistics import Statistics

if TYPE_CHECKING:
    from vllm.v1.core.block_pool import BlockPool
    from vllm.v1.core.sched.output import SchedulerOutput
    from vllm.v1.request import Request

    from lmcd.lease import ReadLease

logger = logging.getLogger("vllm.lmcd")

BlockIdsOf = Callable[[str], Sequence[list[int]]]

# Of the engine's blocks, how many saves may hold at once: the rest stays for requests.
_HELD_SHARE = 0.5


@dataclass
class _Tracked:
    """What is known of a request."""

    request: Request
    space: str
    tenant: str
    keys: Keys = field(default_factory=Keys)  # of its chunks so far
    offer: Offer | None = None
    saved_chunks: int = 0  # handed to the workers, or there before
    asked: bool = False
    failed: bool = False  # a load came to nothing: its tokens are computed


@dataclass
class _Load:
    """A load on its way."""

    lease: ReadLease
    blocks: list[int]


@dataclass
class _Save:
    """A save on its way."""

    blocks: list[int]
    workers_left: int


class Scheduler:
    """The scheduler's half.

    Args: `space_of`, the namespace's text for a request, None while there is none; `loads` and
    `saves`, what the engine's role allows.
    """

    def __init__(
        self,
        geometry: Geometry,
        link: Link,
        space_of: Callable[[Request], str | None],
        *,
        loads: bool,
        saves: bool,
        save_decode: bool,
    ) -> None:
        self._geometry = geometry
        self._link = link
        self._space_of = space_of
        self._may_load = loads
        self._may_save = saves
        self._save_decode = save_decode
        self._block_ids_of: BlockIdsOf | None = None
        self._pool: BlockPool | None = None
        self._tracked: dict[str, _Tracked] = {}
        self._new_loads: list[LoadJob] = []
        self._loads: dict[str, _Load] = {}
        self._saves: dict[int, _Save] = {}
        self._held_blocks = 0
        self._last_save = 0
        self._mapped: dict[int, bytes] = {}
        self.statistics = Statistics()

    def know_workers(self, incarnations: Mapping[int, bytes]) -> None:
        """Take note of the arena that each worker maps."""
        self._mapped.update(incarnations)

    def name_space(self, description: str) -> None:
        """Have the daemon know a namespace before the first request asks for it."""
        self._link.space(description)

    def bind(self, pool: BlockPool, block_ids_of: BlockIdsOf) -> None:
        """Take note of who gives out the engine's blocks, and who knows which a request has."""
        self._pool = pool
        self._block_ids_of = block_ids_of

    # -- What can be loaded ------------------------------------------------------------------

    def match(self, request: Request, local_tokens: int) -> int:
        """Return how many tokens behind the local ones can be loaded; lease them."""
        tracked = self._track(request)
        if tracked is None or not self._may_load or tracked.failed:
            return 0
        if getattr(request, "skip_reading_prefix_cache", False):
            return 0
        offer = tracked.offer
        if offer is not None:
            if offer.local_tokens == local_tokens and offer.stands:
                return offer.tokens
            self._withdraw(tracked)
        if local_tokens % self._geometry.scheduler_tokens or not self._all_mapped():
            return 0
        if not tracked.asked:
            tracked.asked = True
            self.statistics.add("lookup_tokens", request.num_tokens - local_tokens)
        space = self._link.space(tracked.space)
        if space is not None:
            try:
                tracked.offer = make_offer(
                    self._geometry, space, self._keys(tracked), request.num_tokens, local_tokens
                )
            except LmcdError as error:
                self.statistics.failed("lookup", type(error).__name__)
        return tracked.offer.tokens if tracked.offer is not None else 0

    def settle(self, request: Request, block_ids: Sequence[list[int]], tokens: int) -> None:
        """Make the load that vLLM has given blocks for, or take the offer back."""
        tracked = self._tracked.get(request.request_id)
        if tracked is None or tracked.offer is None:
            return
        offer = tracked.offer
        if tokens == 0:
            self._withdraw(tracked)
            return
        tracked.offer = None
        job, used = load_job(self._geometry, request.request_id, offer, block_ids, tokens)
        self._hold(used)
        self._loads[request.request_id] = _Load(offer.lease, used)
        self._new_loads.append(job)
        end = offer.local_tokens + min(tokens, offer.tokens)
        tracked.saved_chunks = max(tracked.saved_chunks, end // self._geometry.chunk_tokens)
        self.statistics.add("hit_tokens:hot", end - offer.local_tokens)

    # -- What is to be saved -----------------------------------------------------------------

    def orders(self, output: SchedulerOutput) -> Orders:
        """Return what the workers are to do in this step."""
        orders = Orders(loads=self._new_loads, idle=output.total_num_scheduled_tokens == 0)
        self._new_loads = []
        if self._may_save and self._link.alive:
            for request_id, count in output.num_scheduled_tokens.items():
                tracked = self._tracked.get(request_id)
                if tracked is None:
                    continue
                try:
                    orders.saves += self._plan_saves(tracked, count)
                except LmcdError as error:
                    self.statistics.failed("save", type(error).__name__)
        return orders

    def _plan_saves(self, tracked: _Tracked, scheduled: int) -> list[SaveJob]:
        """Plan the saves of chunks that are complete after this step."""
        request = tracked.request
        last = request.num_tokens if self._save_decode else request.num_prompt_tokens
        tokens = min(request.num_computed_tokens + scheduled, last)
        begin, end = tracked.saved_chunks, tokens // self._geometry.chunk_tokens
        if end <= begin:
            return []
        keys = self._keys(tracked)
        end = min(end, len(keys))
        space = self._link.space(tracked.space)
        if end <= begin or space is None or self._is_full():
            return []
        tracked.saved_chunks = end
        runs = missing_runs(self._geometry, space, keys, range(begin, end))
        if not runs:
            return []
        assert self._block_ids_of is not None
        block_ids = self._block_ids_of(request.request_id)
        groups, used = group_saves(self._geometry, keys, runs, block_ids)
        if not groups:
            return []
        self._last_save += 1
        self._hold(used)
        self._held_blocks += len(used)
        self._saves[self._last_save] = _Save(used, self._geometry.worker_count)
        return [SaveJob(self._last_save, tracked.space, tracked.tenant, tuple(groups))]

    # -- What has been done ------------------------------------------------------------------

    def take_report(self, report: Report) -> None:
        """Note what workers have told."""
        self.know_workers(report.incarnations)
        for number, count in report.saved.items():
            save = self._saves.get(number)
            if save is None:
                continue
            save.workers_left -= count
            if save.workers_left <= 0:
                del self._saves[number]
                self._held_blocks -= len(save.blocks)
                self._let_go(save.blocks)

    def end_loads(self, ended: Iterable[str], failed: Iterable[str]) -> None:
        """Note the loads that all workers are through with."""
        for request_id in failed:
            if (tracked := self._tracked.get(request_id)) is not None:
                tracked.failed = True
                tracked.saved_chunks = 0
        for request_id in ended:
            load = self._loads.pop(request_id, None)
            if load is not None:
                load.lease.release()
                self._let_go(load.blocks)

    def finish(self, request: Request) -> None:
        """Forget a request; what is copied for it goes on."""
        tracked = self._tracked.pop(request.request_id, None)
        if tracked is not None:
            self._withdraw(tracked)

    @property
    def has_jobs(self) -> bool:
        """Whether copies are on their way, so that the engine must go on stepping."""
        return bool(self._loads or self._saves)

    @property
    def frees_blocks_soon(self) -> bool:
        """Whether blocks are held by saves alone and will be free."""
        pool = self._pool
        return pool is not None and any(
            versions.is_held_alone(pool, block)
            for save in self._saves.values()
            for block in save.blocks
        )

    def close(self) -> None:
        """End the session and with it its leases."""
        self._link.close()

    # -- In common ---------------------------------------------------------------------------

    def _track(self, request: Request) -> _Tracked | None:
        tracked = self._tracked.get(request.request_id)
        if tracked is None:
            space = self._space_of(request)
            if space is None:
                return None
            tracked = _Tracked(request, space, getattr(request, "cache_salt", None) or "")
            self._tracked[request.request_id] = tracked
        return tracked

    def _keys(self, tracked: _Tracked) -> Keys:
        """Return the keys of a request's chunks whose tokens are all known.

        A chunk's key is the hash of its last block, which has in it all before it, the salt,
        the adapter's name and what is multimodal; the namespace says the rest.
        """
        step = self._geometry.chunk_hashes
        hashes = tracked.request.block_hashes
        known, count = len(tracked.keys), len(hashes) // step
        if count > known:
            more = b"".join(hashes[(known + 1) * step - 1 : count * step : step])
            tracked.keys += Keys(more)
        return tracked.keys

    def _all_mapped(self) -> bool:
        """Whether every worker maps the arena that a lease would speak of."""
        incarnation = self._link.incarnation
        return bool(incarnation) and all(
            self._mapped.get(rank) == incarnation for rank in range(self._geometry.worker_count)
        )

    def _is_full(self) -> bool:
        assert self._pool is not None
        return self._held_blocks >= int(self._pool.num_gpu_blocks * _HELD_SHARE)

    def _withdraw(self, tracked: _Tracked) -> None:
        if tracked.offer is not None:
            tracked.offer.lease.release()
            tracked.offer = None

    def _hold(self, blocks: list[int]) -> None:
        assert self._pool is not None
        versions.hold(self._pool, blocks)

    def _let_go(self, blocks: list[int]) -> None:
        assert self._pool is not None
        versions.let_go(self._pool, blocks)
