"""The admin server's way to the daemon: one session, used by a few threads.

The calls of the library wait, so each runs on a thread of its own small pool, bounded by the
session's timeout. The library connects again by itself when the daemon was restarted; nothing here
outlives a failure.

**Thread safety**: one event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from lmcd.errors import LmcdError, NoDaemon, SessionLost
from lmcd.operate import Operator
from lmcd.session import Session

T = TypeVar("T")

CALL_TIMEOUT_MS = 5000
_THREADS = 4
_AGAIN_S = 0.15  # past the time within which the library does not connect again


class Link:
    """Asks the daemon at `socket`. Made and closed on the event loop."""

    def __init__(self, socket: str) -> None:
        self.socket = socket
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="lmcd-admin")
        self._session: Session | None = None
        self._opening = asyncio.Lock()
        self._fetching: asyncio.Task[dict[str, Any]] | None = None

    async def close(self) -> None:
        """End the session. Calls that still wait end by their own bound."""
        session, self._session = self._session, None
        if session is not None:
            session.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run something that waits."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)

    async def tell(self, call: Callable[[Session], T]) -> T:
        """Make a call that changes nothing. Raises what the library does.

        A daemon that has just come back is not asked more often than the library allows, and a
        session that was lost shows when it is used: such a call is made once more.
        """
        return await self._use(call, (NoDaemon, SessionLost))

    async def ask(self, verb: Callable[[Operator], T]) -> T:
        """Run an operator's verb. Raises what the library does.

        It is made once more only when it never left.
        """
        return await self._use(lambda session: verb(session.operator), (NoDaemon,))

    async def _use(self, call: Callable[[Session], T], passing: tuple[type[LmcdError], ...]) -> T:
        try:
            return await self._run(call, await self._opened())
        except passing:
            await asyncio.sleep(_AGAIN_S)
        return await self._run(call, await self._opened())

    async def _opened(self) -> Session:
        async with self._opening:
            if self._session is None:
                self._session = await self._run(self._open)
            return self._session

    def _open(self) -> Session:
        return Session(self.socket, name="lmcd admin", timeout_ms=CALL_TIMEOUT_MS)

    async def snapshot(self) -> dict[str, Any]:
        """Return one consistent snapshot. Those who ask while one is under way share it."""
        if self._fetching is None:
            self._fetching = asyncio.ensure_future(
                self.tell(lambda session: session.operator.stats())
            )
            self._fetching.add_done_callback(self._fetched)
        return await asyncio.shield(self._fetching)

    def _fetched(self, task: asyncio.Task[dict[str, Any]]) -> None:
        self._fetching = None
        if not task.cancelled():
            task.exception()  # whoever waited was told
