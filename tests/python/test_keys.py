"""Keys from Python are those that other implementations compute, however the tokens come.

The library's own tests freeze vectors; here the same chain is written down a second time with
the blake3 and hashlib packages.
"""

import hashlib
import random
import struct
import threading
from array import array
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from blake3 import blake3

from lmcd.errors import InvalidArgument
from lmcd.keys import KeyChain, Keys, fingerprint

MEANING = bytes(range(32))


def hashed(tokens: list[int], salt: str = "", chunk_tokens: int = 256) -> list[bytes]:
    parent = blake3(MEANING + salt.encode()).digest()
    keys = []
    for end in range(chunk_tokens, len(tokens) + 1, chunk_tokens):
        chunk = struct.pack(f"<{chunk_tokens}I", *tokens[end - chunk_tokens : end])
        parent = blake3(parent + chunk).digest()
        keys.append(parent)
    return keys


def words(count: int) -> list[int]:
    return [index * 2654435761 % 152064 for index in range(count)]


def test_keys_are_what_another_implementation_computes() -> None:
    tokens = [*words(1000), 0, 2**32 - 1, 2**31, *words(53)]
    assert list(KeyChain(MEANING).extend(tokens)) == hashed(tokens)
    assert list(KeyChain(MEANING, "größe", 7).extend(tokens)) == hashed(tokens, "größe", 7)


def test_a_sha256_cbor_key_is_the_digest_of_its_cbor() -> None:
    first = hashlib.sha256(b"\x82\x58\x20" + MEANING + b"\xf6").digest()
    link = hashlib.sha256(b"\x83\x58\x20" + first + b"\x82\x17\x18\x18" + b"\xf6").digest()
    assert list(KeyChain(MEANING, "", 2, "sha256_cbor").extend([23, 24])) == [link]


def test_a_fingerprint_is_a_derived_key_of_the_text() -> None:
    text = "dtype=float32\nname=größe".encode()
    expected = blake3(
        struct.pack("<Q", len(text)) + text, derive_key_context="lmcd namespace fingerprint 1"
    )
    assert fingerprint(text.decode()) == expected.digest()


@pytest.mark.parametrize(
    "form",
    [
        list,
        tuple,
        iter,
        lambda tokens: array("I", tokens),
        lambda tokens: array("q", tokens),
        lambda tokens: np.array(tokens, np.uint32),
        lambda tokens: np.array(tokens, np.int64),
        lambda tokens: np.repeat(np.array(tokens, np.uint32), 2)[::2],
        lambda tokens: list(np.array(tokens, np.int32)),
    ],
    ids=["list", "tuple", "iterator", "array-I", "array-q", "uint32", "int64", "strided", "scalar"],
)
def test_tokens_may_come_in_any_form(form: Callable[[list[int]], Any]) -> None:
    tokens = words(600)
    assert list(KeyChain(MEANING).extend(form(tokens))) == hashed(tokens)


def test_keys_do_not_depend_on_how_the_tokens_arrive() -> None:
    source = random.Random(20)
    tokens = words(5000)
    for _ in range(50):
        chain, keys, at = KeyChain(MEANING), Keys(), 0
        while at < len(tokens):
            end = at + source.randrange(600)
            keys += chain.extend(tokens[at:end])
            at = end
        assert list(keys) == hashed(tokens)


def test_a_fork_goes_on_alone_from_the_same_point() -> None:
    tokens = words(1000)
    chain = KeyChain(MEANING)
    chain.extend(tokens[:300])
    twin = chain.fork()
    chain.extend([1] * 500)
    assert list(twin.extend(tokens[300:])) == hashed(tokens)[1:]


def test_threads_that_share_a_chain_take_turns() -> None:
    chain = KeyChain(MEANING, chunk_tokens=3)
    found: list[bytes] = []

    def extend() -> None:
        for _ in range(200):
            found.extend(chain.extend([5] * 100))

    threads = [threading.Thread(target=extend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted(hashed([5] * 80_000, chunk_tokens=3))


@pytest.mark.parametrize(
    ("tokens", "error", "text"),
    [
        ([1, -1], ValueError, "token 1 is -1: must be 0 to 4294967295"),
        ([2**32], ValueError, "token 0 is 4294967296: must be 0 to 4294967295"),
        ([3, 2**70], ValueError, "token 1 is 1180591620717411303424: must be"),
        ([1.5], TypeError, "token 0 is 1.5: must be an int"),
        ([None], TypeError, "token 0 is None: must be an int"),
        ("ab", TypeError, "token 0 is 'a': must be an int"),
        (np.array([1, -7]), ValueError, "token 1 is -7: must be"),
    ],
)
def test_a_wrong_token_is_named_and_has_no_effect(
    tokens: Any, error: type[Exception], text: str
) -> None:
    chain = KeyChain(MEANING, chunk_tokens=2)
    chain.extend([1])
    with pytest.raises(error, match=text):
        chain.extend(tokens)
    assert list(chain.extend([2])) == hashed([1, 2], chunk_tokens=2)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: KeyChain(b"short"), "fingerprint of 5 bytes: must be 32"),
        (lambda: KeyChain(MEANING, chunk_tokens=0), "chunk_tokens 0: must be 1 to 65536"),
        (lambda: KeyChain(MEANING, chunk_tokens=65537), "chunk_tokens 65537: must be 1 to 65536"),
        (lambda: KeyChain(MEANING, chunk_tokens=-1), "chunk_tokens -1: must be 1 to 65536"),
        (lambda: KeyChain(MEANING, chunk_tokens=2**40), "chunk_tokens 1099511627776: must be"),
        (lambda: KeyChain(MEANING, "s" * 257), "salt of 257 bytes: must be at most 256"),
        (lambda: KeyChain(MEANING, "a\0b"), "salt 'a.x00b': must not contain NUL"),
        (lambda: KeyChain(MEANING, algorithm="md5"), "must be blake3 or sha256_cbor"),
        (lambda: fingerprint(""), "description of 0 bytes: must be 1 to 3072"),
        (lambda: fingerprint("a\0"), "must not contain NUL"),
    ],
)
def test_arguments_out_of_range_are_named(make: Callable[[], object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make()


def test_a_fault_of_the_library_is_an_exception_of_ours() -> None:
    with pytest.raises(InvalidArgument):
        KeyChain(MEANING, algorithm="md5")


def test_keys_are_a_sequence_over_one_buffer() -> None:
    raw = [bytes([index]) * 32 for index in range(5)]
    keys = Keys(b"".join(raw))
    assert len(keys) == 5
    assert list(keys) == raw
    assert (keys[0], keys[-1]) == (raw[0], raw[4])
    assert list(keys[1:3]) == raw[1:3]
    assert list(keys[3:1]) == []
    assert list(keys[::-2]) == raw[::-2]
    assert keys[1:3].data == raw[1] + raw[2]
    assert keys[:2] + keys[2:] == keys
    assert hash(keys[:]) == hash(keys)
    assert keys != raw
    assert raw[3] in keys
    assert keys.hex()[1] == "01" * 32
    assert Keys.join(raw) == keys
    assert Keys.join(keys) is keys
    with pytest.raises(IndexError):
        keys[5]
    with pytest.raises(ValueError, match="33 bytes are no whole number of keys of 32"):
        Keys(bytes(33))
