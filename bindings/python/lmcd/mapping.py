"""The arena and ledger of one incarnation in this process's memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lmcd._ffi import Held, check, ffi, lib, number_of, own
from lmcd.errors import LeaseLost
from lmcd.grants import Grants

if TYPE_CHECKING:
    from lmcd.copy import BlockIds, Pages


class Mapping:
    """Memory of the arena: good for as long as this object or a view from it lives.

    What becomes of the session and the daemon does not matter to it; what is read from it
    counts only while it validates. `Session.mapping()` opens one.
    """

    __slots__ = ("_held",)

    def __init__(self, session: Any) -> None:
        out = ffi.new("lmcd_mapping_t **")
        check(lib.lmcd_mapping_open, session, out)
        self._held = own(out[0], lib.lmcd_mapping_close)

    @property
    def cdata(self) -> Any:
        """The C handle, for the modules of this package."""
        return self._held.object

    def covers(self, grants: Grants, index: int) -> bool:
        """Tell whether a grant is of this incarnation of the arena."""
        grant = ffi.addressof(grants.cdata[index])
        return bool(lib.lmcd_mapping_address(self._held.object, grant))

    def valid(self, grants: Grants) -> list[bool]:
        """Tell of each grant whether the bytes read before this call are those committed."""
        if not len(grants):
            return []
        flags = ffi.new("uint8_t[]", len(grants))
        lib.lmcd_validate(self._held.object, grants.cdata, len(grants), flags)
        return [flag == 1 for flag in flags]

    def all_valid(self, grants: Grants) -> bool:
        """Tell whether every grant is."""
        count = len(grants)
        flags = ffi.new("uint8_t[]", count)
        return int(lib.lmcd_validate(self._held.object, grants.cdata, count, flags)) == count

    def view(self, grants: Grants, index: int, keep: object = None) -> memoryview:
        """View the bytes of one grant. The view keeps the mapping, and `keep`, alive.

        Raises LeaseLost when the grant is of another incarnation of the arena.
        """
        grant = grants.cdata[index]
        address = lib.lmcd_mapping_address(self._held.object, ffi.addressof(grant))
        if not address:
            raise LeaseLost(f"item {index}: its extent is not in this mapping of the arena")
        start = int(ffi.cast("intptr_t", address))
        return memoryview(Held((self._held, keep), start, grant.extent.length))

    def populate(self, grants: Grants | None = None) -> None:
        """Have the pages of these grants, or of all the arena, mapped in the background."""
        if grants is None:
            check(lib.lmcd_populate, self._held.object, ffi.NULL, 0)
        elif len(grants):
            check(lib.lmcd_populate, self._held.object, grants.cdata, len(grants))

    def populate_wait(self, timeout_ms: int = 60_000) -> float:
        """Wait until what was asked for is mapped; return the CPU seconds that it took.

        Raises TimedOut after `timeout_ms`.
        """
        cpu_ns = ffi.new("uint64_t *")
        check(
            lib.lmcd_populate_wait, self._held.object, number_of("timeout_ms", timeout_ms), cpu_ns
        )
        return float(cpu_ns[0]) / 1e9

    def gather(
        self,
        pages: Pages,
        grants: Grants,
        block_ids: BlockIds,
        *,
        threads: int = 1,
        checksum: bool = False,
    ) -> list[int] | None:
        """Copy blocks into the extents of reserved grants.

        Returns the crc32c of each item when `checksum`, else None.
        **Shape**: `block_ids` is `[len(grants), blocks of an item]`.
        """
        crcs = ffi.new("uint32_t[]", len(grants)) if checksum else ffi.NULL
        copy, _alive = pages.request(grants, block_ids, threads, checksum)
        check(lib.lmcd_gather, self._held.object, copy, crcs)
        return list(crcs) if checksum else None

    def scatter(
        self,
        pages: Pages,
        grants: Grants,
        block_ids: BlockIds,
        *,
        threads: int = 1,
        checksum: bool = False,
    ) -> list[bool]:
        """Copy the extents of leased grants into blocks, and validate.

        Returns whether each item's bytes are whole; blocks of the others hold garbage.
        `checksum` compares with the crc32c of those that have one.
        """
        valid = ffi.new("uint8_t[]", len(grants))
        copy, _alive = pages.request(grants, block_ids, threads, checksum)
        check(lib.lmcd_scatter, self._held.object, copy, valid)
        return [flag == 1 for flag in valid]
