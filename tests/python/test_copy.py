"""Paged KV of any strides: Pages describe it so that gather and scatter move the very bytes that
numpy would, page by page, block by block, run by run.
"""

from typing import Any

import numpy as np
import pytest

import lmcd
from lmcd import Pages
from tests.python.daemon import contents, fresh_keys

RANDOM = np.random.default_rng(7)
ITEMS = [[3, 0, 5], [1, 7, 2]]


def layouts() -> dict[str, tuple[Any, int]]:
    """Tensors of 8 blocks, and the axis that counts them."""
    whole = RANDOM.integers(0, 255, (2, 8, 4, 6, 10), np.uint8)
    return {
        "blocks first": (whole[0], 0),
        "keys and values before the blocks": (whole, 1),
        "heads between": (whole.transpose(1, 3, 0, 2, 4), 0),
        "blocks last but one": (np.ascontiguousarray(whole.transpose(0, 2, 3, 1, 4)), 3),
        "every second element": (whole[0, :, :, :, ::2], 0),
        "floats": (RANDOM.random((8, 5, 3), np.float32), 0),
        "a negative axis": (RANDOM.random((3, 8, 16), np.float64), -2),
    }


def expected_bytes(tensor: Any, axis: int, ids: list[int]) -> bytes:
    """Write down the order of a part's bytes a second time."""
    blocks = np.moveaxis(tensor, axis, 0)
    pages = Pages.of([tensor], axis).pages
    per_page = blocks[0].nbytes // len(pages)
    flat = [np.ascontiguousarray(blocks[one]).tobytes() for one in ids]
    return b"".join(
        block[at * per_page : (at + 1) * per_page] for at in range(len(pages)) for block in flat
    )


@pytest.mark.parametrize("name", layouts())
@pytest.mark.parametrize("threads", [1, 2])
def test_blocks_go_out_and_come_back(name: str, threads: int, space: lmcd.Namespace) -> None:
    tensor, axis = layouts()[name]
    before = tensor.copy()
    pages = Pages.of([tensor], axis)
    keys = fresh_keys(2)
    with space.reserve(keys, length=3 * pages.block_bytes) as lease:
        lease.gather(pages, ITEMS, threads=threads, checksum=True)
        for index, ids in enumerate(ITEMS):
            assert lease[index].view().tobytes() == expected_bytes(tensor, axis, ids)
        lease.commit()
    space.session.ping()
    np.moveaxis(tensor, axis, 0)[[block for ids in ITEMS for block in ids]] = 0
    with space.acquire(keys) as lease:
        assert all(grant.crc32c is not None for grant in lease.grants)
        assert lease.scatter(pages, ITEMS, threads=threads, checksum=True) == [True, True]
    assert (tensor == before).all()


def test_several_tensors_are_one_part(space: lmcd.Namespace) -> None:
    layers = [RANDOM.random((8, 16, 4), np.float32) for _ in range(3)]
    pages = Pages.of(layers)
    assert pages.block_bytes == 3 * 256
    with space.reserve(fresh_keys(1), length=2 * pages.block_bytes) as lease:
        lease.gather(pages, [[6, 1]])
        expected = b"".join(layer[[6, 1]].tobytes() for layer in layers)
        assert lease[0].view().tobytes() == expected


def test_a_torch_tensor_is_described_like_its_array() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    tensor = torch.zeros((2, 8, 4, 6), dtype=torch.bfloat16)
    array = np.zeros((2, 8, 4, 6), np.uint16)
    for axis in (1, -3):
        shapes = [
            [(p.run_bytes, p.run_count, p.block_stride, p.block_count) for p in pages.pages]
            for pages in (Pages.of([tensor], axis), Pages.of([array], axis))
        ]
        assert shapes[0] == shapes[1]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Pages([]), "at least one"),
        (lambda: Pages.of([np.zeros(8)]), "no blocks on axis 0"),
        (lambda: Pages.of([np.zeros((8, 2))], 2), "no blocks on axis 2"),
        (lambda: Pages.of([np.zeros((0, 2))]), "no blocks"),
        (lambda: Pages.of([np.zeros((8, 4))[:, ::-1]]), "negative stride"),
        (lambda: Pages.of([[1, 2]]), "must be a numpy array or a torch tensor"),
    ],
)
def test_a_wrong_tensor_is_named(make: Any, text: str) -> None:
    with pytest.raises(lmcd.InvalidArgument, match=text):
        make()


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        ([[0]], r"shape \(1, 1\), must be \[2"),
        ([0, 1], "shape"),
        ([[0.5], [1]], "whole numbers"),
        ([[-1], [1]], "whole numbers"),
        ([[1 << 32], [1]], "below"),
        ([[8], [1]], "8"),
    ],
)
def test_wrong_block_ids_are_named(ids: Any, text: str, space: lmcd.Namespace) -> None:
    pages = Pages.of([np.zeros((8, 64), np.uint8)])
    with (
        space.reserve(fresh_keys(2), length=64) as lease,
        pytest.raises(lmcd.InvalidArgument, match=text),
    ):
        lease.gather(pages, ids)


def test_items_that_were_not_granted_are_passed_over(space: lmcd.Namespace) -> None:
    blocks = RANDOM.integers(0, 255, (8, 64), np.uint8)
    pages = Pages.of([blocks])
    keys = fresh_keys(3)
    with space.reserve(keys[1:2], length=64) as first:
        first.gather(pages, [[5]])
        first.commit()
    space.session.ping()
    with space.reserve(keys, length=64) as lease:
        lease.gather(pages, [[1], [2], [3]], checksum=True)
        lease.commit()
    space.session.ping()
    with space.acquire(keys) as found:
        assert contents(found) == [blocks[at].tobytes() for at in (1, 5, 3)]
