"""How an engine's KV is divided: groups, ranks, blocks and chunks; and what cannot be served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vllm.v1.kv_cache_interface import (
    FullAttentionSpec,
    MLAAttentionSpec,
    SlidingWindowSpec,
    UniformTypeKVCacheSpecs,
)

from lmcd.namespace import Group
from lmcd.vllm import versions

if TYPE_CHECKING:
    from vllm.config import VllmConfig
    from vllm.v1.kv_cache_interface import KVCacheConfig

_FULL = (FullAttentionSpec, MLAAttentionSpec)


class Refused(ValueError):
    """This engine is not served; the text says why, in one sentence."""


@dataclass(frozen=True)
class LayerGroup:
    """Layers that share a block table. **Units**: tokens; window_tokens is 0 without a window."""

    layers: tuple[str, ...]
    block_tokens: int
    window_tokens: int


@dataclass(frozen=True)
class Geometry:
    """How KV is divided. **Units**: tokens, as the names say."""

    groups: tuple[LayerGroup, ...]
    scheduler_tokens: int  # a local hit is a multiple of this
    hash_tokens: int  # of a block hash
    chunk_tokens: int
    rank_count: int  # parts of a key for each group
    worker_count: int

    @property
    def chunk_hashes(self) -> int:
        """Block hashes of a chunk."""
        return self.chunk_tokens // self.hash_tokens

    def blocks_per_chunk(self, group: int) -> int:
        """Blocks of a chunk in a group."""
        return self.chunk_tokens // self.groups[group].block_tokens

    def window_chunks(self, group: int) -> int:
        """Chunks before a hit that a group needs; 0: all."""
        window = self.groups[group].window_tokens
        return -(-window // self.chunk_tokens) if window else 0

    @property
    def has_windows(self) -> bool:
        """Whether some group needs the end of a prefix alone."""
        return any(group.window_tokens for group in self.groups)

    def namespace_groups(self) -> list[Group]:
        """Return the groups as the daemon knows them."""
        counts = [self.window_chunks(group) for group in range(len(self.groups))]
        return [Group("window", count) if count else Group() for count in counts]


def geometry_of(config: VllmConfig, cache: KVCacheConfig, chunk_tokens: int) -> Geometry:
    """Work out the geometry; a chunk is `chunk_tokens`, rounded up to whole blocks.

    Raises Refused where the connector would not keep the KV right.
    """
    _check_engine(config)
    scheduler_tokens, hash_tokens = versions.block_sizes(config, cache)
    groups = tuple(_group_of(group) for group in cache.kv_cache_groups)
    parallel = config.parallel_config
    shared = all(_is_mla(group.kv_cache_spec) for group in cache.kv_cache_groups)
    return Geometry(
        groups=groups,
        scheduler_tokens=scheduler_tokens,
        hash_tokens=hash_tokens,
        chunk_tokens=-(-chunk_tokens // scheduler_tokens) * scheduler_tokens,
        # Each rank of an MLA model has all of the same latent: one copy serves them all.
        rank_count=1 if shared else parallel.world_size,
        worker_count=parallel.world_size,
    )


def _check_engine(config: VllmConfig) -> None:
    if not versions.on_cpu():
        raise Refused("lmcd serves vLLM on the CPU; KV on other devices is not served yet")
    parallel = config.parallel_config
    if parallel.pipeline_parallel_size > 1:
        raise Refused("lmcd does not serve pipeline parallel engines yet")
    if parallel.decode_context_parallel_size > 1 or _of(parallel, "prefill_context_parallel_size"):
        raise Refused("lmcd does not serve context parallel engines yet")
    if _of(parallel, "nnodes"):
        raise Refused("lmcd serves the engines of one host: this one's ranks span several")
    if config.model_config.use_mla:
        raise Refused("lmcd does not serve models with latent attention (MLA) yet")
    speculative = config.speculative_config
    if speculative is not None and speculative.use_eagle():
        raise Refused(f"lmcd does not serve speculative decoding by {speculative.method} yet")
    algorithm = str(config.cache_config.prefix_caching_hash_algo)
    if not algorithm.startswith("sha256"):
        raise Refused(
            f"prefix_caching_hash_algo {algorithm} is not collision resistant: "
            "lmcd needs sha256 or sha256_cbor"
        )
    if getattr(config.cache_config, "calculate_kv_scales", False):
        raise Refused("lmcd cannot keep KV whose scales are calculated at run time")


def _of(config: Any, name: str) -> bool:
    return int(getattr(config, name, 1)) > 1


def _specs_of(spec: Any) -> list[Any]:
    if isinstance(spec, UniformTypeKVCacheSpecs):
        return list(spec.kv_cache_specs.values())
    return [spec]


def _is_mla(spec: Any) -> bool:
    return all(isinstance(one, MLAAttentionSpec) for one in _specs_of(spec))


def _group_of(group: Any) -> LayerGroup:
    spec = group.kv_cache_spec
    windows = set()
    for one in _specs_of(spec):
        if isinstance(one, SlidingWindowSpec):
            windows.add(int(one.sliding_window))
        elif isinstance(one, _FULL):
            windows.add(0)
        else:
            raise Refused(f"lmcd does not serve layers of kind {type(one).__name__} yet")
    if len(windows) > 1:
        raise Refused("lmcd does not serve a group of layers with several windows yet")
    return LayerGroup(tuple(group.layer_names), int(spec.block_size), windows.pop())
