"""Grants: what a lease gives for each item of a batch, as plain data.

They hold no memory and no lease, so they may be sent to another process that maps the same
arena: a scheduler leases, its workers copy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from lmcd._ffi import ffi, lib
from lmcd.errors import InvalidArgument

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_GRANTS = ffi.typeof("lmcd_grant_t[]")
_PLACES = ffi.typeof("uint32_t[]")
_new_places = ffi.new_allocator(should_clear_after_alloc=False)
_GRANT_BYTES: int = ffi.sizeof("lmcd_grant_t")


class Outcome(IntEnum):
    """What became of one item of a batch."""

    NONE = lib.LMCD_NONE
    RESERVED = lib.LMCD_RESERVED
    EXISTS = lib.LMCD_EXISTS
    PENDING = lib.LMCD_PENDING
    NO_SPACE = lib.LMCD_NO_SPACE
    REFUSED = lib.LMCD_REFUSED
    LEASED = lib.LMCD_LEASED
    ABSENT = lib.LMCD_ABSENT
    COLD = lib.LMCD_COLD
    STORED = lib.LMCD_STORED
    LOADED = lib.LMCD_LOADED


class Grants(Sequence["Grant"]):
    """The grants of a batch, in its order.

    `cdata` is the C array, for the modules of this package.
    """

    __slots__ = ("_count", "cdata")

    def __init__(self, count: int) -> None:
        self.cdata: Any = ffi.new(_GRANTS, count)
        self._count = count

    @classmethod
    def from_bytes(cls, data: bytes) -> Grants:
        """Make grants again from what `bytes(grants)` gave, in whatever process."""
        if len(data) % _GRANT_BYTES:
            raise InvalidArgument(
                f"{len(data)} bytes are no whole number of grants of {_GRANT_BYTES}"
            )
        grants = cls(len(data) // _GRANT_BYTES)
        ffi.buffer(grants.cdata)[:] = data
        return grants

    def __bytes__(self) -> bytes:
        return bytes(ffi.buffer(self.cdata))

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.select(range(*index.indices(self._count)))
        return Grant(self, range(self._count)[index])

    def __iter__(self) -> Iterator[Grant]:
        for index in range(self._count):
            yield Grant(self, index)

    def __repr__(self) -> str:
        names = [outcome.name for outcome in self.outcomes()]
        return f"Grants({', '.join(names[:8])}{', …' if len(names) > 8 else ''})"

    def select(self, indices: Sequence[int]) -> Grants:
        """Return the grants at these places as Grants of their own."""
        chosen = Grants(len(indices))
        for to, index in enumerate(indices):
            chosen.cdata[to] = self.cdata[index]
        return chosen

    def outcomes(self) -> list[Outcome]:
        """Return each item's outcome."""
        return [Outcome(self.cdata[index].outcome) for index in range(self._count)]

    def places(self, outcome: Outcome) -> Sequence[int]:
        """Return the places of the items with this outcome, in their order."""
        places = _new_places(_PLACES, self._count)
        found = lib.lmcd_places_of(self.cdata, self._count, outcome, places)
        return range(found) if found == self._count else list(places[0:found])

    def array(self) -> NDArray[np.void]:
        """View the grants as a structured array without a copy.

        **Shape**: `[items]`, fields outcome, record, word, incarnation, segment, offset,
        length, crc32c, has_crc.
        """
        import numpy as np

        kind = np.dtype(
            [
                ("outcome", "<u4"),
                ("record", "<u4"),
                ("word", "<u8"),
                ("incarnation", "<u8"),
                ("segment", "<u4"),
                ("reserved", "<u4"),
                ("offset", "<u8"),
                ("length", "<u8"),
                ("crc32c", "<u4"),
                ("has_crc", "<u4"),
            ]
        )
        return np.frombuffer(ffi.buffer(self.cdata), dtype=kind)


class Grant:
    """One item's grant."""

    __slots__ = ("_grants", "_index")

    def __init__(self, grants: Grants, index: int) -> None:
        self._grants = grants
        self._index = index

    @property
    def outcome(self) -> Outcome:
        """What became of the item."""
        return Outcome(self._grants.cdata[self._index].outcome)

    @property
    def length(self) -> int:
        """Bytes of its extent; 0 when nothing was granted."""
        return int(self._grants.cdata[self._index].extent.length)

    @property
    def offset(self) -> int:
        """Where its extent begins in the arena. **Units**: bytes."""
        return int(self._grants.cdata[self._index].extent.offset)

    @property
    def crc32c(self) -> int | None:
        """The checksum of its payload; None when it has none."""
        grant = self._grants.cdata[self._index]
        return int(grant.crc32c) if grant.has_crc else None

    def __repr__(self) -> str:
        return f"Grant({self.outcome.name}, {self.length} bytes)"
