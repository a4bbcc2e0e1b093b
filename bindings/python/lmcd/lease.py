"""Leases: a session's right to extents, and the bytes that they give.

    with space.reserve(keys, length=n) as lease:      # to write
        for place, buffer in lease.granted():
            buffer.copy_from(data[place])
        lease.commit()                                # what is not committed is given back

    with space.acquire(keys) as lease:                # to read
        lease[0].copy_to(destination)                 # raises LeaseLost, or the bytes are whole

The library renews the leases of a living process. A lease ends for Python when it is left or
closed; the daemon hears of it once the last view over its memory is gone too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from lmcd._ffi import check, ffi, lib
from lmcd.closing import Closing
from lmcd.copy import Page, Pages
from lmcd.errors import Forked, InvalidArgument, LeaseLost, LmcdError, Released
from lmcd.grants import Grants, Outcome

if TYPE_CHECKING:
    from typing_extensions import Self

    from lmcd.copy import BlockIds
    from lmcd.mapping import Mapping
    from lmcd.session import Session
    from lmcd.views import SharedArray

_ONE_BLOCK = ((0,),)


class Term:
    """How long a lease and its views may be used: until it ends, and in this process."""

    __slots__ = ("_process", "over")

    def __init__(self) -> None:
        self.over = False
        self._process = os.getpid()

    def check(self) -> None:
        """Raise Released once the lease has ended, and Forked in a child."""
        if self.over:
            raise Released("the lease has ended; copy what is needed before")
        if self._process != os.getpid():
            raise Forked("the lease belongs to a parent of this process; its memory is not here")


class _Claim:
    """A lease at the daemon: ended by one posted message when nothing refers to it any more."""

    __slots__ = ("_end", "_number", "_session", "settled")

    def __init__(self, session: Session, number: int, end: Callable[..., int]) -> None:
        self._session = session
        self._number = number
        self._end = end
        self.settled = number == 0

    def __del__(self) -> None:
        if self.settled:
            return
        try:
            check(self._end, self._session.cdata, self._number)
        except LmcdError:
            # Released with the session, or lost with the daemon, which the library sees to.
            return


class Buffer:
    """The bytes of one leased item.

    Copies go through the library: past the cache where that is faster, without the GIL.
    """

    __slots__ = ("_index", "_lease", "_writable", "length")

    length: int

    def __init__(self, lease: _Lease, index: int, writable: bool) -> None:
        self._lease = lease
        self._index = index
        self._writable = writable
        self.length = int(lease.grants.cdata[index].extent.length)

    def __len__(self) -> int:
        return self.length

    def __repr__(self) -> str:
        return f"Buffer({self.length} bytes, {'to write' if self._writable else 'to read'})"

    def view(self) -> memoryview:
        """View the bytes without a copy; raises ValueError if used after the lease's end."""
        view = self._memory()
        return self._lease.lend(view if self._writable else view.toreadonly())

    def array(self, dtype: Any = "u1", shape: Sequence[int] | None = None) -> SharedArray:
        """View the bytes as a numpy array without a copy (lmcd.views says how far it is safe).

        **Shape**: `shape`, or one axis. Read-only when the lease is one to read.
        """
        from lmcd.views import array_over

        view = self._memory()
        return array_over(
            view if self._writable else view.toreadonly(), dtype, shape, self._lease.term
        )

    def tensor(self, dtype: Any = None, shape: Sequence[int] | None = None) -> Any:
        """View the bytes as a torch tensor on the CPU without a copy; uint8 by default.

        **Shape**: `shape`, or one axis.
        """
        import torch

        from lmcd.views import tensor_over

        dtype = torch.uint8 if dtype is None else dtype
        return tensor_over(self._memory(), dtype, shape, self._lease.term, self._writable)

    def copy_from(self, source: Any) -> None:
        """Copy from a contiguous buffer of as many bytes."""
        if not self._writable:
            raise InvalidArgument("the lease is one to read")
        pages = self._one_page(memoryview(source).toreadonly())
        self._lease.mapping.gather(pages, self._grant(), _ONE_BLOCK)

    def copy_to(self, destination: Any) -> None:
        """Copy to a contiguous writable buffer of as many bytes.

        Raises LeaseLost unless the bytes are whole, which the destination then does not count
        as.
        """
        if self._writable:
            raise InvalidArgument("the lease is one to write")
        view = memoryview(destination)
        if view.readonly:
            raise InvalidArgument("the destination is read-only")
        valid = self._lease.mapping.scatter(self._one_page(view), self._grant(), _ONE_BLOCK)
        if not valid[0]:
            raise LeaseLost(f"item {self._index}: the lease was lost before the copy was done")

    def __bytes__(self) -> bytes:
        out = bytearray(self.length)
        self.copy_to(out)
        return bytes(out)

    def _memory(self) -> memoryview:
        return self._lease.memory(self._index)

    def _grant(self) -> Grants:
        self._lease.check_open()
        return self._lease.grants.select([self._index])

    def _one_page(self, view: memoryview) -> Pages:
        if not view.c_contiguous or view.nbytes != self.length:
            raise InvalidArgument(
                f"a buffer of {view.nbytes} bytes: must be {self.length}, contiguous"
            )
        memory = ffi.from_buffer(view)
        address = int(ffi.cast("uintptr_t", memory))
        return Pages([Page(address, 0, 0, self.length, 1, 1)], memory)


class _Lease(Closing, Sequence[Buffer | None]):
    """What both kinds of lease have in common: items, buffers, an end."""

    _granted: Outcome
    _writable: bool

    def __init__(self, session: Session, grants: Grants, number: int, end: Callable[..., int]):
        self.grants = grants
        self.term = Term()
        self._claim: _Claim | None = _Claim(session, number, end)
        self._session = session
        self._places = grants.places(self._granted)
        self._mapping: Mapping | None = None
        if self._places:
            self._mapping = session.mapping_of(grants, self._places[0])
        self._lent: list[memoryview] = []

    @property
    def ended(self) -> bool:
        """Whether the lease was left or closed."""
        return self.term.over

    @property
    def mapping(self) -> Mapping:
        """The memory that the grants speak of."""
        self.check_open()
        if self._mapping is None:
            raise InvalidArgument("nothing was granted")
        return self._mapping

    def check_open(self) -> None:
        """Raise Released once the lease has ended, and Forked in a child."""
        self.term.check()

    def outcomes(self) -> list[Outcome]:
        """Return what became of each item."""
        return self.grants.outcomes()

    def __len__(self) -> int:
        return len(self.grants)

    def __getitem__(self, index: Any) -> Any:
        """Return the buffer of an item; None when nothing was granted for it."""
        self.check_open()
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self.grants)))]
        at = range(len(self.grants))[index]
        if self.grants.cdata[at].outcome != self._granted:
            return None
        return Buffer(self, at, self._writable)

    def __iter__(self) -> Iterator[Buffer | None]:
        for index in range(len(self.grants)):
            yield self[index]

    def granted(self) -> Iterator[tuple[int, Buffer]]:
        """Yield place and buffer of each item that was granted."""
        self.check_open()
        for place in self._places:
            yield place, Buffer(self, place, self._writable)

    def __enter__(self) -> Self:
        self.check_open()
        return self

    def memory(self, index: int) -> memoryview:
        """View one item's extent; the view keeps the lease at the daemon."""
        return self.mapping.view(self.grants, index, self._claim)

    def lend(self, view: memoryview) -> memoryview:
        """Remember a view that is taken back when the lease ends."""
        self._lent.append(view)
        return view

    def close(self) -> None:
        """End the lease. Does nothing again."""
        if self.term.over:
            return
        self.term.over = True
        for view in self._lent:
            try:
                view.release()
            except BufferError:  # something is built upon it, which goes on to keep the lease
                continue
        self._lent.clear()
        self._mapping = None
        self._claim = None

    def _granted_only(self) -> tuple[Grants, Sequence[int]]:
        places = self._places
        return (self.grants if len(places) == len(self) else self.grants.select(places)), places


class WriteLease(_Lease):
    """The right to write extents that nobody else sees until they are committed.

    As a context manager it gives back what was not committed.
    """

    _granted = Outcome.RESERVED
    _writable = True

    def __init__(self, session: Session, grants: Grants, number: int) -> None:
        super().__init__(session, grants, number, lib.lmcd_abort)
        self._number = number
        self._open: set[int] | None = None  # made for the first commit that is not of all
        self._crcs: dict[int, int] = {}

    @property
    def number(self) -> int:
        """The lease's number; 0 when nothing was reserved."""
        return self._number

    def gather(
        self,
        pages: Pages,
        block_ids: BlockIds,
        *,
        threads: int = 1,
        checksum: bool = False,
    ) -> None:
        """Copy an engine's blocks into the extents of the reserved items.

        **Shape**: `block_ids` is `[items, blocks of an item]`; rows of items that were not
        reserved are passed over. A checksum goes along with the commit.
        """
        grants, places = self._granted_only()
        if not places:
            return
        rows = _rows(block_ids, places, len(self))
        crcs = self.mapping.gather(pages, grants, rows, threads=threads, checksum=checksum)
        if crcs is not None:
            self._crcs.update(zip(places, crcs, strict=True))

    def commit(self, items: Sequence[int] | None = None) -> None:
        """Make items visible, all that are reserved unless `items` names their places.

        What is wrong with it at the daemon comes as a `refused` event. Views of a committed
        item must not be written any more.
        """
        self.check_open()
        if items is None and self._open is None and not self._crcs:
            self._commit_whole()
            return
        if self._open is None:
            self._open = set(self._places)
        chosen = sorted(self._open) if items is None else list(items)
        for item in chosen:
            if item not in self._open:
                raise InvalidArgument(f"item {item} is not reserved, or was committed before")
        if chosen:
            self._commit_some(chosen)
            self._open.difference_update(chosen)
        self._settle(not self._open)

    def _commit_whole(self) -> None:
        if self._number:
            check(lib.lmcd_commit, self._session.cdata, self._number, ffi.NULL, ffi.NULL, 0)
        self._open = set()
        self._settle(True)

    def _commit_some(self, chosen: list[int]) -> None:
        crcs = ffi.NULL
        if all(item in self._crcs for item in chosen):
            crcs = ffi.new("uint32_t[]", [self._crcs[item] for item in chosen])
        places = ffi.new("uint32_t[]", chosen)
        check(lib.lmcd_commit, self._session.cdata, self._number, places, crcs, len(chosen))

    def _settle(self, whole: bool) -> None:
        """Note that a lease that was committed whole has nothing to give back."""
        if whole and self._claim is not None:
            self._claim.settled = True

    def abort(self) -> None:
        """Give back what is not committed, and end the lease."""
        self.close()


class ReadLease(_Lease):
    """The right to read committed extents.

    As a context manager it validates when it is left without an exception, and raises LeaseLost
    if the lease of any item was lost: what was read then does not count.
    """

    _granted = Outcome.LEASED
    _writable = False

    def __init__(self, session: Session, grants: Grants, number: int) -> None:
        super().__init__(session, grants, number, lib.lmcd_release)

    @property
    def hit_count(self) -> int:
        """How many of the leading items are leased."""
        count = 0
        for place in self._places:
            if place != count:
                break
            count += 1
        return count

    def valid(self) -> list[bool]:
        """Tell of each item whether what was read before this call is what was committed."""
        self.check_open()
        if self._mapping is None:
            return [False] * len(self)
        flags = self._mapping.valid(self.grants)
        leased = set(self._places)
        return [flag and place in leased for place, flag in enumerate(flags)]

    def scatter(
        self,
        pages: Pages,
        block_ids: BlockIds,
        *,
        threads: int = 1,
        checksum: bool = False,
    ) -> list[bool]:
        """Copy the leased items into an engine's blocks.

        Returns whether each item was leased and its bytes are whole.
        **Shape**: `block_ids` is `[items, blocks of an item]`.
        """
        grants, places = self._granted_only()
        whole = [False] * len(self)
        if places:
            rows = _rows(block_ids, places, len(self))
            valid = self.mapping.scatter(pages, grants, rows, threads=threads, checksum=checksum)
            for place, is_valid in zip(places, valid, strict=True):
                whole[place] = is_valid
        return whole

    def check(self) -> None:
        """Raise LeaseLost if the lease of any item was lost."""
        grants, places = self._granted_only()
        if places and not self.mapping.all_valid(grants):
            lost = [
                place for place, good in enumerate(self.valid()) if not good and place in places
            ]
            raise LeaseLost(f"items {lost[:8]} of {len(self)} were lost: their bytes do not count")

    def release(self) -> None:
        """End the lease without validating."""
        self.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None and not self.ended:
                self.check()
        finally:
            self.close()


def _rows(block_ids: BlockIds, places: Sequence[int], count: int) -> Any:
    import numpy as np

    given = np.asarray(block_ids)
    if given.ndim != 2 or given.shape[0] != count:
        raise InvalidArgument(f"block_ids: shape {given.shape}, must be [{count}, 1 or more]")
    return given if len(places) == count else given[list(places)]
