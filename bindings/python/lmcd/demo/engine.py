"""The engine: a prompt in, logits and tokens out, prefilled in fixed steps.

A prompt of n tokens takes ceil(n / CHUNK_TOKENS) steps of exactly CHUNK_TOKENS tokens, the last
one padded on the right. Step i always stands at the same position with the same shape, so a
step that is skipped because its keys and values came from the cache changes no bit of the later
ones. Keys and values that decoding makes are not stored: they were computed one token at a
time, and a prefill of the same tokens would round differently.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from lmcd.demo.cache import BLOCKS_PER_CHUNK, CHUNK_TOKENS, Cache
from lmcd.demo.model import Model
from lmcd.demo.paged import BLOCK_TOKENS, Floats, Ids, PagedKV
from lmcd.demo.tokenizer import BYTES

Progress = Callable[[int, int], None]
"""Told when tokens of the prompt are done: how many, of how many."""


@dataclass
class Seconds:
    """Where the time of an answer went. **Units**: seconds."""

    load: float = 0.0
    prefill: float = 0.0
    store: float = 0.0
    decode: float = 0.0


@dataclass(frozen=True)
class Answer:
    """What came of one prompt.

    **Shape**: `logits` is `[len(tokens), VOCABULARY]`, a row for each token that was chosen.
    """

    tokens: list[int]
    logits: Floats
    prompt_tokens: int
    reused_tokens: int
    stored_tokens: int
    seconds: Seconds

    @property
    def digest(self) -> str:
        """SHA-256 of the bits of the logits, in hex: equal only for equal bits."""
        return hashlib.sha256(self.logits.tobytes()).hexdigest()


class Engine:
    """Answers one prompt at a time; between prompts it keeps nothing but what `cache` keeps.

    **Thread safety**: one thread.
    """

    def __init__(self, model: Model, paged: PagedKV, cache: Cache) -> None:
        self._model = model
        self._paged = paged
        self._cache = cache

    def answer(
        self,
        prompt: Sequence[int],
        keys: Sequence[bytes],
        new_tokens: int,
        progress: Progress = lambda done, total: None,
    ) -> Answer:
        """Prefill `prompt`, then choose `new_tokens` tokens greedily among the bytes.

        `keys` has one key for each whole chunk of the prompt.
        Raises ValueError for a prompt that is empty or too long, or keys that do not fit it;
        OutOfBlocks when the paged cache is too small.
        """
        span = max(_steps(prompt) * CHUNK_TOKENS, len(prompt) + new_tokens)
        limit = self._model.shape.max_tokens
        if not prompt or new_tokens < 1 or span > limit:
            raise ValueError(
                f"a prompt of {len(prompt)} tokens with {new_tokens} to come: both must be at "
                f"least 1, together in whole steps of {CHUNK_TOKENS} at most {limit}"
            )
        if len(keys) != len(prompt) // CHUNK_TOKENS:
            raise ValueError(
                f"{len(keys)} keys for {len(prompt)} tokens: must be one for each of the "
                f"{len(prompt) // CHUNK_TOKENS} whole chunks of {CHUNK_TOKENS}"
            )
        with self._paged.sequence(span) as table:
            run = _Run(self._model, self._paged, self._cache, prompt, keys, table)
            run.load()
            progress(run.reused * CHUNK_TOKENS, len(prompt))
            hidden = run.prefill(progress)
            tokens, logits = run.decode(hidden, new_tokens)
        return Answer(
            tokens=tokens,
            logits=logits,
            prompt_tokens=len(prompt),
            reused_tokens=run.reused * CHUNK_TOKENS,
            stored_tokens=run.stored * CHUNK_TOKENS,
            seconds=run.seconds,
        )

    def describe(self) -> str:
        """Return the canonical text of what this engine's keys and values mean.

        The probe stands for everything that changes bits and has no name: the weights as they
        came out, the BLAS library, the CPU's instruction set.
        """
        shape, tokens = self._model.shape, np.arange(CHUNK_TOKENS, dtype=np.int32) % BYTES
        scratch = shape.paged(BLOCKS_PER_CHUNK)
        with scratch.sequence(CHUNK_TOKENS) as table:
            self._model.step(tokens, 0, scratch, table)
            probe = hashlib.sha256()
            for layer in scratch.layers:
                probe.update(layer[table].tobytes())
        return "\n".join(
            (
                "engine=lmcd.demo",
                f"model={shape}",
                "dtype=float32",
                f"page=[blocks, 2, {BLOCK_TOKENS}, {shape.kv_heads}, {shape.head_dim}]",
                f"block_tokens={BLOCK_TOKENS}",
                f"chunk_tokens={CHUNK_TOKENS}",
                f"probe={probe.hexdigest()}",
            )
        )


@dataclass
class _Run:
    """One prompt on its way through the engine."""

    model: Model
    paged: PagedKV
    cache: Cache
    prompt: Sequence[int]
    keys: Sequence[bytes]
    table: Ids
    reused: int = 0  # chunks
    stored: int = 0  # chunks
    seconds: Seconds = field(default_factory=Seconds)

    def load(self) -> None:
        """Take what the cache has; never the last step, which makes the logits."""
        began = perf_counter()
        wanted = self.keys[: _steps(self.prompt) - 1]
        found = self.cache.lookup(wanted) if wanted else 0
        if found:
            self.reused = self.cache.load(wanted[:found], self._blocks(0, found))
        self.seconds.load = perf_counter() - began

    def prefill(self, progress: Progress) -> Floats:
        """Run the steps that were not reused; return the last token's hidden state."""
        for step in range(self.reused, _steps(self.prompt)):
            began = perf_counter()
            start = step * CHUNK_TOKENS
            real = self.prompt[start : start + CHUNK_TOKENS]
            chunk = np.zeros(CHUNK_TOKENS, np.int32)
            chunk[: len(real)] = real
            hidden = self.model.step(chunk, start, self.paged, self.table)
            computed = perf_counter()
            self.seconds.prefill += computed - began
            if len(real) == CHUNK_TOKENS:
                self.stored += self.cache.store(self.keys[step : step + 1], self._blocks(step, 1))
            self.seconds.store += perf_counter() - computed
            progress(start + len(real), len(self.prompt))
        return np.asarray(hidden[len(real) - 1])

    def decode(self, hidden: Floats, count: int) -> tuple[list[int], Floats]:
        """Choose `count` tokens, the first from `hidden`; return them and their logits."""
        began = perf_counter()
        tokens: list[int] = []
        rows: list[Floats] = []
        while True:
            rows.append(self.model.logits(hidden))
            tokens.append(int(rows[-1][:BYTES].argmax()))
            if len(tokens) == count:
                break
            position = len(self.prompt) + len(tokens) - 1
            step = np.array(tokens[-1:], np.int32)
            hidden = self.model.step(step, position, self.paged, self.table)[0]
        self.seconds.decode = perf_counter() - began
        return tokens, np.stack(rows)

    def _blocks(self, first: int, count: int) -> Ids:
        """Return the block ids of `count` chunks from `first` on, a row a chunk."""
        ids = self.table[first * BLOCKS_PER_CHUNK : (first + count) * BLOCKS_PER_CHUNK]
        return ids.reshape(count, BLOCKS_PER_CHUNK)


def _steps(prompt: Sequence[int]) -> int:
    return -(-len(prompt) // CHUNK_TOKENS)
