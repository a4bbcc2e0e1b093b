"""A cache of files behind the engine's protocol: one file a chunk, visible by rename.

It stands in for the daemon, so that the engine can be tested across processes without one.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from lmcd.demo.cache import CHUNK_TOKENS
from lmcd.demo.paged import Ids, PagedKV

DIGEST_BYTES = 32


def chain(tokens: Sequence[int]) -> list[bytes]:
    """Derive a key for each whole chunk of `tokens`."""
    keys, parent = [], bytes(32)
    for end in range(CHUNK_TOKENS, len(tokens) + 1, CHUNK_TOKENS):
        chunk = np.array(tokens[end - CHUNK_TOKENS : end], np.uint32)
        parent = hashlib.sha256(parent + chunk.tobytes()).digest()
        keys.append(parent)
    return keys


class FolderCache:
    """Chunks in `folder`; `before_commit` is called between a store's write and its rename."""

    def __init__(
        self,
        folder: Path,
        paged: PagedKV,
        before_commit: Callable[[], None] = lambda: None,
    ) -> None:
        self._folder = folder
        self._paged = paged
        self._before_commit = before_commit

    def path(self, key: bytes) -> Path:
        return self._folder / key.hex()

    def lookup(self, keys: Sequence[bytes]) -> int:
        found = 0
        while found < len(keys) and self.path(keys[found]).exists():
            found += 1
        return found

    def load(self, keys: Sequence[bytes], block_ids: Ids) -> int:
        for index, key in enumerate(keys):
            content = self.path(key).read_bytes()
            digest, payload = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
            if hashlib.sha256(payload).digest() != digest:
                # What a torn copy leaves behind: no number at all.
                for layer in self._paged.layers:
                    layer[block_ids[index]] = np.nan
                return index
            values = np.frombuffer(payload, np.float32)
            for layer, part in zip(
                self._paged.layers, np.split(values, len(self._paged.layers)), strict=True
            ):
                layer[block_ids[index]] = part.reshape(layer[block_ids[index]].shape)
        return len(keys)

    def store(self, keys: Sequence[bytes], block_ids: Ids) -> int:
        added = 0
        for key, blocks in zip(keys, block_ids, strict=True):
            payload = b"".join(layer[blocks].tobytes() for layer in self._paged.layers)
            draft = self._folder / f"draft-{os.getpid()}"
            draft.write_bytes(hashlib.sha256(payload).digest() + payload)
            self._before_commit()
            added += not self.path(key).exists()
            draft.rename(self.path(key))
        return added
