"""What the two halves of the connector tell each other, through vLLM's own messages.

Plain data that pickles small: extents go as the bytes of their grants, block ids as the bytes of
an array of uint32.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lmcd.vllm.versions import (
    KVConnectorHandshakeMetadata,
    KVConnectorMetadata,
    KVConnectorWorkerMetadata,
)

NO_BLOCK = 0xFFFF_FFFF
"""In a row of a load: these bytes are not wanted (`lmcd_scatter`)."""


@dataclass(frozen=True)
class Facts(KVConnectorHandshakeMetadata):
    """What a worker alone knows: how its pages look, and how long a block's bytes are."""

    layout: str
    block_bytes: tuple[int, ...]  # of each group, over all its layers
    incarnation: bytes  # of the arena that it maps; empty without a daemon


@dataclass(frozen=True)
class GroupLoad:
    """Leased extents of one group for one rank, and the blocks that they go to."""

    group: int
    grants: bytes
    rows: bytes  # [items, blocks_per_item], NO_BLOCK where nothing goes
    blocks_per_item: int


@dataclass(frozen=True)
class LoadJob:
    """A request's load: for each rank its groups."""

    request_id: str
    ranks: tuple[tuple[GroupLoad, ...], ...]


@dataclass(frozen=True)
class GroupSave:
    """A run of chunks of one group, one after the other, with all their blocks."""

    group: int
    keys: bytes
    parent: bytes | None
    depth: int
    rows: bytes  # [items, blocks_per_item]
    blocks_per_item: int


@dataclass(frozen=True)
class SaveJob:
    """Chunks of a request that are to be stored, in one namespace and for one tenant."""

    number: int
    space: str
    tenant: str
    groups: tuple[GroupSave, ...]


@dataclass
class Orders(KVConnectorMetadata):
    """What the workers are to do in one step."""

    loads: list[LoadJob] = field(default_factory=list)
    saves: list[SaveJob] = field(default_factory=list)
    idle: bool = False  # the model does not run in this step


@dataclass
class Report(KVConnectorWorkerMetadata):
    """What the workers have done since their last report, of all ranks together."""

    saved: dict[int, int] = field(default_factory=dict)  # job: ranks that are through with it
    incarnations: dict[int, bytes] = field(default_factory=dict)  # rank: of the arena it maps

    def aggregate(self, other: KVConnectorWorkerMetadata) -> Report:
        """Put two reports together."""
        assert isinstance(other, Report)
        saved = dict(self.saved)
        for job, count in other.saved.items():
            saved[job] = saved.get(job, 0) + count
        return Report(saved, {**self.incarnations, **other.incarnations})
