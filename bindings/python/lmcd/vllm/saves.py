"""What of a request is to be stored: whole chunks that are not there, run by run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lmcd.vllm.geometry import Geometry
from lmcd.vllm.messages import GroupSave

if TYPE_CHECKING:
    from lmcd.keys import Keys
    from lmcd.namespace import Namespace


def missing_runs(geometry: Geometry, space: Namespace, keys: Keys, chunks: range) -> list[range]:
    """Return the runs of these chunks that nobody has stored or is storing, for some group."""
    everything = (1 << len(geometry.groups)) - 1
    runs: list[range] = []
    for chunk, one in enumerate(space.lookup(keys[chunks.start : chunks.stop]), chunks.start):
        if (one.hot | one.pending) & everything == everything:
            continue
        if runs and runs[-1].stop == chunk:
            runs[-1] = range(runs[-1].start, chunk + 1)
        else:
            runs.append(range(chunk, chunk + 1))
    return runs


def group_saves(
    geometry: Geometry, keys: Keys, runs: Sequence[range], block_ids: Sequence[list[int]]
) -> tuple[list[GroupSave], list[int]]:
    """Return the saves of these runs for all groups, and the blocks that they read."""
    saves: list[GroupSave] = []
    used: list[int] = []
    for group in range(len(geometry.groups)):
        for run in runs:
            for save, row in _saves_of(geometry, keys, group, run, block_ids[group]):
                saves.append(save)
                used += row
    return saves, used


def _saves_of(
    geometry: Geometry, keys: Keys, group: int, run: range, block_ids: list[int]
) -> Iterator[tuple[GroupSave, list[int]]]:
    """Yield a run's save and its blocks; none when a block is missing.

    A block that has left its window is 0: gone, and with it its chunk.
    """
    count = geometry.blocks_per_chunk(group)
    begin = run.start
    while begin < run.stop and 0 in block_ids[begin * count : (begin + 1) * count]:
        begin += 1
    row = block_ids[begin * count : run.stop * count]
    if begin == run.stop or len(row) < (run.stop - begin) * count or 0 in row:
        return
    save = GroupSave(
        group=group,
        keys=keys[begin : run.stop].data,
        parent=keys[begin - 1] if begin else None,
        depth=begin,
        rows=np.array(row, dtype=np.uint32).tobytes(),
        blocks_per_item=count,
    )
    yield save, row
