"""Calls that tell: health, status, configuration, version, metrics."""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web

from lmcd import __version__
from lmcd.admin.exposition import CONTENT_TYPE, exposition
from lmcd.admin.health import Health
from lmcd.admin.replies import Refusal, json_reply
from lmcd.admin.route import Call, Route
from lmcd.errors import LmcdError
from lmcd.session import Session

HEALTH = web.AppKey("health", Health)

_UNHEALTHY = {200: "healthy", 503: "not healthy; `reason` says why"}


async def healthcheck(call: Call) -> web.Response:
    """Answer 200 only when an object was stored, read back and forgotten just now."""
    reason = await call.request.app[HEALTH].reason()
    if reason is not None:
        return json_reply({"status": "unhealthy", "code": "unhealthy", "reason": reason}, 503)
    return json_reply({"status": "healthy"})


async def alive(call: Call) -> web.Response:
    """Answer 200 when the daemon answers an empty question."""
    await call.link.tell(Session.ping)
    return json_reply({"status": "alive"})


async def ready(call: Call) -> web.Response:
    """Answer 200 when the daemon lets this server administer it."""
    info = await call.link.tell(Session.info)
    if not info.admin:
        raise Refusal(503, "denied", "the daemon does not let this server's user administer it")
    return json_reply({"status": "ready"})


async def status(call: Call) -> web.Response:
    """Answer the whole snapshot, with L1 and the controllers put together."""
    snapshot = await call.link.snapshot()
    metrics = snapshot["metrics"]
    return json_reply(
        {
            "status": "ok",
            "l1": _l1(snapshot["daemon"], metrics),
            "controllers": {"eviction": _eviction(snapshot["daemon"], metrics)},
            **snapshot,
            "devices": snapshot.get("devices", []),
        }
    )


_L1 = (
    *("arena_bytes", "used_bytes", "free_bytes", "evictable_bytes", "populated_bytes"),
    *("largest_hole_bytes", "holes", "objects", "leased_objects", "pinned_objects"),
)


def _l1(daemon: dict[str, Any], metrics: dict[str, int]) -> dict[str, Any]:
    known = {name: metrics[name] for name in _L1 if name in metrics}
    return {"backing": daemon["backing"], **known}


def _eviction(daemon: dict[str, Any], metrics: dict[str, int]) -> dict[str, Any]:
    known = {name: value for name, value in metrics.items() if name.startswith("evicted_")}
    return {"policy": daemon["policy"], **known}


async def config(call: Call) -> web.Response:
    """Answer the daemon's effective options, secrets masked."""
    return json_reply(await call.link.tell(_config))


def _config(session: Session) -> dict[str, Any]:
    return session.operator.config()


async def version(call: Call) -> web.Response:
    """Answer the versions of this server and of the daemon, if that answers."""
    facts: dict[str, Any] = {"version": __version__, "daemon": None}
    try:
        info = await call.link.tell(Session.info)
    except LmcdError as error:
        facts["reason"] = str(error)
    else:
        facts["daemon"] = {"version": info.daemon_version, "protocol": info.protocol}
    return json_reply(facts)


async def metrics(call: Call) -> web.Response:
    """Answer all metrics, from one snapshot; without a daemon, lmcd_up 0."""
    if not call.settings.metrics:
        raise Refusal(404, "disabled", "the daemon was started with --disable-metrics")
    began = time.perf_counter()
    try:
        snapshot = await call.link.snapshot()
    except LmcdError:
        snapshot = None
    text = exposition(snapshot, time.perf_counter() - began)
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})


METRICS = Route(
    "GET", "/metrics", "metrics", "Metrics for Prometheus", metrics, content="text/plain"
)
ROUTES = (
    Route(
        *("GET", "/healthcheck", "healthcheck", "Whether objects can be stored and read"),
        healthcheck,
        replies=_UNHEALTHY,
    ),
    Route("GET", "/healthz", "alive", "Whether the daemon answers", alive),
    Route("GET", "/readyz", "ready", "Whether the daemon can be administered", ready),
    Route("GET", "/status", "status", "What the daemon holds and does", status),
    Route("GET", "/config", "config", "The daemon's options, secrets masked", config),
    Route("GET", "/version", "version", "Versions of server and daemon", version),
    METRICS,
)
