"""The engine's paged KV cache: one array a layer, cut into blocks, and a list of free blocks.

A sequence owns a *table*: the ids of its blocks in the order of its tokens. Token t stands in
block `table[t // BLOCK_TOKENS]` at slot `t % BLOCK_TOKENS`. Nothing here knows of lmcd: `pages`
describes the memory, and whoever copies takes it from there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLOCK_TOKENS = 16

Floats = NDArray[np.float32]
Ids = NDArray[np.int32]


class OutOfBlocks(RuntimeError):
    """The cache has fewer free blocks than a sequence needs."""


@dataclass(frozen=True)
class Page:
    """One tensor of the cache, in the terms of `lmcd_page_t`.

    Block b's run r is at `base + b * block_stride + r * run_stride` and has `run_bytes` bytes.
    """

    base: int
    block_stride: int
    run_stride: int
    run_bytes: int
    run_count: int
    block_count: int


class PagedKV:
    """Keys and values of every sequence of the engine.

    **Shape**: `layers[l]` is float32 `[blocks, 2, BLOCK_TOKENS, kv_heads, head_dim]`; index 0 of
    the second axis holds the keys, 1 the values.
    **Thread safety**: one thread.
    """

    def __init__(self, *, layers: int, kv_heads: int, head_dim: int, blocks: int) -> None:
        shape = (blocks, 2, BLOCK_TOKENS, kv_heads, head_dim)
        self.layers = [np.zeros(shape, np.float32) for _ in range(layers)]
        # Handed out in no order, so that a copy that takes neighbours for granted goes wrong at
        # once and not after a day.
        self._free: list[int] = np.random.default_rng(0).permutation(blocks).tolist()

    @property
    def block_count(self) -> int:
        """Blocks of the cache, free or not."""
        return int(self.layers[0].shape[0])

    @property
    def free_count(self) -> int:
        """Blocks that no sequence owns."""
        return len(self._free)

    @property
    def block_bytes(self) -> int:
        """Bytes of one block over all layers."""
        return sum(layer[0].nbytes for layer in self.layers)

    def pages(self) -> list[Page]:
        """Describe the memory: one page a layer, each block one run."""
        return [
            Page(
                base=layer.ctypes.data,
                block_stride=layer.strides[0],
                run_stride=layer[0].nbytes,
                run_bytes=layer[0].nbytes,
                run_count=1,
                block_count=self.block_count,
            )
            for layer in self.layers
        ]

    @contextmanager
    def sequence(self, tokens: int) -> Iterator[Ids]:
        """Own blocks for `tokens` tokens while the context lasts; its value is the table.

        Raises OutOfBlocks if they cannot be had; nothing is taken then.
        """
        count = -(-tokens // BLOCK_TOKENS)
        if count > len(self._free):
            raise OutOfBlocks(
                f"{tokens} tokens need {count} blocks of {BLOCK_TOKENS}; "
                f"{len(self._free)} of {self.block_count} are free"
            )
        taken, self._free = self._free[:count], self._free[count:]
        try:
            yield np.array(taken, np.int32)
        finally:
            self._free += taken

    def write(self, layer: int, table: Ids, start: int, keys: Floats, values: Floats) -> None:
        """Put the keys and values of the tokens from `start` on into their slots.

        **Shape**: both `[tokens, kv_heads, head_dim]`.
        """
        positions = np.arange(start, start + len(keys))
        blocks, slots = table[positions // BLOCK_TOKENS], positions % BLOCK_TOKENS
        self.layers[layer][blocks, 0, slots] = keys
        self.layers[layer][blocks, 1, slots] = values

    def read(self, layer: int, table: Ids, tokens: int) -> tuple[Floats, Floats]:
        """Copy out the keys and values of the first `tokens` tokens.

        **Shape**: both `[tokens, kv_heads, head_dim]`.
        """
        blocks = table[: -(-tokens // BLOCK_TOKENS)]
        tail = self.layers[layer].shape[3:]
        keys = self.layers[layer][blocks, 0].reshape(-1, *tail)[:tokens]
        values = self.layers[layer][blocks, 1].reshape(-1, *tail)[:tokens]
        return keys, values
