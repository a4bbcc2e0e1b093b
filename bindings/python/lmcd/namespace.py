"""A namespace: what the bytes mean, and the verbs on the keys in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmcd._ffi import (
    Held,
    acquire_posted,
    address_of,
    check,
    ffi,
    lib,
    look_up,
    number_of,
    own,
    text_of,
)
from lmcd.errors import InvalidArgument, Released
from lmcd.keys import KeyChain, Keys, fingerprint
from lmcd.lease import ReadLease, WriteLease
from lmcd.presence import Presence
from lmcd.requests import Part, acquire_request, key_array, reserve_request

if TYPE_CHECKING:
    from lmcd.session import Session


@dataclass(frozen=True)
class Group:
    """A group of layers that need the same share of a prefix.

    `kind` is "full" (every chunk), "window" (the last `window_chunks` before the hit) or
    "state" (the one at its end).
    """

    kind: str = "full"
    window_chunks: int = 0

    def cdata(self) -> tuple[int, int]:
        """Return the group as the library takes it."""
        kinds = {
            "full": lib.LMCD_GROUP_FULL,
            "window": lib.LMCD_GROUP_WINDOW,
            "state": lib.LMCD_GROUP_STATE,
        }
        if self.kind not in kinds:
            raise InvalidArgument(f"group kind {self.kind!r}: must be full, window or state")
        return kinds[self.kind], number_of("window_chunks", self.window_chunks)


class Namespace:
    """Keys whose bytes mean one thing. Made by `Session.namespace`."""

    def __init__(
        self, session: Session, description: str, groups: Sequence[Group], rank_count: int
    ) -> None:
        self._session = session
        self._description = description
        text = ffi.new("char[]", text_of("description", description))
        c_groups = ffi.new("lmcd_group_t[]", [group.cdata() for group in groups])
        options = ffi.new("lmcd_namespace_options_t *")
        options.struct_size = ffi.sizeof("lmcd_namespace_options_t")
        options.rank_count = number_of("rank_count", rank_count)
        options.group_count = len(groups)
        options.groups = c_groups
        options.description = text
        out = ffi.new("lmcd_namespace_t **")
        check(lib.lmcd_namespace_open, session.cdata, options, out)
        self._held: Held | None = own(out[0], lib.lmcd_namespace_close)

    @property
    def session(self) -> Session:
        """The session it was opened from."""
        return self._session

    @property
    def description(self) -> str:
        """What the bytes mean."""
        return self._description

    @property
    def cdata(self) -> Any:
        """The C handle, for the modules of this package."""
        held = self._held
        if held is None:
            raise Released("the namespace is closed")
        return held.object

    def close(self) -> None:
        """Let go of it. Does nothing again. The daemon goes on to know it."""
        self._held = None

    def chain(self, tenant: str = "") -> KeyChain:
        """Return a chain that derives this namespace's keys, as the daemon asks."""
        info = self._session.info()
        return KeyChain(
            fingerprint(self._description), tenant, info.chunk_tokens, info.hash_algorithm
        )

    def lookup(self, keys: Iterable[bytes]) -> Presence:
        """Look keys up in the shared index: no message, and no side effect."""
        packed = keys if type(keys) is Keys else Keys.join(keys)
        found = look_up(Presence, self._session.held, self._held, packed.data)
        return found if found is not None else self._look_up_again(packed)

    def _look_up_again(self, keys: Keys) -> Presence:
        """Look keys up by the call that says why it cannot."""
        array = key_array(keys)
        session, presence = self._session.cdata, self._presence_of(len(array))
        check(lib.lmcd_lookup, session, self.cdata, array, len(array), presence.cdata)
        return presence

    def _presence_of(self, count: int) -> Presence:
        if self._held is None:
            raise Released("the namespace is closed")
        return Presence(self._held, count)

    def lookup_daemon(self, keys: Iterable[bytes]) -> Presence:
        """Ask the daemon the same. Waits."""
        array = key_array(keys)
        session, presence = self._session.cdata, self._presence_of(len(array))
        check(lib.lmcd_lookup_daemon, session, self.cdata, array, len(array), presence.cdata)
        return presence

    def touch(self, keys: Iterable[bytes]) -> None:
        """Report a use of these keys, root first. Posted."""
        array = key_array(keys)
        check(lib.lmcd_touch, self._session.cdata, self.cdata, array, len(array))

    def reserve(
        self,
        keys: Iterable[bytes],
        *,
        length: int = 0,
        lengths: Sequence[int] | None = None,
        part: Part = (0, 0),
        parts: Sequence[Part] | None = None,
        parent: bytes | None = None,
        depth: int = 0,
        tenant: str = "",
    ) -> WriteLease:
        """Ask for extents to write: of `length` bytes each, or of `lengths`. Waits.

        Args: keys of a run of chunks, each the parent of the next; `parent` and `depth` of
        the first (none and 0 for a root); `tenant`, whose quota it is charged to.
        Returns a lease with an outcome per key: RESERVED, EXISTS, PENDING, NO_SPACE or REFUSED.
        """
        request = reserve_request(
            self.cdata, keys, length, lengths, part, parts, parent, depth, tenant
        )
        check(
            lib.lmcd_reserve,
            self._session.cdata,
            request.cdata,
            request.grants.cdata,
            request.lease,
        )
        return WriteLease(self._session, request.grants, request.lease[0])

    def acquire(
        self,
        keys: Iterable[bytes],
        *,
        part: Part = (0, 0),
        parts: Sequence[Part] | None = None,
        timeout_ms: int = 0,
        posted: bool = False,
    ) -> ReadLease:
        """Take a read lease on the objects of `keys`. Waits, unless `posted`.

        A posted acquire reads extents in the shared index and asks no one; a lease that the
        daemon could not give shows when the bytes are validated, which every copy does.
        Returns a lease with an outcome per key: LEASED, ABSENT, PENDING or COLD.
        **Units**: timeout_ms bounds the wait for keys that are pending or cold; 0: no wait.
        """
        request = acquire_request(self.cdata, keys, part, parts, timeout_ms)
        places = (request.cdata, request.grants.cdata, request.lease)
        if not posted:
            check(lib.lmcd_acquire, self._session.cdata, *places)
        elif acquire_posted(self._session.held, *map(address_of, places)):
            # Again, by the call that says why it cannot.
            check(lib.lmcd_acquire_posted, self._session.cdata, *places)
        return ReadLease(self._session, request.grants, request.lease[0])
