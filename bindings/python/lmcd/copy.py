"""An engine's paged KV as lmcd copies it: tensors of blocks, whatever their strides."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmcd._ffi import ffi, number_of
from lmcd.errors import InvalidArgument

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from lmcd.grants import Grants

    BlockIds = ArrayLike


@dataclass(frozen=True)
class Page:
    """One tensor of an engine's paged KV, or the share of it that has one stride.

    Run r of block b begins at base + b * block_stride + r * run_stride.
    **Units**: bytes; `base` is an address, or an offset in a registered segment.
    """

    base: int
    block_stride: int
    run_stride: int
    run_bytes: int
    run_count: int
    block_count: int

    @property
    def block_bytes(self) -> int:
        """Bytes of one block here."""
        return self.run_bytes * self.run_count


class Pages:
    """The pages of a part: its bytes stand page by page, then block by block, run by run.

    Keeps the tensors it was made from alive.
    """

    __slots__ = ("_alive", "cdata", "pages")

    def __init__(self, pages: Sequence[Page], alive: object = None) -> None:
        if not pages:
            raise InvalidArgument("pages: at least one is needed")
        self.pages = tuple(pages)
        self.cdata: Any = ffi.new("lmcd_page_t[]", [_c_page(page) for page in pages])
        self._alive = alive

    @classmethod
    def of(cls, tensors: Iterable[Any], block_axis: int = 0) -> Pages:
        """Describe numpy arrays or torch tensors on the CPU without copying them.

        **Shape**: each has its blocks along `block_axis`; the other axes make a block, in
        their order.
        """
        arrays = [_array(tensor, block_axis) for tensor in tensors]
        return cls([page for array in arrays for page in _pages_of(array)], arrays)

    @property
    def block_bytes(self) -> int:
        """Bytes of one block over all pages."""
        return sum(page.block_bytes for page in self.pages)

    def request(
        self, grants: Grants, block_ids: BlockIds, threads: int, checksum: bool
    ) -> tuple[Any, object]:
        """Return the C request of a copy, and what must live as long as it is used."""
        ids, per_item = block_id_array(block_ids, len(grants))
        copy = ffi.new("lmcd_paged_copy_t *")
        copy.struct_size = ffi.sizeof("lmcd_paged_copy_t")
        copy.page_count = len(self.pages)
        copy.pages = self.cdata
        copy.grants = grants.cdata
        copy.block_ids = ids
        copy.count = len(grants)
        copy.blocks_per_item = per_item
        copy.threads = number_of("threads", threads)
        copy.checksum = checksum
        return copy, (ids, grants, self)


def block_id_array(block_ids: BlockIds, count: int) -> tuple[Any, int]:
    """Return block ids as a C array, and how many an item has."""
    import numpy as np

    given = np.asarray(block_ids)
    if given.ndim != 2 or given.shape[0] != count or given.shape[1] == 0:
        raise InvalidArgument(f"block_ids: shape {given.shape}, must be [{count}, 1 or more]")
    if given.dtype.kind not in "iu" or (given.dtype.kind == "i" and given.min() < 0):
        raise InvalidArgument("block_ids: must be whole numbers from 0")
    ids = np.ascontiguousarray(given, dtype=np.uint32)
    if given.dtype.itemsize > 4 and (ids != given).any():
        raise InvalidArgument("block_ids: must be below 2^32")
    return ffi.from_buffer("uint32_t[]", ids), given.shape[1]


def _c_page(page: Page) -> dict[str, int]:
    return {
        "base": number_of("page.base", page.base, 64),
        "block_stride": number_of("page.block_stride", page.block_stride, 64),
        "run_stride": number_of("page.run_stride", page.run_stride, 64),
        "run_bytes": number_of("page.run_bytes", page.run_bytes),
        "run_count": number_of("page.run_count", page.run_count),
        "block_count": number_of("page.block_count", page.block_count),
    }


def _array(tensor: Any, block_axis: int) -> Any:
    """Return a tensor as a numpy array over the same memory, its blocks along the first axis."""
    import numpy as np

    if not isinstance(tensor, np.ndarray) and not hasattr(tensor, "untyped_storage"):
        raise InvalidArgument(f"{type(tensor).__name__}: must be a numpy array or a torch tensor")
    if tensor.ndim < 2 or not -tensor.ndim <= block_axis < tensor.ndim or 0 in tensor.shape:
        raise InvalidArgument(
            f"a tensor of shape {tuple(tensor.shape)} has no blocks on axis {block_axis}"
        )
    if isinstance(tensor, np.ndarray):
        return np.moveaxis(tensor, block_axis, 0)
    return _torch_bytes(tensor.movedim(block_axis, 0))


def _torch_bytes(tensor: Any) -> Any:
    """View a torch tensor as bytes along a new last axis: numpy does not know all its types."""
    import torch

    if tensor.device.type != "cpu":
        raise InvalidArgument(f"a tensor on {tensor.device}: must be on the CPU")
    return tensor.detach().unsqueeze(-1).view(torch.uint8).numpy()


def _pages_of(array: Any) -> list[Page]:
    """Describe one array: the axes of a block, outermost first, become pages, runs, one run.

    The innermost axes that lie side by side are one run; the axis around them counts the runs;
    each place along the axes further out is a page of its own.
    """
    if any(stride < 0 for stride in array.strides):
        raise InvalidArgument("a tensor with a negative stride")
    block_count, block_stride = array.shape[0], array.strides[0]
    axes = [
        (length, stride)
        for length, stride in zip(array.shape[1:], array.strides[1:], strict=True)
        if length > 1
    ]
    run_bytes = array.itemsize
    while axes and axes[-1][1] == run_bytes:
        run_bytes *= axes.pop()[0]
    axes = _merged(axes)
    run_count, run_stride = axes.pop() if axes else (1, 0)
    base = array.__array_interface__["data"][0]
    steps = [[at * stride for at in range(length)] for length, stride in axes]
    return [
        Page(base + sum(offsets), block_stride, run_stride, run_bytes, run_count, block_count)
        for offsets in itertools.product(*steps)
    ]


def _merged(axes: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join neighbouring axes that step like one."""
    merged: list[tuple[int, int]] = []
    for length, stride in axes:
        if merged and merged[-1][1] == length * stride:
            merged[-1] = (merged[-1][0] * length, stride)
        else:
            merged.append((length, stride))
    return merged
