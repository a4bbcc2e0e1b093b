"""With lmcd an engine gives the tokens that it gives without, and computes less.

Real engines of one model with random weights, float32, greedy. The engines keep no prefix cache of
their own unless a test says so, so that what was not computed came from lmcd.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.python.daemon import Daemon
from tests.vllm.conftest import EngineMaker
from tests.vllm.engine import Engine
from tests.vllm.models import prompt

Expected = Callable[..., list[list[int]]]

LENGTHS = (1000, 1024, 700, 300, 200)  # a chunk is 256 tokens, a block 128


@pytest.fixture(scope="module")
def engine(engine_of: EngineMaker, daemon: Daemon) -> Engine:
    return engine_of("llama", socket=daemon.socket, enable_prefix_caching=False)


def test_a_prompt_is_computed_once_and_read_ever_after(
    engine: Engine, expected_of: Expected
) -> None:
    prompts = [prompt(seed, length) for seed, length in enumerate(LENGTHS)]
    expected = expected_of("llama", prompts)
    cold = engine.generate(prompts)
    assert cold.tokens == expected
    assert cold.cached == [0] * len(prompts)
    for _ in range(2):
        warm = engine.generate(prompts)
        assert warm.tokens == expected
        # Whole chunks, and of the last one what leaves a token to compute.
        assert warm.cached == [768, 896, 512, 256, 0]


def test_a_prompt_that_goes_on_reads_what_it_begins_with(
    engine: Engine, expected_of: Expected
) -> None:
    long = prompt(20, 1500)
    engine.generate([long[:600]])
    output = engine.generate([long])
    assert output.cached == [512]
    assert [output.tokens[0]] == expected_of("llama", [long])
    assert engine.generate([long]).cached == [1280]


def test_a_second_engine_reads_what_the_first_stored(
    engine: Engine, engine_of: EngineMaker, daemon: Daemon, expected_of: Expected
) -> None:
    prompts = [prompt(30, 1100), prompt(31, 1300)]
    engine.generate(prompts)
    second = engine_of("llama", socket=daemon.socket, enable_prefix_caching=True)
    output = second.generate(prompts)
    assert output.cached == [1024, 1280]
    assert output.tokens == expected_of("llama", prompts)
    # From now on it has them itself, to the block, and what follows comes from lmcd.
    longer = [prompts[0] + prompt(32, 400)]
    assert second.generate(longer).cached == [1024]
    engine.generate(longer)
    third = second.generate([longer[0] + prompt(33, 10)])
    assert third.cached == [1408]
    assert third.tokens == expected_of("llama", [longer[0] + prompt(33, 10)])


def test_another_salt_is_a_miss(engine: Engine, expected_of: Expected) -> None:
    tokens = prompt(40, 900)
    assert engine.generate([tokens], salts=["one"]).cached == [0]
    assert engine.generate([tokens], salts=["one"]).cached == [768]
    other = engine.generate([tokens], salts=["two"])
    assert other.cached == [0]
    assert other.tokens == expected_of("llama", [tokens])


def test_a_lost_lease_is_computed_again(engine: Engine, expected_of: Expected) -> None:
    prompts = [prompt(50, 900), prompt(51, 1000)]
    expected = expected_of("llama", prompts)
    engine.generate(prompts)
    engine.lose_leases(2)
    assert engine.generate(prompts).tokens == expected
    again = engine.generate(prompts)
    assert again.tokens == expected
    assert again.cached == [768, 768]


def test_a_reset_leaves_what_was_stored_behind(engine: Engine) -> None:
    tokens = prompt(60, 600)
    engine.generate([tokens])
    assert engine.generate([tokens]).cached == [512]
    engine.reset()
    assert engine.generate([tokens]).cached == [0]
    assert engine.generate([tokens]).cached == [512]


def test_what_was_read_and_stored_is_in_the_engines_metrics(engine: Engine) -> None:
    tokens = prompt(70, 600)
    before = engine.metrics()
    engine.generate([tokens])
    engine.generate([tokens])
    after = engine.metrics()
    added = {name: count - before.get(name, 0) for name, count in after.items()}
    block_bytes = 4 * 2 * 128 * 64 * 4  # layers, heads, tokens, K and V, float32
    assert added["hit_tokens:hot"] == 512
    assert added["lookup_tokens"] == 1200
    assert added["load_bytes"] == 4 * block_bytes
    assert added["save_bytes"] == 4 * block_bytes
    assert added["save_chunks:reserved"] == 2


def test_more_than_the_arena_holds_is_answered_right(engine: Engine, expected_of: Expected) -> None:
    prompts = [prompt(100 + seed, 1100) for seed in range(40)]  # 80 MiB in an arena of 64
    first = engine.generate(prompts, max_tokens=2)
    second = engine.generate(prompts, max_tokens=2)
    assert second.tokens == first.tokens
    assert engine.generate(prompts[-4:], max_tokens=2).cached == [1024] * 4
    sample = prompts[::13]
    assert first.tokens[::13] == expected_of("llama", sample, 2)
