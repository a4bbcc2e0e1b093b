"""The engine's cache in lmcd: chunks leased, copied and committed by the engine itself."""

from collections.abc import Callable, Sequence

import lmcd
from lmcd.copy import Pages
from lmcd.demo.cache import BLOCKS_PER_CHUNK
from lmcd.demo.paged import Ids, PagedKV


class SharedCache:
    """Chunks in the daemon's arena; a daemon that is away is a miss.

    `before_commit` is called between a store's copy and its commit.
    **Thread safety**: one thread.
    """

    def __init__(
        self,
        space: lmcd.Namespace,
        paged: PagedKV,
        before_commit: Callable[[], None] = lambda: None,
    ) -> None:
        self._space = space
        self._pages = Pages(
            [
                lmcd.Page(
                    page.base,
                    page.block_stride,
                    page.run_stride,
                    page.run_bytes,
                    page.run_count,
                    page.block_count,
                )
                for page in paged.pages()
            ],
            paged,
        )
        self._before_commit = before_commit
        self._places: dict[bytes, tuple[int, bytes | None]] = {}
        self.chunk_bytes = self._pages.block_bytes * BLOCKS_PER_CHUNK
        self.misses_by_fault = 0

    def expect(self, keys: Sequence[bytes]) -> None:
        """Take the keys of the prompt to come: each chunk is stored below the one before it."""
        parents = [None, *keys]
        self._places = {key: (depth, parents[depth]) for depth, key in enumerate(keys)}

    def lookup(self, keys: Sequence[bytes]) -> int:
        """Return how many of the leading chunks can be loaded."""
        try:
            return self._space.lookup(keys).usable_prefix()
        except lmcd.LmcdError:
            self.misses_by_fault += 1
            return 0

    def load(self, keys: Sequence[bytes], block_ids: Ids) -> int:
        """Fill the blocks; return how many of the leading chunks are whole and validated."""
        try:
            lease = self._space.acquire(keys)
            try:
                whole = lease.scatter(self._pages, block_ids, threads=2)
            finally:
                lease.release()
        except lmcd.LmcdError:
            self.misses_by_fault += 1
            return 0
        return whole.index(False) if False in whole else len(whole)

    def store(self, keys: Sequence[bytes], block_ids: Ids) -> int:
        """Copy the blocks out; return how many chunks it added. The keys were expected."""
        depth, parent = self._places[keys[0]]
        try:
            with self._space.reserve(
                keys, length=self.chunk_bytes, parent=parent, depth=depth
            ) as lease:
                reserved = lease.grants.places(lmcd.Outcome.RESERVED)
                lease.gather(self._pages, block_ids)
                self._before_commit()
                lease.commit()
                return len(reserved)
        except lmcd.LmcdError:
            self.misses_by_fault += 1
            return 0
