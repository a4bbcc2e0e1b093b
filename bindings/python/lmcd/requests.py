"""The C requests of verbs that take keys, built for the blocking client and for asyncio alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from lmcd._ffi import ffi, number_of, text_of
from lmcd.errors import InvalidArgument
from lmcd.grants import Grants
from lmcd.keys import KEY_BYTES, Keys

Part = tuple[int, int]
"""A share of a key's bytes: (rank, group)."""

_KEYS = ffi.typeof("lmcd_key_t[]")
_RESERVE = ffi.typeof("lmcd_reserve_t *")
_ACQUIRE = ffi.typeof("lmcd_acquire_t *")
_RESERVE_BYTES: int = ffi.sizeof("lmcd_reserve_t")
_ACQUIRE_BYTES: int = ffi.sizeof("lmcd_acquire_t")


class Request:
    """A request of reserve or acquire, the memory it points to, and where its answer goes."""

    __slots__ = ("_alive", "cdata", "grants", "lease")

    def __init__(self, cdata: Any, count: int, alive: Sequence[Any]) -> None:
        self.cdata = cdata
        self.grants = Grants(count)
        self.lease: Any = ffi.new("uint64_t *")
        self._alive = alive


def key_array(keys: Iterable[bytes]) -> Any:
    """Return keys as a C array over the same memory, which it keeps alive."""
    if type(keys) is Keys:
        return ffi.from_buffer(_KEYS, keys.data)
    joined = Keys.join(keys)
    return ffi.from_buffer(_KEYS, joined.data)


def one_key(name: str, key: bytes) -> Any:
    """Return one key as a C object."""
    if len(key) != KEY_BYTES:
        raise InvalidArgument(f"{name} has {len(key)} bytes: must be {KEY_BYTES}")
    return ffi.new("lmcd_key_t *", [key])


def reserve_request(
    space: Any,
    keys: Iterable[bytes],
    length: int,
    lengths: Sequence[int] | None,
    part: Part,
    parts: Sequence[Part] | None,
    parent: bytes | None,
    depth: int,
    tenant: str,
) -> Request:
    """Build what lmcd_reserve takes."""
    array = key_array(keys)
    request = ffi.new(_RESERVE)
    request.struct_size = _RESERVE_BYTES
    alive = fill_reserve(request, space, array, part, parts, parent, depth, tenant)
    count = len(array)
    if lengths is None:
        request.length = number_of("length", length, 64)
    else:
        if len(lengths) != count:
            raise InvalidArgument(f"{len(lengths)} lengths for {count} keys")
        c_lengths = ffi.new("uint64_t[]", [number_of("length", one, 64) for one in lengths])
        request.lengths = c_lengths
        alive.append(c_lengths)
    return Request(request, count, alive)


def fill_reserve(
    request: Any,
    space: Any,
    array: Any,
    part: Part,
    parts: Sequence[Part] | None,
    parent: bytes | None,
    depth: int,
    tenant: str,
) -> list[Any]:
    """Set all fields of an lmcd_reserve_t but the lengths; return what must stay alive."""
    alive: list[Any] = [space, array]
    request.count = len(array)
    request.space = space
    request.keys = array
    request.depth = number_of("depth", depth)
    if parent is not None:
        c_parent = one_key("parent", parent)
        request.parent = c_parent
        alive.append(c_parent)
    if tenant:
        c_tenant = ffi.new("char[]", text_of("tenant", tenant))
        request.tenant = c_tenant
        alive.append(c_tenant)
    alive += _fill_parts(request, part, parts)
    return alive


def acquire_request(
    space: Any,
    keys: Iterable[bytes],
    part: Part,
    parts: Sequence[Part] | None,
    timeout_ms: int,
) -> Request:
    """Build what lmcd_acquire takes."""
    array = key_array(keys)
    request = ffi.new(_ACQUIRE)
    request.struct_size = _ACQUIRE_BYTES
    request.count = len(array)
    request.space = space
    request.keys = array
    request.timeout_ms = number_of("timeout_ms", timeout_ms)
    return Request(request, len(array), [space, array, *_fill_parts(request, part, parts)])


def _fill_parts(request: Any, part: Part, parts: Sequence[Part] | None) -> list[Any]:
    if parts is None:
        if part != (0, 0):
            request.part.rank = number_of("rank", part[0], 16)
            request.part.group = number_of("group", part[1], 16)
        return []
    if len(parts) != request.count:
        raise InvalidArgument(f"{len(parts)} parts for {request.count} keys")
    c_parts = ffi.new(
        "lmcd_part_t[]",
        [(number_of("rank", rank, 16), number_of("group", group, 16)) for rank, group in parts],
    )
    request.parts = c_parts
    return [c_parts]
