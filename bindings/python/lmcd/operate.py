"""The operator's verbs: what the daemon holds, and what it is told to do with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmcd._ffi import check, ffi, lib, number_of, text_of
from lmcd.requests import key_array

if TYPE_CHECKING:
    from lmcd.session import Session

_BATCH = 1024
_NO_KEY = bytes(32)


@dataclass(frozen=True)
class Selector:
    """Which objects a verb speaks of: those that match every field given.

    `space` is the number of a namespace, `tenant` a salt ("" is the default tenant).
    """

    space: int | None = None
    tenant: str | None = None
    keys: Iterable[bytes] | None = None

    def cdata(self) -> tuple[Any, list[Any]]:
        """Return the C selector, and what must live as long as it is used."""
        selector = ffi.new("lmcd_selector_t *")
        selector.struct_size = ffi.sizeof("lmcd_selector_t")
        alive: list[Any] = []
        if self.space is not None:
            selector.space_given = 1
            selector.space = number_of("space", self.space)
        if self.tenant is not None:
            tenant = ffi.new("char[]", text_of("tenant", self.tenant))
            selector.tenant_given = 1
            selector.tenant = tenant
            alive.append(tenant)
        if self.keys is not None:
            keys = key_array(self.keys)
            selector.keys = keys
            selector.key_count = len(keys)
            alive.append(keys)
        return selector, alive


EVERYTHING = Selector()


@dataclass(frozen=True)
class Listed:
    """One object. **Units**: bytes of all its parts; idle_ms since its last use."""

    key: bytes
    parent: bytes | None
    space: int
    depth: int
    part_count: int
    lease_count: int
    pinned: bool
    hits: int
    bytes: int
    idle_ms: int
    tenant: str


@dataclass(frozen=True)
class Cleared:
    """What a clear did; `kept` matched, but was leased or pinned."""

    objects: int
    bytes: int
    kept: int


@dataclass(frozen=True)
class Quota:
    """A tenant's quota and use of the arena; limit_bytes is None without a quota."""

    tenant: str
    limit_bytes: int | None
    used_bytes: int


class Operator:
    """The verbs of lmcd_admin.h on a session. All wait."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def stats(self) -> dict[str, Any]:
        """Return one consistent snapshot (docs/operating.md lists its fields)."""
        return self._document(lib.lmcd_stats)

    def config(self) -> dict[str, Any]:
        """Return the daemon's effective options and where each comes from."""
        return self._document(lib.lmcd_config)

    def reload(self) -> None:
        """Have the daemon read its options again.

        Raises InvalidArgument when they cannot be read; nothing has changed then.
        """
        check(lib.lmcd_reload, self._session.cdata)

    def list(self, selector: Selector = EVERYTHING) -> Iterator[Listed]:
        """Yield the objects that match.

        Those that come or go meanwhile may be missed; none is yielded twice.
        """
        chosen, _alive = selector.cdata()
        objects = ffi.new("lmcd_listed_t[]", _BATCH)

        def fetch(count: Any, cursor: Any) -> None:
            check(lib.lmcd_list, self._session.cdata, chosen, objects, _BATCH, count, cursor)

        for count in _batches(fetch):
            yield from [_listed(objects[at]) for at in range(count)]

    def page(
        self, selector: Selector = EVERYTHING, *, cursor: int = 0, limit: int = _BATCH
    ) -> tuple[Sequence[Listed], int]:
        """Return up to `limit` (4096 at most) objects that match, and the cursor of the next.

        The cursor is 0 at first, and again after the last.
        """
        chosen, _alive = selector.cdata()
        objects = ffi.new("lmcd_listed_t[]", limit)
        count = ffi.new("uint32_t *")
        following = ffi.new("uint64_t *", number_of("cursor", cursor, 64))
        check(lib.lmcd_list, self._session.cdata, chosen, objects, limit, count, following)
        return [_listed(objects[at]) for at in range(count[0])], int(following[0])

    def clear(self, selector: Selector = EVERYTHING, *, force: bool = False) -> Cleared:
        """Forget what matches; leased and pinned objects only by `force`."""
        chosen, _alive = selector.cdata()
        out = ffi.new("lmcd_cleared_t *")
        check(lib.lmcd_clear, self._session.cdata, chosen, int(force), out)
        return Cleared(out.objects, out.bytes, out.kept)

    def pin(self, selector: Selector, *, pinned: bool = True) -> int:
        """Pin what matches, or unpin it; return how many objects changed."""
        chosen, _alive = selector.cdata()
        count = ffi.new("uint64_t *")
        check(lib.lmcd_pin, self._session.cdata, chosen, int(pinned), count)
        return int(count[0])

    def quotas(self) -> Iterator[Quota]:
        """Yield the quota and use of all known tenants."""
        quotas = ffi.new("lmcd_quota_t[]", _BATCH)

        def fetch(count: Any, cursor: Any) -> None:
            check(lib.lmcd_quota_list, self._session.cdata, quotas, _BATCH, count, cursor)

        for count in _batches(fetch):
            for at in range(count):
                one = quotas[at]
                limit = one.limit_bytes if one.limited else None
                yield Quota(_string(one.tenant), limit, one.used_bytes)

    def set_quota(self, tenant: str, limit_bytes: int | None) -> None:
        """Set the quota of a tenant, or remove it. Kept across restarts."""
        quota = ffi.new("lmcd_quota_t *")
        salt = text_of("tenant", tenant)
        if len(salt) >= len(quota.tenant):
            raise ValueError(f"tenant of {len(salt)} bytes: must be at most 255")
        quota.tenant = salt
        quota.limited = limit_bytes is not None
        quota.limit_bytes = number_of("limit_bytes", limit_bytes or 0, 64)
        check(lib.lmcd_quota_set, self._session.cdata, quota)

    def drain(self) -> None:
        """Spill all that is hot and not yet in the tiers, and wait for the end of it.

        Raises LmcdError naming the tier that does not work, TimedOut when the session's
        timeout_ms is over first: the spilling goes on.
        """
        check(lib.lmcd_drain, self._session.cdata)

    def _document(self, function: Callable[..., int]) -> dict[str, Any]:
        out = ffi.new("lmcd_text_t **")
        check(function, self._session.cdata, out)
        text = ffi.gc(out[0], lib.lmcd_text_close)
        length = lib.lmcd_text_length(text)
        document: dict[str, Any] = json.loads(ffi.buffer(lib.lmcd_text_bytes(text), length)[:])
        return document


def _batches(fetch: Callable[[Any, Any], None]) -> Iterator[int]:
    """Call a verb that lists by a cursor until it is through; yield each batch's size."""
    count = ffi.new("uint32_t *")
    cursor = ffi.new("uint64_t *")
    while True:
        fetch(count, cursor)
        yield count[0]
        if cursor[0] == 0:
            return


def _string(text: Any) -> str:
    return str(ffi.string(text).decode(errors="replace"))


def _listed(one: Any) -> Listed:
    parent = bytes(ffi.buffer(one.parent.bytes))
    return Listed(
        key=bytes(ffi.buffer(one.key.bytes)),
        parent=None if parent == _NO_KEY else parent,
        space=one.space,
        depth=one.depth,
        part_count=one.part_count,
        lease_count=one.lease_count,
        pinned=one.pinned == 1,
        hits=one.hits,
        bytes=one.bytes,
        idle_ms=one.idle_ms,
        tenant=_string(one.tenant),
    )
