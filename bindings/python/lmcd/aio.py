"""The session for asyncio: what waits is awaited, without threads.

    async with await AsyncSession.open() as session:
        space = await session.namespace("model=tiny")
        with await space.acquire(keys) as lease: ...

Questions are sent by the `*_begin` calls of the C library, and answers looked for when the
session's socket is readable. A worker thread is borrowed only to connect, and for verbs that
have no such form. Leases are those of lmcd.lease: what they post does not wait.

**Thread safety**: one event loop.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

from lmcd._ffi import Held, check, ffi, lib, own
from lmcd.errors import TimedOut
from lmcd.events import Event, next_events
from lmcd.lease import ReadLease, WriteLease
from lmcd.namespace import Group, Namespace
from lmcd.presence import Presence
from lmcd.requests import Part, Request, acquire_request, reserve_request
from lmcd.session import Session, SessionInfo

if TYPE_CHECKING:
    from typing_extensions import Self

DEFAULT_TIMEOUT_MS = 5000  # as the library has it

# An answer that another thread read off the socket wakes nobody here: look again after that.
_LOOK_AGAIN_S = 0.02


class _Arrival:
    """Tells waiters that something may have arrived on the session's socket."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._arrived: asyncio.Future[None] | None = None

    async def wait(self) -> None:
        """Wait until the socket is readable, a short while at most."""
        if self._arrived is None:
            self._arrived = self._watch()
        await asyncio.shield(self._arrived)

    def _watch(self) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        arrived = loop.create_future()
        socket: int = lib.lmcd_session_descriptor(self._session.cdata)
        # A copy: the library closes its own when the session is lost, and its number is reused.
        copy = os.dup(socket) if socket >= 0 else -1

        def wake() -> None:
            timer.cancel()
            if copy >= 0:
                loop.remove_reader(copy)
                os.close(copy)
            self._arrived = None
            arrived.set_result(None)

        timer = loop.call_later(_LOOK_AGAIN_S, wake)
        if copy >= 0:
            loop.add_reader(copy, wake)
        return arrived


class AsyncNamespace:
    """Keys whose bytes mean one thing. Made by `AsyncSession.namespace`."""

    def __init__(self, session: AsyncSession, space: Namespace) -> None:
        self._session = session
        self._space = space

    @property
    def blocking(self) -> Namespace:
        """The namespace of the blocking client."""
        return self._space

    def lookup(self, keys: Iterable[bytes]) -> Presence:
        """Look keys up in the shared index: no message, so nothing to await."""
        return self._space.lookup(keys)

    def touch(self, keys: Iterable[bytes]) -> None:
        """Report a use of these keys, root first. Posted."""
        self._space.touch(keys)

    async def reserve(
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
        """Ask for extents to write, as `Namespace.reserve` does."""
        request = reserve_request(
            self._space.cdata, keys, length, lengths, part, parts, parent, depth, tenant
        )
        await self._session.ask(lib.lmcd_reserve_begin, request, 0)
        return WriteLease(self._session.blocking, request.grants, request.lease[0])

    async def acquire(
        self,
        keys: Iterable[bytes],
        *,
        part: Part = (0, 0),
        parts: Sequence[Part] | None = None,
        timeout_ms: int = 0,
        posted: bool = False,
    ) -> ReadLease:
        """Take a read lease on the objects of `keys`, as `Namespace.acquire` does."""
        if posted:
            return self._space.acquire(keys, part=part, parts=parts, posted=True)
        request = acquire_request(self._space.cdata, keys, part, parts, timeout_ms)
        await self._session.ask(lib.lmcd_acquire_begin, request, timeout_ms)
        return ReadLease(self._session.blocking, request.grants, request.lease[0])


class AsyncSession:
    """A connection to the daemon, for one event loop. Made by `open`."""

    def __init__(self, session: Session, timeout_ms: int) -> None:
        self._session = session
        self._timeout_ms = timeout_ms or DEFAULT_TIMEOUT_MS
        self._arrival = _Arrival(session)

    @classmethod
    async def open(
        cls, socket: str | None = None, *, name: str | None = None, timeout_ms: int = 0
    ) -> Self:
        """Connect, as `Session` does."""
        session = await asyncio.to_thread(Session, socket, name=name, timeout_ms=timeout_ms)
        return cls(session, timeout_ms)

    @property
    def blocking(self) -> Session:
        """The session of the blocking client."""
        return self._session

    async def namespace(
        self, description: str, *, groups: Sequence[Group] = (), rank_count: int = 1
    ) -> AsyncNamespace:
        """Make a namespace known, or join it."""
        space = await asyncio.to_thread(
            self._session.namespace, description, groups=groups, rank_count=rank_count
        )
        return AsyncNamespace(self, space)

    async def info(self) -> SessionInfo:
        """Return the facts of the present connection."""
        return await asyncio.to_thread(self._session.info)

    async def ping(self) -> None:
        """Ask one empty question."""
        await asyncio.to_thread(self._session.ping)

    async def events(self) -> AsyncIterator[Event]:
        """Subscribe, and yield events without end."""
        await asyncio.to_thread(self._session.subscribe)
        while True:
            events = next_events(self._session, 0)
            for event in events:
                yield event
            if not events:
                await self._arrival.wait()

    async def ask(self, begin: Callable[..., int], request: Request, extra_ms: int) -> None:
        """Send a request and wait for its answer. For the modules of this package.

        Cancelled, it gives back what it may still get.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (self._timeout_ms + extra_ms) / 1000
        operation = (await self._begin(begin, request)).object
        while True:
            try:
                check(lib.lmcd_op_wait, operation, 0)
            except TimedOut:
                if loop.time() >= deadline:
                    raise
                await self._arrival.wait()
            else:
                return

    async def _begin(self, begin: Callable[..., int], request: Request) -> Held:
        session = self._session.cdata
        out = ffi.new("lmcd_op_t **")
        arguments = (session, request.cdata, request.grants.cdata, request.lease, out)
        if lib.lmcd_session_descriptor(session) >= 0:
            check(begin, *arguments)
        else:  # connects first, which may take its time
            await asyncio.to_thread(check, begin, *arguments)
        return own(out[0], partial(_close, request))

    def close(self) -> None:
        """End the session and its leases."""
        self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _close(request: Request, operation: Any) -> None:
    """Close an operation; `request`, which its answer is written to, lives until then."""
    lib.lmcd_op_close(operation)
