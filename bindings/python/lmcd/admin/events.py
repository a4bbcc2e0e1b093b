"""The daemon's events for readers over HTTP: one subscription for all of them.

Events are numbered here, in the order in which they came, and the last ones are kept, so that a
reader who lost its connection goes on where it was: its cursor is `<run>-<number>`. One who was
away for too long, or comes from an earlier run, is told that events were missed.

The daemon makes no events for nobody: the subscription ends a while after the last reader left.

**Thread safety**: one event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from lmcd.aio import AsyncSession
from lmcd.errors import LmcdError
from lmcd.events import Event, EventKind

KEPT = 8192
_LINGER_S = 30.0
_AGAIN_S = 1.0  # between tries to reach the daemon

Numbered = tuple[str, dict[str, Any]]  # a cursor, and what happened


class EventHub:
    """Fans the events of the daemon at `socket` out."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._run = secrets.token_hex(4)
        self._kept: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._next = 0  # number of the event that comes next
        self._arrived = asyncio.Event()
        self._readers = 0
        self._task: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """End the subscription."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def read(self, cursor: str | None) -> AsyncIterator[list[Numbered]]:
        """Yield what happens, some at a time; an empty list now and then when nothing does."""
        self._readers += 1
        try:
            self._start_following()
            position, missed = self._start(cursor)
            if missed is not None:
                yield [(self._cursor(position), _missed(missed))]
            while True:
                oldest = self._next - len(self._kept)
                if position < oldest:
                    yield [(self._cursor(oldest), _missed(oldest - position))]
                    position = oldest
                batch = [
                    (self._cursor(at + 1), self._kept[at - oldest])
                    for at in range(position, min(self._next, position + 256))
                ]
                position += len(batch)
                yield batch
                if not batch:
                    self._start_following()  # one that failed is started again
                    await self._wait()
        finally:
            self._readers -= 1

    def _start_following(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._follow())

    def _cursor(self, number: int) -> str:
        return f"{self._run}-{number}"

    def _start(self, cursor: str | None) -> tuple[int, int | None]:
        """Return where a reader begins, and how many it missed: None, or 0 for nobody knows."""
        if cursor is None:
            return self._next, None
        run, _, number = cursor.partition("-")
        if run != self._run or not number.isdecimal() or int(number) > self._next:
            return self._next - len(self._kept), 0
        return int(number), None

    async def _wait(self) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._arrived.wait(), 10)

    async def _follow(self) -> None:
        """Read events as long as somebody wants them, and a while longer."""
        while await self._wanted():
            with contextlib.suppress(LmcdError):
                if self._next:  # an earlier subscription ended, and nobody knows what came since
                    self._add(_missed(0))
                async with await AsyncSession.open(
                    self._socket, name="lmcd admin events"
                ) as session:
                    await self._take(session)
            await asyncio.sleep(_AGAIN_S)

    async def _wanted(self) -> bool:
        if self._readers == 0:
            await asyncio.sleep(_LINGER_S)
        return self._readers > 0

    async def _take(self, session: AsyncSession) -> None:
        idle_since: float | None = None
        loop = asyncio.get_running_loop()
        events = session.events()
        try:
            async for event in events:
                self._add(plain(event))
                if self._readers:
                    idle_since = None
                elif idle_since is None:
                    idle_since = loop.time()
                elif loop.time() - idle_since > _LINGER_S:
                    return
        finally:
            await events.aclose()  # type: ignore[attr-defined]

    def _add(self, facts: dict[str, Any]) -> None:
        self._kept.append(facts)
        self._next += 1
        self._arrived.set()
        self._arrived = asyncio.Event()


def plain(event: Event) -> dict[str, Any]:
    """Return an event as programs read it; fields that say nothing of its kind are left out."""
    facts: dict[str, Any] = {
        "kind": event.kind.name.lower(),
        "time_ms": event.time_ms,
        "sequence": event.sequence,
    }
    if event.kind is EventKind.MISSED:
        return facts | {"count": event.count}
    if event.kind is EventKind.REFUSED:
        return facts | {"code": event.code, "lease": str(event.lease)}
    return facts | {
        "namespace": event.space,
        "key": event.key.hex(),
        "parent": None if event.parent is None else event.parent.hex(),
        "depth": event.depth,
        "rank": event.rank,
        "group": event.group,
        "bytes": event.bytes,
    }


def _missed(count: int) -> dict[str, Any]:
    return {"kind": "missed", "count": count or None}
