"""A worker's KV tensors as pages that lmcd copies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lmcd.copy import Page, Pages
from lmcd.vllm.geometry import Geometry, Refused


class Layout:
    """The pages of every group, and a text of how a block's bytes stand in them."""

    def __init__(
        self,
        geometry: Geometry,
        tensors: Mapping[str, Any],
        block_count: int,
        instruction_sets: Sequence[str],
    ) -> None:
        self.pages: list[Pages] = []
        lines = []
        for group, instructions in zip(geometry.groups, instruction_sets, strict=True):
            views = _distinct(group.layers, tensors)
            shaped = [_by_block(name, view, block_count) for name, view in views]
            self.pages.append(Pages.of(shaped))
            shapes = [_shape_of(view) for view in shaped]
            lines.append(f"{instructions} {_in_runs(shapes)} {_runs_of(self.pages[-1].pages)}")
        self.text = "; ".join(lines)

    @property
    def block_bytes(self) -> tuple[int, ...]:
        """Bytes of a block in each group."""
        return tuple(pages.block_bytes for pages in self.pages)


def _distinct(layers: Sequence[str], tensors: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the tensors of a group's layers, each memory once: layers may share their KV."""
    seen: set[tuple[int, tuple[int, ...]]] = set()
    views = []
    for name in layers:
        if name not in tensors:
            raise Refused(f"lmcd was not told of the KV of layer {name}")
        view = tensors[name]
        if not hasattr(view, "data_ptr"):
            raise Refused(f"lmcd does not know the KV of layer {name}: {type(view).__name__}")
        place = (view.data_ptr(), tuple(view.stride()))
        if place not in seen:
            seen.add(place)
            views.append((name, view))
    return views


def _by_block(name: str, tensor: Any, block_count: int) -> Any:
    """View a tensor with its blocks along the first axis."""
    shape = tuple(tensor.shape)
    if shape[0] == block_count:
        return tensor
    if shape[0] % block_count == 0:  # a block of the scheduler is several of the kernel's
        return tensor.unflatten(0, (block_count, shape[0] // block_count))
    if len(shape) > 1 and shape[1] == block_count:
        return tensor.movedim(1, 0)
    raise Refused(f"lmcd sees no axis of {block_count} blocks in layer {name} of shape {shape}")


def _shape_of(tensor: Any) -> str:
    sizes = "x".join(str(size) for size in tensor.shape[1:])
    return f"{str(tensor.dtype).removeprefix('torch.')}[{sizes}]"


def _runs_of(pages: Sequence[Page]) -> str:
    return _in_runs([f"{page.run_count}*{page.run_bytes}" for page in pages])


def _in_runs(texts: Sequence[str]) -> str:
    """Join texts, equal neighbours as one with a count."""
    runs: list[tuple[str, int]] = []
    for text in texts:
        if runs and runs[-1][0] == text:
            runs[-1] = (text, runs[-1][1] + 1)
        else:
            runs.append((text, 1))
    return ",".join(f"{count}:{text}" for text, count in runs)
