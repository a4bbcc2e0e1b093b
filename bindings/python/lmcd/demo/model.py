"""A decoder-only transformer in numpy: RMSNorm, rotary positions, grouped queries, SwiGLU.

The weights come from a seed and mean nothing. What matters is that the same tokens at the same
positions give the same bits, whether the keys and values before them were computed or loaded.
Floating-point sums depend on the shapes of the products and on the number of threads, so both
are fixed: a step's shapes follow from (tokens in the step, start) alone, and the process runs
BLAS on one thread (`lmcd.demo.ENVIRONMENT`).
"""

from dataclasses import dataclass

import numpy as np

from lmcd.demo.paged import Floats, Ids, PagedKV
from lmcd.demo.tokenizer import VOCABULARY


@dataclass(frozen=True)
class Shape:
    """The dimensions of a model, and the seed of its weights."""

    layers: int = 6
    width: int = 256
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 64
    hidden: int = 768
    max_tokens: int = 8192
    seed: int = 20

    def paged(self, blocks: int) -> PagedKV:
        """Make a KV cache for a model of this shape."""
        return PagedKV(
            layers=self.layers, kv_heads=self.kv_heads, head_dim=self.head_dim, blocks=blocks
        )


@dataclass(frozen=True)
class _Layer:
    attention_norm: Floats  # [width]
    qkv: Floats  # [width, (heads + 2 * kv_heads) * head_dim]
    out: Floats  # [heads * head_dim, width]
    mlp_norm: Floats  # [width]
    gate_up: Floats  # [width, 2 * hidden]
    down: Floats  # [hidden, width]


class Model:
    """The weights, and the forward step over a paged KV cache.

    **Thread safety**: one thread.
    """

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        rng = np.random.default_rng(shape.seed)

        def weights(rows: int, columns: int) -> Floats:
            # Variance 1 / fan-in keeps activations near 1 through all layers.
            values = rng.standard_normal((rows, columns), np.float32)
            return np.asarray(values * np.float32(rows**-0.5))

        def layer() -> _Layer:
            heads = shape.heads + 2 * shape.kv_heads
            return _Layer(
                attention_norm=np.ones(shape.width, np.float32),
                qkv=weights(shape.width, heads * shape.head_dim),
                out=weights(shape.heads * shape.head_dim, shape.width),
                mlp_norm=np.ones(shape.width, np.float32),
                gate_up=weights(shape.width, 2 * shape.hidden),
                down=weights(shape.hidden, shape.width),
            )

        self._embedding = rng.standard_normal((VOCABULARY, shape.width), np.float32)
        self._layers = [layer() for _ in range(shape.layers)]
        self._head = weights(shape.width, VOCABULARY)
        self._cos, self._sin = _rotary_table(shape.max_tokens, shape.head_dim)

    def step(self, tokens: Ids, start: int, paged: PagedKV, table: Ids) -> Floats:
        """Run `tokens` at positions from `start` on; their keys and values go to `paged`.

        The keys and values of every position before `start` must be there. A token sees itself
        and what is before it, so rows after the last token that matters may hold anything.

        **Shape**: returns the last hidden state, `[tokens, width]`.
        """
        x = self._embedding[tokens]
        cos = self._cos[start : start + len(tokens), None]
        sin = self._sin[start : start + len(tokens), None]
        for index, layer in enumerate(self._layers):
            q, k, v = self._project(_rms_norm(x, layer.attention_norm), layer)
            paged.write(index, table, start, _rotate(k, cos, sin), v)
            keys, values = paged.read(index, table, start + len(tokens))
            x += self._attend(_rotate(q, cos, sin), keys, values) @ layer.out
            gate_up = _rms_norm(x, layer.mlp_norm) @ layer.gate_up
            gate, up = gate_up[:, : self.shape.hidden], gate_up[:, self.shape.hidden :]
            x += (gate / (1 + np.exp(-gate)) * up) @ layer.down
        return x

    def logits(self, hidden: Floats) -> Floats:
        """Return the logits of one hidden state: `[width]` to `[VOCABULARY]`."""
        normed = _rms_norm(hidden[None], np.ones(self.shape.width, np.float32))
        return np.asarray((normed @ self._head)[0])

    def _project(self, x: Floats, layer: _Layer) -> tuple[Floats, Floats, Floats]:
        shape = self.shape
        heads = (x @ layer.qkv).reshape(len(x), -1, shape.head_dim)
        q, k, v = np.split(heads, (shape.heads, shape.heads + shape.kv_heads), axis=1)
        return q, k, v

    def _attend(self, q: Floats, keys: Floats, values: Floats) -> Floats:
        """Attend head by head: `q` is `[rows, heads, head_dim]`, the result two-dimensional."""
        rows, length = len(q), len(keys)
        group = self.shape.heads // self.shape.kv_heads
        scale = np.float32(self.shape.head_dim**-0.5)
        future = np.triu(np.full((rows, rows), -np.inf, np.float32), 1)
        # One buffer for all heads: it stays in the CPU's cache.
        scores = np.empty((rows, length), np.float32)
        out = np.empty_like(q)
        for head in range(self.shape.heads):
            np.matmul(q[:, head] * scale, keys[:, head // group].T, out=scores)
            scores[:, length - rows :] += future
            scores -= scores.max(axis=1, keepdims=True)
            np.exp(scores, out=scores)
            total = scores.sum(axis=1, keepdims=True)
            out[:, head] = (scores @ values[:, head // group]) / total
        return out.reshape(rows, -1)


def _rms_norm(x: Floats, weight: Floats) -> Floats:
    mean_square = np.mean(x * x, axis=1, keepdims=True)
    return np.asarray(x / np.sqrt(mean_square + np.float32(1e-6)) * weight)


def _rotary_table(tokens: int, head_dim: int) -> tuple[Floats, Floats]:
    """Cosines and sines of the rotary positions: `[tokens, head_dim / 2]` each.

    Source: Su et al., RoFormer (2021), with its base of 10,000.
    """
    frequencies = 10_000.0 ** (-np.arange(0, head_dim, 2) / head_dim)
    angles = np.outer(np.arange(tokens), frequencies)
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def _rotate(x: Floats, cos: Floats, sin: Floats) -> Floats:
    """Turn each pair (i, i + head_dim / 2) of `x` by its position's angle."""
    first, second = np.split(x, 2, axis=-1)
    return np.concatenate((first * cos - second * sin, second * cos + first * sin), axis=-1)
