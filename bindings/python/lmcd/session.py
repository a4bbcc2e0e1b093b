"""A session: the connection of this process to the daemon of its host.

    with lmcd.open() as session:
        space = session.namespace("model=tiny\\ndtype=float32")
        with space.acquire(keys) as lease: ...

**Thread safety**: a session and all that was opened from it may be used by several threads.
Closing it ends calls of others with Released or SessionLost, and crashes none.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from lmcd._ffi import Held, check, ffi, lib, number_of, own, text_of
from lmcd.closing import Closing
from lmcd.errors import Released
from lmcd.events import Event, iterate, next_events
from lmcd.mapping import Mapping
from lmcd.namespace import Group, Namespace
from lmcd.operate import Operator
from lmcd.segment import Segment

if TYPE_CHECKING:
    from lmcd.copy import Page
    from lmcd.grants import Grants

_VERIFY = ("off", "cold", "always")


@dataclass(frozen=True)
class SessionInfo:
    """Facts of a connection. **Units**: bytes, tokens and milliseconds, as the names say."""

    protocol: int
    id: int
    incarnation: bytes
    arena_bytes: int
    align_bytes: int
    chunk_tokens: int
    read_ttl_ms: int
    write_ttl_ms: int
    verify: str
    transfer_modes: tuple[str, ...]
    daemon_pid: int
    admin: bool
    hash_algorithm: str
    daemon_version: str
    instance_id: str


class _Closable(Protocol):
    def close(self) -> None: ...


class Session(Closing):
    """A connection to the daemon; made again by the library when it was lost.

    Args: `socket`, else $LMCD_SOCKET, else the user's, else the system's; `name`, shown to
    operators; `timeout_ms`, the bound of each call that waits (0: 5000).
    Raises NoDaemon, Denied, VersionMismatch, LimitReached, TimedOut, SystemFault.
    """

    def __init__(
        self, socket: str | None = None, *, name: str | None = None, timeout_ms: int = 0
    ) -> None:
        options = ffi.new("lmcd_session_options_t *")
        options.struct_size = ffi.sizeof("lmcd_session_options_t")
        options.timeout_ms = number_of("timeout_ms", timeout_ms)
        c_socket = ffi.NULL if socket is None else ffi.new("char[]", text_of("socket", socket))
        c_name = ffi.NULL if name is None else ffi.new("char[]", text_of("name", name))
        options.socket = c_socket
        options.name = c_name
        out = ffi.new("lmcd_session_t **")
        check(lib.lmcd_session_open, options, out)
        # For the modules of this package; None once closed. The handle is closed by the last call
        # that still uses it, so that none is pulled from under another.
        self.held: Held | None = own(out[0], lib.lmcd_session_close)
        self._mapping: Mapping | None = None
        self._children: weakref.WeakSet[_Closable] = weakref.WeakSet()

    @property
    def cdata(self) -> Any:
        """The C handle, for the modules of this package."""
        held = self.held
        if held is None:
            raise Released("the session is closed")
        return held.object

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self.held is None

    def close(self) -> None:
        """End the session and its leases. Does nothing again."""
        for child in list(self._children):
            child.close()
        self._mapping = None
        self.held = None

    def info(self) -> SessionInfo:
        """Return the facts of the present connection, connecting first if there is none."""
        out = ffi.new("lmcd_session_info_t *")
        out.struct_size = ffi.sizeof("lmcd_session_info_t")
        check(lib.lmcd_session_info, self.cdata, out)
        modes = (("engine_driven", 1), ("daemon_driven", 2))
        return SessionInfo(
            protocol=out.protocol,
            id=out.id,
            incarnation=bytes(ffi.buffer(out.incarnation)),
            arena_bytes=out.arena_bytes,
            align_bytes=out.align_bytes,
            chunk_tokens=out.chunk_tokens,
            read_ttl_ms=out.read_ttl_ms,
            write_ttl_ms=out.write_ttl_ms,
            verify=_VERIFY[out.verify] if out.verify < len(_VERIFY) else str(out.verify),
            transfer_modes=tuple(mode for mode, bit in modes if out.transfer_modes & bit),
            daemon_pid=out.daemon_pid,
            admin=out.admin == 1,
            hash_algorithm=ffi.string(out.hash_algorithm).decode(),
            daemon_version=ffi.string(out.daemon_version).decode(),
            instance_id=ffi.string(out.instance_id).decode(),
        )

    def ping(self) -> None:
        """Ask one empty question and wait for its answer."""
        check(lib.lmcd_ping, self.cdata)

    def namespace(
        self, description: str, *, groups: Sequence[Group] = (), rank_count: int = 1
    ) -> Namespace:
        """Make a namespace known, or join it. Waits.

        Args: `description`, printable text that says all that the bytes depend on; `groups`,
        one full group by default; `rank_count`, 1 to 256.
        Raises InvalidArgument also when it is known with other groups or ranks.
        """
        space = Namespace(self, description, groups, rank_count)
        self._children.add(space)
        return space

    def mapping(self) -> Mapping:
        """Return the arena as this process maps it at present.

        Leases are read through the one that was opened last, while it is of their incarnation.
        """
        mapping = self._mapping = Mapping(self.cdata)
        return mapping

    def segment(
        self,
        descriptor: int,
        length: int,
        pages: Sequence[Page],
        *,
        page_groups: Sequence[int] | None = None,
        rank: int = 0,
        name: str = "",
    ) -> Segment:
        """Register shared memory of this process for copies by the daemon. Waits.

        Args: `descriptor` of the memory, which the caller keeps; its `length` in bytes; pages
        whose `base` is an offset there, and the group of each (0).
        """
        segment = Segment(self, descriptor, length, pages, page_groups, rank, name)
        self._children.add(segment)
        return segment

    def mapping_of(self, grants: Grants, index: int) -> Mapping:
        """Return the mapping of a grant's incarnation: the last one used, while it is that."""
        mapping = self._mapping
        if mapping is None or not mapping.covers(grants, index):
            mapping = self.mapping()
        return mapping

    @property
    def operator(self) -> Operator:
        """The operator's verbs; they raise Denied unless this user may."""
        return Operator(self)

    def subscribe(self) -> None:
        """Have the daemon send its events to this session from now on. Waits."""
        check(lib.lmcd_events_subscribe, self.cdata)

    def events(self) -> Iterator[Event]:
        """Subscribe, and yield events without end."""
        self.subscribe()
        return iterate(self)

    def next_events(self, timeout_ms: int = 0) -> list[Event]:
        """Take the events that are there, waiting at most `timeout_ms` for the first.

        REFUSED events about this session's own posts come without a subscription.
        """
        return next_events(self, number_of("timeout_ms", timeout_ms))
