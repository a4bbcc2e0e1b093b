"""Deriving the keys of 131,072 tokens, beside what a program would write without lmcd.

The divisor converts the list by array("I") and calls the blake3 package chunk by chunk, each
digest the beginning of the next. By turns, best of 15.
"""

from __future__ import annotations

import random
import time
from array import array
from collections.abc import Callable

import blake3
from report import Report, at_most

from lmcd import KeyChain, fingerprint

TOKENS = 131_072
CHUNK_TOKENS = 256
ROUNDS = 15
FINGERPRINT = fingerprint("bench")


def by_hand(tokens: list[int]) -> bytes:
    """Return the last of the keys."""
    view = memoryview(array("I", tokens)).cast("B")
    parent = FINGERPRINT
    width = CHUNK_TOKENS * 4
    keys = []
    for at in range(0, len(view), width):
        digest = blake3.blake3(parent)
        digest.update(view[at : at + width])
        parent = digest.digest()
        keys.append(parent)
    return keys[-1]


def seconds(act: Callable[[], object]) -> float:
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin


def main() -> int:
    numbers = random.Random(1)
    tokens = [numbers.randrange(150_000) for _ in range(TOKENS)]
    chunk = [numbers.randrange(150_000) for _ in range(CHUNK_TOKENS)]
    best = {"by hand": 1.0, "blake3": 1.0, "sha256_cbor": 1.0, "more": 1.0}

    def take(name: str, took: float) -> None:
        best[name] = min(best[name], took)

    for _ in range(ROUNDS):
        take("by hand", seconds(lambda: by_hand(tokens)))
        for algorithm in ("blake3", "sha256_cbor"):
            chain = KeyChain(FINGERPRINT, "", CHUNK_TOKENS, algorithm)
            take(algorithm, seconds(lambda chain=chain: chain.extend(tokens)))  # type: ignore[misc]
        chain = KeyChain(FINGERPRINT, "", CHUNK_TOKENS)
        chain.extend(tokens)
        for _ in range(10):
            take("more", seconds(lambda chain=chain: chain.extend(chunk)))  # type: ignore[misc]

    report = Report()
    divisor = best["by hand"]
    report.add("keys of 131,072 tokens, array and blake3 by chunk", divisor * 1e3, "ms", 1.0)
    for name, bound in (("blake3", at_most(0.6)), ("sha256_cbor", None)):
        took = best[name]
        report.add(f"keys of 131,072 tokens, {name}", took * 1e3, "ms", took / divisor, bound)
    report.add("one more chunk", best["more"] * 1e3, "ms", best["more"] / divisor, at_most(0.01))
    return report.finish()


if __name__ == "__main__":
    raise SystemExit(main())
