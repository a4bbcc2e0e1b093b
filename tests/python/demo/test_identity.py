"""A hit changes no bit of any logit, in whatever process and however much of it hits.

Each test runs engines as processes of their own, as the demo does, and compares the digests of
all logits of a turn with those of an engine that has no cache. The small model has the same
structure as the demo's; the slow test takes the demo's own.
"""

import itertools
import json
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from lmcd.demo import ENVIRONMENT
from lmcd.demo.cache import CHUNK_TOKENS
from lmcd.demo.model import Shape

ROOT = Path(__file__).parents[3]
SMALL = Shape(layers=2, width=64, heads=4, kv_heads=2, head_dim=32, hidden=96)
TURNS = 6

Told = list[dict[str, Any]]


@dataclass(frozen=True)
class Request:
    """What an engine process is asked to do."""

    folder: Path | None
    shape: Shape = SMALL
    turns: int = TURNS
    replies: tuple[list[int], ...] = ()
    die_in_store: int = 0
    blocks: int = 512


def start(request: Request) -> subprocess.CompletedProcess[str]:
    asked = {
        **asdict(request),
        "folder": str(request.folder) if request.folder else None,
        "text": str(ROOT / "docs"),
    }
    return subprocess.run(
        [sys.executable, "-m", "tests.python.demo.engine_process"],
        input=json.dumps(asked),
        env={**ENVIRONMENT, "PYTHONPATH": ":".join((*sys.path, str(ROOT)))},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        timeout=240,
    )


def lines(done: subprocess.CompletedProcess[str]) -> Told:
    return [json.loads(line) for line in done.stdout.splitlines()]


def run(request: Request) -> Told:
    done = start(request)
    assert done.returncode == 0
    return lines(done)


def digests(told: Told) -> list[str]:
    return [turn["digest"] for turn in told]


def reused(told: Told) -> list[int]:
    return [turn["reused_tokens"] for turn in told]


def whole(turn: dict[str, Any]) -> int:
    """Tokens of the turn's prompt that a full hit reuses: the last step always runs."""
    tokens: int = turn["prompt_tokens"]
    return (tokens - 1) // CHUNK_TOKENS * CHUNK_TOKENS


@pytest.fixture(scope="module")
def cold() -> Told:
    return run(Request(folder=None))


def test_an_engine_without_a_cache_answers_the_same_in_every_process(cold: Told) -> None:
    again = run(Request(folder=None))
    assert reused(again) == [0] * TURNS
    assert digests(again) == digests(cold)
    assert len(set(digests(cold))) == TURNS


def test_every_turn_hits_what_earlier_turns_stored(cold: Told, tmp_path: Path) -> None:
    told = run(Request(folder=tmp_path))
    assert reused(told)[0] == 0
    for earlier, turn in itertools.pairwise(told):
        assert turn["reused_tokens"] == earlier["prompt_tokens"] // CHUNK_TOKENS * CHUNK_TOKENS
    assert digests(told) == digests(cold)


def test_a_full_hit_in_another_process_changes_no_bit(cold: Told, tmp_path: Path) -> None:
    run(Request(folder=tmp_path))
    told = run(Request(folder=tmp_path))
    assert reused(told) == [whole(turn) for turn in told]
    assert digests(told) == digests(cold)


@pytest.mark.parametrize("missing", [0, 1, 5, 10])
def test_a_partial_hit_changes_no_bit(cold: Told, tmp_path: Path, missing: int) -> None:
    run(Request(folder=tmp_path, turns=1))
    files = sorted(tmp_path.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    files[missing].unlink()
    told = run(Request(folder=tmp_path, turns=2))
    assert reused(told)[0] == missing * CHUNK_TOKENS
    assert digests(told) == digests(cold)[:2]


def test_a_chunk_that_does_not_validate_is_computed_again(cold: Told, tmp_path: Path) -> None:
    run(Request(folder=tmp_path, turns=1))
    files = sorted(tmp_path.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    torn = files[3].read_bytes()
    files[3].write_bytes(torn[:-1] + bytes([torn[-1] ^ 1]))
    told = run(Request(folder=tmp_path, turns=1))
    assert reused(told) == [3 * CHUNK_TOKENS]
    assert digests(told) == digests(cold)[:1]


def test_an_engine_killed_in_a_store_leaves_what_it_had_committed(
    cold: Told, tmp_path: Path
) -> None:
    victim = start(Request(folder=tmp_path, die_in_store=14))
    assert victim.returncode == -signal.SIGKILL
    said = lines(victim)
    committed = 13 * CHUNK_TOKENS
    assert 0 < len(said) < TURNS  # it died in the middle of the conversation
    heirs = run(
        Request(
            folder=tmp_path,
            replies=tuple(turn["tokens"] for turn in said),
            turns=TURNS - len(said),
        )
    )
    assert reused(heirs)[0] == committed
    assert digests(said) + digests(heirs) == digests(cold)


@pytest.mark.slow
def test_the_demo_model_gives_the_same_bits_in_every_turn(tmp_path: Path) -> None:
    cold = run(Request(folder=None, shape=Shape()))
    warm = run(Request(folder=tmp_path, shape=Shape()))
    full = run(Request(folder=tmp_path, shape=Shape()))
    assert digests(warm) == digests(cold)
    assert digests(full) == digests(cold)
    assert reused(full) == [whole(turn) for turn in full]
