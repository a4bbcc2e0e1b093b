"""The application: every route behind the same checks and the same form of refusal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from aiohttp import web

from lmcd.admin import audit, calls_cache, calls_live, calls_quota, calls_state
from lmcd.admin.events import EventHub
from lmcd.admin.feed import Feed
from lmcd.admin.gate import admit
from lmcd.admin.health import Health
from lmcd.admin.link import Link
from lmcd.admin.openapi import document
from lmcd.admin.replies import json_reply, refusal_of, refuse
from lmcd.admin.route import Call, Route, read_call
from lmcd.admin.settings import Settings

_BODY_BYTES = 1 << 20
_Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def openapi(_call: Call) -> web.Response:
    """Answer the description of all calls."""
    return json_reply(document(ROUTES))


ROUTES: tuple[Route, ...] = (
    *calls_state.ROUTES,
    *calls_cache.ROUTES,
    *calls_quota.ROUTES,
    *calls_live.ROUTES,
    Route("GET", "/openapi.json", "openapi", "This description", openapi),
)


def make_app(settings: Settings, link: Link, routes: Sequence[Route] = ROUTES) -> web.Application:
    """Return the application. It uses `link`, and does not close it."""
    app = web.Application(client_max_size=_BODY_BYTES, middlewares=[_settle])
    app[calls_state.HEALTH] = Health(link)
    app[calls_live.STREAMS] = set()
    for route in routes:
        app.router.add_route(route.method, route.path, _serve(route, settings, link))

    async def run_streams(app: web.Application) -> AsyncIterator[None]:
        app[calls_live.EVENTS] = EventHub(settings.daemon_socket)
        app[calls_live.FEED] = Feed(link)
        yield
        await app[calls_live.EVENTS].close()
        await app[calls_live.FEED].close()

    app.cleanup_ctx.append(run_streams)
    app.on_shutdown.append(_end_streams)
    return app


def _serve(route: Route, settings: Settings, link: Link) -> _Serve:
    async def serve(request: web.Request) -> web.StreamResponse:
        if not route.changes:
            return await route.handler(await read_call(route, request, settings, link))
        try:
            admit(request, settings)
            reply = await route.handler(await read_call(route, request, settings, link))
        except Exception as error:
            refusal = refusal_of(error)
            audit.record(request, route.name, refusal.status, refusal.reason)
            raise
        audit.record(request, route.name, reply.status, "")
        return reply

    return serve


@web.middleware
async def _settle(request: web.Request, handler: _Serve) -> web.StreamResponse:
    """Turn whatever goes wrong into JSON with a reason."""
    try:
        return await handler(request)
    except asyncio.CancelledError:
        raise
    except Exception as error:
        reply = refuse(refusal_of(error))
        if isinstance(error, web.HTTPMethodNotAllowed):
            reply.headers["Allow"] = error.headers["Allow"]
        return reply


async def _end_streams(app: web.Application) -> None:
    streams = app[calls_live.STREAMS]
    for task in list(streams):
        task.cancel()
