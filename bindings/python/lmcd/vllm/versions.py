"""All that differs between versions of vLLM, and the only module that asks which one it is.

**Source**: vllm/distributed/kv_transfer/kv_connector/v1/base.py and vllm/v1/core of the versions
named in `SUPPORTED`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import vllm.platforms
from vllm.distributed import kv_events
from vllm.distributed.kv_transfer.kv_connector.v1.base import (
    KVConnectorBase_V1,
    KVConnectorHandshakeMetadata,
    KVConnectorMetadata,
    KVConnectorRole,
    KVConnectorWorkerMetadata,
    SupportsHMA,
)
from vllm.utils.hashing import get_hash_fn_by_name
from vllm.v1.core import kv_cache_utils

if TYPE_CHECKING:
    from vllm.config import VllmConfig
    from vllm.v1.core.block_pool import BlockPool
    from vllm.v1.kv_cache_interface import KVCacheConfig

try:
    from vllm.distributed.kv_transfer.kv_connector.v1.base import KVConnectorTransferResults
except ImportError:
    KVConnectorTransferResults = None  # type: ignore[assignment,misc]

try:
    from vllm.v1.metrics.cache_hit_source import CacheHitSource
except ImportError:  # before 0.32 nobody asked where a hit comes from
    CacheHitSource = None  # type: ignore[assignment,misc]

SUPPORTED = ("0.32", "0.31")

_MEDIUM = "CPU"  # vllm.distributed.kv_events.MEDIUM_CPU

HOST_MEMORY: Any = CacheHitSource and CacheHitSource.HOST
"""Where a hit comes from, in the engine's own statistics."""


def refusal() -> str | None:
    """Say in one sentence why this vLLM is not served; None where it is."""
    if not vllm.__version__.startswith(tuple(f"{version}." for version in SUPPORTED)):
        return (
            f"lmcd does not know vLLM {vllm.__version__}; it is tested with {', '.join(SUPPORTED)}"
        )
    return None


def block_sizes(config: VllmConfig, cache: KVCacheConfig) -> tuple[int, int]:
    """Return the granularities of the scheduler and of block hashes. **Units**: tokens."""
    scheduler_tokens, hash_tokens = kv_cache_utils.resolve_kv_cache_block_sizes(cache, config)
    return int(scheduler_tokens), int(hash_tokens)


def hash_seed(algorithm: str) -> str:
    """Return what the first block's hash of every request starts from.

    Without PYTHONHASHSEED vLLM 0.32 takes a fixed one for the cryptographic algorithms, so
    that hashes are the same in every process.
    """
    return str(kv_cache_utils.resolve_none_hash_seed(get_hash_fn_by_name(algorithm)))


def request_block_ids(connector: KVConnectorBase_V1, request_id: str) -> Sequence[list[int]]:
    """Return the blocks that a request has now, for each group; 0 is no block."""
    blocks: Sequence[list[int]] = connector._kv_cache_manager.get_block_ids(request_id)
    return blocks


def hold(pool: BlockPool, blocks: list[int]) -> None:
    """Take a reference on blocks, so that they are not used for anything else."""
    pool.touch([pool.blocks[block] for block in blocks])


def let_go(pool: BlockPool, blocks: list[int]) -> None:
    """Give the reference back; the last blocks are the first to be forgotten."""
    pool.free_blocks([pool.blocks[block] for block in reversed(blocks)])


def is_held_alone(pool: BlockPool, block: int) -> bool:
    """Tell whether nobody but us refers to a block."""
    return bool(pool.blocks[block].ref_cnt == 1)


def block_stored(key: bytes, parent: bytes | None, tokens: int) -> object:
    """Make the event of a chunk that came; its tokens are not known, only how many they are."""
    return kv_events.BlockStored(
        block_hashes=[_external(key)],
        parent_block_hash=None if parent is None else _external(parent),
        token_ids=[],
        block_size=tokens,
        lora_id=None,
        medium=_MEDIUM,
        lora_name=None,
    )


def block_removed(key: bytes) -> object:
    """Make the event of a chunk that went."""
    return kv_events.BlockRemoved(block_hashes=[_external(key)], medium=_MEDIUM)


def _external(key: bytes) -> Any:
    """Return a hash as this engine publishes those of its own blocks."""
    return kv_cache_utils.maybe_convert_block_hash(kv_cache_utils.BlockHash(key))


def on_cpu() -> bool:
    """Tell whether the engine's KV is in this host's memory."""
    return str(vllm.platforms.current_platform.device_type) == "cpu"


def instruction_set(config: VllmConfig, spec: Any) -> str:
    """Name the instruction set that the CPU backend lays a group's pages out by.

    The same K and V give other bytes for another one, at the same shape.
    """
    from vllm.v1.attention.backends.cpu_attn import _get_attn_isa

    dtype: Any = config.model_config.dtype
    cache_dtype = config.cache_config.cache_dtype
    return str(_get_attn_isa(dtype, spec.block_size, spec.head_size, cache_dtype))


__all__ = [
    "HOST_MEMORY",
    "KVConnectorBase_V1",
    "KVConnectorHandshakeMetadata",
    "KVConnectorMetadata",
    "KVConnectorRole",
    "KVConnectorTransferResults",
    "KVConnectorWorkerMetadata",
    "SupportsHMA",
    "block_removed",
    "block_sizes",
    "block_stored",
    "hash_seed",
    "hold",
    "instruction_set",
    "is_held_alone",
    "let_go",
    "on_cpu",
    "refusal",
    "request_block_ids",
]
