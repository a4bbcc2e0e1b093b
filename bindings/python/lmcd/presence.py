"""What a lookup says: where the parts of each key are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from lmcd._ffi import ffi, lib

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class KeyPresence(NamedTuple):
    """Where one key's parts are: a bit per group, set when every rank's part is there."""

    hot: int
    cold: int
    pending: int


class Presence(Sequence[KeyPresence]):
    """The answer of a lookup, one entry per key, decoded where it is looked at."""

    __slots__ = ("_space", "cdata")

    def __init__(self, cdata: Any, space: Any) -> None:
        self.cdata = cdata
        self._space = space

    def __len__(self) -> int:
        return len(self.cdata)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self.cdata)))]
        one = self.cdata[range(len(self.cdata))[index]]
        return KeyPresence(one.hot, one.cold, one.pending)

    def __repr__(self) -> str:
        return f"Presence({len(self.cdata)} keys, {self.usable_prefix()} usable from the start)"

    def usable_prefix(self) -> int:
        """Return how many of these chunks a prefix hit can use, by the groups' kinds."""
        return int(lib.lmcd_usable_prefix(self._space, self.cdata, len(self.cdata)))

    def array(self) -> NDArray[np.void]:
        """View the answer as a structured array without a copy.

        **Shape**: `[keys]`, fields hot, cold, pending, record.
        """
        import numpy as np

        kind = np.dtype([(name, "<u4") for name in ("hot", "cold", "pending", "record")])
        return np.frombuffer(ffi.buffer(self.cdata), dtype=kind)
