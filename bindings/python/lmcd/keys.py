"""Keys: from what the bytes mean, a salt and a prefix of tokens to 32-byte digests.

A chain gives one key for each whole chunk of tokens. It remembers where it stands, so a
conversation that grows hashes only what is new:

    chain = KeyChain(fingerprint("model=..."), salt="tenant-7")
    keys = chain.extend(prompt)
    keys += chain.extend(reply)
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

from lmcd._ffi import check, ffi, lib

KEY_BYTES = 32

# Memory that is written whole before it is read, without zeros first.
_new_tokens = ffi.new_allocator(should_clear_after_alloc=False)


def fingerprint(description: str) -> bytes:
    """Return the digest of the canonical text that says what a namespace's bytes mean.

    Raises InvalidArgument unless it is printable UTF-8 of 1 to 3072 bytes.
    """
    key = ffi.new("lmcd_key_t *")
    check(lib.lmcd_fingerprint, _text("description", description), key)
    return bytes(ffi.buffer(key))


class Keys(Sequence[bytes]):
    """Keys side by side in one immutable buffer, `data`.

    An index gives one key as bytes, a slice gives Keys.
    """

    __slots__ = ("data",)

    data: bytes

    def __init__(self, data: bytes = b"") -> None:
        if len(data) % KEY_BYTES:
            raise ValueError(f"{len(data)} bytes are no whole number of keys of {KEY_BYTES}")
        self.data = bytes(data)

    @classmethod
    def join(cls, keys: Iterable[bytes]) -> "Keys":
        """Put single keys together; Keys come back as they are."""
        return keys if isinstance(keys, cls) else cls(b"".join(keys))

    def __len__(self) -> int:
        return len(self.data) // KEY_BYTES

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> "Keys": ...
    def __getitem__(self, index: int | slice) -> "bytes | Keys":
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step == 1:
                return Keys(self.data[start * KEY_BYTES : max(start, stop) * KEY_BYTES])
            return Keys(b"".join(self[at] for at in range(start, stop, step)))
        at = range(len(self))[index]
        return self.data[at * KEY_BYTES : (at + 1) * KEY_BYTES]

    def __iter__(self) -> Iterator[bytes]:
        for at in range(0, len(self.data), KEY_BYTES):
            yield self.data[at : at + KEY_BYTES]

    def __add__(self, other: "Keys") -> "Keys":
        return Keys(self.data + other.data) if isinstance(other, Keys) else NotImplemented

    def __eq__(self, other: object) -> bool:
        return self.data == other.data if isinstance(other, Keys) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.data)

    def __repr__(self) -> str:
        return f"Keys({', '.join(key[:4].hex() + '…' for key in self)})"

    def hex(self) -> list[str]:
        """Return each key in hexadecimal."""
        return [key.hex() for key in self]


class KeyChain:
    """Derives the keys of a growing run of tokens.

    Args: `fingerprint` of 32 bytes; `salt`, the tenant's cache_salt, of at most 256 bytes of
    UTF-8; `chunk_tokens`, 1 to 65536; `algorithm`, "blake3" or "sha256_cbor".
    Raises InvalidArgument for others.
    **Thread safety**: calls from several threads take turns.
    """

    def __init__(
        self,
        fingerprint: bytes,
        salt: str = "",
        chunk_tokens: int = 256,
        algorithm: str = "blake3",
    ) -> None:
        out = ffi.new("lmcd_keychain_t **")
        digest = ffi.new("lmcd_key_t *", [_digest(fingerprint)])
        check(
            lib.lmcd_keychain_open,
            digest,
            _text("salt", salt),
            _chunk_tokens(chunk_tokens),
            _text("algorithm", algorithm),
            out,
        )
        self._take(out[0], chunk_tokens, 0)

    def _take(self, chain: Any, chunk_tokens: int, pending: int) -> None:
        self._chain = ffi.gc(chain, lib.lmcd_keychain_close)
        self._chunk_tokens = chunk_tokens
        self._pending = pending
        self._turn = threading.Lock()

    @property
    def chunk_tokens(self) -> int:
        """Tokens of a chunk."""
        return self._chunk_tokens

    def extend(self, tokens: Iterable[int]) -> Keys:
        """Take more tokens; return the keys of the chunks that they complete.

        Fast for lists, and without a copy for contiguous buffers of unsigned 32-bit numbers
        (array("I"), numpy.uint32).
        Raises ValueError or TypeError, with no effect, for a token that is no int of 0 to
        2^32 - 1.
        """
        numbers = _numbers(tokens)
        with self._turn:
            count, pending = divmod(self._pending + len(numbers), self._chunk_tokens)
            keys = ffi.new("lmcd_key_t[]", count)
            written = ffi.new("size_t *")
            check(
                lib.lmcd_keychain_extend,
                self._chain,
                numbers,
                len(numbers),
                keys,
                count,
                written,
            )
            self._pending = pending
        return Keys(bytes(ffi.buffer(keys)))

    def fork(self) -> "KeyChain":
        """Return an independent chain that continues from the same point."""
        out = ffi.new("lmcd_keychain_t **")
        twin = KeyChain.__new__(KeyChain)
        with self._turn:
            check(lib.lmcd_keychain_fork, self._chain, out)
            twin._take(out[0], self._chunk_tokens, self._pending)
        return twin


def _text(name: str, value: str) -> bytes:
    """Encode a string for C, where a NUL would silently end it."""
    if "\0" in value:
        raise ValueError(f"{name} {value!r}: must not contain NUL")
    return value.encode()


def _digest(fingerprint: bytes) -> bytes:
    if len(fingerprint) != KEY_BYTES:
        raise ValueError(f"fingerprint of {len(fingerprint)} bytes: must be {KEY_BYTES}")
    return fingerprint


def _chunk_tokens(value: int) -> int:
    # cffi refuses what is no uint32_t with an OverflowError that names nothing.
    if not 0 <= value <= 0xFFFF_FFFF:
        raise ValueError(f"chunk_tokens {value}: must be 1 to 65536")
    return value


def _numbers(tokens: Iterable[int]) -> Any:
    """Return `tokens` as a C array of uint32_t."""
    if not isinstance(tokens, list):
        try:
            view = memoryview(tokens)  # type: ignore[arg-type]
        except TypeError:
            tokens = list(tokens)
        else:
            if view.format == "I" and view.ndim == 1 and view.c_contiguous:
                return ffi.from_buffer("uint32_t[]", view)
            tokens = view.tolist()
    numbers = _new_tokens("uint32_t[]", len(tokens))
    done = lib.lmcd_tokens_of_list(ffi.cast("void *", id(tokens)), numbers, len(numbers))
    if done == len(numbers):
        return numbers
    token = tokens[done]
    if isinstance(token, int):
        raise ValueError(f"token {done} is {token}: must be 0 to {0xFFFF_FFFF}")
    if not hasattr(token, "__index__"):
        raise TypeError(f"token {done} is {token!r}: must be an int")
    return _numbers([number.__index__() for number in tokens])  # such as numpy's scalars
