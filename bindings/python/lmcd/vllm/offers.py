"""What of a prompt can be loaded: looked up and leased without waiting for anybody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lmcd.grants import Outcome
from lmcd.vllm.geometry import Geometry
from lmcd.vllm.messages import NO_BLOCK, GroupLoad, LoadJob

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lmcd.keys import Keys
    from lmcd.lease import ReadLease
    from lmcd.namespace import Namespace


@dataclass(frozen=True)
class Offer:
    """A leased answer: `tokens` behind the local ones, and the chunks of each group for them.

    The lease has its items rank by rank, in a rank group by group, in a group chunk by chunk.
    """

    local_tokens: int
    tokens: int
    chunks: tuple[range, ...]
    lease: ReadLease

    @property
    def stands(self) -> bool:
        """Whether what is leased still is what it was."""
        return self.lease.mapping.all_valid(self.lease.grants)


def make_offer(
    geometry: Geometry, space: Namespace, keys: Keys, token_count: int, local_tokens: int
) -> Offer | None:
    """Lease what of a prompt can be loaded behind its local tokens; None when it is nothing.

    Args: the keys of the prompt's whole chunks; `token_count` of the prompt, whose last token
    is always computed, since vLLM samples from it.
    """
    if not keys:
        return None
    chunk_tokens = geometry.chunk_tokens
    count = space.lookup(keys).usable_prefix()
    limit = (token_count - 1) // geometry.scheduler_tokens * geometry.scheduler_tokens
    if limit < count * chunk_tokens and geometry.has_windows:
        # What a window needs is known to be there at the end of a chunk alone.
        keys = keys[: limit // chunk_tokens]
        count = space.lookup(keys).usable_prefix() if keys else 0
    end = min(count * chunk_tokens, limit)
    if end <= local_tokens:
        return None
    chunks = tuple(
        range(max(local_tokens // chunk_tokens, count - (window or count)), count)
        for window in map(geometry.window_chunks, range(len(geometry.groups)))
    )
    lease = _acquire(geometry, space, keys, chunks)
    return None if lease is None else Offer(local_tokens, end - local_tokens, chunks, lease)


def load_job(
    geometry: Geometry,
    request_id: str,
    offer: Offer,
    block_ids: Sequence[list[int]],
    tokens: int,
) -> tuple[LoadJob, list[int]]:
    """Make the job that loads `tokens` of an offer, and list the blocks that it writes."""
    end = offer.local_tokens + min(tokens, offer.tokens)
    tables = [
        _table(geometry, group, chunks, block_ids[group], offer.local_tokens, end)
        for group, chunks in enumerate(offer.chunks)
    ]
    flat = np.concatenate([table.ravel() for table in tables])
    used: list[int] = np.unique(flat[flat != NO_BLOCK]).tolist()
    return LoadJob(request_id, tuple(_ranks(geometry, offer, tables))), used


def _acquire(
    geometry: Geometry, space: Namespace, keys: Keys, chunks: Sequence[range]
) -> ReadLease | None:
    """Lease these chunks for every rank; None unless all can be had."""
    if len(chunks) == 1 and geometry.rank_count == 1:
        lease = space.acquire(keys[chunks[0].start : chunks[0].stop], posted=True)
    else:
        one_rank = keys[:0]
        for group in chunks:
            one_rank += keys[group.start : group.stop]
        every = one_rank
        for _ in range(1, geometry.rank_count):
            every += one_rank
        parts = [
            (rank, group)
            for rank in range(geometry.rank_count)
            for group, members in enumerate(chunks)
            for _ in members
        ]
        lease = space.acquire(every, parts=parts, posted=True)
    if len(lease.grants.places(Outcome.LEASED)) == len(lease):
        return lease
    lease.release()
    return None


def _table(
    geometry: Geometry,
    group: int,
    chunks: range,
    block_ids: Sequence[int],
    begin: int,
    end: int,
) -> NDArray[np.uint32]:
    """Return the blocks of chunks, NO_BLOCK for those out of the load or out of the window.

    **Shape**: `[chunks, blocks of a chunk]`. **Units**: tokens for begin and end.
    """
    count = geometry.blocks_per_chunk(group)
    size = geometry.groups[group].block_tokens
    first, last = chunks.start * count, chunks.stop * count
    table = np.full(last - first, NO_BLOCK, dtype=np.uint32)
    low = max(begin // size, first)
    high = min(-(-end // size), last, len(block_ids))
    if low < high:
        table[low - first : high - first] = block_ids[low:high]
    table[table == 0] = NO_BLOCK
    return table.reshape(-1, count)


def _ranks(
    geometry: Geometry, offer: Offer, tables: Sequence[NDArray[np.uint32]]
) -> Iterator[tuple[GroupLoad, ...]]:
    data = bytes(offer.lease.grants)
    grant_bytes = len(data) // len(offer.lease.grants)
    at = 0
    for _ in range(geometry.rank_count):
        loads = []
        for group, table in enumerate(tables):
            length = len(table) * grant_bytes
            if length:
                loads.append(
                    GroupLoad(group, data[at : at + length], table.tobytes(), table.shape[1])
                )
            at += length
        yield tuple(loads)
