"""The paged cache: tokens land in the slots their table says, and `pages` tells the truth."""

import ctypes

import numpy as np
import pytest

from lmcd.demo.paged import BLOCK_TOKENS, OutOfBlocks, PagedKV


def paged(blocks: int = 8) -> PagedKV:
    return PagedKV(layers=2, kv_heads=2, head_dim=4, blocks=blocks)


def test_what_was_written_is_read_back_in_order() -> None:
    rng = np.random.default_rng(1)
    subject = paged()
    keys, values = rng.standard_normal((2, 40, 2, 4), np.float32)
    with subject.sequence(40) as table:
        subject.write(1, table, 0, keys[:21], values[:21])
        subject.write(1, table, 21, keys[21:], values[21:])
        read_keys, read_values = subject.read(1, table, 37)
    np.testing.assert_array_equal(read_keys, keys[:37])
    np.testing.assert_array_equal(read_values, values[:37])
    assert not subject.layers[0].any()


def test_two_sequences_share_no_block() -> None:
    subject = paged()
    with subject.sequence(3 * BLOCK_TOKENS) as one, subject.sequence(4 * BLOCK_TOKENS + 1) as two:
        assert sorted([*one, *two]) == list(range(8))
        assert subject.free_count == 0
        with pytest.raises(OutOfBlocks, match="1 tokens need 1 blocks of 16; 0 of 8 are free"):
            subject.sequence(1).__enter__()
    assert subject.free_count == 8


def test_a_table_is_no_run_of_neighbours() -> None:
    with paged(64).sequence(64 * BLOCK_TOKENS) as table:
        assert (np.diff(table) != 1).any()


def test_pages_find_a_block_in_memory() -> None:
    subject = paged()
    subject.layers[1][5] = np.arange(subject.layers[1][5].size).reshape(subject.layers[1][5].shape)
    page = subject.pages()[1]
    assert page.block_count == 8
    assert page.run_count == 1
    assert 2 * page.run_bytes == subject.block_bytes
    raw = ctypes.string_at(page.base + 5 * page.block_stride, page.run_bytes)
    assert raw == subject.layers[1][5].tobytes()
