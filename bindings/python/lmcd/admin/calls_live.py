"""Calls that stream, and the page that reads them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import pathlib
from collections.abc import AsyncIterator

from aiohttp import web

from lmcd.admin.events import EventHub
from lmcd.admin.feed import Feed
from lmcd.admin.replies import Refusal
from lmcd.admin.route import Call, Route

EVENTS = web.AppKey("events", EventHub)
FEED = web.AppKey("feed", Feed)
STREAMS = web.AppKey("streams", set[asyncio.Task[None]])

_STREAMS = 256
_STALLED_S = 30.0  # a reader that takes nothing for so long is let go
# The page has no part that is not in it, and talks to nobody but this server.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


@functools.cache
def _page() -> str:
    return (pathlib.Path(__file__).parent / "dashboard.html").read_text()


async def dashboard(call: Call) -> web.Response:
    """Answer the page."""
    return web.Response(
        text=_page(),
        content_type="text/html",
        headers={
            "Content-Security-Policy": _POLICY,
            "Cache-Control": "no-cache",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        },
    )


async def live(call: Call) -> web.StreamResponse:
    """Stream the frames of the dashboard."""

    async def messages() -> AsyncIterator[str]:
        frames = call.request.app[FEED].read()
        async with contextlib.aclosing(frames):  # type: ignore[type-var]
            async for frame in frames:
                yield f"data: {frame}\n\n"

    return await _stream(call, messages())


async def events(call: Call) -> web.StreamResponse:
    """Stream what happens; goes on after `cursor`, or the browser's Last-Event-ID."""
    cursor = call.query.get("cursor", call.request.headers.get("Last-Event-ID"))
    limit = call.query.get("limit")

    async def messages() -> AsyncIterator[str]:
        left = limit
        batches = call.request.app[EVENTS].read(cursor)
        async with contextlib.aclosing(batches):  # type: ignore[type-var]
            async for batch in batches:
                if left is not None:
                    batch = batch[:left]
                    left -= len(batch)
                yield "".join(_event(*one) for one in batch) or ": nothing happened\n\n"
                if left == 0:
                    return

    return await _stream(call, messages())


def _event(cursor: str, facts: dict[str, object]) -> str:
    text = json.dumps(facts, separators=(",", ":"))
    return f"id: {cursor}\nevent: {facts['kind']}\ndata: {text}\n\n"


async def _stream(call: Call, messages: AsyncIterator[str]) -> web.StreamResponse:
    """Send messages until they end, the reader goes, or the server stops."""
    streams = call.request.app[STREAMS]
    if len(streams) >= _STREAMS:
        raise Refusal(503, "limit", f"{_STREAMS} streams are open already")
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    )
    await response.prepare(call.request)

    async def send() -> None:
        async for message in messages:
            await asyncio.wait_for(response.write(message.encode()), _STALLED_S)

    task = asyncio.create_task(send())
    streams.add(task)
    try:
        with contextlib.suppress(ConnectionError, asyncio.TimeoutError, asyncio.CancelledError):
            await task
    finally:
        task.cancel()
        streams.discard(task)
    return response


ROUTES = (
    Route("GET", "/", "dashboard", "The dashboard", dashboard, content="text/html"),
    Route(
        *("GET", "/live", "live", "The frames of the dashboard, one a second (server-sent)"),
        live,
        content="text/event-stream",
        stream=True,
    ),
    Route(
        *("GET", "/events", "events", "What happens, as it happens (server-sent events)"),
        events,
        query={
            "cursor": {"type": "string", "maxLength": 64},
            "limit": {"type": "integer", "minimum": 1, "maximum": 1_000_000},
        },
        content="text/event-stream",
        stream=True,
    ),
)
