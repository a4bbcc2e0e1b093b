"""The engine's own rules: what it asks of a cache, what it refuses, and whose blocks are whose."""

from pathlib import Path

import numpy as np
import pytest

from lmcd.demo.cache import BLOCKS_PER_CHUNK, CHUNK_TOKENS, NoCache
from lmcd.demo.engine import Engine
from lmcd.demo.model import Model, Shape
from lmcd.demo.paged import OutOfBlocks, PagedKV
from tests.python.demo.folder_cache import FolderCache, chain

SHAPE = Shape(layers=2, width=32, heads=2, kv_heads=1, head_dim=16, hidden=48, max_tokens=1024)
MODEL = Model(SHAPE)


def engine(blocks: int = 64) -> tuple[Engine, PagedKV]:
    paged = SHAPE.paged(blocks)
    return Engine(MODEL, paged, NoCache()), paged


def words(count: int) -> list[int]:
    return [(7 * index + index // 5) % 256 for index in range(count)]


def test_a_prompt_of_whole_chunks_computes_its_last_step(tmp_path: Path) -> None:
    paged = SHAPE.paged(64)
    both = Engine(MODEL, paged, FolderCache(tmp_path, paged))
    prompt = words(2 * CHUNK_TOKENS)
    first = both.answer(prompt, chain(prompt), 2)
    second = both.answer(prompt, chain(prompt), 2)
    assert (first.reused_tokens, first.stored_tokens) == (0, 2 * CHUNK_TOKENS)
    assert (second.reused_tokens, second.stored_tokens) == (CHUNK_TOKENS, 0)
    assert second.digest == first.digest


def test_a_store_that_is_interrupted_is_no_hit_and_leaks_no_block(tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    paged = SHAPE.paged(64)
    prompt = words(2 * CHUNK_TOKENS)
    with pytest.raises(KeyboardInterrupt):
        Engine(MODEL, paged, FolderCache(tmp_path, paged, stop)).answer(prompt, chain(prompt), 1)
    assert paged.free_count == 64
    assert FolderCache(tmp_path, paged).lookup(chain(prompt)) == 0


def test_a_reply_may_reach_past_the_padding_of_the_prompt() -> None:
    subject, paged = engine()
    prompt = words(CHUNK_TOKENS - 3)
    answer = subject.answer(prompt, [], 40)
    assert len(answer.tokens) == 40
    assert paged.free_count == 64


def test_decoding_agrees_with_a_prefill_of_the_same_tokens() -> None:
    # Not bit for bit: the shapes differ. This is what shows that decode reads the right slots.
    subject, _ = engine()
    prompt = words(CHUNK_TOKENS - 3)
    decoded = subject.answer(prompt, [], 8)
    longer = prompt + decoded.tokens[:7]
    prefilled = subject.answer(longer, chain(longer), 1)
    np.testing.assert_allclose(decoded.logits[7], prefilled.logits[0], atol=1e-4)


def test_what_other_sequences_left_in_the_blocks_does_not_matter() -> None:
    subject, paged = engine()
    prompt = words(300)
    clean = subject.answer(prompt, chain(prompt), 4)
    for layer in paged.layers:
        layer[:] = np.nan
    assert subject.answer(prompt, chain(prompt), 4).digest == clean.digest


def test_the_progress_ends_with_the_whole_prompt() -> None:
    subject, _ = engine()
    seen: list[tuple[int, int]] = []
    prompt = words(600)
    subject.answer(prompt, chain(prompt), 1, lambda done, total: seen.append((done, total)))
    assert seen == [(0, 600), (256, 600), (512, 600), (600, 600)]


@pytest.mark.parametrize(
    ("tokens", "new_tokens"), [(0, 1), (10, 0), (1024, 1), (1000, 25), (1025, 1)]
)
def test_a_prompt_that_does_not_fit_the_model_is_refused(tokens: int, new_tokens: int) -> None:
    subject, _ = engine(128)
    prompt = words(tokens)
    with pytest.raises(ValueError, match=f"prompt of {tokens} tokens with {new_tokens} to come"):
        subject.answer(prompt, chain(prompt), new_tokens)


def test_keys_that_do_not_fit_the_prompt_are_refused() -> None:
    subject, _ = engine()
    with pytest.raises(ValueError, match="0 keys for 300 tokens"):
        subject.answer(words(300), [], 1)


def test_a_cache_of_too_few_blocks_says_so_and_keeps_them() -> None:
    subject, paged = engine(BLOCKS_PER_CHUNK)
    with pytest.raises(OutOfBlocks, match="need 32 blocks of 16; 16 of 16 are free"):
        subject.answer(words(300), chain(words(300)), 1)
    assert paged.free_count == BLOCKS_PER_CHUNK


def test_the_description_names_what_the_bytes_depend_on() -> None:
    text = engine()[0].describe()
    assert text.isprintable() or text.replace("\n", "").isprintable()
    assert text == engine()[0].describe()
    assert len(text.encode()) <= 3072
    other = Shape(**{**SHAPE.__dict__, "seed": 1})
    reseeded = Engine(Model(other), other.paged(1), NoCache()).describe()
    assert reseeded.splitlines()[-1] != text.splitlines()[-1]  # the probe saw the weights
