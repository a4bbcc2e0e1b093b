"""The keys of a prompt, as whoever writes into a namespace derives them.

A namespace's text says how: the connector for vLLM takes vLLM's own hash of a chunk's last block
and names algorithm, seed and block size there; all others use the client library's key chain.
**Source**: hash_block_tokens and generate_block_hash_extra_keys of vllm/v1/core/kv_cache_utils.py.
"""

from __future__ import annotations

import hashlib
import pickle
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lmcd.keys import KeyChain, Keys, fingerprint

_HASH = re.compile(
    r"(?P<algorithm>\S+) seed (?P<seed>.*?)(?: pickle of Python (?P<python>[0-9.]+))?$"
)


class Underivable(ValueError):
    """The keys of this namespace cannot be derived here; the text says why."""


@dataclass(frozen=True)
class Prompt:
    """What a request asks for. `adapter` is its adapter's name and path."""

    tokens: Sequence[int]
    salt: str = ""
    adapter: tuple[str, str] | None = None


def fields_of(description: str) -> dict[str, str]:
    """Return the `name=value` lines of a namespace's text."""
    pairs = (line.partition("=") for line in description.splitlines())
    return {name: value for name, sign, value in pairs if sign}


def chunk_tokens_of(description: str, default: int) -> int:
    """Return how many tokens a chunk of a namespace has."""
    return int(fields_of(description).get("chunk_tokens", default))


def keys_of(description: str, prompt: Prompt, chunk_tokens: int, algorithm: str) -> Keys:
    """Return the keys of a prompt's whole chunks in a namespace.

    Args: chunk size and algorithm of the daemon, for those who derive as it asks.
    Raises Underivable.
    """
    fields = fields_of(description)
    if not fields.get("engine", "").startswith("vllm "):
        chain = KeyChain(fingerprint(description), prompt.salt, chunk_tokens, algorithm)
        return chain.extend(prompt.tokens)
    if ("adapter" in fields) != (prompt.adapter is not None):
        raise Underivable(
            "it is for requests with an adapter"
            if "adapter" in fields
            else "it is for requests without an adapter"
        )
    step = int(fields["chunk_tokens"]) // int(fields["hash_tokens"])
    hashes = _block_hashes(fields["hash"], int(fields["hash_tokens"]), prompt)
    return Keys(b"".join(hashes[step - 1 :: step]))


def _block_hashes(text: str, block_tokens: int, prompt: Prompt) -> list[bytes]:
    digest, seed = _digest_of(text)
    parent = digest(seed)
    always: list[tuple[str, ...]] = [("lora", *prompt.adapter)] if prompt.adapter else []
    first: list[tuple[str, ...]] = [("cache_salt", prompt.salt)] if prompt.salt else []
    hashes: list[bytes] = []
    for start in range(0, len(prompt.tokens) - block_tokens + 1, block_tokens):
        tokens = tuple(prompt.tokens[start : start + block_tokens])
        extra = always if start else always + first
        parent = digest((parent, tokens, tuple(extra) or None))
        hashes.append(parent)
    return hashes


def _digest_of(text: str) -> tuple[Callable[[Any], bytes], str]:
    """Return the hash function that a namespace's text names, and its seed."""
    match = _HASH.match(text)
    if match is None or match["seed"].startswith("sha256:"):
        raise Underivable(f"its text does not say how keys are made: {text!r}")
    if match["algorithm"] == "sha256_cbor":
        return _cbor_digest(), match["seed"]
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if match["algorithm"] != "sha256" or match["python"] != here:
        raise Underivable(f"its keys are made by {text}, and this is Python {here}")
    return lambda value: hashlib.sha256(
        pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    ).digest(), match["seed"]


def _cbor_digest() -> Callable[[Any], bytes]:
    try:
        import cbor2
    except ImportError:
        raise Underivable("its keys are made of CBOR, which takes the package cbor2") from None
    return lambda value: hashlib.sha256(cbor2.dumps(value, canonical=True)).digest()
