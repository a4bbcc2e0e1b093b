"""Registered segments: an engine's KV that the daemon copies from and to (daemon_driven)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from lmcd._ffi import Held, check, ffi, lib, number_of, own, text_of
from lmcd.closing import Closing
from lmcd.copy import Page, Pages, block_id_array
from lmcd.errors import InvalidArgument, Released
from lmcd.grants import Outcome
from lmcd.requests import Part, fill_reserve, key_array

if TYPE_CHECKING:
    from lmcd.copy import BlockIds
    from lmcd.namespace import Namespace
    from lmcd.session import Session

_WAIT_MS = 250  # a signal is seen within that


class Transfer(Closing):
    """A copy by the daemon that is on its way.

    The blocks must stay as they are until it is answered. Leaving it as a context manager, or
    dropping it, cancels it and waits until the daemon copies no more.
    """

    __slots__ = ("_alive", "_held", "_outcomes")

    def __init__(self, handle: Any, outcomes: Any, alive: Sequence[Any]) -> None:
        self._held: Held | None = own(handle, lib.lmcd_op_close)
        self._outcomes = outcomes
        self._alive = alive

    def wait(self, timeout_ms: int | None = None) -> list[Outcome]:
        """Wait for the answer; return each item's outcome.

        Raises TimedOut after `timeout_ms` (None: never), which ends the wait and not the copy.
        """
        held = self._held
        if held is None:
            raise Released("the transfer is closed")
        if timeout_ms is not None:
            check(lib.lmcd_op_wait, held.object, number_of("timeout_ms", timeout_ms))
        else:
            _wait_for_ever(held.object)
        return [Outcome(outcome) for outcome in self._outcomes]

    def close(self) -> None:
        """Cancel what is not answered, and wait until the daemon copies no more."""
        self._held = None


def _wait_for_ever(operation: Any) -> None:
    while True:
        try:
            check(lib.lmcd_op_wait, operation, _WAIT_MS)
        except TimeoutError:
            continue
        return


class Segment:
    """Memory of this process that the daemon copies from and to. Made by `Session.segment`.

    After the session was lost it must be registered again.
    """

    def __init__(
        self,
        session: Session,
        descriptor: int,
        length: int,
        pages: Sequence[Page],
        page_groups: Sequence[int] | None,
        rank: int,
        name: str,
    ) -> None:
        table = Pages(pages)
        c_groups = ffi.NULL
        if page_groups is not None:
            if len(page_groups) != len(table.pages):
                raise InvalidArgument(f"{len(page_groups)} groups for {len(table.pages)} pages")
            c_groups = ffi.new(
                "uint32_t[]", [number_of("page_groups", group) for group in page_groups]
            )
        c_name = ffi.new("char[]", text_of("name", name))
        options = ffi.new("lmcd_segment_options_t *")
        options.struct_size = ffi.sizeof("lmcd_segment_options_t")
        options.page_count = len(table.pages)
        options.pages = table.cdata
        options.page_groups = c_groups
        options.descriptor = descriptor
        options.rank = number_of("rank", rank)
        options.length = number_of("length", length, 64)
        options.name = c_name
        out = ffi.new("lmcd_segment_t **")
        check(lib.lmcd_segment_open, session.cdata, options, out)
        self._held: Held | None = own(out[0], lib.lmcd_segment_close)

    def store(
        self,
        space: Namespace,
        keys: Iterable[bytes],
        block_ids: BlockIds,
        *,
        part: Part = (0, 0),
        parts: Sequence[Part] | None = None,
        parent: bytes | None = None,
        depth: int = 0,
        tenant: str = "",
    ) -> Transfer:
        """Have the daemon reserve, gather and commit.

        Outcomes: STORED, EXISTS, PENDING, NO_SPACE or REFUSED.
        **Shape**: `block_ids` is `[keys, blocks of an item]`.
        """
        return self._begin(
            lib.lmcd_store_begin, space, keys, block_ids, part, parts, parent, depth, tenant
        )

    def load(
        self,
        space: Namespace,
        keys: Iterable[bytes],
        block_ids: BlockIds,
        *,
        part: Part = (0, 0),
        parts: Sequence[Part] | None = None,
    ) -> Transfer:
        """Have the daemon lease, scatter, validate and release.

        Outcomes: LOADED, ABSENT, COLD or PENDING; blocks of what is not loaded hold garbage.
        **Shape**: `block_ids` is `[keys, blocks of an item]`.
        """
        return self._begin(lib.lmcd_load_begin, space, keys, block_ids, part, parts, None, 0, "")

    def close(self) -> None:
        """Take it back, and wait until the daemon copies there no more. Does nothing again."""
        self._held = None

    def _begin(
        self,
        function: Callable[..., int],
        space: Namespace,
        keys: Iterable[bytes],
        block_ids: BlockIds,
        part: Part,
        parts: Sequence[Part] | None,
        parent: bytes | None,
        depth: int,
        tenant: str,
    ) -> Transfer:
        held = self._held
        if held is None:
            raise Released("the segment is closed")
        array = key_array(keys)
        ids, per_item = block_id_array(block_ids, len(array))
        transfer = ffi.new("lmcd_transfer_t *")
        transfer.struct_size = ffi.sizeof("lmcd_transfer_t")
        transfer.keys.struct_size = ffi.sizeof("lmcd_reserve_t")
        transfer.blocks_per_item = per_item
        transfer.block_ids = ids
        alive = fill_reserve(transfer.keys, space.cdata, array, part, parts, parent, depth, tenant)
        outcomes = ffi.new("uint32_t[]", len(array))
        out = ffi.new("lmcd_op_t **")
        check(function, held.object, transfer, outcomes, out)
        return Transfer(out[0], outcomes, [held, ids, outcomes, *alive])
