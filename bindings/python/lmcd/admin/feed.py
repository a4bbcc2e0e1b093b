"""The frames of the dashboard: one snapshot a second while anybody watches, for all who do.

**Thread safety**: one event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import AsyncIterator

from lmcd.admin.link import Link
from lmcd.admin.panel import Facts, frame_of, unreachable
from lmcd.errors import LmcdError

PERIOD_S = 1.0
HISTORY = 120
_PATIENCE_S = 15.0  # for a frame: more than a call to the daemon and its repetition may take

# What a page that is opened later draws the past of.
_TRACED = (
    *("used_bytes", "objects", "requested_parts_total", "hit_parts_total"),
    *("committed_bytes_total", "hit_bytes_total", "evicted_objects_total", "requests_total"),
)


class Feed:
    """Samples the daemon behind a link."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._watchers = 0
        self._latest = ""
        self._came = asyncio.Event()
        self._past: deque[list[int]] = deque(maxlen=HISTORY)
        self._task: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Stop sampling."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def read(self) -> AsyncIterator[str]:
        """Yield the past, and then each frame, as JSON."""
        self._watchers += 1
        try:
            self._start()
            yield json.dumps({"traced": _TRACED, "past": list(self._past)})
            while True:
                self._start()  # one that failed is started again
                try:
                    await asyncio.wait_for(self._came.wait(), _PATIENCE_S)
                except asyncio.TimeoutError:
                    moment_ms = int(time.time() * 1000)
                    yield json.dumps(unreachable("no snapshot came in time", moment_ms))
                else:
                    yield self._latest
        finally:
            self._watchers -= 1

    def _start(self) -> None:
        if self._task is None or self._task.done():
            self._past.clear()
            self._task = asyncio.create_task(self._sample())

    async def _sample(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            frame = await self._frame()
            self._latest = json.dumps(frame, ensure_ascii=False, separators=(",", ":"))
            self._came.set()
            self._came = asyncio.Event()
            due = max(due + PERIOD_S, loop.time())
            await asyncio.sleep(due - loop.time())
            if self._watchers == 0:
                return

    async def _frame(self) -> Facts:
        moment_ms = int(time.time() * 1000)
        try:
            snapshot = await self._link.snapshot()
        except LmcdError as error:
            self._past.clear()
            return unreachable(str(error), moment_ms)
        metrics = snapshot["metrics"]
        self._past.append([moment_ms, *(metrics.get(name, 0) for name in _TRACED)])
        return frame_of(snapshot, moment_ms)
