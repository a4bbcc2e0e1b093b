"""What the engine asks of a KV cache outside of itself."""

from collections.abc import Sequence
from typing import Protocol

from lmcd.demo.paged import BLOCK_TOKENS, Ids

CHUNK_TOKENS = 256
BLOCKS_PER_CHUNK = CHUNK_TOKENS // BLOCK_TOKENS


class Cache(Protocol):
    """Chunks of keys and values, by key.

    A cache may forget at any time. It never says of bytes that they are there when they are
    not, and a cache that is away does not raise: it misses. A store that ends between its
    reserve and its commit, by whatever death, leaves nothing that a lookup would find.

    **Shape**: `block_ids` is int32 `[len(keys), BLOCKS_PER_CHUNK]`.
    """

    def lookup(self, keys: Sequence[bytes]) -> int:
        """Return how many of the leading chunks can be loaded."""
        ...

    def load(self, keys: Sequence[bytes], block_ids: Ids) -> int:
        """Fill the blocks; return how many of the leading chunks are whole and validated.

        The blocks of the other chunks may hold anything afterwards.
        """
        ...

    def store(self, keys: Sequence[bytes], block_ids: Ids) -> int:
        """Copy the blocks out; return how many chunks it added."""
        ...


class NoCache:
    """The cache of an engine that has none."""

    def lookup(self, keys: Sequence[bytes]) -> int:
        """Miss."""
        return 0

    def load(self, keys: Sequence[bytes], block_ids: Ids) -> int:
        """Load nothing."""
        return 0

    def store(self, keys: Sequence[bytes], block_ids: Ids) -> int:
        """Store nothing."""
        return 0
