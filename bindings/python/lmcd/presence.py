"""What a lookup says: where the parts of each key are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from lmcd._ffi import PresenceArray, ffi, lib

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class KeyPresence(NamedTuple):
    """Where one key's parts are: a bit per group, set when every rank's part is there."""

    hot: int
    cold: int
    pending: int


class Presence(PresenceArray, Sequence[KeyPresence]):
    """The answer of a lookup, one entry per key, decoded where it is looked at."""

    __slots__ = ()

    @property
    def cdata(self) -> Any:
        """The entries as the library has them, for the modules of this package."""
        return ffi.from_buffer("lmcd_presence_t[]", self)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        one = self.cdata[range(len(self))[index]]
        return KeyPresence(one.hot, one.cold, one.pending)

    def __repr__(self) -> str:
        return f"Presence({len(self)} keys, {self.usable_prefix()} usable from the start)"

    def usable_prefix(self) -> int:
        """Return how many of these chunks a prefix hit can use, by the groups' kinds."""
        return int(lib.lmcd_usable_prefix(self.space.object, self.cdata, len(self)))

    def array(self) -> NDArray[np.void]:
        """View the answer as a structured array without a copy.

        **Shape**: `[keys]`, fields hot, cold, pending, record.
        """
        import numpy as np

        kind = np.dtype([(name, "<u4") for name in ("hot", "cold", "pending", "record")])
        return np.frombuffer(memoryview(self), dtype=kind)
